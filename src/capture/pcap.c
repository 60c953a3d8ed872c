/* The backend that asks libpcap, for what the kernel's ring has no answer to:
 * special devices that only libpcap opens.
 *
 * libpcap lends a frame until the next call, so frames are copied to chunks
 * of our own and may be held like any other's.
 */
#include <errno.h>
#include <limits.h>
#include <linux/filter.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "capture/capture_private.h"
#include "capture/links_private.h"

#define CHUNK_SIZE  (1U << 20)
#define CHUNK_COUNT 32
#define READ_MS     10 /* how long libpcap gathers frames */
#define SETTLE_NS   (INT64_C(3000000) * READ_MS)

#define SLL2_SIZE     20 /* LINKTYPE_LINUX_SLL2 */
#define SLL2_IFINDEX  4
#define SLL2_PKTTYPE  10
#define SLL2_OUTGOING 4 /* PACKET_OUTGOING */

struct chunk {
	uint8_t *bytes;
	uint32_t used;
	uint32_t held; /* frames given out and not yet released */
};

struct pcap_capture {
	struct capture capture;
	pcap_t *pcap;
	struct links *links;
	const struct pcap_pkthdr *header; /* read and not yet given out */
	const uint8_t *bytes;
	struct mono quiesced_at;
	enum stamp_source stamp_source;
	uint32_t drop_seen; /* libpcap's own counts, which wrap */
	uint32_t ifdrop_seen;
	uint32_t at; /* the chunk being filled */
	uint16_t link_type;
	bool sll2;
	struct chunk chunks[CHUNK_COUNT];
};

static bool pcap_suits(const char *target)
{
	(void)target; /* only when asked for by name */
	return false;
}

static struct pcap_capture *self(struct capture *capture)
{
	return (struct pcap_capture *)capture;
}

/* --- opening ---------------------------------------------------------- */

static int fault_of(int status)
{
	switch (status) {
	case PCAP_ERROR_NO_SUCH_DEVICE:
		return -ENODEV;
	case PCAP_ERROR_PERM_DENIED:
	case PCAP_ERROR_PROMISC_PERM_DENIED:
		return -EPERM;
	case PCAP_ERROR_IFACE_NOT_UP:
		return -ENETDOWN;
	default:
		return -EIO;
	}
}

static const char *remedy_of(int status)
{
	switch (status) {
	case PCAP_ERROR_NO_SUCH_DEVICE:
		return "no such interface; 'ip link' lists them";
	case PCAP_ERROR_PERM_DENIED:
	case PCAP_ERROR_PROMISC_PERM_DENIED:
		return "no permission to capture; run it as root, or give it "
		       "the capability: setcap cap_net_raw+ep and the "
		       "program's path";
	case PCAP_ERROR_IFACE_NOT_UP:
		return "the interface is down; 'ip link set ... up'";
	default:
		return NULL;
	}
}

static int stamp_set(struct pcap_capture *p, enum capture_stamp want,
		     const char *target, struct fault *ret_fault)
{
	if (pcap_set_tstamp_precision(p->pcap, PCAP_TSTAMP_PRECISION_NANO) != 0)
		return fault_set(ret_fault, -EOPNOTSUPP,
				 "%s: no stamps in nanoseconds", target);
	p->stamp_source = STAMP_KERNEL;
	if (want != CAPTURE_STAMP_HARDWARE)
		return 0;
	p->stamp_source = STAMP_HARDWARE;
	if (pcap_set_tstamp_type(p->pcap, PCAP_TSTAMP_ADAPTER) == 0)
		return 0;
	return fault_set(ret_fault, -EOPNOTSUPP,
			 "%s: no hardware stamps for every frame; timestamps "
			 "'auto' or 'kernel' work",
			 target);
}

static int activate(struct pcap_capture *p,
		    const struct capture_options *options,
		    struct fault *ret_fault)
{
	uint64_t size = options->ring_size;
	int status;

