/* What the files of base/option share.
 *
 * Threads: pure. */
#ifndef BASE_OPTION_PRIVATE_H
#define BASE_OPTION_PRIVATE_H

#include "base/option.h"

/* The row's place in the program's struct. */
void *option_slot(const struct option_group *group,
		  const struct option_row *row, void *options);

/* Whether 'name' is the row's, a dash and an underscore being one. */
bool option_named(const struct option_row *row, const char *name);

/* Sets one value (of a list: adds one entry) into the row's slot.  Returns
 * as option_set(); 'label' is the name in the sentence. */
int option_value_set(const struct option_row *row, const char *label,
		     const char *text, void *slot, struct fault *ret_fault);

void option_list_clear(struct option_list *list);

/* "NAME: no such option; did you mean ...?" */
int option_unknown(const struct option_table *table, const char *name,
		   int where, struct fault *ret_fault);

/* "64M to 2G", "table, json, csv"; "" where everything goes. */
void option_range_text(const struct option_row *row, char *buffer, size_t size);

/* "SIZE", or what the row says; "" for a bool. */
const char *option_placeholder(const struct option_row *row);

/* The preset as it would be written, or its note; "" for none. */
void option_preset_text(const struct option_row *row, char *buffer,
			size_t size);

/* The rows of a table by a running number; the set of those seen. */
#define OPTIONS_EACH(table, group, row)                          \
	for (const struct option_group *group = (table)->groups; \
	     group < (table)->groups + (table)->count; group++)  \
		for (const struct option_row *row = group->rows; \
		     row < group->rows + group->count; row++)

#endif
