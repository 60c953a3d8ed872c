/* One value of one row: from text, and to text. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/option_private.h"
#include "base/stamp.h"
#include "base/text.h"

struct suffix {
	const char *text;
	int64_t factor;
};

static const struct suffix count_suffixes[] = {
	{"", 1}, {"k", 1000}, {"m", 1000000}, {"g", 1000000000}, {NULL, 0},
};

static const struct suffix size_suffixes[] = {
	{"", 1},
	{"b", 1},
	{"k", 1 << 10},
	{"kib", 1 << 10},
	{"m", 1 << 20},
	{"mib", 1 << 20},
	{"g", 1 << 30},
	{"gib", 1 << 30},
	{"t", INT64_C(1) << 40},
	{"tib", INT64_C(1) << 40},
	{NULL, 0},
};

static const struct suffix duration_suffixes[] = {
	{"", NS_PER_S},
	{"ms", NS_PER_S / 1000},
	{"s", NS_PER_S},
	{"m", 60 * NS_PER_S},
	{"min", 60 * NS_PER_S},
	{"h", 3600 * NS_PER_S},
	{"d", NS_PER_S * 86400},
	{"w", NS_PER_S * 86400 * 7},
	{NULL, 0},
};

/* What the numeric types have of their own. */
static const struct number {
	const struct suffix *suffixes;
	const char *expected;
	char *(*format)(int64_t value, char ret_text[static TEXT_SIZE]);
} numbers[] = {
	[OPTION_COUNT] = {count_suffixes, "a number", NULL},
	[OPTION_SIZE] = {size_suffixes, "a size, like 64M or 2G",
			 text_size_exact},
	[OPTION_DURATION] = {duration_suffixes,
			     "a duration, like 90s, 5m or 1h",
			     text_duration_exact},
};

static const char *const bool_words[][2] = {
	{"no", "yes"},
	{"false", "true"},
	{"off", "on"},
	{"0", "1"},
};

static const struct suffix *suffix_find(const struct suffix *suffix,
					const char *text)
{
	while (suffix->text && strcasecmp(suffix->text, text) != 0)
		suffix++;
	return suffix->text ? suffix : NULL;
}

/* Digits, perhaps a point and digits, perhaps a suffix.  What is beyond 63
 * bits becomes the largest value, which no range holds. */
static bool number_parse(const char *text, const struct suffix *suffixes,
			 int64_t *ret_value)
{
	const struct suffix *suffix;
	bool negative = *text == '-';
	__int128 whole = 0, part = 0, scale = 1;

	text += negative;
	if (!isdigit((unsigned char)*text))
		return false;
	for (; isdigit((unsigned char)*text); text++) {
		if (whole <= INT64_MAX)
			whole = whole * 10 + (*text - '0');
	}
	if (*text == '.' && isdigit((unsigned char)text[1])) {
		for (text++; isdigit((unsigned char)*text); text++) {
			if (scale >= 1000000000)
				continue;
			part = part * 10 + (*text - '0');
			scale *= 10;
		}
	}
	while (*text == ' ')
		text++;
	suffix = suffix_find(suffixes, text);
	if (!suffix || part * suffix->factor % scale != 0)
		return false;
	whole = whole * suffix->factor + part * suffix->factor / scale;
	if (whole > INT64_MAX)
		whole = INT64_MAX;
	*ret_value = negative ? -(int64_t)whole : (int64_t)whole;
	return true;
}

static char *number_format(const struct option_row *row, int64_t value,
			   char ret_text[static TEXT_SIZE])
{
	if (numbers[row->type].format)
		return numbers[row->type].format(value, ret_text);
	snprintf(ret_text, TEXT_SIZE, "%" PRId64, value);
	return ret_text;
}

static int number_set(const struct option_row *row, const char *label,
		      const char *text, int64_t *slot, struct fault *ret_fault)
{
	const struct number *number = &numbers[row->type];
	char range[128];
	int64_t value;

	if (!number_parse(text, number->suffixes, &value))
		return fault_set(ret_fault, -EINVAL, "%s: '%.80s' is not %s",
				 label, text, number->expected);
	option_range_text(row, range, sizeof range);
	if (!(row->zero && value == 0) &&
	    (value < row->min || value > row->max))
		return fault_set(ret_fault, ERR_OPTION_RANGE,
				 "%s: %.40s is out of range: %s", label, text,
				 range);
	*slot = value;
	return 0;
}

static int bool_set(const char *label, const char *text, bool *slot,
		    struct fault *ret_fault)
{
	for (size_t i = 0; i < sizeof bool_words / sizeof bool_words[0]; i++) {
		for (int value = 0; value < 2; value++) {
			if (strcasecmp(bool_words[i][value], text) != 0)
				continue;
			*slot = value;
			return 0;
		}
	}
	return fault_set(ret_fault, -EINVAL,
			 "%s: '%.80s' is neither yes nor no", label, text);
}

static int word_set(const struct option_row *row, const char *label,
		    const char *text, int64_t *slot, struct fault *ret_fault)
{
	char words[128];

	for (int i = 0; row->words[i]; i++) {
		if (strcasecmp(row->words[i], text) != 0)
			continue;
		*slot = i;
		return 0;
	}
	option_range_text(row, words, sizeof words);
	return fault_set(ret_fault, -EINVAL, "%s: '%.80s' is none of: %s",
			 label, text, words);
}

