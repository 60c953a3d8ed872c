/* Lines of JSON (RFC 8259, one object a record, keys in the table's order)
 * and of CSV (RFC 4180, section 2; null is an empty field).
 *
 * Both are one walk over the plan, compiled twice.  That a line of the
 * longest numbers fits is asked once; only strings ask again. */
#include <string.h>

#include "base/digits.h"
#include "export/export_private.h"

#define EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))
#define ALWAYS_INLINE   static inline __attribute__((always_inline))

/* The high bit of each byte below 'limit' (at most 128), exact for the lowest
 * such byte, and of those equal to 'byte'. */
static inline uint64_t bytes_below(uint64_t word, uint8_t limit)
{
	return (word - EACH_BYTE(limit)) & ~word & EACH_BYTE(0x80);
}

static inline uint64_t bytes_equal(uint64_t word, uint8_t byte)
{
	return bytes_below(word ^ EACH_BYTE(byte), 1);
}

/* Where eight bytes of a text end, or cannot be copied as they are. */
ALWAYS_INLINE uint64_t stops_of(uint64_t word, bool json)
{
	uint64_t stops = bytes_below(word, 0x20) | bytes_equal(word, '"');

	if (json)
		return stops | bytes_equal(word, '\\') |
		       (word & EACH_BYTE(0x80));
	return stops | bytes_equal(word, ',');
}

ALWAYS_INLINE char *put_null(char *at, bool json)
{
	if (!json)
		return at;
	return mempcpy(at, "null", 4);
}

static char *csv_quote(const char *text, size_t size, char *at)
{
	*at++ = '"';
	for (size_t i = 0; i < size; i++) {
		if (text[i] == '"')
			*at++ = '"';
		*at++ = text[i];
	}
	*at++ = '"';
	return at;
}

/* Any string, or NULL.  Returns NULL if it may not fit before 'end'. */
static char *string_put(const char *text, char *at, const char *end, bool json)
{
	size_t room = at < end ? (size_t)(end - at) : 0, size;

	if (!text)
		return put_null(at, json);
	size = json ? json_quote(text, NULL, 0) : strlen(text);
	if (room <= (json ? size : size * 2 + 2))
		return NULL;
	if (json) {
		(void)json_quote(text, at, size + 1);
		return at + size;
	}
	if (strcspn(text, ",\"\r\n") < size)
		return csv_quote(text, size, at);
	memcpy(at, text, size);
	return at + size;
}

/* A text in an array of known size, copied eight bytes at a time until
 * something is special; few are. */
ALWAYS_INLINE char *text_put(const struct export_step *step, const char *text,
			     char *at, const char *end, bool json)
{
	char *to = at + json;

	at[0] = '"';
	for (size_t done = 0; done + 8 <= step->size; done += 8) {
		uint64_t word, stops;
		unsigned bit;

		memcpy(&word, text + done, sizeof word);
		memcpy(to, &word, sizeof word);
		word = le64toh(word);
		stops = stops_of(word, json);
		if (!stops) {
			to += 8;
			continue;
		}
		bit = (unsigned)__builtin_ctzll(stops) & ~7U;
		if (word >> bit & 0xff)
			break;
		to += bit / 8;
		if (json && to == at + 1)
			break;
		*to = '"';
		return to + json;
	}
	return string_put(*text ? text : NULL, at, end, json);
}

/* The first time that a word is met it is kept as it stands in a line. */
static char *word_learn(const struct export_step *step, uint8_t value, char *at,
			const char *end, bool json)
{
	char *to = string_put(step->row->words[value], at, end, json);

	if (to && value < STEP_WORDS && to - at <= STEP_WORD_SIZE) {
		memcpy(step->words[value].text, at, (size_t)(to - at));
		step->words[value].size = (uint8_t)(to - at);
	}
	return to;
}

ALWAYS_INLINE char *word_put(const struct export_step *step, uint8_t value,
			     char *at, const char *end, bool json)
{
	const struct step_word *word = &step->words[value % STEP_WORDS];

	if (value >= STEP_WORDS || word->size == STEP_WORD_UNKNOWN)
		return word_learn(step, value, at, end, json);
	memcpy(at, word->text, sizeof word->text);
	return at + word->size;
}

ALWAYS_INLINE char *address_put(const uint8_t *address, uint8_t version,
				char *at, bool json)
{
	if (version == 0)
		return put_null(at, json);
	*at = '"';
	at += json;
	at = version == 4 ? digits_put_ip4(at, address)
			  : digits_put_ip6(at, address);
	*at = '"';
	return at + json;
}

static inline char *bool_put(bool value, char *at)
{
	memcpy(at, value ? "true\0\0\0" : "false\0\0", 8);
	return at + 5 - value;
}

static inline uint64_t load_u64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof value);
	return value;
}

static inline uint32_t load_u32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof value);
	return value;
}

static inline uint16_t load_u16(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof value);
	return value;
}

static inline uint64_t list_number(const uint8_t *list, size_t index,
				   enum field_type type)
{
	switch (type) {
	case FIELD_U8_LIST:
		return list[index];
	case FIELD_U32_LIST:
		return load_u32(list + 4 * index);
	default:
		return load_u64(list + 8 * index);
	}
}

