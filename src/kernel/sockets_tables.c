/* The rows of the sockets' counters and fields, and their words. */
#include <string.h>

#include "kernel/kernel.h"

const struct counter_row kernel_sockets_counter_rows[] = {
	KERNEL_SOCKETS_COUNTERS(COUNTER_ROW)};
const size_t kernel_sockets_counter_count = sizeof kernel_sockets_counter_rows /
					    sizeof *kernel_sockets_counter_rows;

#define TCP_ROW(bits, name, unit, line) \
	{#name, unit, line, offsetof(struct kernel_tcp, name), bits},
#define BUFFER_ROW(bits, name, unit, line) \
	{#name, unit, line, offsetof(struct kernel_buffers, name), bits},

const struct kernel_field kernel_tcp_fields[] = {KERNEL_TCP_FIELDS(TCP_ROW)};
const size_t kernel_tcp_field_count =
	sizeof kernel_tcp_fields / sizeof *kernel_tcp_fields;
const struct kernel_field kernel_buffer_fields[] = {
	KERNEL_BUFFER_FIELDS(BUFFER_ROW)};
const size_t kernel_buffer_field_count =
	sizeof kernel_buffer_fields / sizeof *kernel_buffer_fields;

uint64_t kernel_field_get(const struct kernel_field *field, const void *record)
{
	const char *at = (const char *)record + field->offset;
	uint64_t wide;
	uint32_t narrow;

	if (field->bits == 32) {
		memcpy(&narrow, at, sizeof narrow);
		return narrow;
	}
	memcpy(&wide, at, sizeof wide);
	return wide;
}

const char *kernel_class_name(enum kernel_class kind)
{
	static const char *const names[KERNEL_CLASS_COUNT] = {
		"tcp", "udp", "raw", "mptcp", "unix", "packet", "other",
	};

	return (unsigned int)kind < KERNEL_CLASS_COUNT ? names[kind] : "?";
}

const char *kernel_close_name(enum kernel_close why)
{
	static const char *const names[] = {
		[KERNEL_CLOSE_NONE] = "",
		[KERNEL_CLOSE_FIN] = "fin",
		[KERNEL_CLOSE_ABORT] = "abort",
		[KERNEL_CLOSE_RESET] = "reset",
		[KERNEL_CLOSE_TIMEOUT] = "timeout",
		[KERNEL_CLOSE_ERROR] = "error",
		[KERNEL_CLOSE_REFUSED] = "refused",
		[KERNEL_CLOSE_NO_ANSWER] = "no_answer",
		[KERNEL_CLOSE_FAILED] = "failed",
		[KERNEL_CLOSE_GIVEN_UP] = "given_up",
		[KERNEL_CLOSE_LISTENER] = "listener",
	};

	return (size_t)why < sizeof names / sizeof *names ? names[why] : "?";
}
