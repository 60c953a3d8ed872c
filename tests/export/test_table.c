#include "thing.h"

#include <time.h>

static const char *const most[] = {
	"start_ns", "duration_ns", "proto", "src_ip", "src_port", "tcp_flags",
	"packets",  "bytes",       "state", "name",   NULL};

static void aligns_shortens_and_merges(void **state)
{
	struct export_text *text = begin(EXPORT_TABLE, most, 0);
	struct thing thing = thing_of(1), empty = {.start = {NOON}};

	(void)state;
	put_thing(text, &thing);
	thing.version = 6;
	assert_int_equal(inet_pton(AF_INET6, "2001:db8::1", thing.address), 1);
	thing.proto = 200;
	thing.packets = 12;
	thing.bytes = 999;
	put_thing(text, &thing);
	put_thing(text, &empty);
	end(text,
	    "START         DURATION  PROTO  SRC                TCP FLAGS    "
	    "PACKETS  BYTES  STATE  NAME\n"
	    "12:00:00.123     1.23s  tcp    192.0.2.1:443      ...AP.SF   "
	    "1,234,567  12.3M  open   eth0\n"
	    "12:00:00.123     1.23s  200    [2001:db8::1]:443  ...AP.SF   "
	    "       12    999  open   eth0\n"
	    "12:00:00.123       0ns  0      -                  -          "
	    "        0      0  -      -\n");
}

static void shows_the_date_when_days_differ(void **state)
{
	static const char *const columns[] = {"start_ns", NULL};
	struct export_text *text = begin(EXPORT_TABLE, columns, 0);
	struct thing thing = thing_of(1);

	(void)state;
	put_thing(text, &thing);
	thing.start.ns = -1;
	put_thing(text, &thing);
	end(text, "START\n"
		  "2024-01-31 12:00:00.123\n"
		  "1969-12-31 23:59:59.999\n");
}

