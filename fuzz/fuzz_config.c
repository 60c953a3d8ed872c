/* Whatever a configuration file holds: every value stays in its range, every
 * mistake is told in one line without control characters. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/option.h"
#include "base/stamp.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

struct options {
	int64_t size, span_ns, count, word;
	bool flag;
	char *text;
	struct option_list list;
};

static const char *const words[] = {"auto", "kernel", NULL};

#define ROW(name_, type_, field, ...)                                   \
	{                                                               \
		.name = name_, .type = type_,                           \
		.offset = offsetof(struct options, field), .help = "x", \
		__VA_ARGS__                                             \
	}

static const struct option_row rows[] = {
	ROW("size", OPTION_SIZE, size, .preset = 64, .min = 64, .max = 4096),
	ROW("span", OPTION_DURATION, span_ns, .min = NS_PER_S,
	    .max = 60 * NS_PER_S, .zero = true),
	ROW("count", OPTION_COUNT, count, .preset = -1, .min = -5, .max = 5),
	ROW("word", OPTION_WORD, word, .words = words),
	ROW("flag", OPTION_BOOL, flag, .preset = 1),
	ROW("text", OPTION_TEXT, text, .max = 16),
	ROW("list", OPTION_LIST, list, .max = 8, .preset_text = "a"),
};
static const struct option_group group = {"All", rows,
					  sizeof rows / sizeof rows[0], 0};
static const struct option_table table = {&group, 1};

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void report(void *context, const char *sentence)
{
	int *count = context;

	require(strncmp(sentence, "fuzz:", 5) == 0);
	for (const char *at = sentence; *at; at++)
		require(!iscntrl((unsigned char)*at));
	++*count;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct options options;
	int reported = 0;
	struct option_source source = {&table, "fuzz", report, &reported};

	require(options_init(&table, &options) == 0);
	require(options_config_parse(&source, (const char *)bytes, size,
				     &options) == reported);
	require(options.size >= 64 && options.size <= 4096);
	require(options.span_ns == 0 || (options.span_ns >= NS_PER_S &&
					 options.span_ns <= 60 * NS_PER_S));
	require(options.count >= -5 && options.count <= 5);
	require(options.word == 0 || options.word == 1);
	require(!options.text || strlen(options.text) <= 16);
	for (size_t i = 0; i < options.list.count; i++)
		require(options.list.texts[i][0] &&
			strlen(options.list.texts[i]) <= 8);
	options_fini(&table, &options);
	return 0;
}
