"""Which packets came: the reflector's memory and the sender's, against plain
counting."""
import random
import time
import unittest
from unittest import mock

import side
from sonde_rtt.arrivals import Arrived, Gathered
from sonde_rtt.client import StepWatch


def counted(notes, seq):
    """(came, copies beyond the first up to 3, late) of one number."""
    times = [place for place, note in enumerate(notes) if note == seq]
    if not times:
        return False, 0, False
    late = any(note > seq for note in notes[:times[0]])
    return True, min(len(times) - 1, 3), late


def told(news, seq):
    bit = 1 << (seq - (news.last - 63))
    return bool(news.came & bit), bool(news.low & bit) + 2 * bool(news.high & bit), bool(news.late & bit)


def shuffled(seed, count):
    """Numbers with losses, copies and some that are overtaken."""
    chance = random.Random(seed)
    places = []
    for seq in range(count):
        for _ in range(chance.choice((0, 1, 1, 1, 1, 1, 2, 3, 6))):
            places.append((seq + chance.choice((0, 0, 0, 3, 20)) * chance.random(), seq))
    return [seq for _, seq in sorted(places)]


class Arrivals(unittest.TestCase):
    def test_tells_what_came_of_any_64(self):
        notes = shuffled(1, 1000)
        arrived = Arrived()
        for seq in notes:
            arrived.note(seq)
        for last in (arrived.highest, 63, 64, 100, 640, 777):
            news = arrived.at(last)
            self.assertTrue(news.known)
            for seq in range(max(last - 63, 0), last + 1):
                self.assertEqual(told(news, seq), counted(notes, seq), f"{seq} of the 64 up to {last}")

    def test_says_that_it_does_not_know_what_is_too_long_ago(self):
        arrived = Arrived()
        for seq in range(0, 40000, 7):
            arrived.note(seq)
        self.assertFalse(arrived.at(63).known)
        self.assertTrue(arrived.at(arrived.highest - 16000).known)
        self.assertLessEqual(len(arrived.blocks), 256)

    def test_begins_anew_with_a_number_that_is_far_away(self):
        arrived = Arrived()
        arrived.note(5)
        arrived.note(1 << 21)
        self.assertEqual((arrived.first, arrived.highest), (1 << 21, 1 << 21))
        self.assertEqual(arrived.at(63).came, 0)

    def test_goes_on_where_32_bits_end(self):
        arrived = Arrived()
        for seq in (0xfffffffe, 0xffffffff, 0, 1):
            arrived.note(seq)
        news = arrived.at(1)
        self.assertEqual(news.came >> 60, 0xf)
        self.assertEqual(news.late, 0)

    def test_gathers_what_is_told_while_it_goes_on(self):
        notes = shuffled(2, 500)
        arrived, gathered = Arrived(), Gathered()
        for seq in notes:
            arrived.note(seq)
            gathered.join(arrived.at(arrived.highest), arrived.first, 0, 500)
        for last in range(63, 512, 64):
            gathered.join(arrived.at(last), arrived.first, 0, 500)
        for seq in range(500):
            block, bit = gathered.block(seq), 1 << (seq & 63)
            self.assertTrue(block.told & bit)
            self.assertEqual((bool(block.came & bit), block.copies(bit), bool(block.late & bit)),
                             counted(notes, seq), f"{seq}")

    def test_leaves_alone_what_is_not_under_way(self):
        arrived, gathered = Arrived(), Gathered()
        for seq in range(200):
            arrived.note(seq)
        gathered.join(arrived.at(199), 0, 150, 190)
        known = [seq for seq in range(256)
                 if gathered.block(seq) and gathered.block(seq).told & 1 << (seq & 63)]
        self.assertEqual(known, list(range(150, 190)))
        gathered.forget(192)
        self.assertIsNone(gathered.block(150))


class Steps(unittest.TestCase):
    def watch(self, *looks):
        """(monotonic, real, monotonic) of each look."""
        mono = [value for look in looks for value in (look[0], look[2])]
        with mock.patch.object(time, "monotonic_ns", side_effect=mono), \
                mock.patch.object(time, "time_ns", side_effect=[look[1] for look in looks]):
            watch = StepWatch()
            return [watch.stepped() for _ in looks[1:]]

    def test_a_step_is_seen_however_slow_the_looks(self):
        ms = 10**6
        self.assertEqual(self.watch((0, 1000 * ms, 10), (5 * ms, 1007 * ms, 9 * ms), (20 * ms, 1021 * ms, 20 * ms + 9),
                                    (30 * ms, 1031 * ms, 30 * ms + 9)), [False, True, False])


if __name__ == "__main__":
    side.main()
