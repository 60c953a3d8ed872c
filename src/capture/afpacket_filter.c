/* Which frames are wanted: in the kernel where it judges them rightly, else
 * here.
 *
 * A filter expression speaks of the frame as it was on the wire.  The kernel
 * sees another frame where the card or the driver has taken the VLAN tag off,
 * and compiled code fits one link type only.  So the kernel's program begins
 * with a switch: Ethernet without such a tag goes through the expression
 * there; anything else passes, and is judged here once its tag is back.
 * Classic BPF and its ancillary loads: Linux
 * Documentation/networking/filter.rst.
 */
#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "capture/afpacket_private.h"

#include <net/if_arp.h>

#define ANCILLARY(what) ((uint32_t)(SKF_AD_OFF + (what)))
#define PREFIX_MAX      16
#define PATCH_MAX       16

/* The expression's code for one link type, to be run here.  Loads of what
 * only the kernel knows are put in as constants before each run. */
struct code {
	struct bpf_program program;
	uint16_t patches[PATCH_MAX]; /* where these loads are */
	uint32_t loads[PATCH_MAX];   /* what each asked for */
	uint32_t patch_count;
	bool good; /* compiled for this link type */
};

struct afpacket_filter {
	bool everything; /* no expression */
	bool kept_out;   /* of the kernel */
	struct code ethernet;
	struct code raw;
	uint32_t snap_size;
	uint32_t count; /* of 'instructions' */
	struct sock_filter instructions[AFPACKET_PROGRAM_MAX];
};

static int code_compile(struct code *code, int dlt, const char *expression,
			uint32_t snap_size, struct fault *ret_fault)
{
	pcap_t *pcap = pcap_open_dead(dlt, (int)snap_size);
	int result = 0;

	if (!pcap)
		return -ENOMEM;
	if (pcap_compile(pcap, &code->program, expression, 1,
			 PCAP_NETMASK_UNKNOWN) != 0)
		result = fault_set(ret_fault, ERR_FILTER, "filter '%s': %s",
				   expression, pcap_geterr(pcap));
	else
		code->good = true;
	pcap_close(pcap);
	return result;
}

/* 'inbound', 'outbound' and 'ifindex' compile to ancillary loads. */
static void code_patches_find(struct code *code)
{
	for (uint32_t i = 0; code->good && i < code->program.bf_len; i++) {
		struct bpf_insn *instruction = &code->program.bf_insns[i];

		if (BPF_CLASS(instruction->code) != BPF_LD ||
		    BPF_MODE(instruction->code) != BPF_ABS ||
		    instruction->k < ANCILLARY(0))
			continue;
		if (code->patch_count == PATCH_MAX) {
			code->good = false; /* no one writes such a thing */
			return;
		}
		code->loads[code->patch_count] = instruction->k;
		code->patches[code->patch_count++] = (uint16_t)i;
		instruction->code = BPF_LD | BPF_IMM;
	}
}

static bool code_run(struct code *code, const struct frame *frame, int ifindex)
{
	if (!code->good)
		return false;
	for (uint32_t i = 0; i < code->patch_count; i++) {
		struct bpf_insn *load =
			&code->program.bf_insns[code->patches[i]];

		if (code->loads[i] == ANCILLARY(SKF_AD_PKTTYPE))
			load->k =
				frame->outgoing ? PACKET_OUTGOING : PACKET_HOST;
		else if (code->loads[i] == ANCILLARY(SKF_AD_IFINDEX))
			load->k = (uint32_t)ifindex;
		else
			load->k = 0;
	}
	return bpf_filter(code->program.bf_insns, frame->bytes, frame->size,
			  frame->captured_size);
}

static void emit(struct afpacket_filter *filter, uint16_t code, uint32_t k)
{
	filter->instructions[filter->count++] =
		(struct sock_filter)BPF_STMT(code, k);
}

/* If A is k, skips 'yes' instructions, else 'no'. */
static void emit_jump(struct afpacket_filter *filter, uint32_t k, uint8_t yes,
		      uint8_t no)
{
	filter->instructions[filter->count++] = (struct sock_filter)BPF_JUMP(
		BPF_JMP | BPF_JEQ | BPF_K, k, yes, no);
}

