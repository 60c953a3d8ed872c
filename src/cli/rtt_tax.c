/* The interpreter tax: medians of each segment on both sides, and how sure
 * their difference is.
 *
 * Slots go to the two sides in turn, so that whatever else the machine does
 * happens to both.  The interval of a difference is a bootstrap over blocks
 * of pairs in a row (Kuensch 1989): neighbouring packets are not independent,
 * and a block has the same moments of both sides. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/python_private.h"

#include "base/random.h"

#define ROWS_MAX   (SEGMENT_MAX + 8)
#define DRAWS_MAX  400
#define DRAWS_MIN  100
#define DRAWS_WORK 2000000 /* values drawn for a row, about */
#define PAIRS_MIN  6
#define SEED       UINT64_C(20250101)
#define RTT        "rtt"

struct row {
	char name[SEGMENT_NAME];
	int64_t *ns[TAX_SIDE_COUNT]; /* TAX_PAIRS_MAX, by seq */
};

struct tax {
	struct row rows[ROWS_MAX];
	size_t row_count;
	uint32_t pairs; /* beyond the highest seq */
};

struct compared {
	size_t count[TAX_SIDE_COUNT];
	double median_ns[TAX_SIDE_COUNT];
	double low_ns, high_ns; /* of the difference; NAN: too few pairs */
};

struct tax *tax_create(void)
{
	return calloc(1, sizeof(struct tax));
}

void tax_destroy(struct tax *tax)
{
	if (!tax)
		return;
	for (size_t i = 0; i < tax->row_count; i++)
		free(tax->rows[i].ns[0]);
	free(tax);
}

static const struct row *row_find(const struct tax *tax, const char *name)
{
	for (size_t i = 0; i < tax->row_count; i++) {
		if (strcmp(tax->rows[i].name, name) == 0)
			return &tax->rows[i];
	}
	return NULL;
}

/* A new row has no stamps: INT64_MIN. */
static struct row *row_add(struct tax *tax, const char *name)
{
	size_t count = (size_t)TAX_SIDE_COUNT * TAX_PAIRS_MAX;
	struct row *row = &tax->rows[tax->row_count];
	int64_t *ns;

	if (tax->row_count == ROWS_MAX || strlen(name) >= sizeof row->name)
		return NULL;
	ns = malloc(count * sizeof *ns);
	if (!ns)
		return NULL;
	for (size_t i = 0; i < count; i++)
		ns[i] = INT64_MIN;
	memcpy(row->name, name, strlen(name) + 1);
	row->ns[TAX_C] = ns;
	row->ns[TAX_PYTHON] = ns + TAX_PAIRS_MAX;
	tax->row_count++;
	return row;
}

bool tax_add(struct tax *tax, enum tax_side side, uint32_t seq,
	     const char *name, int64_t ns)
{
	struct row *row = (struct row *)row_find(tax, name);

	if (!row)
		row = row_add(tax, name);
	if (!row)
		return false;
	row->ns[side][seq % TAX_PAIRS_MAX] = ns;
	if (seq >= tax->pairs)
		tax->pairs = seq + 1;
	return true;
}

static void swap(int64_t *a, int64_t *b)
{
	int64_t kept = *a;

	*a = *b;
	*b = kept;
}

/* The k-th smallest; puts those below it before it (Hoare's FIND). */
static int64_t kth(int64_t *values, size_t count, size_t k)
{
	int64_t *low = values, *high = values + count - 1;

	while (low < high) {
		int64_t pivot = values[k], *i = low, *j = high;

		while (i <= j) {
			while (*i < pivot)
				i++;
			while (*j > pivot)
				j--;
			if (i <= j)
				swap(i++, j--);
		}
		if (j < values + k)
			low = i;
		if (values + k < i)
			high = j;
	}
	return values[k];
}

static double median(int64_t *values, size_t count)
{
	int64_t upper, lower;

	if (count == 0)
		return NAN;
	upper = kth(values, count, count / 2);
	if (count % 2)
		return (double)upper;
	lower = values[0];
	for (size_t i = 1; i < count / 2; i++)
		lower = values[i] > lower ? values[i] : lower;
	return ((double)lower + (double)upper) / 2;
}