/* Numbers in brackets with commas between them, or blanks alone.  Returns
 * NULL if they may not fit before 'end'. */
static char *list_put(const struct export_step *step, const uint8_t *record,
		      char *at, const char *end, bool json)
{
	const size_t each = DIGITS_U64_MAX + 1;
	size_t room = at < end ? (size_t)(end - at) : 0;
	size_t count = record[step->aux];

	if (room < count * each + 2 + DIGITS_SLACK)
		return NULL;
	*at = '[';
	at += json;
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			*at++ = json ? ',' : ' ';
		at = digits_put_u64(
			at, list_number(record + step->offset, i, step->type));
	}
	*at = ']';
	return at + json;
}

/* A value of a type that is none of those below: as base/field.h has it. */
static char *other_put(const struct export_step *step, const void *record,
		       char *at, const char *end, bool json)
{
	size_t room = at < end ? (size_t)(end - at) : 0;
	size_t size = json ? field_json(step->row, record, at, room)
			   : field_text(step->row, record, at, room);

	return size < room ? at + size : NULL;
}

ALWAYS_INLINE char *value_put(const struct export_step *step,
			      const uint8_t *record, char *at, const char *end,
			      bool json)
{
	const uint8_t *field = record + step->offset;

	switch (step->type) {
	case FIELD_U8:
		return digits_put_u8(at, *field);
	case FIELD_U16:
		return digits_put_eight(at, load_u16(field));
	case FIELD_U32:
		return digits_put_u64(at, load_u32(field));
	case FIELD_U64:
		return digits_put_u64(at, load_u64(field));
	case FIELD_I64:
	case FIELD_TIME:
		return digits_put_i64(at, (int64_t)load_u64(field));
	case FIELD_HEX64:
		*at = '"';
		at = digits_put_hex64(at + json, load_u64(field));
		*at = '"';
		return at + json;
	case FIELD_BOOL:
		return bool_put(*field, at);
	case FIELD_ADDRESS:
		return address_put(field, record[step->aux], at, json);
	case FIELD_WORD:
		return word_put(step, *field, at, end - step->rest, json);
	case FIELD_TEXT:
		return text_put(step, (const char *)field, at, end - step->rest,
				json);
	case FIELD_MILLI:
		return digits_put_milli(at, load_u64(field));
	case FIELD_U8_LIST:
	case FIELD_U32_LIST:
	case FIELD_U64_LIST:
		return list_put(step, record, at, end - step->rest, json);
	default:
		return other_put(step, record, at, end - step->rest, json);
	}
}

/* Most are small. */
static inline char *number_put(const struct export_step *step,
			       const uint8_t *record, char *at)
{
	uint64_t value = load_u64(record + step->load) >> step->shift;

	if (value < 256)
		return digits_put_u8(at, (uint8_t)value);
	return digits_put_u64(at, value);
}

static inline bool value_absent(const struct export_step *step,
				const uint8_t *record)
{
	return step->present_mask &&
	       !(load_u32(record + step->present) & step->present_mask);
}

ALWAYS_INLINE char *head_put(const struct export_step *step, char *at,
			     bool json)
{
	if (!json) {
		*at = ',';
		return at + step->head_size;
	}
	memcpy(at, step->head, STEP_HEAD);
	for (size_t i = STEP_HEAD; i < step->head_size; i += STEP_HEAD)
		memcpy(at + i, step->head + i, STEP_HEAD);
	return at + step->head_size;
}

ALWAYS_INLINE char *line_put(const struct export_plan *plan, const void *record,
			     char *at, const char *end, bool json)
{
	const struct export_step *step = plan->steps;
	const struct export_step *last = step + plan->step_count;

	if ((size_t)(end - at) < plan->size_max)
		return NULL;
	if (json && step == last)
		*at++ = '{';
	for (; step < last; step++) {
		at = head_put(step, at, json);
		if (value_absent(step, record))
			at = put_null(at, json);
		else if (step->number)
			at = number_put(step, record, at);
		else
			at = value_put(step, record, at, end, json);
		if (!at)
			return NULL;
	}
	if (json)
		*at++ = '}';
	*at++ = '\n';
	return at;
}

static char *json_line(const struct export_plan *plan, const void *record,
		       char *at, const char *end)
{
	return line_put(plan, record, at, end, true);
}

static char *csv_line(const struct export_plan *plan, const void *record,
		      char *at, const char *end)
{
	return line_put(plan, record, at, end, false);
}

/* Names of fields are plain words. */
static int csv_begin(struct export_text *text)
{
	int rc = 0;

	for (size_t i = 0; i < text->plan.step_count && rc == 0; i++) {
		const char *name = text->plan.steps[i].row->name;

		if (i > 0)
			rc = text_append(text, ",", 1);
		if (rc == 0)
			rc = text_append(text, name, strlen(name));
	}
	return rc ?: text_append(text, "\n", 1);
}

const struct export_ops export_json_ops = {.line = json_line};
const struct export_ops export_csv_ops = {.line = csv_line, .begin = csv_begin};