/* A frame sent to oneself is seen leaving and arriving: leave one out. */
static void emit_loopback(struct afpacket_filter *filter)
{
	emit(filter, BPF_LD | BPF_W | BPF_ABS, ANCILLARY(SKF_AD_PKTTYPE));
	emit_jump(filter, PACKET_OUTGOING, 0, 3);
	emit(filter, BPF_LD | BPF_W | BPF_ABS, ANCILLARY(SKF_AD_HATYPE));
	emit_jump(filter, ARPHRD_LOOPBACK, 0, 1);
	emit(filter, BPF_RET | BPF_K, 0);
}

/* Passes a frame to be judged here, which may take more of it than the snap
 * size leaves. */
static void emit_pass_whole(struct afpacket_filter *filter)
{
	emit(filter, BPF_RET | BPF_K, CAPTURE_SNAP_MAX);
}

static void emit_expression(struct afpacket_filter *filter)
{
	const struct bpf_program *program = &filter->ethernet.program;

	emit(filter, BPF_LD | BPF_W | BPF_ABS,
	     ANCILLARY(SKF_AD_VLAN_TAG_PRESENT));
	emit_jump(filter, 0, 0, 3);
	emit(filter, BPF_LD | BPF_W | BPF_ABS, ANCILLARY(SKF_AD_HATYPE));
	emit_jump(filter, ARPHRD_ETHER, 2, 0);
	emit_jump(filter, ARPHRD_LOOPBACK, 1, 0);
	emit_pass_whole(filter);
	for (uint32_t i = 0; i < program->bf_len; i++) {
		const struct bpf_insn *one = &program->bf_insns[i];

		filter->instructions[filter->count++] = (struct sock_filter){
			one->code, one->jt, one->jf, one->k};
	}
}

static void program_build(struct afpacket_filter *filter)
{
	filter->count = 0;
	emit_loopback(filter);
	if (filter->everything)
		emit(filter, BPF_RET | BPF_K, filter->snap_size);
	else if (filter->kept_out)
		emit_pass_whole(filter);
	else
		emit_expression(filter);
}

int afpacket_filter_open(const char *expression, uint32_t snap_size,
			 uint16_t link_type,
			 struct afpacket_filter **ret_filter,
			 struct fault *ret_fault)
{
	struct afpacket_filter *filter = calloc(1, sizeof *filter);
	struct fault fault_raw = {""};
	int code = 0;
	int code_raw = 0;

	if (!filter)
		return -ENOMEM;
	filter->snap_size = snap_size;
	filter->everything = !expression || !*expression;
	if (!filter->everything) {
		code = code_compile(&filter->ethernet, DLT_EN10MB, expression,
				    snap_size, ret_fault);
		code_raw = code_compile(&filter->raw, DLT_RAW, expression,
					snap_size, &fault_raw);
	}
	if (link_type == LINK_RAW && code_raw < 0) {
		code = code_raw;
		*ret_fault = fault_raw;
	} else if (link_type == LINK_RAW) {
		code = 0;
	}
	if (code < 0) {
		afpacket_filter_close(filter);
		return code;
	}
	filter->kept_out = !filter->ethernet.good ||
			   filter->ethernet.program.bf_len + PREFIX_MAX >
				   AFPACKET_PROGRAM_MAX;
	program_build(filter);
	code_patches_find(&filter->ethernet);
	code_patches_find(&filter->raw);
	*ret_filter = filter;
	return 0;
}

void afpacket_filter_close(struct afpacket_filter *filter)
{
	if (!filter)
		return;
	pcap_freecode(&filter->ethernet.program);
	pcap_freecode(&filter->raw.program);
	free(filter);
}

struct sock_fprog afpacket_filter_program(const struct afpacket_filter *filter)
{
	return (struct sock_fprog){
		(unsigned short)filter->count,
		(struct sock_filter *)filter->instructions,
	};
}

bool afpacket_filter_keep_out(struct afpacket_filter *filter)
{
	if (filter->everything || filter->kept_out)
		return false;
	filter->kept_out = true;
	program_build(filter);
	return true;
}

bool afpacket_filter_needed(const struct afpacket_filter *filter,
			    uint16_t link_type, bool tagged)
{
	return !filter->everything &&
	       (filter->kept_out || tagged || link_type != LINK_ETHERNET);
}

bool afpacket_filter_run(struct afpacket_filter *filter,
			 const struct frame *frame, int ifindex)
{
	if (frame->link_type == LINK_ETHERNET)
		return code_run(&filter->ethernet, frame, ifindex);
	if (frame->link_type == LINK_RAW)
		return code_run(&filter->raw, frame, ifindex);
	return false;
}

struct sock_fprog afpacket_filter_nothing(void)
{
	static struct sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};

	return (struct sock_fprog){1, nothing};
}