/* Values of a side from 'at' on; returns how many are there. */
static size_t values_copy(const int64_t *ns, size_t pairs, size_t at,
			  size_t count, int64_t *ret_values)
{
	size_t filled = 0;

	for (size_t i = 0; i < count; i++) {
		int64_t value = ns[(at + i) % pairs];

		if (value != INT64_MIN)
			ret_values[filled++] = value;
	}
	return filled;
}

/* The difference of the medians of one draw of blocks. */
static double draw(const struct row *row, size_t pairs, uint64_t *state,
		   int64_t *values)
{
	size_t size = (size_t)sqrt((double)pairs), drawn = 0;
	size_t count[TAX_SIDE_COUNT] = {0};
	int64_t *sides[] = {values, values + (size_t)2 * TAX_PAIRS_MAX};

	while (drawn < pairs) {
		size_t at = (size_t)(random_next(state) % pairs);

		for (int side = 0; side < TAX_SIDE_COUNT; side++)
			count[side] +=
				values_copy(row->ns[side], pairs, at, size,
					    sides[side] + count[side]);
		drawn += size;
	}
	return median(sides[TAX_PYTHON], count[TAX_PYTHON]) -
	       median(sides[TAX_C], count[TAX_C]);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void interval(const struct row *row, size_t pairs, int64_t *values,
		     struct compared *verdict)
{
	size_t draws = DRAWS_WORK / pairs, known = 0;
	double differences[DRAWS_MAX];
	uint64_t state = SEED;

	draws = draws > DRAWS_MAX ? DRAWS_MAX : draws;
	draws = draws < DRAWS_MIN ? DRAWS_MIN : draws;
	for (size_t i = 0; i < draws; i++) {
		double difference = draw(row, pairs, &state, values);

		if (!isnan(difference))
			differences[known++] = difference;
	}
	if (known < DRAWS_MIN)
		return;
	qsort(differences, known, sizeof *differences, by_value);
	verdict->low_ns = differences[known / 40];
	verdict->high_ns = differences[known - 1 - known / 40];
}

static bool judge(const struct tax *tax, const struct row *row,
		  struct compared *ret_verdict)
{
	size_t pairs = tax->pairs < TAX_PAIRS_MAX ? tax->pairs : TAX_PAIRS_MAX;
	int64_t *values = malloc(sizeof *values * 4 * TAX_PAIRS_MAX);

	*ret_verdict = (struct compared){.low_ns = NAN, .high_ns = NAN};
	if (!values)
		return false;
	for (int side = 0; side < TAX_SIDE_COUNT; side++) {
		size_t count =
			values_copy(row->ns[side], pairs, 0, pairs, values);

		ret_verdict->count[side] = count;
		ret_verdict->median_ns[side] = median(values, count);
	}
	if (ret_verdict->count[TAX_C] >= PAIRS_MIN &&
	    ret_verdict->count[TAX_PYTHON] >= PAIRS_MIN)
		interval(row, pairs, values, ret_verdict);
	free(values);
	return true;
}

static double added_ns(const struct compared *verdict)
{
	return verdict->median_ns[TAX_PYTHON] - verdict->median_ns[TAX_C];
}

/* What the program in Python does itself, its wake-up included. */
static const char *part_of(const struct tax_title *title,
			   const struct segment *segment)
{
	bool to_there =
		segment->to == POINT_RECEIVE && segment->to_leg == LEG_FORWARD;
	bool turn = segment->from_leg != segment->to_leg;
	bool from_there =
		segment->from == POINT_SEND && segment->from_leg == LEG_BACK;

	if (to_there || turn || from_there) {
		if (!title->reflector)
			return NULL;
		return to_there ? "received by the reflector"
		       : turn   ? "answer made by the reflector"
				: "sent by the reflector";
	}
	if (!title->sender)
		return NULL;
	if (segment->from == POINT_SEND)
		return "sent by the sender";
	return segment->to == POINT_RECEIVE ? "received by the sender" : NULL;
}

static void us_print(double ns, bool sign, FILE *to)
{
	if (isnan(ns))
		fprintf(to, " %11s", "-");
	else if (sign)
		fprintf(to, " %+11.2f", ns / 1000);
	else
		fprintf(to, " %11.2f", ns / 1000);
}

static void row_print(const char *name, const struct compared *verdict,
		      const char *mark, FILE *to)
{
	fprintf(to, "%-26s", name);
	us_print(verdict->median_ns[TAX_C], false, to);
	us_print(verdict->median_ns[TAX_PYTHON], false, to);
	us_print(added_ns(verdict), true, to);
	us_print(verdict->low_ns, true, to);
	us_print(verdict->high_ns, true, to);
	fprintf(to, "%s\n", mark);
}

static void part_print(const char *part, const struct segment *segment,
		       const struct compared *verdict, FILE *to)
{
	double added = added_ns(verdict);
	bool wake = segment->to == POINT_RECEIVE &&
		    segment->from_leg == segment->to_leg;

	if (isnan(added))
		return;
	fprintf(to, "  %-30s %+9.2f us beside the %.2f us that %s\n", part,
		added / 1000, verdict->median_ns[TAX_C] / 1000,
		wake ? "waking up and C take" : "C takes");
}

void tax_print(const struct tax *tax, const struct tax_title *title, FILE *to)
{
	struct segment segments[SEGMENT_MAX];
	size_t count = trip_segments(title->points, segments);
	struct compared verdicts[SEGMENT_MAX + 1];
	const struct row *rtt = row_find(tax, RTT);

	if (!rtt || !judge(tax, rtt, &verdicts[SEGMENT_MAX]))
		return;
	fprintf(to, "Medians of %zu packets in C and %zu in Python (%s), us\n",
		verdicts[SEGMENT_MAX].count[TAX_C],
		verdicts[SEGMENT_MAX].count[TAX_PYTHON],
		title->sender && title->reflector ? "sender and reflector"
		: title->sender                   ? "sender"
						  : "reflector");
	fprintf(to, "%-26s %11s %11s %11s %23s\n", "segment", "C", "Python",
		"difference", "with 95 % certainty");
	for (size_t i = 0; i < count; i++) {
		const struct row *row = row_find(tax, segments[i].name);

		verdicts[i] = (struct compared){.median_ns = {NAN, NAN}};
		if (row && judge(tax, row, &verdicts[i]))
			row_print(segments[i].name, &verdicts[i],
				  part_of(title, &segments[i]) ? " *" : "", to);
	}
	row_print("round trip", &verdicts[SEGMENT_MAX], "", to);
	/* The rest is the same code on both sides: what differs there is what
	 * a program does to its neighbours, on one host above all. */
	fprintf(to, "* The interpreter adds:\n");
	for (size_t i = 0; i < count; i++) {
		const char *part = part_of(title, &segments[i]);

		if (part)
			part_print(part, &segments[i], &verdicts[i], to);
	}
}

static void number_json(const char *name, double value, FILE *to)
{
	if (isnan(value))
		fprintf(to, ",\"%s\":null", name);
	else
		fprintf(to, ",\"%s\":%.1f", name, value);
}

static void row_json(const struct tax *tax, const struct row *row,
		     const char *part, FILE *to)
{
	struct compared verdict;

	if (!judge(tax, row, &verdict))
		return;
	fprintf(to, "{\"type\":\"tax\",\"segment\":\"%s\"", row->name);
	if (part)
		fprintf(to, ",\"part\":\"%s\"", part);
	fprintf(to, ",\"c_count\":%zu,\"python_count\":%zu",
		verdict.count[TAX_C], verdict.count[TAX_PYTHON]);
	number_json("c_median_ns", verdict.median_ns[TAX_C], to);
	number_json("python_median_ns", verdict.median_ns[TAX_PYTHON], to);
	number_json("difference_ns", added_ns(&verdict), to);
	number_json("low_ns", verdict.low_ns, to);
	number_json("high_ns", verdict.high_ns, to);
	fputs("}\n", to);
}

void tax_json(const struct tax *tax, const struct tax_title *title, FILE *to)
{
	struct segment segments[SEGMENT_MAX];
	size_t count = trip_segments(title->points, segments);
	const struct row *row;

	for (size_t i = 0; i < count; i++) {
		row = row_find(tax, segments[i].name);
		if (row)
			row_json(tax, row, part_of(title, &segments[i]), to);
	}
	row = row_find(tax, RTT);
	if (row)
		row_json(tax, row, NULL, to);
}
