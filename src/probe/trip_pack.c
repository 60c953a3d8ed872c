/* Trips as few bytes.
 *
 * What is packed of a trip is how each of its numbers differs from what the
 * trip before and the middle of its block lead one to expect: schedules are
 * regular, clocks run nearly alike, and a segment mostly takes as long as it
 * did.  One walk over a trip surveys, writes or reads, so that no reader can
 * disagree with its writer.
 *
 * Some 20 points have more noise than a trip has room for.  A block that would
 * take more than it may keeps the applications' stamps as they are and of the
 * others, as distances from what is expected, so many leading bits as fit. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "probe/probe.h"
#include "probe/trip_code.h"

#define VERSION_EXACT  1
#define VERSION_COARSE 2 /* the head has COARSE_SIZE more */

enum column {
	COLUMN_FLAGS,
	COLUMN_SEQ,
	COLUMN_SLOT,
	COLUMN_LATE,
	COLUMN_SENT,
	COLUMN_RTT,
	COLUMN_REFLECTED,
	COLUMN_SMALL, /* nine counts and header fields */
	COLUMN_POINTS = COLUMN_SMALL + 9,
	COLUMN_COUNT = COLUMN_POINTS + LEG_COUNT * POINT_COUNT,
};

#define PLACES (LEG_COUNT * POINT_COUNT)
/* What the trip before left behind; the first has it from the head. */
enum expected {
	EXPECT_SEQ,
	EXPECT_SLOT,
	EXPECT_SENT, /* CLOCK_MONOTONIC_RAW less CLOCK_MONOTONIC */
	EXPECT_WALL, /* CLOCK_REALTIME less CLOCK_MONOTONIC */
	EXPECT_REFLECTED,
	EXPECT_CROSSING, /* from clock to clock, followed slowly */
	EXPECT_COUNT,
};

#define HEAD_SIZE   (1 + 2 + 8 + 8 * EXPECT_COUNT)
#define COARSE_SIZE 1 /* how many bits below the leading one */
#define CROSS_RATE  16

#define BITS_EXACT 62
#define BITS_MAX   9
#define BITS_MIN   1
#define STEP_BITS  10 /* but nothing is off by more than 2^10 ns */

enum mode { MODE_SURVEY, MODE_WRITE, MODE_READ };

struct trip_packer {
	enum mode mode;
	int bits;       /* below the leading one, of COARSE points */
	int bits_tried; /* with which the last block fitted */
	struct code code;
	point_set set;
	int64_t expected[EXPECT_COUNT];
	uint8_t small[9];
	int64_t middle[COLUMN_COUNT];
	size_t counts[COLUMN_COUNT];
	int64_t samples[COLUMN_COUNT][TRIPS_PACK_MAX];
	struct code_number numbers[COLUMN_COUNT];
	struct code_number middles;
	struct code_bit stamped[PLACES][8];
};

int trip_packer_create(struct trip_packer **ret_packer)
{
	*ret_packer = calloc(1, sizeof **ret_packer);
	return *ret_packer ? 0 : -ENOMEM;
}

void trip_packer_destroy(struct trip_packer *packer)
{
	free(packer);
}

/* Numbers of hostile bytes may be any: sums wrap. */
static int64_t plus(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a + (uint64_t)b);
}

static int64_t minus(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a - (uint64_t)b);
}

static int64_t number(struct trip_packer *packer, int column, int64_t value)
{
	if (packer->mode == MODE_SURVEY) {
		packer->samples[column][packer->counts[column]++] = value;
		return value;
	}
	return plus(code_number(&packer->code, &packer->numbers[column],
				minus(value, packer->middle[column])),
		    packer->middle[column]);
}

/* The same, of which 'expected' is known. */
static int64_t number_near(struct trip_packer *packer, int column,
			   int64_t value, int64_t expected)
{
	return plus(expected, number(packer, column, minus(value, expected)));
}

/* ---- numbers of few leading bits ------------------------------------------
 *
 * Each has an index: those up to 2^(bits + 1) are their own, then every power
 * of two has 2^bits of them, until they are 2^STEP_BITS apart. */

