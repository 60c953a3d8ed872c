/* What a line of JSON or CSV is made of, worked out once. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/digits.h"
#include "export/export_private.h"

/* Bytes of a value at most, with its quotes; strings of unknown size and
 * lists: those of null. */
static size_t value_size_max(const struct field_row *row)
{
	switch (row->type) {
	case FIELD_WORD:
		return STEP_WORD_SIZE;
	case FIELD_TEXT:
		return (row->size > 4 ? row->size : 4) + 2;
	case FIELD_ADDRESS:
		return DIGITS_IP6_MAX + 2;
	case FIELD_MILLI:
		return DIGITS_MILLI_MAX;
	default: /* the longest of all numbers */
		return DIGITS_U64_MAX;
	}
}

/* {"name": or ,"name": or a comma; the first of a line of CSV has none. */
static size_t head_size(const struct field_row *row, bool first, bool json)
{
	return json ? json_quote(row->name, NULL, 0) + 2 : !first;
}

static size_t head_room(size_t size)
{
	return (size / STEP_HEAD + 1) * STEP_HEAD;
}

static void head_write(const struct field_row *row, bool first, bool json,
		       char *head)
{
	size_t quoted;

	head[0] = json && first ? '{' : ',';
	if (!json)
		return;
	quoted = json_quote(row->name, NULL, 0);
	(void)json_quote(row->name, head + 1, quoted + 1);
	head[1 + quoted] = ':';
}

static size_t unsigned_size(const struct field_row *row)
{
	switch (row->type) {
	case FIELD_U8:
		return 1;
	case FIELD_U16:
		return 2;
	case FIELD_U32:
		return 4;
	case FIELD_U64:
		return 8;
	default:
		return 0;
	}
}

/* Integers of every size become one kind of step, and a line one long run of
 * them: a step that is told by a jump is often guessed wrong. */
static void number_make(struct export_step *step)
{
	size_t size = unsigned_size(step->row);

	if (size == 0 || step->offset + size < 8 ||
	    __BYTE_ORDER != __LITTLE_ENDIAN)
		return;
	step->number = true;
	step->shift = (uint8_t)(64 - size * 8);
	step->load = step->offset + size - 8;
}

static int step_make(struct export_step *step, const struct field_row *row,
		     size_t size)
{
	*step = (struct export_step){.row = row,
				     .head_size = size,
				     .type = row->type,
				     .present_mask = row->present_mask,
				     .offset = row->offset,
				     .aux = row->aux,
				     .present = row->present,
				     .size = row->size};
	number_make(step);
	if (row->type != FIELD_WORD)
		return 0;
	step->words = malloc(STEP_WORDS * sizeof *step->words);
	if (!step->words)
		return -ENOMEM;
	for (size_t i = 0; i < STEP_WORDS; i++)
		step->words[i].size = STEP_WORD_UNKNOWN;
	return 0;
}

static int steps_make(struct export_plan *plan, const struct field_table *table,
		      bool json)
{
	int rc = 0;

	for (size_t i = 0; i < table->count && rc == 0; i++) {
		const struct field_row *row = &table->rows[i];
		bool first = plan->step_count == 0;
		size_t size;

		if (row->use != FIELD_SHOWN)
			continue;
		size = head_size(row, first, json);
		rc = step_make(&plan->steps[plan->step_count++], row, size);
		plan->heads_size += head_room(size);
		plan->size_max += size + value_size_max(row);
	}
	return rc;
}

/* Heads stand one after another; what is left of a line gets shorter. */
static void steps_join(struct export_plan *plan, bool json)
{
	size_t rest = plan->size_max;
	char *head = plan->heads;

	for (size_t i = 0; i < plan->step_count; i++) {
		struct export_step *step = &plan->steps[i];

		assert(step->row);
		head_write(step->row, i == 0, json, head);
		step->head = head;
		head += head_room(step->head_size);
		rest -= step->head_size + value_size_max(step->row);
		step->rest = rest;
	}
}

int plan_make(struct export_plan *plan, const struct field_table *table,
	      bool json)
{
	int rc;

	/* What is stored behind the last step. */
	plan->size_max = sizeof "{}\n" + STEP_HEAD + DIGITS_SLACK;
	plan->steps = calloc(table->count + 1, sizeof *plan->steps);
	if (!plan->steps)
		return -ENOMEM;
	rc = steps_make(plan, table, json);
	if (rc < 0)
		return rc;
	plan->heads = calloc(plan->heads_size + 1, 1);
	if (!plan->heads)
		return -ENOMEM;
	steps_join(plan, json);
	return 0;
}

void plan_free(struct export_plan *plan)
{
	for (size_t i = 0; i < plan->step_count; i++)
		free(plan->steps[i].words);
	free(plan->steps);
	free(plan->heads);
}
