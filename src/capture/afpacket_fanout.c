/* One interface over several captures: PACKET_FANOUT (packet(7)).
 *
 * A program of ours picks the member by the two IP addresses alone, combined
 * so that their order does not matter: both directions of a flow and all
 * fragments of a datagram reach the same member.  The kernel's own hash
 * takes ports too, which later fragments lack.
 *
 * The program looks at the frame from its link layer on.  There incoming and
 * outgoing frames look the same; where the kernel thinks that the network
 * layer begins differs between them for a frame with tags.
 */
#include <assert.h>
#include <errno.h>
#include <linux/filter.h>
#include <net/if_arp.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "capture/afpacket_private.h"

#define ANCILLARY(what) ((uint32_t)(SKF_AD_OFF + (what)))
#define LINK(offset)    ((uint32_t)(SKF_LL_OFF + (offset)))
#define NET(offset)     ((uint32_t)(SKF_NET_OFF + (offset)))

#define PROGRAM_MAX   192
#define GROUP_MAX     64
#define MEMBER_MAX    256
#define ETHERTYPE_IP4 0x0800
#define ETHERTYPE_IP6 0x86dd
#define TAG_C         0x8100 /* IEEE 802.1Q */
#define TAG_S         0x88a8 /* IEEE 802.1ad */
#define TAG_Q         0x9100 /* the same, before its standard */

/* Instructions, which jumps have to know. */
#define HASH_COUNT_IP4 (1 + 3 + 5)     /* of emit_hash(2) */
#define HASH_COUNT_IP6 (1 + 3 * 7 + 5) /* of emit_hash(8) */
#define RAW_COUNT      (2 + 1 + HASH_COUNT_IP4 + 1 + HASH_COUNT_IP6 + 1)

struct program {
	struct sock_filter instructions[PROGRAM_MAX];
	uint32_t count;
};

static_assert(3 * (6 + HASH_COUNT_IP4 + HASH_COUNT_IP6 + 1) + RAW_COUNT + 4 <=
		      PROGRAM_MAX,
	      "the program has room");

static void emit(struct program *program, uint16_t code, uint32_t k)
{
	program->instructions[program->count++] =
		(struct sock_filter)BPF_STMT(code, k);
}

static void emit_jump(struct program *program, uint32_t k, uint8_t yes,
		      uint8_t no)
{
	program->instructions[program->count++] = (struct sock_filter)BPF_JUMP(
		BPF_JMP | BPF_JEQ | BPF_K, k, yes, no);
}

/* Returns the exclusive or of 'words' words at 'at', mixed so that its low
 * bits depend on all of it: the kernel takes the remainder. */
static void emit_hash(struct program *program, uint32_t at, uint32_t words)
{
	emit(program, BPF_LD | BPF_W | BPF_ABS, at);
	for (uint32_t i = 1; i < words; i++) {
		emit(program, BPF_MISC | BPF_TAX, 0);
		emit(program, BPF_LD | BPF_W | BPF_ABS, at + i * 4);
		emit(program, BPF_ALU | BPF_XOR | BPF_X, 0);
	}
	emit(program, BPF_ALU | BPF_MUL | BPF_K, 0x9e3779b1);
	emit(program, BPF_MISC | BPF_TAX, 0);
	emit(program, BPF_ALU | BPF_RSH | BPF_K, 16);
	emit(program, BPF_ALU | BPF_XOR | BPF_X, 0);
	emit(program, BPF_RET | BPF_A, 0);
}

/* With an ethertype in A: hashes what is at 'at', or goes on behind. */
static void emit_ethertype(struct program *program, uint32_t at)
{
	emit_jump(program, ETHERTYPE_IP4, 0, HASH_COUNT_IP4);
	emit_hash(program, at + 12, 2);
	emit_jump(program, ETHERTYPE_IP6, 0, HASH_COUNT_IP6);
	emit_hash(program, at + 8, 8);
}

/* Ethernet with up to two tags in the frame, on top of the one that the
 * kernel may have taken off. */
