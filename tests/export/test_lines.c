#include "thing.h"

#include <signal.h>
#include <unistd.h>

#include "base/random.h"

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

/* Their letters: what is compared with the fields' own text below is not
 * known to be right by that. */
static void writes_thousandths_and_lists(void **state)
{
	static const struct field_row rows[] = {
		{"mean", FIELD_MILLI, .offset = 0},
		{"bytes", FIELD_U8_LIST, .offset = 8, .aux = 11},
		{"words", FIELD_U32_LIST, .offset = 12, .aux = 20},
		{"wide", FIELD_U64_LIST, .offset = 24, .aux = 40},
		{"none", FIELD_U64_LIST, .offset = 24, .aux = 41},
		{"null", FIELD_U8_LIST, .offset = 8, .aux = 11,
		 .present_mask = 1, .present = 44},
	};
	static const struct field_table table = {rows, 6};
	static const struct {
		uint64_t mean;
		uint8_t bytes[3], byte_count;
		uint32_t words[2];
		uint8_t word_count, pad[3];
		uint64_t wide[2];
		uint8_t wide_count, none_count, more[2];
		uint32_t present;
	} record = {UINT64_MAX,
		    {0, 9, 255},
		    3,
		    {UINT32_MAX, 10},
		    2,
		    {0},
		    {UINT64_MAX, 100000000},
		    2,
		    0,
		    {0},
		    0};
	const enum export_format formats[] = {EXPORT_JSON, EXPORT_CSV};
	const char *const lines[] = {
		"{\"mean\":18446744073709551.615,\"bytes\":[0,9,255],"
		"\"words\":[4294967295,10],\"wide\":[18446744073709551615,"
		"100000000],\"none\":[],\"null\":null}\n",
		"mean,bytes,words,wide,none,null\n18446744073709551.615,"
		"0 9 255,4294967295 10,18446744073709551615 100000000,,\n"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct export_text *text;

		stream = open_memstream(&written, &written_size);
		assert_int_equal(export_text_open(formats[i], stream, &table,
						  NULL, 0, &text),
				 0);
		assert_int_equal(export_text_write(text, &record), 0);
		end(text, lines[i]);
	}
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

/* A record with every type, strings in arrays of known size and of unknown,
 * words beyond those that are kept, and values that may be absent. */
struct wide {
	uint8_t first8; /* too near to the beginning for a load of 64 bits */
	uint16_t first16;
	uint32_t first32;
	uint8_t u8;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;
	int64_t i64;
	uint64_t hex;
	struct wall at;
	bool flag;
	uint8_t word, many;
	char known[32], odd[13], unknown[32];
	uint8_t address[16];
	uint8_t version;
	uint64_t milli, milli_most;
	double real;
	uint64_t wide_list[5];
	uint32_t word_list[40];
	uint8_t byte_list[255];
	uint8_t few_count, word_count, byte_count;
	uint32_t present;
};

static const char *const few_words[] = {NULL, "one", "two, \"2\"", "",
					"thirty-two bytes of a single word"};
static const char *const many_words[] = {
	"a0",  "a1",  "a2",  "a3",  NULL,  "a5",  "a6",  "a7",  "a8",   "a9",
	"a10", "a11", "a12", "a13", "a14", "a15", "a16", "a17", "a,18", NULL};

#define FEW  (sizeof few_words / sizeof *few_words)
#define MANY (sizeof many_words / sizeof *many_words)

#define WIDE(member, kind)                                            \
	.name = #member "_of_a_name_beyond_32_bytes", .type = (kind), \
	.offset = offsetof(struct wide, member)
#define SIZED(member) .size = sizeof(((struct wide *)0)->member)
#define LIST(count)   .aux = offsetof(struct wide, count)
#define ABSENT(mask) \
	.present_mask = (mask), .present = offsetof(struct wide, present)

static const struct field_row wide_rows[] = {
	{WIDE(first8, FIELD_U8)},
	{WIDE(first16, FIELD_U16)},
	{WIDE(first32, FIELD_U32)},
	{WIDE(u8, FIELD_U8)},
	{WIDE(u16, FIELD_U16)},
	{WIDE(u32, FIELD_U32)},
	{WIDE(u64, FIELD_U64)},
	{WIDE(i64, FIELD_I64)},
	{WIDE(hex, FIELD_HEX64)},
	{WIDE(at, FIELD_TIME)},
	{WIDE(flag, FIELD_BOOL)},
	{WIDE(word, FIELD_WORD), .words = few_words},
	{WIDE(many, FIELD_WORD), .words = many_words},
	{WIDE(known, FIELD_TEXT), SIZED(known)},
	{WIDE(odd, FIELD_TEXT), SIZED(odd)},
	{WIDE(unknown, FIELD_TEXT)},
	{WIDE(address, FIELD_ADDRESS), .aux = offsetof(struct wide, version)},
	{WIDE(milli, FIELD_MILLI)},
	{WIDE(milli_most, FIELD_MILLI)},
	{WIDE(real, FIELD_F64)},
	{WIDE(wide_list, FIELD_U64_LIST), LIST(few_count)},
	{WIDE(word_list, FIELD_U32_LIST), LIST(word_count)},
	{WIDE(byte_list, FIELD_U8_LIST), LIST(byte_count)},
	{WIDE(milli, FIELD_MILLI), ABSENT(32)},
	{WIDE(word_list, FIELD_U32_LIST), LIST(word_count), ABSENT(64)},
	{WIDE(u8, FIELD_U8), ABSENT(1)},
	{WIDE(u64, FIELD_U64), ABSENT(2)},
	{WIDE(known, FIELD_TEXT), SIZED(known), ABSENT(4)},
	{WIDE(many, FIELD_WORD), .words = many_words, ABSENT(8)},
	{WIDE(address, FIELD_ADDRESS), .aux = offsetof(struct wide, version),
	 ABSENT(16)},
};

#define WIDE_ROWS (sizeof wide_rows / sizeof *wide_rows)

static const struct field_table wides = {wide_rows, WIDE_ROWS};

/* Mostly plain, with all that needs care; what is behind the zero is no part
 * of it. */
static void text_fill(char *text, size_t size, uint64_t *random)
{
	static const char special[] = ",\"\r\n\\\t\x7f\xc3\xa9\xff +/=";
	uint64_t bits = random_next(random);
	size_t length = bits % size;

	for (size_t i = 0; i < size; i++) {
		uint64_t byte = random_next(random);

		text[i] = (char)('a' + byte % 26);
		if (byte >> 32 & 1 && bits >> 60 < 8)
			text[i] = special[byte % (sizeof special - 1)];
	}
	text[length] = '\0';
}

static struct wide wide_of(uint64_t *random)
{
	struct wide wide;
	uint8_t *bytes = (uint8_t *)&wide;

	for (size_t i = 0; i < sizeof wide; i++)
		bytes[i] = (uint8_t)random_next(random);
	wide.u64 >>= random_next(random) % 64;
	wide.u32 >>= random_next(random) % 32;
	wide.i64 /= (int64_t)(UINT64_C(1) << random_next(random) % 63);
	wide.first32 >>= random_next(random) % 32;
	wide.milli >>= random_next(random) % 64;
	wide.milli_most = UINT64_MAX - random_next(random) % 2;
	wide.few_count %= sizeof wide.wide_list / 8 + 1;
	wide.word_count %= sizeof wide.word_list / 4 + 1;
	for (size_t i = 0; i < wide.word_count; i++)
		wide.word_list[i] >>= random_next(random) % 32;
	wide.flag = random_next(random) & 1;
	wide.word = (uint8_t)(random_next(random) % FEW);
	wide.many = (uint8_t)(random_next(random) % MANY);
	wide.version = (uint8_t)(random_next(random) % 3 * 2);
	if (wide.version == 2)
		wide.version = 6;
	text_fill(wide.known, sizeof wide.known, random);
	text_fill(wide.odd, sizeof wide.odd, random);
	text_fill(wide.unknown, sizeof wide.unknown, random);
	return wide;
}

/* What field_text() gives, quoted letter by letter. */
static void reference_csv(FILE *to, const struct field_row *row,
			  const void *record)
{
	char value[1200];
	bool quoted;

	(void)field_text(row, record, value, sizeof value);
	quoted = strpbrk(value, ",\"\r\n") != NULL;
	if (quoted)
		(void)fputc('"', to);
	for (const char *at = value; *at; at++) {
		if (*at == '"')
			(void)fputc('"', to);
		(void)fputc(*at, to);
	}
	if (quoted)
		(void)fputc('"', to);
}

static void reference_line(FILE *to, enum export_format format,
			   const void *record)
{
	char value[1200];

	for (size_t i = 0; i < WIDE_ROWS; i++) {
		if (format == EXPORT_CSV) {
			(void)fputs(i > 0 ? "," : "", to);
			reference_csv(to, &wide_rows[i], record);
			continue;
		}
		(void)field_json(&wide_rows[i], record, value, sizeof value);
		(void)fprintf(to, "%c\"%s\":%s", i > 0 ? ',' : '{',
			      wide_rows[i].name, value);
	}
	(void)fputs(format == EXPORT_JSON ? "}\n" : "\n", to);
}

static void writes_what_fields_say(enum export_format format)
{
	struct export_text *text;
	char *reference;
	size_t reference_size;
	FILE *to = open_memstream(&reference, &reference_size);
	uint64_t random = format;

	assert_non_null(to);
	stream = open_memstream(&written, &written_size);
	assert_int_equal(
		export_text_open(format, stream, &wides, NULL, 0, &text), 0);
	for (size_t i = 0; i < WIDE_ROWS && format == EXPORT_CSV; i++)
		(void)fprintf(to, "%s%s", i > 0 ? "," : "", wide_rows[i].name);
	if (format == EXPORT_CSV)
		(void)fputc('\n', to);
	for (int i = 0; i < 20000; i++) {
		struct wide wide = wide_of(&random);

		assert_int_equal(export_text_write(text, &wide), 0);
		reference_line(to, format, &wide);
	}
	end(text, NULL);
	(void)fclose(to);
	assert_int_equal(written_size, reference_size);
	assert_memory_equal(written, reference, reference_size);
	free(written);
	free(reference);
}

static void writes_json_as_its_fields_say(void **state)
{
	(void)state;
	writes_what_fields_say(EXPORT_JSON);
}

static void writes_csv_as_its_fields_say(void **state)
{
	(void)state;
	writes_what_fields_say(EXPORT_CSV);
}

#define LONG 600000 /* more than any buffer at first */

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
		cmocka_unit_test(writes_thousandths_and_lists),
		cmocka_unit_test(keeps_json_lines_whole_across_buffers),
		cmocka_unit_test(keeps_csv_lines_whole_across_buffers),
		cmocka_unit_test(writes_json_as_its_fields_say),
		cmocka_unit_test(writes_csv_as_its_fields_say),
		cmocka_unit_test(takes_a_record_larger_than_its_buffer),
		cmocka_unit_test(hands_out_what_it_has_when_flushed),
		cmocka_unit_test(reports_a_full_disk),
		cmocka_unit_test(reports_a_reader_that_left),
		cmocka_unit_test(refuses_a_column_that_is_no_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
