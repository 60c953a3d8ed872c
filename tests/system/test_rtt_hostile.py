"""Round trips among strangers: what is broken, forged, refused or cut short.

On the loopback interface, no privilege needed.
"""
import collections
import contextlib
import json
import os
import random
import re
import select
import signal
import socket
import struct
import subprocess
import threading
import time

from lab import SONDE, check, equal, main, run, started, until

KEY, OTHER_KEY = "00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100"
os.environ.setdefault("UBSAN_OPTIONS", "halt_on_error=1")
UNKNOWN, MALFORMED, INTEGRITY = 0x80, 0x40, 0x20
DONE, NOT_ABLE, USAGE, PARTIAL = 0, 1, 2, 3


def free_port(host="127.0.0.1"):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as trial:
        trial.bind((host, 0))
        return trial.getsockname()[1]


class Reflector:
    """'sonde reflect' on a port of its own; .counters at the end."""

    def __init__(self, *arguments, host="127.0.0.1"):
        self.host, self.port, self.arguments = host, free_port(host), arguments

    def __enter__(self):
        self.process = subprocess.Popen([SONDE, "reflect", "--local", self.host, "--port", str(self.port), "--json",
                                         *map(str, self.arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True)
        until("the reflector listens", lambda: f":{self.port} " in run("ss", "-Hlun").stdout)
        return self

    def __exit__(self, kind, *_):
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=20)
        if kind:
            return
        equal(self.process.returncode, DONE, f"the reflector's exit code ({err[-1000:]})")
        self.counters = counts = json.loads(out)
        equal(counts["received"], sum(counts[name] for name in (
            "answered", "short_packets", "hmac_wrong", "limited", "refused")), f"outcomes of {counts}")

    def ask(self, packet, wait_s=0.3):
        """The answers to one packet."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as asker:
            asker.connect((self.host, self.port))
            asker.send(packet)
            answers = []
            while select.select([asker], [], [], wait_s if not answers else 0.02)[0]:
                answers.append(asker.recv(70000))
            return answers

    def one(self, packet):
        answers = self.ask(packet)
        equal(len(answers), 1, f"answers to {packet[:64].hex()}")
        equal(len(answers[0]), len(packet), "bytes of the answer")
        return answers[0]


def rtt(port, *arguments, host="127.0.0.1", check_rc=DONE, count=20, rate=1000):
    # Where all are to be answered a busy machine gets time for it.
    timeout = "2s" if check_rc == DONE else "200ms"
    done = run(SONDE, "rtt", host, "--port", port, "--json", "--count", count, "--rate", rate, "--timeout", timeout,
               *arguments, check_rc=check_rc)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    equal([row["seq"] for row in rows[:-1]], list(range(len(rows) - 1)), "the slots")
    return rows[:-1], rows[-1], done.stderr


@contextlib.contextmanager
def peer(answer, host="127.0.0.1"):
    """A reflector of our own: answer(packet, number) returns what goes back, a list; yields its port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as server:
        server.bind((host, 0))
        server.settimeout(0.05)
        ended = threading.Event()

        def serve():
            number = 0
            while not ended.is_set():
                with contextlib.suppress(TimeoutError, ConnectionError):
                    packet, sender = server.recvfrom(70000)
                    for reply in answer(packet, number):
                        server.sendto(reply, sender)
                    number += 1

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            ended.set()
            thread.join()


def now_ntp():
    at = time.time_ns()
    return struct.pack("!II", at // 10**9 + 2208988800, -(-(at % 10**9 << 32) // 10**9) & 0xffffffff)


def plain_answer(packet, number):
    """RFC 8762 section 4.3.1, stateful, the TLVs as they came."""
    return (struct.pack("!I", number) + now_ntp() + b"\x90\x01" + packet[14:16] + now_ntp() + packet[0:4] +
            packet[4:14] + b"\0\0" + b"\x40\0\0\0" + packet[44:])


def request(seq=1, tail=b"", ssid=9):
    return struct.pack("!I", seq) + now_ntp() + struct.pack("!HH", 0x9001, ssid) + bytes(28) + tail


def tlv(kind, value, flags=UNKNOWN, size=None):
    return struct.pack("!BBH", flags, kind, len(value) if size is None else size) + value


# ---------------------------------------------------------- the reflector ----


def never_answers_with_more_than_it_got():
    pick = random.Random(5)
    base = request(7, tlv(3, bytes(4)) + tlv(4, bytes(4)) + tlv(7, bytes(16)) + tlv(
        251, b"sond\x01" + bytes(3) + b"\xff" * 8 + bytes(200)) + tlv(2, bytes(4) + tlv(4, bytes(16))) + tlv(5, bytes(12)))

    def garbage():
        kind = pick.randrange(4)
        if kind == 0:
            return pick.randbytes(pick.randrange(0, 1500))
        packet = bytearray(base)
        for _ in range(pick.randrange(1, 12)):
            packet[pick.randrange(len(packet))] = pick.randrange(256)
        if kind == 2:
            return bytes(packet[:pick.randrange(len(packet))])
        if kind == 3:
            return bytes(packet) + pick.randbytes(pick.randrange(1, 200))
        return bytes(packet)

    for key in ([], ["--key", KEY]):
        with Reflector("--rate", "0", "--sessions", "64", *key) as reflector:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                stranger.connect((reflector.host, reflector.port))
                open_sizes, asked = collections.Counter(), 0
                for _ in range(6000):
                    packet = garbage()
                    stranger.send(packet)
                    open_sizes[len(packet)] += 1
                    asked += 1
                    while select.select([stranger], [], [], 0.0005)[0]:
                        size = len(stranger.recv(70000))
                        open_sizes[size] -= 1
                        check(open_sizes[size] >= 0, f"an answer of {size} bytes that nobody asked for")
            for size in (0, 1, 13, 14, 40):
                equal(reflector.ask(bytes(size), 0.05), [], f"answers to {size} bytes")
        counts = reflector.counters
        equal(counts["received"], asked + 5, "packets that came")
        check(counts["answered"] > (-1 if key else 1000), f"{counts}")
        check(not key or counts["hmac_wrong"] > 1000, f"{counts}")


def answers_byte_for_byte_as_long():
    with Reflector("--rate", "0") as reflector:
        for size in [41, 42, 43, 44, 45, 46, 47, 48, 49, 100, 1472, 1473, 9000, 9216, 9217, 20000, 65507]:
            reply = reflector.one(request(3) + bytes(size - 44) if size >= 44 else request(3)[:size])
            equal(reply[24:28], struct.pack("!I", 3), f"the number returned in {size} bytes")


def flags_of(reflector, *tlvs):
    """The flags of each TLV in the answer."""
    reply = reflector.one(request(1, b"".join(tlvs)))
    flags, at = [], 44
    while at < len(reply):
        flags.append(reply[at])
        at += 4 + struct.unpack("!H", reply[at + 2:at + 4])[0]
    return flags, reply


def flags_each_tlv_by_the_rfc():
    """RFC 8972 section 4: U unknown, M malformed, and what is behind it stays."""
    with Reflector() as reflector:
        equal(flags_of(reflector, tlv(1, b"x" * 10))[0], [0], "padding")
        equal(flags_of(reflector, tlv(99, b"x" * 10), tlv(1, b""))[0], [UNKNOWN, 0], "an unknown type")
        flags, reply = flags_of(reflector, tlv(99, b"stays as it is"), tlv(3, bytes(4)))
        equal(flags, [UNKNOWN, 0], "an unknown type before a known one")
        check(b"stays as it is" in reply, "an unknown TLV's value is returned")
        equal(flags_of(reflector, tlv(4, bytes(3)))[0][0], MALFORMED, "a class of service of 3 bytes")
        equal(flags_of(reflector, tlv(1, b"xx", size=50))[0][0], MALFORMED, "a TLV longer than the packet")
        flags, _ = flags_of(reflector, tlv(7, bytes(9)), tlv(4, bytes(4)))
        equal(flags[0], MALFORMED, "a follow-up of 9 bytes")
        equal(flags_of(reflector, tlv(251, b"othr" + bytes(200)))[0], [UNKNOWN], "somebody else's experiment")
        equal(flags_of(reflector, tlv(251, b"sond" + bytes(20)))[0], [MALFORMED], "a points TLV that is too short")
        equal(flags_of(reflector, tlv(8, bytes(16)))[0][0] & MALFORMED, 0, "an HMAC TLV without a key")


def answers_twamp_light():
    """14 bytes and padding, zeros or not (RFC 5357 section 4.1.2); less padding than an answer needs is no request."""
    pick = random.Random(6)
    with Reflector() as reflector:
        for padding in (27, 28, 100, 1400):
            for fill in (bytes(padding), pick.randbytes(padding)):
                reply = reflector.one(request(77)[:14] + fill)
                equal(reply[24:38], struct.pack("!I", 77) + reply[28:38], "the sender's number")
                check(reply[40] > 0, "the TTL as it came")
        for padding in (0, 10, 26):
            equal(reflector.ask(request(77)[:14] + bytes(padding), 0.1), [], f"answers to {14 + padding} bytes")


def answers_each_prefix_no_faster_than_it_may():
    with Reflector("--rate", "100") as reflector:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
            flood.connect((reflector.host, reflector.port))
            begin = time.monotonic()
            for seq in range(3000):
                flood.send(request(seq))
            until("all came", lambda: not select.select([flood], [], [], 0.2)[0] or flood.recv(100) is None)
            passed = time.monotonic() - begin
    counts = reflector.counters
    equal(counts["answered"] + counts["limited"] + counts["refused"], counts["received"], "outcomes")
    check(counts["answered"] <= 100 * (passed + 0.2) + 11, f"{counts['answered']} answers in {passed} s")
    check(counts["limited"] > 1000, f"{counts}")


def forgets_the_idle_when_there_are_many():
    with Reflector("--rate", "0", "--sessions", "16") as reflector:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
            flood.connect((reflector.host, reflector.port))
            for ssid in range(1, 5000):
                flood.send(request(ssid, ssid=ssid))
                if ssid % 50 == 0:
                    time.sleep(0.002)
                while select.select([flood], [], [], 0)[0]:
                    flood.recv(100)
        rtt(reflector.port)
    counts = reflector.counters
    check(counts["sessions_evicted"] > 4000, f"{counts}")


# ------------------------------------------------------------- the sender ----


def strangers_and_forgers_are_counted_and_change_nothing():
    def answer(packet, number):
        good = plain_answer(packet, number)
        forged = bytearray(good)
        forged[28:36] = b"\1" * 8  # another time
        other = bytearray(good)
        other[14:16] = bytes((packet[14] ^ 1, packet[15] | 1))  # another session
        future = bytearray(good)
        future[24:28] = b"\x7f\xff\0\0"  # a packet that was never sent
        return [b"", b"short", good[:40], bytes(forged), bytes(other), bytes(future), os.urandom(300), good]

    with peer(answer) as port:
        packets, summary, _ = rtt(port)
    check(summary["answered"] == summary["sent"] > 0, f"{summary}")
    check(all(row["fate"] == "skipped" or row["fate"] == "answered" and "duplicates_back" not in row for row in packets), f"{packets[0]}")
    check(summary["short_packets"] >= 3 * summary["sent"], f"{summary}")
    check(summary["strange"] >= 4 * summary["sent"], f"{summary}")
    equal((summary["duplicates"], summary["too_late"]), (0, 0), "duplicates, too late")


def tlvs_that_lie_do_no_harm():
    pick = random.Random(9)

    def answer(packet, number):
        good = bytearray(plain_answer(packet, number))
        if len(good) > 60:
            for _ in range(pick.randrange(0, 20)):
                good[pick.randrange(44, len(good))] = pick.randrange(256)
        return [bytes(good[:pick.randrange(44, len(good) + 1)])]

    with peer(answer) as port:
        _, summary, _ = rtt(port, count=1000, rate=2000)
    equal(summary["answered"], summary["sent"], "answered")
    check(summary["tlvs_unrecognized"] > 0 and summary["tlvs_malformed"] > 0, f"{summary}")


def an_answer_of_another_key_is_no_answer():
    with Reflector("--key", OTHER_KEY) as reflector:
        packets, summary, stderr = rtt(reflector.port, "--key", KEY, check_rc=NOT_ABLE)
        equal({row["fate"] for row in packets} - {"skipped"}, {"lost"}, "fates")
        check(f"no answer to {summary['sent']} packets" in stderr, stderr)
    check(reflector.counters["hmac_wrong"] >= summary["sent"], f"{reflector.counters}")
    with peer(lambda packet, number: [bytes(len(packet))]) as port:
        _, summary, _ = rtt(port, "--key", KEY, check_rc=NOT_ABLE)
        check(summary["hmac_wrong"] >= summary["sent"] > 0, f"{summary}")
    with Reflector("--key", KEY) as reflector:
        _, summary, _ = rtt(reflector.port, "--key", KEY)
        equal(summary["tlvs_integrity"], 0, "TLVs that do not prove themselves")
        rtt(reflector.port, check_rc=NOT_ABLE)


def a_refusal_is_named():
    for host in ("127.0.0.1", "::1"):
        packets, summary, stderr = rtt(free_port(host), host=host, check_rc=NOT_ABLE)
        check(summary["refusals"] >= 10, f"{summary}")
        check(f"{host} says: " in stderr and "refused" in stderr.lower(), stderr)
        equal(summary["sent"] + summary["skipped"] + summary["failed"], 20, "outcomes of slots")
        equal(len(packets), 20, "packets")


def a_reflector_that_stops_is_loss():
    with Reflector() as reflector:
        with started(SONDE, "rtt", "127.0.0.1", "--port", reflector.port, "--json", "--count", 800, "--rate", 1000,
                     "--timeout", "100ms", stdout=subprocess.PIPE, text=True) as sender:
            time.sleep(0.4)
            reflector.process.send_signal(signal.SIGINT)
            rows = [json.loads(line) for line in sender.communicate(timeout=20)[0].splitlines()]
            equal(sender.returncode, PARTIAL, "exit code: some were lost")
    fates = [row["fate"] for row in rows[:-1]]
    equal(len(fates), 800, "slots")
    check(fates.count("answered") > 50 and fates[-1] != "answered", f"the last packet: {fates[-1]}")
    check(rows[-1]["refusals"] > 50 and rows[-1]["lost"] > 50, f"{rows[-1]}")


def cut_short_it_keeps_what_it_measured():
    with Reflector() as reflector:
        for number in (signal.SIGINT, signal.SIGTERM):
            with started(SONDE, "rtt", "127.0.0.1", "--port", reflector.port, "--json", "--rate", 1000,
                         stdout=subprocess.PIPE, text=True) as sender:
                time.sleep(0.5)
                sender.send_signal(number)
                rows = [json.loads(line) for line in sender.communicate(timeout=20)[0].splitlines()]
                equal(sender.returncode, DONE, "exit code")
            equal(rows[-1]["type"], "summary", "the last line")
            equal([row["seq"] for row in rows[:-1]], list(range(rows[-1]["slots"])), "the slots")
            check(rows[-1]["answered"] > 100, f"{rows[-1]}")
            check(all(None not in row["segments_ns"].values() for row in rows[:-1] if row["fate"] == "answered"),
                  "the last packets' stamps are fetched too")


def a_stopped_reader_of_its_output_is_no_crash():
    with Reflector() as reflector:
        with started(SONDE, "rtt", "127.0.0.1", "--port", reflector.port, "--json", "--count", 2000, "--rate", 5000,
                     stdout=subprocess.PIPE, stderr=subprocess.PIPE) as sender:
            sender.stdout.close()
            sender.wait(timeout=20)
            check(sender.returncode >= 0 or -sender.returncode == signal.SIGPIPE, f"exit code {sender.returncode}")


def sizes_are_refused_or_exact():
    with Reflector() as plain, Reflector("--key", KEY) as keyed:
        for size in (44, 48, 49, 100, 303, 304, 1472, 9000, 65507):
            _, summary, _ = rtt(plain.port, "--size", size, count=3)
            equal(summary["answered"], summary["sent"], f"answered of {size} bytes")
        for size in (112, 136, 137, 400, 9000):
            _, summary, _ = rtt(keyed.port, "--size", size, "--key", KEY, count=3)
            equal((summary["answered"], summary["tlvs_integrity"]), (summary["sent"], 0), f"answered of {size} bytes")
        for size, key in ((43, []), (45, []), (47, []), (111, ["--key", KEY]), (113, ["--key", KEY]),
                          (135, ["--key", KEY]), (65508, [])):
            done = run(SONDE, "rtt", "127.0.0.1", "--port", plain.port, "--count", 1, "--size", size, *key,
                       check_rc=None)
            check(done.returncode in (NOT_ABLE, USAGE) and re.search("size", done.stderr),
                  f"size {size}: {done.returncode}, {done.stderr}")


def class_and_ttl_are_those_of_both_ways():
    for host in ("127.0.0.1", "::1"):
        with Reflector(host=host) as reflector, Reflector("--refuse-class", host=host) as refuser:
            row = rtt(reflector.port, "--dscp", 46, "--ttl", 64, host=host, count=3)[0][0]
            equal([row[name] for name in ("dscp_forward", "dscp_back", "ttl_forward", "ttl_back")], [46, 46, 64, 255],
                  f"{host}: class and TTL")
            row = rtt(reflector.port, "--dscp", 10, "--reply-dscp", 34, host=host, count=3)[0][0]
            equal((row["dscp_forward"], row["dscp_back"]), (10, 34), f"{host}: class asked for")
            row = rtt(refuser.port, "--dscp", 10, "--reply-dscp", 34, host=host, count=3)[0][0]
            equal((row["dscp_forward"], row["dscp_back"]), (10, 10), f"{host}: class refused")


def an_echo_server_is_enough():
    for host in ("127.0.0.1", "::1"):
        for more in ([], ["--size", 1000], ["--key", KEY], ["--size", 200, "--key", KEY]):
            with peer(lambda packet, number: [packet], host) as port:
                packets, summary, _ = rtt(port, "--echo", *more, host=host)
            equal(summary["answered"], summary["sent"], f"answered, {more}")
            check(all(sum(row["segments_ns"].values()) == row["rtt_ns"] for row in packets
                      if row["fate"] == "answered"), f"{packets[0]}")
    with peer(lambda packet, number: [packet, packet] if number % 2 else []) as port:
        packets, summary, _ = rtt(port, "--echo", check_rc=PARTIAL)
    equal((summary["lost"], summary["duplicates"]), (-(-summary["sent"] // 2), summary["sent"] // 2),
          "lost, duplicates of an echo")


main(
    never_answers_with_more_than_it_got,
    answers_byte_for_byte_as_long,
    flags_each_tlv_by_the_rfc,
    answers_twamp_light,
    answers_each_prefix_no_faster_than_it_may,
    forgets_the_idle_when_there_are_many,
    strangers_and_forgers_are_counted_and_change_nothing,
    tlvs_that_lie_do_no_harm,
    an_answer_of_another_key_is_no_answer,
    a_refusal_is_named,
    a_reflector_that_stops_is_loss,
    cut_short_it_keeps_what_it_measured,
    a_stopped_reader_of_its_output_is_no_crash,
    sizes_are_refused_or_exact,
    class_and_ttl_are_those_of_both_ways,
    an_echo_server_is_enough,
)