static void leaves_out_columns_that_do_not_fit(void **state)
{
	/* At these widths, so much of the line. */
	const struct {
		int width;
		const char *head;
	} cases[] = {
		{1, "START\n"},
		{21, "START\n"},
		{22, "START         DURATION\n"},
		{28, "START         DURATION\n"},
		{29, "START         DURATION  PROTO\n"},
		{44, "START         DURATION  PROTO  SRC\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct export_text *text =
			begin(EXPORT_TABLE, most, cases[i].width);
		struct thing thing = thing_of(1);

		put_thing(text, &thing);
		end(text, NULL);
		assert_int_equal(
			strncmp(written, cases[i].head, strlen(cases[i].head)),
			0);
		free(written);
	}
}

/* On a narrow terminal a record tells who, whom and how much all the same:
 * of an endpoint the middle goes first. */
static void cuts_endpoints_before_what_tells_most(void **state)
{
	static const char *const columns[] = {"proto",   "src_ip",   "src_port",
					      "packets", "bytes",    "state",
					      "name",    "start_ns", NULL};
	static const struct {
		int width;
		const char *should;
	} cases[] = {
		{64, "tcp    [2001:db8:1:2:3:4:5:6]:443  1,234,567  12.3M  open"
		     "   eth0\n"},
		{60, "tcp    [2001:db8:\xe2\x80\xa6:4:5:6]:443  1,234,567  "
		     "12.3M  open   eth0\n"},
		{50,
		 "tcp    [2001\xe2\x80\xa6\x36]:443  1,234,567  12.3M  open "
		 "  eth0\n"},
		{46,
		 "tcp    [2001\xe2\x80\xa6\x36]:443  1,234,567  12.3M  open\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct export_text *text =
			begin(EXPORT_TABLE, columns, cases[i].width);
		struct thing thing = thing_of(1);
		const char *line;

		thing.version = 6;
		assert_int_equal(inet_pton(AF_INET6, "2001:db8:1:2:3:4:5:6",
					   thing.address),
				 1);
		put_thing(text, &thing);
		end(text, NULL);
		line = strchr(written, '\n') + 1;
		print_message("# %s", line);
		assert_int_equal(
			strncmp(line, cases[i].should, strlen(cases[i].should)),
			0);
		free(written);
	}
}

/* 256 rows settle the widths; what is wider later still reads well. */
static void widens_or_cuts_after_its_sample(void **state)
{
	static const char *const columns[] = {"name", "packets", "state", NULL};
	struct export_text *text = begin(EXPORT_TABLE, columns, 25);
	struct thing thing = thing_of(1);
	const char *at;

	(void)state;
	thing.packets = 7;
	for (int i = 0; i < 256; i++)
		put_thing(text, &thing);
	(void)strcpy(thing.name, "wlan0mon");
	put_thing(text, &thing);
	(void)strcpy(thing.name, "a-very-long-name");
	put_thing(text, &thing);
	thing.packets = UINT64_C(1234567890);
	(void)strcpy(thing.name, "eth1");
	put_thing(text, &thing);
	end(text, NULL);
	assert_int_equal(
		strncmp(written, "NAME  PACKETS  STATE\neth0        7", 34), 0);
	at = strstr(written, "wlan0mon");
	assert_string_equal(at, "wlan0mon        7  open\n"
				"a-very-\xe2\x80\xa6        7  open\n"
				"eth1      1,234,567,890  open\n");
	free(written);
}

static void keeps_control_characters_from_the_terminal(void **state)
{
	static const char *const columns[] = {"name", NULL};
	struct export_text *text = begin(EXPORT_TABLE, columns, 0);
	struct thing thing = thing_of(1);

	(void)state;
	(void)strcpy(thing.name, "\x1b[2J\r\n\x7f\xc2\x9b\xff\xc3\xa9\xe2\x82");
	put_thing(text, &thing);
	end(text, "NAME\n?[2J??????\xc3\xa9??\n");
}

static void shows_a_head_alone_without_records(void **state)
{
	static const char *const columns[] = {"src_ip", "src_port", "bytes",
					      NULL};

	(void)state;
	end(begin(EXPORT_TABLE, columns, 80), "SRC  BYTES\n");
}

static void shows_every_field_without_a_choice(void **state)
{
	struct export_text *text = begin(EXPORT_TABLE, NULL, 0);

	(void)state;
	end(text, "ID  NAME  SRC  PROTO  TCP FLAGS  PACKETS  BYTES  START  "
		  "DURATION  STATE  SEEN\n");
}

static void settles_when_flushed(void **state)
{
	static const char *const columns[] = {"name", NULL};
	struct export_text *text = begin(EXPORT_TABLE, columns, 0);
	struct thing thing = thing_of(1);

	(void)state;
	put_thing(text, &thing);
	assert_int_equal(export_text_flush(text), 0);
	assert_string_equal(written, "NAME\neth0\n");
	put_thing(text, &thing);
	assert_int_equal(export_text_flush(text), 0);
	assert_int_equal(export_text_flush(text), 0);
	end(text, "NAME\neth0\neth0\n");
}

/* One value a row: what stands in a table of it alone. */
static void shortens_numbers_as_people_read_them(void **state)
{
	const struct {
		const char *column;
		uint64_t value;
		const char *text;
	} cases[] = {
		{"bytes", 0, "0"},
		{"bytes", 999, "999"},
		{"bytes", 1000, "1.00k"},
		{"bytes", 1005, "1.00k"},
		{"bytes", 12050, "12.0k"},
		{"bytes", 999999, "999k"},
		{"bytes", 1000000, "1.00M"},
		{"bytes", UINT64_C(4550000000), "4.55G"},
		{"bytes", UINT64_MAX, "18.4E"},
		{"packets", 0, "0"},
		{"packets", 999, "999"},
		{"packets", 1000, "1,000"},
		{"packets", UINT64_MAX, "18,446,744,073,709,551,615"},
		{"duration_ns", 0, "0ns"},
		{"duration_ns", 999, "999ns"},
		{"duration_ns", 1050, "1.05us"},
		{"duration_ns", 12345678, "12.34ms"},
		{"duration_ns", UINT64_C(59999999999), "59.99s"},
		{"duration_ns", UINT64_C(249000000000), "4m09s"},
		{"duration_ns", UINT64_C(11100000000000), "3h05m"},
		{"duration_ns", UINT64_C(183600000000000), "2d03h"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *columns[] = {cases[i].column, NULL};
		struct export_text *text = begin(EXPORT_TABLE, columns, 0);
		struct thing thing = {.packets = cases[i].value,
				      .bytes = cases[i].value,
				      .duration = (int64_t)cases[i].value};
		char *at;

		put_thing(text, &thing);
		end(text, NULL);
		written[written_size - 1] = '\0';
		at = strchr(written, '\n') + 1;
		assert_string_equal(at + strspn(at, " "), cases[i].text);
		free(written);
	}
}

static void zone_set(const char *zone)
{
	/* one thread: NOLINTNEXTLINE(concurrency-mt-unsafe) */
	(void)setenv("TZ", zone, 1);
	tzset();
}

/* Around each change of an offset, in every second: zones with offsets that
 * are no whole minutes (Amsterdam to 1937), that change within a minute
 * (Monrovia in 1972), that skip an hour, and leap seconds. */
static void tells_local_times_as_strftime_does(void **state)
{
	static const struct {
		const char *zone;
		int64_t second; /* since 1970 */
	} cases[] = {
		{"UTC", 0},
		{"Europe/Amsterdam", -1025740772},
		{"Africa/Monrovia", 63593070},
		{"America/New_York", 1710054000},
		{"Australia/Lord_Howe", 1712415600},
		{"right/UTC", 1483228826},
		{"Asia/Kathmandu", 504901800},
	};
	static const char *const columns[] = {"start_ns", NULL};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct export_text *text;
		struct thing thing = thing_of(1);
		const char *line;

		zone_set(cases[i].zone);
		text = begin(EXPORT_TABLE, columns, 0);
		thing.start.ns = 0;
		put_thing(text, &thing);
		thing.start.ns =
			-90 * INT64_C(86400) * NS_PER_S; /* dates are shown */
		put_thing(text, &thing);
		for (int64_t s = -9000; s < 9000; s++) {
			thing.start.ns = (cases[i].second + s) * NS_PER_S +
					 (s & 1) * 999999999;
			put_thing(text, &thing);
		}
		end(text, NULL);
		line = strchr(strchr(strchr(written, '\n') + 1, '\n') + 1,
			      '\n');
		for (int64_t s = -9000; s < 9000; s++) {
			time_t second = (time_t)(cases[i].second + s);
			struct tm local;
			char should[64];
			size_t size;

			assert_non_null(localtime_r(&second, &local));
			size = strftime(should, sizeof should,
					"\n%Y-%m-%d %H:%M:%S", &local);
			memcpy(should + size, s & 1 ? ".999\n" : ".000\n", 6);
			assert_int_equal(strncmp(line, should, strlen(should)),
					 0);
			line = strchr(line + 1, '\n');
		}
		assert_string_equal(line, "\n");
		free(written);
	}
	zone_set("UTC");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(aligns_shortens_and_merges),
		cmocka_unit_test(shows_the_date_when_days_differ),
		cmocka_unit_test(leaves_out_columns_that_do_not_fit),
		cmocka_unit_test(cuts_endpoints_before_what_tells_most),
		cmocka_unit_test(widens_or_cuts_after_its_sample),
		cmocka_unit_test(keeps_control_characters_from_the_terminal),
		cmocka_unit_test(shows_a_head_alone_without_records),
		cmocka_unit_test(shows_every_field_without_a_choice),
		cmocka_unit_test(settles_when_flushed),
		cmocka_unit_test(tells_local_times_as_strftime_does),
		cmocka_unit_test(shortens_numbers_as_people_read_them),
	};

	zone_set("UTC");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
