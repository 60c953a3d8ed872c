#include "base/option.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/option_private.h"
#include "base/text.h"

void *option_slot(const struct option_group *group,
		  const struct option_row *row, void *options)
{
	return (char *)options + group->base + row->offset;
}

bool option_named(const struct option_row *row, const char *name)
{
	const char *own = row->name;

	while (*own && (*own == *name || (*own == '-' && *name == '_'))) {
		own++;
		name++;
	}
	return *own == *name;
}

void option_list_clear(struct option_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->texts[i]);
	free(list->texts);
	*list = (struct option_list){NULL, 0};
}

static int row_preset(const struct option_row *row, void *slot)
{
	char **text = slot;

	switch (row->type) {
	case OPTION_BOOL:
		*(bool *)slot = row->preset != 0;
		return 0;
	case OPTION_TEXT:
		*text = row->preset_text ? strdup(row->preset_text) : NULL;
		return row->preset_text && !*text ? -ENOMEM : 0;
	case OPTION_LIST:
		*(struct option_list *)slot = (struct option_list){NULL, 0};
		return row->preset_text
			       ? option_value_set(row, row->name,
						  row->preset_text, slot, NULL)
			       : 0;
	default:
		*(int64_t *)slot = row->preset;
		return 0;
	}
}

int options_init(const struct option_table *table, void *options)
{
	int rc = 0;

	OPTIONS_EACH(table, group, row)
	{
		int row_rc = row_preset(row, option_slot(group, row, options));

		rc = row_rc < 0 ? row_rc : rc;
	}
	if (rc < 0)
		options_fini(table, options);
	return rc;
}

void options_fini(const struct option_table *table, void *options)
{
	OPTIONS_EACH(table, group, row)
	{
		void *slot = option_slot(group, row, options);

		if (row->type == OPTION_TEXT) {
			free(*(char **)slot);
			*(char **)slot = NULL;
		}
		if (row->type == OPTION_LIST)
			option_list_clear(slot);
	}
}

const struct option_row *option_find(const struct option_table *table,
				     const char *name, int where,
				     const struct option_group **ret_group)
{
	OPTIONS_EACH(table, group, row)
	{
		if ((row->where && !(row->where & where)) ||
		    !option_named(row, name))
			continue;
		*ret_group = group;
		return row;
	}
	return NULL;
}

const char *option_nearest(const struct option_table *table, const char *name,
			   int where)
{
	const char *nearest = NULL;
	unsigned int least = UINT32_MAX;

	OPTIONS_EACH(table, group, row)
	{
		unsigned int distance = text_distance(name, row->name);

		if ((row->where && !(row->where & where)) || distance >= least)
			continue;
		if (!text_near(name, row->name))
			continue;
		nearest = row->name;
		least = distance;
	}
	return nearest;
}

int option_unknown(const struct option_table *table, const char *name,
		   int where, struct fault *ret_fault)
{
	const char *nearest = option_nearest(table, name, where);
	char written[64] = "";

	if (!nearest)
		return fault_set(ret_fault, ERR_OPTION_UNKNOWN, "%.80s: %s",
				 name,
				 where == OPTION_CONFIG ? "no such key"
							: "no such option");
	snprintf(written, sizeof written, "%s", nearest);
	for (char *at = written; *at; at++) {
		if (where == OPTION_CONFIG && *at == '-')
			*at = '_';
	}
	return fault_set(ret_fault, ERR_OPTION_UNKNOWN,
			 "%.80s: no such %s; did you mean '%s%s'?", name,
			 where == OPTION_CONFIG ? "key" : "option",
			 where == OPTION_CONFIG ? "" : "--", written);
}

int option_set(const struct option_table *table, const char *name,
	       const char *text, void *options, struct fault *ret_fault)
{
	const struct option_group *group;
	const struct option_row *row =
		option_find(table, name, OPTION_LINE | OPTION_CONFIG, &group);

	if (!row)
		return option_unknown(table, name, OPTION_LINE | OPTION_CONFIG,
				      ret_fault);
	return option_value_set(row, name, text,
				option_slot(group, row, options), ret_fault);
}
