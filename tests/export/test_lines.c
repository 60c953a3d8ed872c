#include "thing.h"

#include <signal.h>
#include <unistd.h>

static void writes_json_of_every_type_one_object_a_line(void **state)
{
	struct export_text *text = begin(EXPORT_JSON, NULL, 0);
	struct thing thing = thing_of(10), empty = {0};

	(void)state;
	thing.seen = true;
	put_thing(text, &thing);
	put_thing(text, &empty);
	end(text, "{\"id\":\"000000000000000a\",\"name\":\"eth0\",\"src_ip\":"
		  "\"192.0.2.1\",\"src_port\":443,\"proto\":6,\"tcp_flags\":27,"
		  "\"packets\":1234567,\"bytes\":12345678,\"start_ns\":"
		  "1706702400123456789,\"duration_ns\":1234567890,\"state\":"
		  "\"open\",\"seen\":true}\n"
		  "{\"id\":\"0000000000000000\",\"name\":null,\"src_ip\":null,"
		  "\"src_port\":0,\"proto\":0,\"tcp_flags\":0,\"packets\":0,"
		  "\"bytes\":0,\"start_ns\":0,\"duration_ns\":0,\"state\":null,"
		  "\"seen\":false}\n");
}

static void writes_csv_with_a_head_and_quotes(void **state)
{
	struct export_text *text = begin(EXPORT_CSV, NULL, 0);
	struct thing thing = thing_of(10), empty = {0};

	(void)state;
	put_thing(text, &thing);
	(void)strcpy(thing.name, "\"a\",\n\"\"");
	thing.state = 2;
	put_thing(text, &thing);
	put_thing(text, &empty);
	end(text, "id,name,src_ip,src_port,proto,tcp_flags,packets,bytes,"
		  "start_ns,duration_ns,state,seen\n"
		  "000000000000000a,eth0,192.0.2.1,443,6,27,1234567,12345678,"
		  "1706702400123456789,1234567890,open,false\n"
		  "000000000000000a,\"\"\"a\"\",\n\"\"\"\"\",192.0.2.1,443,6,"
		  "27,1234567,12345678,1706702400123456789,1234567890,"
		  "\"half, \"\"open\"\"\",false\n"
		  "0000000000000000,,,0,0,0,0,0,0,0,,false\n");
}

/* Lines of every length cross the buffer's end at every place. */
static void writes_whole_lines_across_buffers(enum export_format format)
{
	struct export_text *text = begin(format, NULL, 0);
	struct thing thing = thing_of(0);
	const char *at;
	uint64_t count = 0;

	for (uint64_t i = 0; i < 20000; i++) {
		thing.id = i;
		memset(thing.name, i % 5 ? 'x' : '"', sizeof thing.name);
		thing.name[i % sizeof thing.name] = '\0';
		put_thing(text, &thing);
	}
	end(text, NULL);
	at = format == EXPORT_CSV ? strchr(written, '\n') + 1 : written;
	for (; *at; at = strchr(at, '\n') + 1) {
		const char *id = format == EXPORT_CSV ? at : at + 7;

		assert_int_equal(strtoull(id, NULL, 16), count++);
		assert_int_equal(strchr(at, '\n')[-1],
				 format == EXPORT_CSV ? 'e' : '}');
	}
	assert_int_equal(count, 20000);
	assert_int_equal(strlen(written), written_size);
	free(written);
}

static void keeps_json_lines_whole_across_buffers(void **state)
{
	(void)state;
	writes_whole_lines_across_buffers(EXPORT_JSON);
}

static void keeps_csv_lines_whole_across_buffers(void **state)
{
	(void)state;
	writes_whole_lines_across_buffers(EXPORT_CSV);
}

#define LONG 200000

struct long_thing {
	char text[LONG];
};

static void takes_a_record_larger_than_its_buffer(void **state)
{
	static const struct field_row rows[] = {
		{"text", FIELD_TEXT, .offset = 0, .unit = ""}};
	static const struct field_table table = {rows, 1};
	static struct long_thing thing;
	const enum export_format formats[] = {EXPORT_JSON, EXPORT_CSV};
	const size_t sizes[] = {12 + 2 * (LONG - 1), 6 + 2 * LONG};

	(void)state;
	memset(thing.text, '"', LONG - 1);
	for (size_t i = 0; i < 2; i++) {
		struct export_text *text;

		stream = open_memstream(&written, &written_size);
		assert_int_equal(export_text_open(formats[i], stream, &table,
						  NULL, 0, &text),
				 0);
		assert_int_equal(export_text_write(text, &thing), 0);
		end(text, NULL);
		assert_int_equal(written_size, sizes[i]);
		free(written);
	}
}

static void hands_out_what_it_has_when_flushed(void **state)
{
	struct export_text *text = begin(EXPORT_JSON, NULL, 0);
	struct thing thing = thing_of(1);

	(void)state;
	put_thing(text, &thing);
	assert_int_equal(written_size, 0);
	assert_int_equal(export_text_flush(text), 0);
	assert_true(written_size > 100);
	assert_int_equal(written[written_size - 1], '\n');
	end(text, NULL);
	free(written);
	assert_int_equal(export_text_close(NULL), 0);
}

static int write_until_it_fails(FILE *to, enum export_format format)
{
	struct thing thing = thing_of(1);
	struct export_text *text;
	int rc = 0;

	assert_int_equal(export_text_open(format, to, &things, NULL, 0, &text),
			 0);
	for (int i = 0; i < 10000 && rc == 0; i++)
		rc = export_text_write(text, &thing);
	/* It stays failed. */
	assert_int_equal(export_text_write(text, &thing), rc);
	assert_int_equal(export_text_flush(text), rc);
	assert_int_equal(export_text_close(text), rc);
	return rc;
}

static void reports_a_full_disk(void **state)
{
	(void)state;
	for (int i = 0; i < EXPORT_FORMAT_COUNT; i++) {
		FILE *full = fopen("/dev/full", "w");

		if (!full)
			check_skip("no /dev/full");
		assert_int_equal(
			write_until_it_fails(full, (enum export_format)i),
			-ENOSPC);
		(void)fclose(full);
	}
}

static void reports_a_reader_that_left(void **state)
{
	FILE *file;
	int fds[2];

	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe(fds), 0);
	(void)close(fds[0]);
	file = fdopen(fds[1], "w");
	assert_non_null(file);
	assert_int_equal(write_until_it_fails(file, EXPORT_JSON), -EPIPE);
	(void)fclose(file);
}

static void refuses_a_column_that_is_no_field(void **state)
{
	static const char *const columns[] = {"id", "colour", NULL};
	struct export_text *text = NULL;

	(void)state;
	assert_int_equal(export_text_open(EXPORT_TABLE, stdout, &things,
					  columns, 0, &text),
			 -EINVAL);
	assert_null(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_json_of_every_type_one_object_a_line),
		cmocka_unit_test(writes_csv_with_a_head_and_quotes),
		cmocka_unit_test(keeps_json_lines_whole_across_buffers),
		cmocka_unit_test(keeps_csv_lines_whole_across_buffers),
		cmocka_unit_test(takes_a_record_larger_than_its_buffer),
		cmocka_unit_test(hands_out_what_it_has_when_flushed),
		cmocka_unit_test(reports_a_full_disk),
		cmocka_unit_test(reports_a_reader_that_left),
		cmocka_unit_test(refuses_a_column_that_is_no_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
