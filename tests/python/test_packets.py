"""Packets are byte for byte those of the C program, out and in."""
import random
import socket
import struct
import subprocess
import time
import unittest

import side
from side import KEY, SONDE
from sonde_rtt import message
from sonde_rtt.arrivals import Arrived
from sonde_rtt.client import options_of, request_make
from sonde_rtt.message import Arrivals, Reflection, Reply, Request, RequestIn, reply_end, reply_make
from sonde_rtt.points import BACK_SENT, REFLECTOR_SET


def listening():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(10)
    return sock


def seq_of(packet):
    return message.U32.unpack_from(packet)[0]


def question(key, ssid=77, answers=3):
    request = Request(key, ssid)
    request.tlv(message.TLV_TIMESTAMP_INFORMATION, bytes(4))
    request.tlv(message.TLV_CLASS_OF_SERVICE, bytes((10 << 2, 0, 0, 0)))
    request.tlv(message.TLV_DIRECT_MEASUREMENT, bytes(12))
    request.tlv(message.TLV_LOCATION, bytes(4) + b"".join(struct.pack(">BBH16x", 128, kind, 16) for kind in (4, 7)))
    request.tlv(message.TLV_FOLLOW_UP, bytes(16))
    request.tlv(message.TLV_POINTS, message.points_question(REFLECTOR_SET, answers))
    return request


class Requests(unittest.TestCase):
    def packets_of_c(self, *arguments):
        with listening() as sock:
            command = [SONDE, "rtt", f"127.0.0.1:{sock.getsockname()[1]}", "--count", "20", "--rate", "100",
                       "--timeout", "50ms", "--tier", "T1", *arguments]
            with subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL) as process:
                packets = [sock.recv(65536) for _ in range(3)]
                process.kill()
        return packets

    def compare(self, key, c_arguments, python_arguments):
        layout = message.layout_of(key)
        made = request_make(options_of(["127.0.0.1", *python_arguments]), key)
        key_arguments = ("--key", key.hex()) if key else ()
        for packet in (self.packets_of_c(*key_arguments, *c_arguments)):
            made.bytes[layout.error:layout.ssid + 2] = packet[layout.error:layout.ssid + 2]
            at_ns = message.time_unpack(message.U64.unpack_from(packet, layout.at)[0])
            self.assertLess(abs(at_ns - time.time_ns()), 60 * 10**9)
            self.assertEqual(bytes(made.end(seq_of(packet), at_ns)).hex(), packet.hex())

    def test_are_the_same_plain(self):
        self.compare(None, (), ())

    def test_are_the_same_with_a_key(self):
        self.compare(KEY, (), ())

    def test_are_the_same_padded(self):
        for key in (None, KEY):
            for size in (112, 150, 156, 600, 1400):
                with self.subTest(size=size, key=bool(key)):
                    self.compare(key, ("--size", size), ("--size", str(size)))

    def test_are_the_same_with_classes(self):
        self.compare(None, ("--dscp", 9, "--reply-dscp", 46), ("--dscp", "9", "--reply-dscp", "46"))

    def test_of_a_size_that_cannot_be_are_refused(self):
        for key, size in ((None, 43), (None, 46), (KEY, 120), (None, 65508)):
            with self.assertRaises(ValueError):
                request_make(options_of(["h", "--size", str(size)]), key)


class Times(unittest.TestCase):
    def test_go_there_and_back_to_the_nanosecond(self):
        chance = random.Random(3)
        times = [0, 1, 10**9 - 1, 2085978495 * 10**9 + 999999999, 2085978496 * 10**9, 4000000000 * 10**9 + 7]
        times += [chance.randrange(4 * 10**18) for _ in range(2000)]
        for at in times:
            for ptp in (False, True):
                self.assertEqual(message.time_unpack(message.time_pack(at, ptp), ptp), at)

    def test_are_those_of_RFC_5905(self):
        self.assertEqual(message.time_pack(0), 2208988800 << 32)
        self.assertEqual(message.time_pack(500_000_000) & 0xffffffff, 1 << 31)


