/* Numbers and times as people read them, and names that nearly match.
 *
 * Every function that writes takes a buffer of TEXT_SIZE bytes or more where
 * it says so, writes a whole text and returns the buffer, so that it can
 * stand in a printf's arguments.
 *
 * Threads: pure, any thread.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXT_SIZE 32

/* 1234567: "1,234,567". */
char *text_thousands(uint64_t value, char ret_text[static TEXT_SIZE]);

/* Three digits and a prefix of 1,000: 999: "999", 12345: "12.3k". */
char *text_count(double value, char ret_text[static TEXT_SIZE]);

/* Bits a second: "0 bit/s", "12.3 Mbit/s". */
char *text_rate_bits(double rate_bps, char ret_text[static TEXT_SIZE]);

/* Bytes, prefixes of 1,000: "12.3 MB". */
char *text_bytes(double bytes, char ret_text[static TEXT_SIZE]);

/* A span as a clock: 59 s: "59s", 61 s: "1m01s", then "2h03m", "4d05h". */
char *text_age(int64_t ns, char ret_text[static TEXT_SIZE]);

/* Exact, as options are written: 268435456: "256M", 300 s: "5m". */
char *text_size_exact(int64_t bytes, char ret_text[static TEXT_SIZE]);
char *text_duration_exact(int64_t ns, char ret_text[static TEXT_SIZE]);

/* Edits (insert, remove, replace, swap neighbours) from 'a' to 'b'; '-' and
 * '_' are one letter, case does not count.  Texts beyond 63 bytes: never
 * near. */
unsigned int text_distance(const char *a, const char *b);

/* Whether 'typed' may have been meant as 'name': a few edits, or its
 * beginning. */
bool text_near(const char *typed, const char *name);

#endif
