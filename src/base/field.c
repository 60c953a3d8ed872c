/* Fields as text and as JSON values.
 *
 * Every type but words and texts has a short longest form (FIELD_SIZE_MAX),
 * which is written straight into the caller's buffer where it fits for sure
 * and by way of a small copy where it may not.  Nothing here but a rare
 * double goes through printf: a writer of JSON lines spends its time in this
 * file. */
#include "base/field.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digits.h"
#include "base/stamp.h"

/* An IPv6 address with an embedded IPv4 one, quoted, with its zero, and what
 * may be stored behind. */
#define FIELD_SIZE_MAX 64

static_assert(DIGITS_IP6_MAX + 3 + DIGITS_SLACK <= FIELD_SIZE_MAX,
	      "the longest value");

/* The shortest decimal that reads as the same double. */
static char *put_f64(char *at, double value)
{
	int length = 0;

	for (int digits = 15; digits <= 17; digits++) {
		length = snprintf(at, FIELD_SIZE_MAX, "%.*g", digits, value);
		if (strtod(at, NULL) == value)
			break;
	}
	return at + length;
}

static char *put_text(char *at, const char *text)
{
	while (*text)
		*at++ = *text++;
	return at;
}

static const void *field_at(const struct field_row *row, const void *record)
{
	return (const uint8_t *)record + row->offset;
}

static uint8_t field_ip_version(const struct field_row *row, const void *record)
{
	return ((const uint8_t *)record)[row->aux];
}

/* Whether the record itself says that the field has no value. */
static inline bool field_absent(const struct field_row *row, const void *record)
{
	uint32_t bits;
	double value;

	if (row->type == FIELD_F64) {
		memcpy(&value, (const uint8_t *)record + row->offset,
		       sizeof value);
		if (!isfinite(value))
			return true;
	}
	if (!row->present_mask)
		return false;
	memcpy(&bits, (const uint8_t *)record + row->present, sizeof bits);
	return !(bits & row->present_mask);
}

/* The text that a WORD or TEXT field holds, or NULL. */
static const char *field_string(const struct field_row *row, const void *record)
{
	const char *text = field_at(row, record);

	if (field_absent(row, record))
		return NULL;
	if (row->type == FIELD_WORD)
		return row->words[*(const uint8_t *)field_at(row, record)];
	return *text ? text : NULL;
}

static bool field_is_string(const struct field_row *row)
{
	return row->type == FIELD_WORD || row->type == FIELD_TEXT;
}

bool field_integer(const struct field_row *row, const void *record,
		   int64_t *ret_value)
{
	const void *at = field_at(row, record);
	uint64_t value = 0;

	if (field_absent(row, record))
		return false;
	switch (row->type) {
	case FIELD_U8:
		value = *(const uint8_t *)at;
		break;
	case FIELD_BOOL:
		value = *(const bool *)at;
		break;
	case FIELD_U16:
		value = *(const uint16_t *)at;
		break;
	case FIELD_U32:
		value = *(const uint32_t *)at;
		break;
	case FIELD_U64:
	case FIELD_I64:
		memcpy(&value, at, sizeof value);
		break;
	case FIELD_TIME:
		value = (uint64_t)((const struct wall *)at)->ns;
		break;
	case FIELD_F64:
	case FIELD_HEX64:
	case FIELD_ADDRESS:
	case FIELD_WORD:
	case FIELD_TEXT:
	case FIELD_MILLI:
	case FIELD_U8_LIST:
	case FIELD_U32_LIST:
	case FIELD_U64_LIST:
		return false;
	}
	*ret_value = (int64_t)value;
	return true;
}

/* A quotient is rounded once: it prints as the decimal that it is. */
bool field_real(const struct field_row *row, const void *record,
		double *ret_value)
{
	uint64_t value;

	if (field_absent(row, record))
		return false;
	if (row->type == FIELD_F64) {
		memcpy(ret_value, field_at(row, record), sizeof *ret_value);
		return true;
	}
	if (row->type != FIELD_MILLI)
		return false;
	memcpy(&value, field_at(row, record), sizeof value);
	*ret_value = (double)value / 1000;
	return true;
}

bool field_is_list(const struct field_row *row)
{
	return row->type == FIELD_U8_LIST || row->type == FIELD_U32_LIST ||
	       row->type == FIELD_U64_LIST;
}

static uint64_t list_number(const struct field_row *row, const void *record,
			    size_t index)
{
	const uint8_t *at = field_at(row, record);
	uint64_t wide;
	uint32_t word;

	if (row->type == FIELD_U8_LIST)
		return at[index];
	if (row->type == FIELD_U32_LIST) {
		memcpy(&word, at + index * sizeof word, sizeof word);
		return word;
	}
	memcpy(&wide, at + index * sizeof wide, sizeof wide);
	return wide;
}

bool field_present(const struct field_row *row, const void *record)
{
	if (field_absent(row, record))
		return false;
	if (row->type == FIELD_ADDRESS)
		return field_ip_version(row, record) != 0;
	return !field_is_string(row) || field_string(row, record) != NULL;
}

