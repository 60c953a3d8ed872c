/* JSON lines: one object a record (RFC 8259), keys in the table's order. */
#include "export/export_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Heads up to this size are copied as so many bytes: a copy whose size the
 * compiler knows is a few instructions, and there are many heads a line. */
#define HEAD_COPY 32

/* {"name": or ,"name": */
static char *head_make(const char *name, bool first, size_t *ret_size)
{
	size_t quoted = json_quote(name, NULL, 0);
	char *head = calloc(1, quoted + 3 + HEAD_COPY);

	if (!head)
		return NULL;
	head[0] = first ? '{' : ',';
	(void)json_quote(name, head + 1, quoted + 1);
	head[1 + quoted] = ':';
	*ret_size = quoted + 2;
	return head;
}

int json_heads_make(struct export_text *text)
{
	text->heads = calloc(text->row_count + 1, sizeof(char *));
	text->head_sizes = calloc(text->row_count + 1, sizeof(size_t));
	if (!text->heads || !text->head_sizes)
		return -ENOMEM;
	for (size_t i = 0; i < text->row_count; i++) {
		text->heads[i] = head_make(text->rows[i]->name, i == 0,
					   &text->head_sizes[i]);
		if (!text->heads[i])
			return -ENOMEM;
	}
	return 0;
}

static inline void head_put(struct export_line *line, const char *head,
			    size_t size)
{
	if (size > HEAD_COPY || line_room(line) < HEAD_COPY) {
		line_put(line, head, size);
		return;
	}
	memcpy(line_end(line), head, HEAD_COPY);
	line->length += size;
}

static size_t json_line(const struct export_text *text, const void *record,
			char *at, size_t room)
{
	struct export_line line = {at, room, 0};

	if (text->row_count == 0)
		line_put(&line, "{", 1);
	for (size_t i = 0; i < text->row_count; i++) {
		head_put(&line, text->heads[i], text->head_sizes[i]);
		line.length += field_json(text->rows[i], record,
					  line_end(&line), line_room(&line));
	}
	line_put(&line, "}\n", 2);
	return line.length;
}

const struct export_ops export_json_ops = {.line = json_line};
