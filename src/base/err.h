/* Error codes of every room, and the sentence that goes with a failure.
 *
 * A function that can fail returns 0 or a negative code: an errno value as
 * the system gave it (-ENOENT), or one of ours, at or below ERR_BASE.  One
 * int carries both, and err_sentence() explains both.  Where a bare code
 * would leave the user guessing, the function also fills a 'struct fault'
 * with the whole sentence: what failed, on which object, why, the remedy.
 *
 * Threads: pure, any thread.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#define ERR_BASE (-1000)

/* X(name, what the user reads after "object: ") */
#define ERR_TABLE(X)                                                          \
	X(ERR_BACKEND_UNKNOWN, "no such backend; 'sonde doctor' lists them")  \
	X(ERR_OPTION_UNKNOWN, "no such option")                               \
	X(ERR_OPTION_RANGE, "value out of range")                             \
	X(ERR_FILTER, "the filter expression does not compile")               \
	X(ERR_FILE_FOREIGN, "not a capture file: neither pcap nor pcapng")    \
	X(ERR_FILE_TRUNCATED, "the file ends inside a record")                \
	X(ERR_FILE_CORRUPT, "the file is damaged")                            \
	X(ERR_STORE_SCHEMA, "this version cannot read the database's schema") \
	X(ERR_STORE_BEHIND, "the store cannot keep up; records are waiting")  \
	X(ERR_STATE, "not possible in this state of the session")             \
	X(ERR_NOT_BUILT, "not part of this build yet")                        \
	X(ERR_END, "end of the capture")

#define ERR_INDEX(name, sentence) name##_INDEX,
enum err_index { ERR_TABLE(ERR_INDEX) ERR_COUNT };
#undef ERR_INDEX

#define ERR_CODE(name, sentence) name = ERR_BASE - (int)name##_INDEX,
enum err { ERR_TABLE(ERR_CODE) };
#undef ERR_CODE

/* The sentence for 'code' (0, -errno or ours); never NULL, static. */
const char *err_sentence(int code);

/* A sentence for the user, without "sonde: " before or a newline behind. */
struct fault {
	char text[256];
};

/* Writes a sentence (printf's rules, cut to fit, control characters as "?":
 * a file's name or a filter may have them) and returns 'code', so that
 * a failing function can end in one line.  'fault' may be NULL. */
int fault_set(struct fault *fault, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
