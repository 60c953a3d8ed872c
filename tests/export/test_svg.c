#include <ctype.h>

#include "check.h"
#include "export/export.h"

static char *text;
static size_t size;

/* Well-formed as far as these pictures go: tags nest, attributes are quoted,
 * no bare '&' or '<', nothing but ASCII.  Returns the number of tags. */
static size_t assert_well_formed(const char *at)
{
	char open[16][32];
	size_t depth = 0, tags = 0;

	for (; *at; at++) {
		char name[32] = "";
		bool closes;
		const char *end;

		assert_true((unsigned char)*at < 0x7f);
		if (*at == '&') {
			assert_true(strncmp(at, "&lt;", 4) == 0 ||
				    strncmp(at, "&gt;", 4) == 0 ||
				    strncmp(at, "&amp;", 5) == 0 ||
				    strncmp(at, "&quot;", 6) == 0);
			continue;
		}
		if (*at != '<')
			continue;
		end = strchr(at, '>');
		assert_non_null(end);
		tags++;
		closes = at[1] == '/';
		(void)sscanf(at + 1 + closes, "%31[a-z?]", name);
		if (name[0] != '?' && closes) {
			assert_true(depth > 0);
			assert_string_equal(open[--depth], name);
		} else if (name[0] != '?' && end[-1] != '/') {
			assert_true(depth < 16);
			strcpy(open[depth++], name);
		}
		assert_null(memchr(at + 1, '<', (size_t)(end - at - 1)));
		assert_null(memmem(at, (size_t)(end - at), "nan", 3));
		assert_null(memmem(at, (size_t)(end - at), "inf", 3));
		at = end;
	}
	assert_int_equal(depth, 0);
	return tags;
}

static FILE *picture_begin(void)
{
	FILE *to = open_memstream(&text, &size);

	assert_non_null(to);
	return to;
}

static size_t picture_end(FILE *to, int rc)
{
	size_t tags;

	assert_int_equal(rc, 0);
	fclose(to);
	tags = assert_well_formed(text);
	free(text);
	return tags;
}

static void a_million_values_are_a_small_picture(void **state)
{
	static struct export_series series;
	struct export_svg_curve curve = {"a<b>&\"c\"\x01\xff", &series, NULL,
					 3};
	uint64_t count = 0, lost = 0;
	int64_t most = 0;
	FILE *to = picture_begin();

	(void)state;
	for (int64_t i = 0; i < 1000000; i++) {
		if (i % 1000 == 7)
			export_series_lose(&series, 5000 + i * 100000);
		else
			export_series_add(&series, 5000 + i * 100000,
					  i == 654321 ? 123456789
						      : 1000 + i % 977);
	}
	for (int i = 0; i < EXPORT_SERIES_MAX; i++) {
		count += series.buckets[i].count;
		lost += series.buckets[i].lost;
		if (series.buckets[i].max > most)
			most = series.buckets[i].max;
	}
	assert_int_equal(count, 999000);
	assert_int_equal(lost, 1000);
	assert_int_equal(most, 123456789);
	assert_true(picture_end(to, export_svg_times(to, "t < 1 & 2", &curve,
						     1)) > 20);
	print_message("# %zu bytes\n", size);
	assert_true(size < 200000);
}

/* Two stretches with nothing between: two areas and two lines. */
static void a_gap_is_not_drawn_over(void **state)
{
	static struct export_series series;
	struct export_svg_curve curve = {"gap", &series, NULL, 0};
	FILE *to = picture_begin();
	size_t paths = 0;

	(void)state;
	for (int64_t i = 0; i < 700; i++) {
		if (i < 200 || i >= 400)
			export_series_add(&series, i * 100000, 1000 + i);
	}
	assert_int_equal(export_svg_times(to, "g", &curve, 1), 0);
	fclose(to);
	(void)assert_well_formed(text);
	for (const char *at = text; (at = strstr(at, "<path")); at++)
		paths++;
	assert_int_equal(paths, 4);
	free(text);
}