static uint64_t index_of_magnitude(uint64_t magnitude, int bits)
{
	int shift = 63 - __builtin_clzll(magnitude | 1) - bits;

	if (shift <= 0)
		return magnitude;
	if (shift > STEP_BITS)
		shift = STEP_BITS;
	return ((uint64_t)shift << bits) + (magnitude >> shift);
}

static uint64_t magnitude_of_index(uint64_t index, int bits)
{
	uint64_t shift = index >> bits;

	if (shift <= 1)
		return index;
	shift = shift - 1 < STEP_BITS ? shift - 1 : STEP_BITS;
	return (index - (shift << bits)) << shift;
}

/* The index of the greatest number that is not above this one, so that what
 * is in order stays so. */
static int64_t index_of(int64_t value, int bits)
{
	uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;
	uint64_t index = index_of_magnitude(magnitude, bits);

	if (value >= 0)
		return (int64_t)index;
	if (magnitude_of_index(index, bits) != magnitude)
		index++;
	return (int64_t)-index;
}

static int64_t value_of(int64_t index, int bits)
{
	uint64_t magnitude = index < 0 ? -(uint64_t)index : (uint64_t)index;

	magnitude = magnitude_of_index(magnitude, bits);
	return (int64_t)(index < 0 ? -magnitude : magnitude);
}

static int64_t number_coarse(struct trip_packer *packer, int column,
			     int64_t value)
{
	int64_t middle, index;

	if (packer->mode == MODE_SURVEY || packer->bits == BITS_EXACT)
		return number(packer, column, value);
	middle = index_of(packer->middle[column], packer->bits);
	index = code_number(&packer->code, &packer->numbers[column],
			    minus(index_of(value, packer->bits), middle));
	return value_of(plus(index, middle), packer->bits);
}

/* ---- the walk ------------------------------------------------------------ */

static void slot_walk(struct trip_packer *packer, struct trip *trip)
{
	int64_t *expected = packer->expected;

	trip->flags = (uint32_t)number(packer, COLUMN_FLAGS, trip->flags);
	trip->seq = (uint32_t)number_near(packer, COLUMN_SEQ, trip->seq,
					  plus(expected[EXPECT_SEQ], 1));
	trip->slot_ns = number_near(packer, COLUMN_SLOT, trip->slot_ns,
				    expected[EXPECT_SLOT]);
	trip->late_ns = number(packer, COLUMN_LATE, trip->late_ns);
	expected[EXPECT_SEQ] = trip->seq;
	expected[EXPECT_SLOT] = trip->slot_ns;
}

static void reflected_walk(struct trip_packer *packer, struct trip *trip)
{
	int64_t *expected = &packer->expected[EXPECT_REFLECTED];
	bool answered =
		!(trip->flags & (TRIP_LOST | TRIP_SKIPPED | TRIP_FAILED));

	trip->reflected_seq = (uint32_t)number_near(
		packer, COLUMN_REFLECTED, trip->reflected_seq,
		answered ? plus(*expected, 1) : 0);
	if (answered)
		*expected = trip->reflected_seq;
}

static void sent_walk(struct trip_packer *packer, struct trip *trip)
{
	int64_t at_ns = plus(trip->slot_ns, trip->late_ns);
	bool unsent = trip->flags & (TRIP_SKIPPED | TRIP_FAILED);

	if (unsent) {
		trip->sent_ns =
			number_near(packer, COLUMN_SENT, trip->sent_ns, 0);
		return;
	}
	trip->sent_ns = number_near(packer, COLUMN_SENT, trip->sent_ns,
				    plus(at_ns, packer->expected[EXPECT_SENT]));
	packer->expected[EXPECT_SENT] = minus(trip->sent_ns, at_ns);
}

