/* Texts kept once: ten thousand processes have a dozen programs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "owner/owner_private.h"

#define HEADS 16384

struct text {
	struct text *next;
	uint32_t refs;
	uint32_t head;
	size_t length;
	char bytes[];
};

int owner_texts_init(struct texts *texts, size_t bytes_max)
{
	texts->bytes_max = bytes_max;
	texts->heads = calloc(HEADS, sizeof *texts->heads);
	return texts->heads ? 0 : -ENOMEM;
}

void owner_texts_fini(struct texts *texts)
{
	for (size_t i = 0; texts->heads && i < HEADS; i++) {
		struct text *next;

		for (struct text *text = texts->heads[i]; text; text = next) {
			next = text->next;
			free(text);
		}
	}
	free(texts->heads);
}

static struct text *text_of(const char *bytes)
{
	return (struct text *)(bytes - offsetof(struct text, bytes));
}

static void text_drop(struct texts *texts, const char *bytes)
{
	struct text *text, **at;

	if (!bytes)
		return;
	text = text_of(bytes);
	if (--text->refs > 0)
		return;
	for (at = &texts->heads[text->head]; *at != text; at = &(*at)->next)
		;
	*at = text->next;
	texts->bytes -= sizeof *text + text->length + 1;
	free(text);
}

static struct text *text_make(struct texts *texts, uint32_t head,
			      const char *bytes, size_t length)
{
	struct text *text;

	if (texts->bytes + sizeof *text + length + 1 > texts->bytes_max ||
	    !(text = malloc(sizeof *text + length + 1))) {
		texts->refused++;
		return NULL;
	}
	*text = (struct text){texts->heads[head], 0, head, length};
	memcpy(text->bytes, bytes, length);
	text->bytes[length] = 0;
	texts->heads[head] = text;
	texts->bytes += sizeof *text + length + 1;
	return text;
}

static uint32_t head_of(const char *bytes, size_t length)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (uint8_t)bytes[i]) * UINT64_C(0x100000001b3);
	return (uint32_t)(owner_hash_number(hash) % HEADS);
}

void owner_text_set(struct texts *texts, const char **at, const char *bytes,
		    size_t length)
{
	struct text *text = NULL;
	const char *old = *at;

	if (bytes) {
		uint32_t head;

		length = strnlen(bytes, length);
		head = head_of(bytes, length);
		text = texts->heads[head];
		while (text && (text->length != length ||
				memcmp(text->bytes, bytes, length) != 0))
			text = text->next;
		if (!text)
			text = text_make(texts, head, bytes, length);
		if (text)
			text->refs++;
	}
	*at = text ? text->bytes : NULL;
	text_drop(texts, old);
}

void owner_text_share(struct texts *texts, const char **at, const char *other)
{
	const char *old = *at;

	if (other)
		text_of(other)->refs++;
	*at = other;
	text_drop(texts, old);
}