static int text_check(const struct option_row *row, const char *label,
		      const char *text, struct fault *ret_fault)
{
	struct fault fault;
	int rc;

	if (row->min > 0 && !*text)
		return fault_set(ret_fault, -EINVAL, "%s: may not be empty",
				 label);
	if (row->max > 0 && strlen(text) > (size_t)row->max)
		return fault_set(ret_fault, ERR_OPTION_RANGE,
				 "%s: '%.40s...' is longer than %" PRId64
				 " bytes",
				 label, text, row->max);
	rc = row->check ? row->check(text, &fault) : 0;
	if (rc < 0)
		return fault_set(ret_fault, rc, "%s: %.200s", label,
				 fault.text);
	return 0;
}

static int text_set(const struct option_row *row, const char *label,
		    const char *text, char **slot, struct fault *ret_fault)
{
	int rc = text_check(row, label, text, ret_fault);
	char *copy;

	if (rc < 0)
		return rc;
	copy = strdup(text);
	if (!copy)
		return fault_set(ret_fault, -ENOMEM, "%s: %s", label,
				 err_sentence(-ENOMEM));
	free(*slot);
	*slot = copy;
	return 0;
}

static int list_add(const struct option_row *row, const char *label,
		    const char *text, struct option_list *list,
		    struct fault *ret_fault)
{
	char **texts;
	int rc;

	if (!*text)
		return fault_set(ret_fault, -EINVAL, "%s: has an empty entry",
				 label);
	texts = realloc(list->texts, (list->count + 1) * sizeof *texts);
	if (!texts)
		return fault_set(ret_fault, -ENOMEM, "%s: %s", label,
				 err_sentence(-ENOMEM));
	list->texts = texts;
	texts[list->count] = NULL;
	rc = text_set(row, label, text, &texts[list->count], ret_fault);
	if (rc == 0)
		list->count++;
	return rc;
}

int option_value_set(const struct option_row *row, const char *label,
		     const char *text, void *slot, struct fault *ret_fault)
{
	switch (row->type) {
	case OPTION_BOOL:
		return bool_set(label, text, slot, ret_fault);
	case OPTION_WORD:
		return word_set(row, label, text, slot, ret_fault);
	case OPTION_TEXT:
		return text_set(row, label, text, slot, ret_fault);
	case OPTION_LIST:
		return list_add(row, label, text, slot, ret_fault);
	default:
		return number_set(row, label, text, slot, ret_fault);
	}
}

static void append(char *buffer, size_t size, const char *text)
{
	size_t used = strlen(buffer);

	snprintf(buffer + used, size - used, "%s%s", used ? ", " : "", text);
}

void option_range_text(const struct option_row *row, char *buffer, size_t size)
{
	char low[TEXT_SIZE], high[TEXT_SIZE];

	*buffer = 0;
	for (int i = 0; row->type == OPTION_WORD && row->words[i]; i++)
		append(buffer, size, row->words[i]);
	if (row->type <= OPTION_DURATION)
		snprintf(buffer, size, "%s to %s%s",
			 number_format(row, row->min, low),
			 number_format(row, row->max, high),
			 row->zero ? ", or 0" : "");
}

const char *option_placeholder(const struct option_row *row)
{
	static const char *const by_type[] = {
		[OPTION_COUNT] = "COUNT",       [OPTION_SIZE] = "SIZE",
		[OPTION_DURATION] = "DURATION", [OPTION_BOOL] = "",
		[OPTION_WORD] = "WORD",         [OPTION_TEXT] = "TEXT",
		[OPTION_LIST] = "NAME,...",
	};

	return row->placeholder ? row->placeholder : by_type[row->type];
}

/* Of every type but the list. */
static void value_format(const struct option_row *row, const void *slot,
			 char *buffer, size_t size)
{
	const char *text = NULL;
	char number[TEXT_SIZE];

	switch (row->type) {
	case OPTION_BOOL:
		text = bool_words[0][*(const bool *)slot];
		break;
	case OPTION_WORD:
		text = row->words[*(const int64_t *)slot];
		break;
	case OPTION_TEXT:
		text = *(const char *const *)slot;
		break;
	default:
		text = number_format(row, *(const int64_t *)slot, number);
	}
	snprintf(buffer, size, "%s", text ? text : "");
}

void option_format(const struct option_row *row, const void *group_options,
		   char *buffer, size_t size)
{
	const void *slot = (const char *)group_options + row->offset;
	const struct option_list *list = slot;

	if (row->type != OPTION_LIST) {
		value_format(row, slot, buffer, size);
		return;
	}
	*buffer = 0;
	for (size_t i = 0; i < list->count; i++)
		append(buffer, size, list->texts[i]);
}

void option_preset_text(const struct option_row *row, char *buffer, size_t size)
{
	bool flag = row->preset != 0;

	if (row->preset_note) {
		snprintf(buffer, size, "%s", row->preset_note);
		return;
	}
	if (row->type >= OPTION_TEXT) {
		snprintf(buffer, size, "%s",
			 row->preset_text ? row->preset_text : "");
		return;
	}
	value_format(row,
		     row->type == OPTION_BOOL ? (const void *)&flag
					      : &row->preset,
		     buffer, size);
}