	pcap_set_snaplen(p->pcap,
			 (int)(options->snap_size ?: CAPTURE_SNAP_MAX));
	pcap_set_promisc(p->pcap, options->promiscuous);
	pcap_set_timeout(p->pcap, READ_MS);
	pcap_set_buffer_size(p->pcap, size > INT_MAX ? INT_MAX : (int)size);
	status = pcap_activate(p->pcap);
	if (status >= 0)
		return 0;
	return fault_set(ret_fault, fault_of(status), "%s: %s", options->target,
			 remedy_of(status) ?: pcap_geterr(p->pcap));
}

static int filter_set(struct pcap_capture *p, const char *expression,
		      struct fault *ret_fault)
{
	struct bpf_program program;
	int code = 0;

	if (!expression || !*expression)
		return 0;
	if (pcap_compile(p->pcap, &program, expression, 1,
			 PCAP_NETMASK_UNKNOWN) != 0)
		return fault_set(ret_fault, ERR_FILTER, "filter '%s': %s",
				 expression, pcap_geterr(p->pcap));
	if (pcap_setfilter(p->pcap, &program) != 0)
		code = fault_set(ret_fault, ERR_FILTER, "filter '%s': %s",
				 expression, pcap_geterr(p->pcap));
	pcap_freecode(&program);
	return code;
}

/* Data link types of this system, as LINKTYPE_ numbers where they differ. */
static void link_type_set(struct pcap_capture *p)
{
	int dlt = pcap_datalink(p->pcap);

	if (dlt == DLT_LINUX_SLL &&
	    pcap_set_datalink(p->pcap, DLT_LINUX_SLL2) == 0)
		dlt = DLT_LINUX_SLL2; /* it names the interface */
	p->sll2 = dlt == DLT_LINUX_SLL2;
	p->link_type = dlt == DLT_RAW ? LINK_RAW : (uint16_t)dlt;
}

static int chunks_make(struct pcap_capture *p)
{
	for (size_t i = 0; i < CHUNK_COUNT; i++) {
		p->chunks[i].bytes = malloc(CHUNK_SIZE);
		if (!p->chunks[i].bytes)
			return -ENOMEM;
	}
	return 0;
}

static int pcap_setup(struct pcap_capture *p,
		      const struct capture_options *options,
		      struct fault *ret_fault)
{
	char text[PCAP_ERRBUF_SIZE] = "";
	int code;

	p->pcap = pcap_create(options->target, text);
	if (!p->pcap)
		return fault_set(ret_fault, -ENODEV, "%s: %s", options->target,
				 text);
	code = stamp_set(p, options->stamp, options->target, ret_fault);
	if (code == 0)
		code = activate(p, options, ret_fault);
	if (code < 0)
		return code;
	link_type_set(p);
	code = filter_set(p, options->filter, ret_fault);
	if (code < 0)
		return code;
	if (pcap_setnonblock(p->pcap, 1, text) != 0)
		return fault_set(ret_fault, -EIO, "%s: %s", options->target,
				 text);
	code = links_open(p->sll2 ? NULL : options->target, &p->links);
	if (code == 0)
		code = chunks_make(p);
	if (code < 0)
		fault_set(ret_fault, code, "%s: %s", options->target,
			  err_sentence(code));
	return code;
}

static void pcap_capture_close(struct capture *capture)
{
	struct pcap_capture *p = self(capture);

	if (p->pcap)
		pcap_close(p->pcap);
	links_close(p->links);
	for (size_t i = 0; i < CHUNK_COUNT; i++)
		free(p->chunks[i].bytes);
	free(p);
}

static int pcap_capture_open(const struct capture_options *options,
			     struct capture **ret_capture,
			     struct fault *ret_fault)
{
	struct pcap_capture *p;
	int code;