static void small_walk(struct trip_packer *packer, struct trip *trip)
{
	uint8_t *const fields[9] = {
		&trip->duplicates[0], &trip->duplicates[1], &trip->answers_lost,
		&trip->ttl[0],        &trip->ttl[1],        &trip->dscp[0],
		&trip->dscp[1],       &trip->ecn[0],        &trip->ecn[1],
	};

	for (int i = 0; i < 9; i++) {
		*fields[i] = (uint8_t)number_near(packer, COLUMN_SMALL + i,
						  *fields[i], packer->small[i]);
		packer->small[i] = *fields[i];
	}
}

static void stamped_walk(struct trip_packer *packer, struct trip *trip)
{
	unsigned fate = (trip->flags & (TRIP_LOST | TRIP_SKIPPED) ? 1 : 0) |
			(trip->flags & TRIP_UNSTAMPED ? 2 : 0);
	point_set stamped = 0;
	bool before = true;

	if (packer->mode == MODE_SURVEY)
		return;
	for (point_set left = packer->set; left != 0; left &= left - 1) {
		int place = __builtin_ctzll(left);

		before = code_bit(&packer->code,
				  &packer->stamped[place][fate | before << 2],
				  trip->stamped >> place & 1);
		stamped |= (point_set)before << place;
	}
	trip->stamped = stamped;
}

/* A place's stamp, from the place before it that was stamped. */
struct walk {
	int64_t before_ns, skipped_ns, crossing_ns;
	bool begun, local, crossed;
};

static int64_t expected_ns(const struct trip_packer *packer,
			   const struct trip *trip, const struct walk *walk,
			   bool local)
{
	int64_t ns = plus(walk->before_ns, walk->skipped_ns);

	if (!walk->begun)
		return plus(plus(trip->slot_ns, trip->late_ns),
			    packer->expected[EXPECT_WALL]);
	if (walk->local == local)
		return ns;
	if (walk->local || !walk->crossed)
		return plus(ns,
			    local ? minus(0, packer->expected[EXPECT_CROSSING])
				  : packer->expected[EXPECT_CROSSING]);
	/* Back by what the way there seemed to take: no offset is left. */
	return minus(ns, walk->crossing_ns);
}

static void place_walk(struct trip_packer *packer, struct trip *trip,
		       struct walk *walk, int place)
{
	int64_t *at_ns = &trip->at_ns[place / POINT_COUNT][place % POINT_COUNT];
	bool local = point_is_local(place / POINT_COUNT, place % POINT_COUNT);
	int64_t took_ns, *crossing = &packer->expected[EXPECT_CROSSING];
	int64_t expected = expected_ns(packer, trip, walk, local);
	int column = COLUMN_POINTS + place;

	if (!(trip->stamped >> place & 1)) {
		*at_ns = 0;
		walk->skipped_ns =
			plus(walk->skipped_ns, packer->middle[column]);
		return;
	}
	if (point_rows[place % POINT_COUNT].tier == TIER_APPLICATION)
		*at_ns = number_near(packer, column, *at_ns, expected);
	else
		*at_ns = plus(expected, number_coarse(packer, column,
						      minus(*at_ns, expected)));
	took_ns = minus(*at_ns, walk->before_ns);
	if (!walk->begun)
		packer->expected[EXPECT_WALL] =
			minus(*at_ns, plus(trip->slot_ns, trip->late_ns));
	if (walk->begun && walk->local && !local) {
		walk->crossed = true;
		walk->crossing_ns = took_ns;
		*crossing =
			plus(*crossing, minus(took_ns, *crossing) / CROSS_RATE);
	}
	walk->begun = true;
	walk->local = local;
	walk->before_ns = *at_ns;
	walk->skipped_ns = 0;
}

static void rtt_walk(struct trip_packer *packer, struct trip *trip)
{
	point_set ends = POINT_BIT(LEG_FORWARD, POINT_SEND) |
			 POINT_BIT(LEG_BACK, POINT_RECEIVE);
	int64_t expected = 0;

	if ((trip->stamped & ends) == ends)
		expected = minus(trip->at_ns[LEG_BACK][POINT_RECEIVE],
				 trip->at_ns[LEG_FORWARD][POINT_SEND]);
	trip->rtt_ns = number_near(packer, COLUMN_RTT, trip->rtt_ns, expected);
}