static void emit_ethernet(struct program *program)
{
	for (uint32_t tags = 0; tags < 3; tags++) {
		emit(program, BPF_LD | BPF_H | BPF_ABS, LINK(12 + 4 * tags));
		emit_ethertype(program, LINK(14 + 4 * tags));
		emit_jump(program, TAG_C, 3, 0);
		emit_jump(program, TAG_S, 2, 0);
		emit_jump(program, TAG_Q, 1, 0);
		emit(program, BPF_RET | BPF_K, 0);
	}
	emit(program, BPF_RET | BPF_K, 0);
}

/* A device without link layer: the version is the first thing there. */
static void emit_raw(struct program *program)
{
	emit(program, BPF_LD | BPF_B | BPF_ABS, NET(0));
	emit(program, BPF_ALU | BPF_RSH | BPF_K, 4);
	emit_jump(program, 4, 0, HASH_COUNT_IP4);
	emit_hash(program, NET(12), 2);
	emit_jump(program, 6, 0, HASH_COUNT_IP6);
	emit_hash(program, NET(8), 8);
	emit(program, BPF_RET | BPF_K, 0);
}

static void program_build(struct program *program)
{
	program->count = 0;
	emit(program, BPF_LD | BPF_W | BPF_ABS, ANCILLARY(SKF_AD_HATYPE));
	emit_jump(program, ARPHRD_ETHER, RAW_COUNT + 1, 0);
	emit_jump(program, ARPHRD_LOOPBACK, RAW_COUNT, 0);
	emit_raw(program);
	emit_ethernet(program);
}

int afpacket_fanout_join(int fd, const struct afpacket_member *member)
{
	int argument = member->group | PACKET_FANOUT_CBPF << 16;
	struct program program;
	struct sock_fprog data;

	if (setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &argument,
		       sizeof argument) != 0)
		return -errno;
	program_build(&program);
	data = (struct sock_fprog){(unsigned short)program.count,
				   program.instructions};
	return setsockopt(fd, SOL_PACKET, PACKET_FANOUT_DATA, &data,
			  sizeof data) == 0
		       ? 0
		       : -errno;
}

/* The members of this process that have joined, by group. */
struct group {
	uint16_t id;
	uint16_t joined;     /* members with a descriptor */
	int fds[MEMBER_MAX]; /* descriptor + 1; 0: not joined */
};

static pthread_mutex_t groups_lock = PTHREAD_MUTEX_INITIALIZER;
static struct group groups[GROUP_MAX];

/* The group, or a free place for it; NULL: no room. */
static struct group *group_find(uint16_t id)
{
	struct group *free_one = NULL;

	for (size_t i = 0; i < GROUP_MAX; i++) {
		if (groups[i].joined && groups[i].id == id)
			return &groups[i];
		if (!groups[i].joined && !free_one)
			free_one = &groups[i];
	}
	if (free_one)
		free_one->id = id;
	return free_one;
}

static int filter_attach(int fd, const struct sock_fprog *program)
{
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, program,
			  sizeof *program) == 0
		       ? 0
		       : -errno;
}

static int group_arm(struct group *group, const struct afpacket_member *member,
		     const struct sock_fprog *program)
{
	int code = 0;

	if (group->joined < member->count)
		return 0;
	for (uint16_t i = 0; i < member->count && code == 0; i++)
		code = filter_attach(group->fds[i] - 1, program);
	return code;
}

int afpacket_fanout_arm(int fd, const struct afpacket_member *member,
			const struct sock_fprog *program)
{
	struct group *group;
	int code;

	if (member->count > MEMBER_MAX || member->number >= member->count)
		return -EINVAL;
	pthread_mutex_lock(&groups_lock);
	group = group_find(member->group);
	if (!group) {
		code = filter_attach(fd, program);
	} else {
		group->joined += !group->fds[member->number];
		group->fds[member->number] = fd + 1;
		code = group_arm(group, member, program);
	}
	pthread_mutex_unlock(&groups_lock);
	return code;
}

void afpacket_fanout_leave(int fd, const struct afpacket_member *member)
{
	struct group *group;

	pthread_mutex_lock(&groups_lock);
	group = group_find(member->group);
	if (group && group->joined && group->fds[member->number] == fd + 1) {
		group->fds[member->number] = 0;
		group->joined--;
	}
	pthread_mutex_unlock(&groups_lock);
}