static void nothing_is_a_picture_too(void **state)
{
	static struct export_series series;
	const char *const groups[EXPORT_SVG_GROUPS] = {NULL};
	struct hist *hist = hist_create();
	struct export_svg_curve curve = {"nothing", &series, hist, 0};
	struct export_svg_bar bar = {"nothing", 0, 0, 0};
	FILE *to = picture_begin();

	(void)state;
	(void)picture_end(to, export_svg_times(to, "", &curve, 1));
	to = picture_begin();
	(void)picture_end(to, export_svg_distribution(to, "", &curve, 1));
	to = picture_begin();
	(void)picture_end(to, export_svg_waterfall(to, "", &bar, 1, groups));
	to = picture_begin();
	(void)picture_end(to, export_svg_waterfall(to, "", &bar, 0, groups));
	hist_destroy(hist);
}

/* The waterfall's bars: each begins where the one before ends. */
static void bars_follow_each_other(void **state)
{
	const char *const groups[EXPORT_SVG_GROUPS] = {"one", "two"};
	const struct export_svg_bar bars[] = {{"first", 3000, 2000, 0},
					      {"second", 1000, 500, 1}};
	FILE *to = picture_begin();
	const char *first, *second;
	double x[2], y[2], width[2], height[2];

	(void)state;
	assert_int_equal(export_svg_waterfall(to, "w", bars, 2, groups), 0);
	fclose(to);
	(void)assert_well_formed(text);
	first = strstr(strstr(text, ">first<"), "<rect");
	second = strstr(strstr(text, ">second<"), "<rect");
	assert_int_equal(sscanf(first,
				"<rect x=\"%lf\" y=\"%lf\" width=\"%lf\" "
				"height=\"%lf\"",
				&x[0], &y[0], &width[0], &height[0]),
			 4);
	assert_int_equal(sscanf(second,
				"<rect x=\"%lf\" y=\"%lf\" width=\"%lf\" "
				"height=\"%lf\"",
				&x[1], &y[1], &width[1], &height[1]),
			 4);
	assert_true(x[1] - (x[0] + width[0]) < 0.2 &&
		    x[1] - (x[0] + width[0]) > -0.2);
	assert_true(width[0] / width[1] > 2.95 && width[0] / width[1] < 3.05);
	assert_true(y[1] > y[0]);
	free(text);
}

static void a_distribution_keeps_its_ends(void **state)
{
	struct hist *hist = hist_create();
	struct export_svg_curve curve = {"all", NULL, hist, 9};
	FILE *to = picture_begin();

	(void)state;
	for (int64_t i = 0; i < 100000; i++)
		hist_add(hist, 100 + i * i % 1000003);
	assert_int_equal(export_svg_distribution(to, "d", &curve, 1), 0);
	fclose(to);
	(void)assert_well_formed(text);
	assert_non_null(strstr(text, "V48.0\"")); /* ends at 100 % */
	assert_non_null(strstr(text, "stroke-dasharray"));
	assert_true(size < 40000);
	free(text);
	hist_destroy(hist);
}

static void says_when_the_disk_is_full(void **state)
{
	FILE *to = fopen("/dev/full", "w");
	const char *const groups[EXPORT_SVG_GROUPS] = {NULL};
	struct export_svg_bar bar = {"b", 1, 1, 0};

	(void)state;
	if (!to)
		check_skip("/dev/full is not there");
	assert_true(export_svg_waterfall(to, "", &bar, 1, groups) < 0);
	fclose(to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_million_values_are_a_small_picture),
		cmocka_unit_test(a_gap_is_not_drawn_over),
		cmocka_unit_test(nothing_is_a_picture_too),
		cmocka_unit_test(bars_follow_each_other),
		cmocka_unit_test(a_distribution_keeps_its_ends),
		cmocka_unit_test(says_when_the_disk_is_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