	if (options->worker_count > 1)
		return fault_set(ret_fault, -EINVAL,
				 "%s: backend 'pcap' has one worker; "
				 "'afpacket' has more",
				 options->target);
	p = calloc(1, sizeof *p);
	if (!p)
		return fault_set(ret_fault, -ENOMEM, "%s: %s", options->target,
				 err_sentence(-ENOMEM));
	p->capture.ops = &pcap_ops;
	code = pcap_setup(p, options, ret_fault);
	if (code < 0) {
		pcap_capture_close(&p->capture);
		return code;
	}
	*ret_capture = &p->capture;
	return 0;
}

/* --- frames ----------------------------------------------------------- */

/* Room for 'size' bytes; NULL: every chunk is held. */
static struct chunk *chunk_with_room(struct pcap_capture *p, uint32_t size)
{
	struct chunk *chunk = &p->chunks[p->at];

	if (!chunk->held)
		chunk->used = 0;
	if (CHUNK_SIZE - chunk->used >= size)
		return chunk;
	for (uint32_t i = 1; i < CHUNK_COUNT; i++) {
		uint32_t at = (p->at + i) % CHUNK_COUNT;

		if (p->chunks[at].held)
			continue;
		p->at = at;
		p->chunks[at].used = 0;
		return &p->chunks[at];
	}
	return NULL;
}

static void interface_set(struct pcap_capture *p, struct frame *frame)
{
	uint32_t ifindex;

	if (!p->sll2 || frame->captured_size < SLL2_SIZE)
		return;
	ifindex = (uint32_t)frame->bytes[SLL2_IFINDEX] << 24 |
		  (uint32_t)frame->bytes[SLL2_IFINDEX + 1] << 16 |
		  (uint32_t)frame->bytes[SLL2_IFINDEX + 2] << 8 |
		  frame->bytes[SLL2_IFINDEX + 3];
	frame->interface =
		links_number(p->links, (int)ifindex, frame->stamp.at);
	frame->outgoing = frame->bytes[SLL2_PKTTYPE] == SLL2_OUTGOING;
}

/* Copies the frame that was read; false: no room. */
static bool frame_copy(struct pcap_capture *p, struct frame *ret_frame)
{
	const struct pcap_pkthdr *header = p->header;
	struct chunk *chunk = chunk_with_room(p, header->caplen);
	struct wall at = {header->ts.tv_sec * NS_PER_S + header->ts.tv_usec};
	uint8_t *bytes;

	if (!chunk)
		return false;
	bytes = chunk->bytes + chunk->used;
	memcpy(bytes, p->bytes, header->caplen);
	chunk->used += header->caplen;
	chunk->held++;
	*ret_frame = (struct frame){
		.bytes = bytes,
		.captured_size = header->caplen,
		.size = header->len,
		.stamp = {at, p->stamp_source},
		.link_type = p->link_type,
		.hold = chunk,
	};
	interface_set(p, ret_frame);
	p->header = NULL;
	p->capture.counters.received++;
	p->capture.counters.received_bytes += header->len;
	return true;
}

/* Reads one frame unless one waits.  Returns 1, 0 (none there) or a negative
 * code. */
static int frame_read(struct pcap_capture *p)
{
	struct pcap_pkthdr *header;
	int status;

	if (p->header)
		return 1;
	status = pcap_next_ex(p->pcap, &header, &p->bytes);
	if (status == 1) {
		p->header = header;
		return 1;
	}
	if (status == 0)
		return 0;
	return fault_set(&p->capture.fault, fault_of(status), "%s: %s",
			 links_name(p->links, 0) ?: "any",
			 pcap_geterr(p->pcap));
}

static int frames_read(struct pcap_capture *p, int count_max,
		       struct frame *ret_frames)
{
	int count = 0;
	int status = 0;

	while (count < count_max && (status = frame_read(p)) > 0 &&
	       frame_copy(p, &ret_frames[count]))
		count++;
	return count || status > 0 ? count : status;
}

static struct mono mono_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (struct mono){now.tv_sec * NS_PER_S + now.tv_nsec};
}

