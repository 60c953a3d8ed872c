/* Names of the running kernel's numbers, from its own description. */
#include <stdlib.h>
#include <string.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "kernel/sockets_private.h"

#define NAMES_MAX 1024

static const struct btf_type *enum_find(const struct btf *btf, const char *type)
{
	int id = btf__find_by_name_kind(btf, type, BTF_KIND_ENUM);

	return id < 0 ? NULL : btf__type_by_id(btf, (unsigned int)id);
}

uint32_t sockets_enum_value(const struct btf *btf, const char *type,
			    const char *name, uint32_t missing)
{
	const struct btf_type *found = enum_find(btf, type);
	const struct btf_enum *values;

	if (!found)
		return missing;
	values = btf_enum(found);
	for (unsigned int i = 0; i < btf_vlen(found); i++) {
		if (!strcmp(btf__name_by_offset(btf, values[i].name_off), name))
			return (uint32_t)values[i].val;
	}
	return missing;
}

static const char *past(const char *text, const char *prefix)
{
	size_t size = strlen(prefix);

	return strncmp(text, prefix, size) == 0 ? text + size : text;
}

static void names_fill(struct sockets_names *names, const struct btf *btf,
		       const char *type, const char *prefix)
{
	const struct btf_type *found = enum_find(btf, type);
	const struct btf_enum *values;

	if (!found)
		return;
	names->names = calloc(NAMES_MAX, sizeof *names->names);
	if (!names->names)
		return;
	names->count = NAMES_MAX;
	values = btf_enum(found);
	for (unsigned int i = 0; i < btf_vlen(found); i++) {
		const char *name = btf__name_by_offset(btf, values[i].name_off);
		uint32_t number = (uint32_t)values[i].val;

		if (number < NAMES_MAX && !names->names[number])
			names->names[number] =
				strdup(past(past(name, prefix), "SKB_"));
	}
}

static void names_free(struct sockets_names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->names[i]);
	free(names->names);
	*names = (struct sockets_names){0};
}

void sockets_names_read(struct kernel_sockets *sockets)
{
	names_fill(&sockets->drop_names, sockets->btf, "skb_drop_reason",
		   "SKB_DROP_REASON_");
	names_fill(&sockets->reset_names, sockets->btf, "sk_rst_reason",
		   "SK_RST_REASON_");
}

void sockets_names_free(struct kernel_sockets *sockets)
{
	names_free(&sockets->drop_names);
	names_free(&sockets->reset_names);
}

static const char *name_of(const struct sockets_names *names, uint32_t number)
{
	return number < names->count ? names->names[number] : NULL;
}

const char *kernel_drop_name(const struct kernel_sockets *sockets,
			     uint32_t reason)
{
	return name_of(&sockets->drop_names, reason);
}

const char *kernel_reset_name(const struct kernel_sockets *sockets,
			      uint32_t reason)
{
	return name_of(&sockets->reset_names, reason);
}