static void trip_walk(struct trip_packer *packer, struct trip *trip)
{
	struct walk walk = {0};

	slot_walk(packer, trip);
	reflected_walk(packer, trip);
	sent_walk(packer, trip);
	small_walk(packer, trip);
	stamped_walk(packer, trip);
	for (point_set left = packer->set; left != 0; left &= left - 1)
		place_walk(packer, trip, &walk, __builtin_ctzll(left));
	rtt_walk(packer, trip);
}

static void begin(struct trip_packer *packer, enum mode mode,
		  const int64_t expected[EXPECT_COUNT])
{
	packer->mode = mode;
	memcpy(packer->expected, expected, sizeof packer->expected);
	memset(packer->small, 0, sizeof packer->small);
	if (mode == MODE_SURVEY) {
		memset(packer->middle, 0, sizeof packer->middle);
		memset(packer->counts, 0, sizeof packer->counts);
		return;
	}
	for (int i = 0; i < COLUMN_COUNT; i++)
		code_number_init(&packer->numbers[i]);
	code_number_init(&packer->middles);
	code_bits_init(&packer->stamped[0][0], (size_t)PLACES * 8);
}

static int compare(const void *a, const void *b)
{
	int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;

	return (one > other) - (one < other);
}

static void survey(struct trip_packer *packer, const struct trip *trips,
		   size_t count, const int64_t expected[EXPECT_COUNT])
{
	begin(packer, MODE_SURVEY, expected);
	for (size_t i = 0; i < count; i++) {
		struct trip trip = trips[i];

		trip_walk(packer, &trip);
	}
	for (int i = 0; i < COLUMN_COUNT; i++) {
		size_t samples = packer->counts[i];

		if (samples == 0)
			continue;
		qsort(packer->samples[i], samples, sizeof(int64_t), compare);
		packer->middle[i] = packer->samples[i][samples / 2];
	}
}

/* Columns of points that no trip has are 0 and cost nothing. */
static void middles_walk(struct trip_packer *packer)
{
	for (int i = 0; i < COLUMN_COUNT; i++) {
		int place = i - COLUMN_POINTS;

		if (place >= 0 && !(packer->set >> place & 1))
			packer->middle[i] = 0;
		else
			packer->middle[i] =
				code_number(&packer->code, &packer->middles,
					    packer->middle[i]);
	}
}

/* The first trip's own numbers, so that it costs little. */
static void expected_first(const struct trip *trip,
			   int64_t ret_expected[EXPECT_COUNT])
{
	int64_t at_ns = plus(trip->slot_ns, trip->late_ns);
	const int64_t *forward = trip->at_ns[LEG_FORWARD];

	ret_expected[EXPECT_SEQ] = minus(trip->seq, 1);
	ret_expected[EXPECT_SLOT] = trip->slot_ns;
	ret_expected[EXPECT_SENT] = minus(trip->sent_ns, at_ns);
	ret_expected[EXPECT_WALL] = minus(forward[POINT_SEND], at_ns);
	ret_expected[EXPECT_REFLECTED] = minus(trip->reflected_seq, 1);
	ret_expected[EXPECT_CROSSING] =
		minus(forward[POINT_RECEIVED], forward[POINT_SENT]);
}

static void be_put(uint8_t *at, uint64_t value, int size)
{
	while (size-- > 0)
		*at++ = (uint8_t)(value >> 8 * size);
}

/* Returns its size. */
static size_t head_write(const struct trip_packer *packer, uint8_t *bytes,
			 size_t count, const int64_t expected[EXPECT_COUNT])
{
	bool coarse = packer->bits != BITS_EXACT;

	bytes[0] = coarse ? VERSION_COARSE : VERSION_EXACT;
	be_put(bytes + 1, count, 2);
	be_put(bytes + 3, packer->set, 8);
	for (int i = 0; i < EXPECT_COUNT; i++)
		be_put(bytes + 11 + (size_t)8 * (size_t)i,
		       (uint64_t)expected[i], 8);
	if (!coarse)
		return HEAD_SIZE;
	bytes[HEAD_SIZE] = (uint8_t)packer->bits;
	return HEAD_SIZE + COARSE_SIZE;
}