class Replies(unittest.TestCase):
    def exchange(self, sock, port, packet):
        sock.sendto(packet, ("127.0.0.1", port))
        return sock.recv(65536)

    def rebuilt(self, packet, reply, key, **known):
        """The same answer from what it says."""
        read = Reply(reply, key)
        layout = message.layout_of(key)
        error = message.U16.unpack_from(reply, layout.error)[0]
        known = {"seq": read.reflected_seq, "received_ns": read.received_ns, "ttl": read.ttl, "error_estimate": error,
                 "first": read.first, "newest": read.newest, "block": read.block, "earlier": read.told, **known}
        request = RequestIn(packet, key)
        made = reply_make(request, Reflection(**known), key)
        return reply_end(made, read.sent_ns, error, key)

    def known_of(self, sock, port, seq):
        local = socket.inet_aton("127.0.0.1")
        return {"addresses": (local, local), "ports": (sock.getsockname()[1], port), "received_count": seq + 1,
                "sent_count": seq}

    def compare(self, key):
        port = side.port_free()
        arguments = ("--key", key.hex()) if key else ()
        request = question(key)
        followed = told = 0
        with side.reflector_c(port, *arguments), listening() as sock:
            for seq in range(20):
                if seq == 10:
                    request.ask(3)
                packet = bytes(request.end(seq, time.time_ns()))
                reply = self.exchange(sock, port, packet)
                read = Reply(reply, key)
                known = self.known_of(sock, port, seq)
                if read.follow_up:
                    number, at_ns, method = read.follow_up
                    self.assertEqual(method, message.METHOD_SOFTWARE)
                    known["follow_up"] = message.Told(number, number, {BACK_SENT: at_ns})
                    followed += 1
                told += len(read.told)
                self.assertEqual(bytes(self.rebuilt(packet, reply, key, **known)).hex(), reply.hex(), f"answer {seq}")
                side.settle()
        self.assertGreater(followed, 10)
        self.assertGreater(told, 20)

    def test_are_the_same_plain(self):
        self.compare(None)

    def test_are_the_same_with_a_key(self):
        self.compare(KEY)

    def test_to_damaged_questions_are_the_same(self):
        """Every packet is the first of its session."""
        chance = random.Random(4)
        for key in (None, KEY):
            port = side.port_free()
            arguments = ("--key", key.hex()) if key else ()
            with side.reflector_c(port, *arguments), listening() as sock:
                for turn in range(400):
                    packet = self.damaged(chance, key, turn + 1)
                    sealed = RequestIn(packet, key)
                    reply = self.exchange(sock, port, packet)
                    self.assertEqual(len(reply), len(packet))
                    arrived = Arrived()
                    arrived.note(sealed.seq)
                    block = message.ARRIVALS_NONE if sealed.block_last is None else arrived.at(sealed.block_last)
                    known = {"first": sealed.seq, "newest": arrived.at(sealed.seq), "block": block, "earlier": (),
                             **self.known_of(sock, port, 0)}
                    made = self.rebuilt(packet, reply, key, **known)
                    self.assertEqual(bytes(made).hex(), reply.hex(), f"turn {turn}, {packet.hex()}")

    def damaged(self, chance, key, ssid):
        request = question(key, ssid, chance.randrange(3))
        base = request.layout.size
        seq = chance.randrange(1 << 16)
        if chance.random() < 0.3:
            request.ask(seq)
        whole = request.bytes
        for _ in range(chance.randrange(4)):
            whole[chance.randrange(base, len(whole))] = chance.randrange(256)
        if chance.random() < 0.3:
            del whole[chance.randrange(base, len(whole) + 1):]
        packet = bytearray(request.end(seq, time.time_ns()))
        if key and chance.random() < 0.3 and len(packet) > base:
            packet[chance.randrange(base, len(packet))] ^= 1 << chance.randrange(8)
        return bytes(packet)

    def test_of_every_truncation_are_read_or_refused(self):
        request = question(None)
        packet = bytes(request.end(1, 10**18))
        reflection = Reflection(seq=4, received_ns=10**18, newest=Arrivals(1, True, 1 << 63, 0, 0, 0),
                                earlier=[message.Told(0, 3, {BACK_SENT: 5 * 10**17})])
        reply = bytes(reply_end(reply_make(RequestIn(packet, None), reflection, None), 10**18 + 5,
                                message.ERROR_UNKNOWN, None))
        self.assertEqual(Reply(reply, None).told[0].stamps, {BACK_SENT: 5 * 10**17})
        for size in range(len(reply)):
            if size < message.SIZE_TWAMP:
                with self.assertRaises(message.Refused):
                    Reply(reply[:size], None)
            else:
                self.assertEqual(Reply(reply[:size], None).seq, 1)


if __name__ == "__main__":
    side.main()