static bool ended(const struct pcap_capture *p)
{
	return p->capture.quiesced &&
	       mono_ns_between(p->quiesced_at, mono_now()) >= SETTLE_NS;
}

/* Waits for frames or the end; returns the milliseconds left. */
static int wait_ms(struct pcap_capture *p, int timeout_ms)
{
	struct pollfd poll_fd = {.fd = pcap_get_selectable_fd(p->pcap),
				 .events = POLLIN};
	struct mono start = mono_now();
	int64_t gone_ms;
	int most = timeout_ms;

	if (p->capture.quiesced && (most < 0 || most > READ_MS))
		most = READ_MS;
	if (poll(&poll_fd, 1, most) < 0)
		return 0; /* a signal: the caller looks to it */
	if (timeout_ms < 0)
		return -1;
	gone_ms = mono_ns_between(start, mono_now()) / 1000000;
	return gone_ms >= timeout_ms ? 0 : timeout_ms - (int)gone_ms;
}

static int pcap_capture_next(struct capture *capture, int timeout_ms,
			     int count_max, struct frame *ret_frames)
{
	struct pcap_capture *p = self(capture);
	int left_ms = timeout_ms;

	for (;;) {
		bool last = ended(p); /* asked before, so that none is lost */
		int count = frames_read(p, count_max, ret_frames);

		if (count)
			return count;
		if (p->header)
			return 0; /* every chunk is held */
		if (last)
			return ERR_END;
		if (!left_ms)
			return 0;
		left_ms = wait_ms(p, left_ms);
	}
}

static void pcap_capture_release(struct capture *capture,
				 const struct frame *frames, int count)
{
	(void)capture;
	for (int i = 0; i < count; i++)
		((struct chunk *)frames[i].hold)->held--;
}

/* Not by pcap_setfilter(), which also empties what is waiting. */
static int pcap_capture_quiesce(struct capture *capture)
{
	struct pcap_capture *p = self(capture);
	struct sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
	struct sock_fprog program = {1, nothing};

	p->quiesced_at = mono_now();
	if (setsockopt(pcap_fileno(p->pcap), SOL_SOCKET, SO_ATTACH_FILTER,
		       &program, sizeof program) == 0 ||
	    errno == ENOTSOCK)
		return 0;
	return fault_set(&capture->fault, -errno, "cannot stop: %s",
			 err_sentence(-errno));
}

static int pcap_capture_fd(const struct capture *capture)
{
	return pcap_get_selectable_fd(
		((const struct pcap_capture *)capture)->pcap);
}

static const char *pcap_capture_interface(const struct capture *capture,
					  uint16_t index)
{
	return links_name(((const struct pcap_capture *)capture)->links, index);
}

static void pcap_capture_stats(struct capture *capture)
{
	struct pcap_capture *p = self(capture);
	struct pcap_stat stat;

	if (pcap_stats(p->pcap, &stat) != 0)
		return;
	capture->counters.dropped_kernel += stat.ps_drop - p->drop_seen;
	capture->counters.dropped_interface += stat.ps_ifdrop - p->ifdrop_seen;
	p->drop_seen = stat.ps_drop;
	p->ifdrop_seen = stat.ps_ifdrop;
}

static enum stamp_source
pcap_capture_stamp_source(const struct capture *capture)
{
	return ((const struct pcap_capture *)capture)->stamp_source;
}

const struct capture_ops pcap_ops = {
	.about = {"pcap", "interfaces, by libpcap", true},
	.suits = pcap_suits,
	.open = pcap_capture_open,
	.next = pcap_capture_next,
	.release = pcap_capture_release,
	.quiesce = pcap_capture_quiesce,
	.fd = pcap_capture_fd,
	.interface = pcap_capture_interface,
	.stats = pcap_capture_stats,
	.stamp_source = pcap_capture_stamp_source,
	.close = pcap_capture_close,
};
