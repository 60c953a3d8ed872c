/* What the reflector says of the packets that came to it, gathered by blocks
 * of 64 numbers, and which block it is asked about next. */
#include "probe/sender_private.h"

struct block *block_at(struct sender *sender, uint32_t seq)
{
	return &sender->blocks[(seq & sender->mask) / 64];
}

/* Counts of copies only grow: an answer that was long under way says less.
 * The greater of two numbers of two bits each. */
static void extra_raise(struct block *block, uint64_t low, uint64_t high)
{
	uint64_t raise = (high & ~block->extra[1]) |
			 (~(high ^ block->extra[1]) & low & ~block->extra[0]);

	block->extra[0] = (block->extra[0] & ~raise) | (low & raise);
	block->extra[1] = (block->extra[1] & ~raise) | (high & raise);
}

static void block_join(struct block *block, const struct message_arrivals *news,
		       uint64_t mask, int shift)
{
	uint64_t low = news->extra[0] & mask, high = news->extra[1] & mask;
	uint64_t came = news->came & mask, late = news->late & mask;

	if (shift >= 0) {
		block->told |= mask << shift;
		block->came |= came << shift;
		block->late |= late << shift;
		extra_raise(block, low << shift, high << shift);
	} else {
		block->told |= mask >> -shift;
		block->came |= came >> -shift;
		block->late |= late >> -shift;
		extra_raise(block, low >> -shift, high >> -shift);
	}
}

/* The bits whose packets are under way; a reflector that was started again
 * knows nothing of those before. */
static uint64_t known_mask(const struct sender *sender,
			   const struct message_arrivals *news, uint32_t first)
{
	uint32_t begin = sender->emitted;
	int32_t skip, over = (int32_t)(news->last + 1 - sender->next);
	uint64_t mask = UINT64_MAX;

	if (first != sender->first && (int32_t)(first - begin) > 0)
		begin = first;
	skip = (int32_t)(begin - (news->last - 63));
	if (skip >= 64 || over >= 64)
		return 0;
	if (skip > 0)
		mask &= UINT64_MAX << skip;
	if (over > 0)
		mask &= UINT64_MAX >> over;
	return mask;
}

void sender_arrivals_join(struct sender *sender,
			  const struct message_arrivals *news, uint32_t first)
{
	uint32_t begin = news->last - 63;
	int shift = (int)(begin % 64);
	uint64_t mask;

	if (!news->known)
		return;
	if (!sender->first_known) {
		sender->first = first;
		sender->first_known = true;
	}
	mask = known_mask(sender, news, first);
	if (mask == 0)
		return;
	block_join(block_at(sender, begin), news,
		   mask & UINT64_MAX << shift >> shift, shift);
	if (shift > 0)
		block_join(block_at(sender, news->last), news,
			   mask >> (64 - shift) << (64 - shift), shift - 64);
}

/* Each answer tells of the newest 64 without being asked. */
void sender_ask(struct sender *sender)
{
	if (!sender->points_value ||
	    (sender->closing == 0 && sender->next - sender->emitted <= 64))
		return;
	if ((int32_t)(sender->ask - sender->emitted) < 0 ||
	    (int32_t)(sender->ask - sender->next) >= 0)
		sender->ask = sender->emitted & ~63u;
	tlv_block_ask(sender->points_value, sender->ask);
	sender->ask += 64;
}

bool sender_all_told(struct sender *sender)
{
	for (uint32_t seq = sender->emitted & ~63u;
	     (int32_t)(seq - sender->next) < 0; seq += 64) {
		if (!block_at(sender, seq)->closed)
			return false;
	}
	return true;
}
