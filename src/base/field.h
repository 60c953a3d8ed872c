/* A record's fields as rows: one table makes its JSON, CSV and SQLite.
 *
 * A room that defines a record declares a const array of field_row; whoever
 * writes records (export, store, cli) walks the rows and knows no field by
 * name.
 *
 * Threads: pure.
 */
#ifndef BASE_FIELD_H
#define BASE_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum field_type {
	FIELD_U8,
	FIELD_U16,
	FIELD_U32,
	FIELD_U64,
	FIELD_I64,
	FIELD_F64,     /* double; what is not finite is null */
	FIELD_HEX64,   /* uint64_t shown as 16 hexadecimal digits */
	FIELD_BOOL,    /* bool */
	FIELD_TIME,    /* struct wall: integer nanoseconds since 1970 */
	FIELD_ADDRESS, /* 16 bytes; 'aux' is the offset of a uint8_t 4 or 6 */
	FIELD_WORD,    /* uint8_t, an index into 'words'; NULL word: null */
	FIELD_TEXT,    /* char[], ends with a zero; "": null */
	FIELD_MILLI,   /* uint64_t thousandths: 1234567 is 1234.567 */
	/* Arrays; 'aux' is the offset of a uint8_t, how many there are. */
	FIELD_U8_LIST,
	FIELD_U32_LIST,
	FIELD_U64_LIST,
};

enum field_use {
	FIELD_SHOWN = 0,
	FIELD_STORED = 1, /* in the store alone: it names the record */
};

struct field_row {
	const char *name; /* the JSON key, the CSV head, the SQLite column */
	enum field_type type;
	size_t offset; /* in the record */
	size_t aux;    /* of the IP version, of a list's count; see the type */
	const char *const *words;
	const char *unit; /* "ns", "bytes", "packets", "" */
	uint16_t element; /* IPFIX information element, 0: none */
	bool reverse;     /* RFC 5103: the reverse of 'element' */
	enum field_use use;
	const char *help; /* one line, no full stop */
	/* Null unless one of these bits is set in the uint32_t at offset
	 * 'present' of the record; mask 0: never null for that reason. */
	uint32_t present_mask;
	size_t present;
	size_t size; /* FIELD_TEXT: of the array; 0: not known, and slower */
};

struct field_table {
	const struct field_row *rows;
	size_t count;
};

/* Both write into buffer (size bytes, zero-terminated when size > 0, cut if
 * too small) and return the length that the whole needs, as snprintf(). */

/* One field as text: a number, an address, a word; a list's numbers have a
 * blank between them; "" for null. */
size_t field_text(const struct field_row *row, const void *record, char *buffer,
		  size_t size);

/* One field as a JSON value: number, string, array of numbers, true/false or
 * null. */
size_t field_json(const struct field_row *row, const void *record, char *buffer,
		  size_t size);

/* Whether the field has a value at all (see FIELD_ADDRESS, FIELD_WORD,
 * FIELD_TEXT and present_mask). */
bool field_present(const struct field_row *row, const void *record);

/* The field as the 64 bits that SQLite's INTEGER takes; what is no integer
 * gives false (F64, MILLI, ADDRESS, WORD, TEXT, HEX64, lists), as does a field
 * that is null. */
bool field_integer(const struct field_row *row, const void *record,
		   int64_t *ret_value);

/* A row of FIELD_MILLI or FIELD_F64 as a number; 'ret_value' is written if it
 * is true. */
bool field_real(const struct field_row *row, const void *record,
		double *ret_value);

bool field_is_list(const struct field_row *row);

/* 'text' quoted and escaped as a JSON string (RFC 8259, section 7); bytes
 * that are not UTF-8 become U+FFFD. */
size_t json_quote(const char *text, char *buffer, size_t size);

#endif