/* Whatever is neither string nor list, at most FIELD_SIZE_MAX - 3 bytes, no
 * zero behind; nothing for null. */
static char *put_value(const struct field_row *row, const void *record,
		       char *at)
{
	int64_t value = 0;
	uint64_t bits;
	double real;

	if (field_absent(row, record))
		return at;
	if (row->type == FIELD_F64) {
		memcpy(&real, field_at(row, record), sizeof real);
		return put_f64(at, real);
	}
	if (row->type == FIELD_ADDRESS) {
		const uint8_t *address = field_at(row, record);
		uint8_t version = field_ip_version(row, record);

		if (version == 0)
			return at;
		return version == 4 ? digits_put_ip4(at, address)
				    : digits_put_ip6(at, address);
	}
	if (row->type == FIELD_HEX64) {
		memcpy(&bits, field_at(row, record), sizeof bits);
		return digits_put_hex64(at, bits);
	}
	if (row->type == FIELD_MILLI) {
		memcpy(&bits, field_at(row, record), sizeof bits);
		return digits_put_milli(at, bits);
	}
	(void)field_integer(row, record, &value);
	if (row->type == FIELD_BOOL)
		return put_text(at, value ? "true" : "false");
	if (row->type == FIELD_I64 || row->type == FIELD_TIME)
		return digits_put_i64(at, value);
	return digits_put_u64(at, (uint64_t)value);
}

static char *put_json(const struct field_row *row, const void *record, char *at)
{
	if (!field_present(row, record))
		return put_text(at, "null");
	if (row->type != FIELD_ADDRESS && row->type != FIELD_HEX64)
		return put_value(row, record, at);
	*at++ = '"';
	at = put_value(row, record, at);
	*at++ = '"';
	return at;
}

/* What snprintf() would do with 'length' bytes of text. */
static size_t cut_copy(const char *text, size_t length, char *buffer,
		       size_t size)
{
	size_t count = length < size ? length : size - 1;

	if (size == 0)
		return length;
	memcpy(buffer, text, count);
	buffer[count] = '\0';
	return length;
}

typedef char *put_function(const struct field_row *row, const void *record,
			   char *at);

static inline size_t put_bounded(put_function *put, const struct field_row *row,
				 const void *record, char *buffer, size_t size)
{
	char scratch[FIELD_SIZE_MAX];
	char *end;

	if (size < FIELD_SIZE_MAX) {
		end = put(row, record, scratch);
		return cut_copy(scratch, (size_t)(end - scratch), buffer, size);
	}
	end = put(row, record, buffer);
	*end = '\0';
	return (size_t)(end - buffer);
}

/* Text that grows, cut at its size but fully counted. */
struct list_text {
	char *buffer;
	size_t size;
	size_t length;
};

static void list_put(struct list_text *text, const char *bytes, size_t count)
{
	size_t room = text->length < text->size ? text->size - text->length : 0;

	if (room > 0)
		memcpy(text->buffer + text->length, bytes,
		       count < room ? count : room);
	text->length += count;
}

/* The numbers of a list, one 'between' two of them. */
static void list_write(const struct field_row *row, const void *record,
		       char between, struct list_text *text)
{
	size_t count = ((const uint8_t *)record)[row->aux];

	for (size_t i = 0; i < count; i++) {
		char number[1 + DIGITS_U64_MAX + DIGITS_SLACK];
		char *end = number;

		if (i > 0)
			*end++ = between;
		end = digits_put_u64(end, list_number(row, record, i));
		list_put(text, number, (size_t)(end - number));
	}
}

static size_t list_end(struct list_text *text)
{
	size_t last = text->size - 1;

	if (text->size > 0)
		text->buffer[text->length < last ? text->length : last] = 0;
	return text->length;
}

static size_t list_text(const struct field_row *row, const void *record,
			char *buffer, size_t size)
{
	struct list_text text = {buffer, size, 0};

	if (!field_absent(row, record))
		list_write(row, record, ' ', &text);
	return list_end(&text);
}

static size_t list_json(const struct field_row *row, const void *record,
			char *buffer, size_t size)
{
	struct list_text text = {buffer, size, 0};

	if (field_absent(row, record))
		return cut_copy("null", 4, buffer, size);
	list_put(&text, "[", 1);
	list_write(row, record, ',', &text);
	list_put(&text, "]", 1);
	return list_end(&text);
}

size_t field_text(const struct field_row *row, const void *record, char *buffer,
		  size_t size)
{
	const char *text;

	if (field_is_list(row))
		return list_text(row, record, buffer, size);
	if (!field_is_string(row))
		return put_bounded(put_value, row, record, buffer, size);
	text = field_string(row, record) ?: "";
	return cut_copy(text, strlen(text), buffer, size);
}

size_t field_json(const struct field_row *row, const void *record, char *buffer,
		  size_t size)
{
	const char *text;

	if (field_is_list(row))
		return list_json(row, record, buffer, size);
	if (!field_is_string(row))
		return put_bounded(put_json, row, record, buffer, size);
	text = field_string(row, record);
	if (!text)
		return cut_copy("null", 4, buffer, size);
	return json_quote(text, buffer, size);
}
