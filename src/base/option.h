/* Options: one row each, and everything else from the row.
 *
 * The same rows parse the command line and the configuration file, print
 * --help, the manual page and the commented default file, and word every
 * mistake:
 *
 *     ring-size: 16M is out of range: 64M to 2G
 *
 *     init -> { line_parse | config_parse }* -> fini
 *
 * Rows come in groups (a heading each), and a group can be shared by several
 * programs: its rows hold offsets into a struct of the group's own, which
 * lies 'base' bytes into the program's.  A name has dashes on the command
 * line and, in the file, underscores as well.
 *
 * Threads: pure but for the streams handed in; any thread.
 */
#ifndef BASE_OPTION_H
#define BASE_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

/* What a row's place in the options struct holds. */
enum option_type {
	OPTION_COUNT,    /* int64_t; suffixes k, M, G are powers of 1,000 */
	OPTION_SIZE,     /* int64_t, bytes; K, M, G, T are powers of 1,024 */
	OPTION_DURATION, /* int64_t, ns; bare number: s; ms s m h d w */
	OPTION_BOOL,     /* bool; the line knows --name and --no-name */
	OPTION_WORD,     /* int64_t, an index into 'words' */
	OPTION_TEXT,     /* char *, owned; NULL: not given */
	OPTION_LIST,     /* struct option_list; repeats, or commas */
};

/* Where a row can be set; 0 means both. */
#define OPTION_LINE   1 /* on the command line only */
#define OPTION_CONFIG 2 /* in the configuration file only */

struct option_list {
	char **texts; /* owned, as is each */
	size_t count;
};

struct option_row {
	const char *name; /* with dashes */
	char letter;      /* of the short form; 0: none */
	uint8_t where;
	bool zero; /* 0 is allowed beside min to max */
	enum option_type type;
	size_t offset;
	int64_t preset; /* of numbers, bool and word */
	int64_t min, max;
	const char *const *words; /* OPTION_WORD, ends with NULL */
	const char *preset_text;  /* of a text; a list's only entry; or NULL */
	const char *preset_note;  /* what "not given" means, for people */
	const char *placeholder;  /* "SIZE"; NULL: by the type */
	const char *help;         /* one line, no full stop */
	/* Of a text: whether its content will do; NULL: all does.  Returns 0
	 * or a code with what is wrong, which the name is put before. */
	int (*check)(const char *text, struct fault *ret_fault);
};

struct option_group {
	const char *title;
	const struct option_row *rows;
	size_t count;
	size_t base; /* of the group's struct in the program's */
};

struct option_table {
	const struct option_group *groups;
	size_t count;
};

/* Most rows of one table. */
#define OPTION_ROWS_MAX 64

/* Writes every preset; 'options' is the struct that the rows point into.
 * Returns 0 or -ENOMEM.  options_fini() then frees texts and lists. */
int options_init(const struct option_table *table, void *options);
void options_fini(const struct option_table *table, void *options);

/* Sets 'name' (dashes or underscores) from 'text', adding to a list.
 * Returns 0, ERR_OPTION_UNKNOWN, -EINVAL (not of the type),
 * ERR_OPTION_RANGE or -ENOMEM; on failure 'options' is as it was and
 * *ret_fault says "NAME: what is wrong", the name as it was given. */
int option_set(const struct option_table *table, const char *name,
	       const char *text, void *options, struct fault *ret_fault);

/* What a command line had beside options, and its first mistake. */
struct option_line {
	const char **rest; /* room for argc texts, borrowed from argv; NULL:
			      not wanted */
	int rest_count;
	struct fault fault;
};

/* Reads a command line (argv[0] is skipped): --name value, --name=value,
 * -x value, -xvalue, -xy for flags, --no-name for bools, -- for the end.
 * What is no option goes to line->rest, in order.  A list is emptied by its
 * first option.  Returns 0, or as option_set() at the first mistake. */
int options_line_parse(const struct option_table *table, int argc,
		       char *const *argv, void *options,
		       struct option_line *line);

/* Called for each mistake: "FILE:LINE: key: what is wrong". */
typedef void option_report(void *context, const char *sentence);

/* A configuration file and who hears of its mistakes. */
struct option_source {
	const struct option_table *table;
	const char *name; /* of the file, in the sentences too */
	option_report *report;
	void *context;
};

/* Reads a configuration: 'key = value' lines, # comments, "quoted text",
 * lists with commas.  Every mistake is reported, not only the first; keys
 * without one are set.  Returns the count of mistakes or -ENOMEM. */
int options_config_parse(const struct option_source *source, const char *bytes,
			 size_t size, void *options);

/* The same from the file 'source->name'.  Returns as above or a negative
 * errno of opening or reading it (-ENOENT, -EFBIG above 1 MiB, ...), which
 * is not reported. */
int options_config_read(const struct option_source *source, void *options);

/* The name that was nearly given; NULL: none is near.  'where' is
 * OPTION_LINE or OPTION_CONFIG. */
const char *option_nearest(const struct option_table *table, const char *name,
			   int where);

/* The row of 'name', and the group it is in; NULL: none. */
const struct option_row *option_find(const struct option_table *table,
				     const char *name, int where,
				     const struct option_group **ret_group);

/* The row's value as it would be written ("256M", "5m", "yes"), cut to
 * 'size'; lists joined by commas, "" for a text not given. */
void option_format(const struct option_row *row, const void *group_options,
		   char *buffer, size_t size);

/* --help's part for the rows, the manual page's (roff), and a commented
 * configuration file with every preset. */
void options_help_print(const struct option_table *table, FILE *to);
void options_man_print(const struct option_table *table, FILE *to);
void options_config_print(const struct option_table *table, FILE *to);

#endif
