"""Which requests came to the reflector: told by it, gathered by the sender."""
from .message import Arrivals

BLOCKS_MAX = 256    # of 64 numbers each, that a reflector remembers
RESTART = 1 << 20   # numbers this far apart are not of one run
MASK64 = (1 << 64) - 1
BLOCK_MASK = 0xffffffff >> 6


def ahead_of(seq, other):
    """Signed, of two numbers of 32 bits that may have begun anew."""
    return (seq - other + (1 << 31) & 0xffffffff) - (1 << 31)


class Block:
    """64 numbers; the bit of a number is its lowest six bits."""
    __slots__ = ("told", "came", "low", "high", "late", "closed")

    def __init__(self):
        self.told = self.came = self.low = self.high = self.late = 0
        self.closed = False

    def copies(self, bit):
        return bool(self.low & bit) + 2 * bool(self.high & bit)

    def copy_note(self, bit):
        if not self.low & bit:
            self.low |= bit
        elif not self.high & bit:
            self.low &= ~bit
            self.high |= bit

    def join(self, mask, news):
        """Counts of copies only grow: an answer that was long under way says
        less.  The greater of two numbers of two bits each."""
        came, low, high, late = (plane & mask for plane in news)
        self.told |= mask
        self.came |= came
        self.late |= late
        rise = high & ~self.high | ~(high ^ self.high) & low & ~self.low
        self.low = self.low & ~rise | low & rise
        self.high = self.high & ~rise | high & rise


class Arrived:
    """The reflector's side."""

    def __init__(self):
        self.blocks = {}
        self.first = self.highest = None

    def note(self, seq):
        ahead = 0 if self.highest is None else ahead_of(seq, self.highest)
        if self.highest is None or abs(ahead) > RESTART:
            self.blocks = {}
            self.first = self.highest = seq
        elif ahead > 0:
            self.highest = seq
        elif self._age(seq) >= BLOCKS_MAX:
            return
        block = self.blocks.get(seq >> 6)
        if not block:
            block = self.blocks[seq >> 6] = Block()
            while len(self.blocks) > BLOCKS_MAX:
                del self.blocks[max(self.blocks, key=lambda number: self._age(number << 6))]
        bit = 1 << (seq & 63)
        if block.came & bit:
            block.copy_note(bit)
        elif ahead < 0:
            block.late |= bit
        block.came |= bit

    def _age(self, seq):
        """In blocks."""
        return (self.highest >> 6) - (seq >> 6) & BLOCK_MASK

    def at(self, last):
        """The 64 numbers up to 'last'."""
        begin = last - 63 & 0xffffffff
        if self.highest is None:
            return Arrivals(last, False, 0, 0, 0, 0)
        age = self._age(begin)
        if age > BLOCK_MASK // 2:  # none of them came yet
            return Arrivals(last, True, 0, 0, 0, 0)
        if age >= BLOCKS_MAX:
            return Arrivals(last, False, 0, 0, 0, 0)
        shift = begin & 63
        none = Block()
        one = self.blocks.get(begin >> 6, none)
        two = self.blocks.get(last >> 6, none) if shift else none
        return Arrivals(last, True, *(
            (getattr(one, plane) | getattr(two, plane) << 64) >> shift & MASK64
            for plane in ("came", "low", "high", "late")))


class Gathered:
    """The sender's side: what the reflector says, for as long as a packet is
    under way."""

    def __init__(self):
        self.blocks = {}
        self.first = None
        self.begin = 0  # blocks below are forgotten

    def block(self, seq):
        return self.blocks.get(seq >> 6)

    def join(self, news, first, emitted, following):
        """Of packets 'emitted' to 'following' - 1 alone; a reflector that was
        started again knows nothing of those before."""
        if not news.known:
            return
        if self.first is None:
            self.first = first
        least = first if first != self.first and first > emitted else emitted
        begin = news.last - 63
        skip, over = least - begin, news.last + 1 - following
        if skip >= 64 or over >= 64:
            return
        mask = MASK64
        if skip > 0:
            mask &= MASK64 << skip
        if over > 0:
            mask &= MASK64 >> over
        shift = begin & 63
        mask <<= shift
        planes = tuple(plane << shift for plane in news[2:])
        number = begin >> 6
        while mask:
            if mask & MASK64:
                self.blocks.setdefault(number, Block()).join(
                    mask & MASK64, tuple(plane & MASK64 for plane in planes))
            mask >>= 64
            planes = tuple(plane >> 64 for plane in planes)
            number += 1

    def forget(self, emitted):
        """Nobody asks about packets that were handed out."""
        while self.begin < emitted >> 6:
            self.blocks.pop(self.begin, None)
            self.begin += 1