static size_t block_write(struct trip_packer *packer, const struct trip *trips,
			  size_t count, uint8_t *ret_bytes, size_t room)
{
	int64_t expected[EXPECT_COUNT];
	size_t head;

	expected_first(&trips[0], expected);
	head = head_write(packer, ret_bytes, count, expected);
	begin(packer, MODE_WRITE, expected);
	code_write_begin(&packer->code, ret_bytes + head, room - head);
	middles_walk(packer);
	for (size_t i = 0; i < count; i++) {
		struct trip trip = trips[i];

		trip_walk(packer, &trip);
	}
	return head + code_write_end(&packer->code);
}

/* As many bits as fit; neighbouring blocks are alike. */
static size_t block_coarsen(struct trip_packer *packer,
			    const struct trip *trips, size_t count,
			    uint8_t *ret_bytes, size_t room)
{
	size_t most = TRIPS_PACK_AIM(count), size;

	packer->bits = packer->bits_tried + 1;
	if (packer->bits > BITS_MAX || packer->bits_tried == 0)
		packer->bits = BITS_MAX;
	while ((size = block_write(packer, trips, count, ret_bytes, room)) >
		       most &&
	       packer->bits > BITS_MIN)
		packer->bits--;
	packer->bits_tried = packer->bits;
	return size;
}

size_t trips_pack(struct trip_packer *packer, const struct trip *trips,
		  size_t count, uint8_t *ret_bytes, size_t room)
{
	int64_t expected[EXPECT_COUNT];
	size_t size;

	if (count == 0 || count > TRIPS_PACK_MAX ||
	    room < HEAD_SIZE + COARSE_SIZE)
		return 0;
	packer->set = 0;
	for (size_t i = 0; i < count; i++)
		packer->set |= trips[i].stamped;
	expected_first(&trips[0], expected);
	survey(packer, trips, count, expected);
	packer->bits = BITS_EXACT;
	size = block_write(packer, trips, count, ret_bytes, room);
	if (size > TRIPS_PACK_AIM(count))
		size = block_coarsen(packer, trips, count, ret_bytes, room);
	return size <= room ? size : 0;
}

static void trips_read(struct trip_packer *packer, struct trip *ret_trips,
		       size_t count)
{
	middles_walk(packer);
	for (size_t i = 0; i < count; i++) {
		memset(&ret_trips[i], 0, sizeof ret_trips[i]);
		trip_walk(packer, &ret_trips[i]);
	}
}

int trips_unpack(struct trip_packer *packer, const uint8_t *bytes, size_t size,
		 struct trip ret_trips[TRIPS_PACK_MAX])
{
	int64_t expected[EXPECT_COUNT];
	size_t count, head = HEAD_SIZE;

	if (size < HEAD_SIZE + COARSE_SIZE ||
	    (bytes[0] != VERSION_EXACT && bytes[0] != VERSION_COARSE))
		return -EBADMSG;
	packer->bits = BITS_EXACT;
	if (bytes[0] == VERSION_COARSE)
		packer->bits = bytes[head++];
	count = load_be16(bytes + 1);
	packer->set = load_be64(bytes + 3);
	if (count == 0 || count > TRIPS_PACK_MAX ||
	    packer->set >> PLACES != 0 || packer->bits > BITS_EXACT)
		return -EBADMSG;
	for (int i = 0; i < EXPECT_COUNT; i++)
		expected[i] =
			(int64_t)load_be64(bytes + 11 + (size_t)8 * (size_t)i);
	begin(packer, MODE_READ, expected);
	code_read_begin(&packer->code, bytes + head, size - head);
	trips_read(packer, ret_trips, count);
	return code_read_end(&packer->code) ? (int)count : -EBADMSG;
}
