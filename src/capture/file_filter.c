/* A filter expression over a file's frames, one program a link type.
 *
 * A file may hold several link types, and an expression may make sense for
 * some of them only ("ether host ..." means nothing on raw IP): where
 * libpcap refuses it, no frame passes; where it refuses it for all that the
 * file holds, that is the user's mistake and file.c says so.
 */
#include "capture/file_private.h"

#include <errno.h>
#include <stdlib.h>

/* Tried before the file is opened, most common first: the first one's
 * sentence is what the user gets to see. */
static const int probe_types[] = {
	DLT_EN10MB, DLT_RAW,        DLT_LINUX_SLL,        DLT_NULL,
	DLT_PPP,    DLT_IEEE802_11, DLT_IEEE802_11_RADIO, DLT_MTP2,
};

#define PROBE_COUNT (sizeof probe_types / sizeof probe_types[0])

/* pcap's number for the file's, where they differ (on Linux). */
static int filter_dlt(uint16_t link_type)
{
	switch (link_type) {
	case 100:
		return DLT_ATM_RFC1483;
	case 101:
		return DLT_RAW;
	case 102:
		return DLT_SLIP_BSDOS;
	case 103:
		return DLT_PPP_BSDOS;
	case 106:
		return DLT_ATM_CLIP;
	default:
		return link_type;
	}
}

/* Returns 0, -ENOMEM or ERR_FILTER with libpcap's sentence. */
static int filter_compile(const char *text, int dlt,
			  struct bpf_program *ret_program,
			  struct fault *ret_fault)
{
	pcap_t *dead = pcap_open_dead(dlt, FILE_FRAME_SIZE_MAX);
	int rc = 0;

	if (!dead)
		return -ENOMEM;
	if (pcap_compile(dead, ret_program, text, 1, PCAP_NETMASK_UNKNOWN) < 0)
		rc = fault_set(ret_fault, ERR_FILTER, "filter '%s': %s", text,
			       pcap_geterr(dead));
	pcap_close(dead);
	return rc;
}

int filter_init(struct filter *filter, const char *text,
		struct fault *ret_fault)
{
	struct bpf_program program;
	int rc = ERR_FILTER;

	filter->text = NULL;
	if (!text || !*text)
		return 0;
	for (size_t i = 0; i < PROBE_COUNT && rc == ERR_FILTER; i++)
		rc = filter_compile(text, probe_types[i], &program,
				    i == 0 ? ret_fault : NULL);
	if (rc < 0)
		return rc;
	pcap_freecode(&program);
	filter->text = strdup(text);
	return filter->text ? 0 : -ENOMEM;
}

void filter_fini(struct filter *filter)
{
	for (unsigned int i = 0; i < filter->count; i++) {
		if (!filter->programs[i].refused)
			pcap_freecode(&filter->programs[i].program);
	}
	free(filter->text);
}

static struct filter_program *filter_find(struct filter *filter,
					  uint16_t link_type)
{
	for (unsigned int i = 0; i < filter->count; i++) {
		if (filter->programs[i].link_type == link_type)
			return &filter->programs[i];
	}
	return NULL;
}

bool filter_add(struct filter *filter, uint16_t link_type)
{
	struct filter_program *program;

	if (!filter->text)
		return true;
	program = filter_find(filter, link_type);
	if (program)
		return !program->refused;
	if (filter->count == FILTER_COUNT_MAX)
		return false;
	program = &filter->programs[filter->count++];
	program->link_type = link_type;
	program->refused =
		filter_compile(filter->text, filter_dlt(link_type),
			       &program->program,
			       filter->refused ? NULL : &filter->fault) < 0;
	filter->refused += program->refused;
	return !program->refused;
}

int filter_apply(struct filter *filter, struct frame *frames, int count)
{
	const struct filter_program *program = NULL;
	int kept = 0;

	for (int i = 0; i < count; i++) {
		const struct frame *frame = &frames[i];

		if (!program || program->link_type != frame->link_type)
			program = filter_find(filter, frame->link_type);
		if (!program || program->refused ||
		    !bpf_filter(program->program.bf_insns, frame->bytes,
				frame->size, frame->captured_size))
			continue;
		frames[kept++] = *frame;
	}
	return kept;
}
