"""The sender and the reflector in Python against those in C, over loopback."""
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import unittest

import side
from side import KEY, SONDE, lines_of, port_free, python, reflector_c, reflector_python, run
from sonde_rtt import message

SEGMENTS = ["forward send-sched", "forward sched-sent", "forward sent-received", "forward received-receive",
            "reflector receive-send", "back send-sched", "back sched-sent", "back sent-received",
            "back received-receive"]
COUNT = 60


def client(port, *more, host="127.0.0.1"):
    return python("client", host, "--port", port, "--count", COUNT, "--rate", 200, *more)


def sender(port, *more, host="127.0.0.1"):
    """At the tier that Python has."""
    return [SONDE, "rtt", side.at(host, port), "--count", COUNT, "--rate", 200, "--json", "--tier", "T1", *more]


class Pairs(unittest.TestCase):
    def complete(self, lines, segments=None):
        """Every slot is there; every packet that was sent came back with
        every stamp, and its segments sum up to its round trip."""
        *packets, summary = lines
        self.assertEqual([packet["seq"] for packet in packets], list(range(COUNT)))
        self.assertEqual(summary["slots"], COUNT)
        self.assertEqual(summary["sent"] + summary["skipped"], COUNT)
        self.assertEqual(summary["answered"], summary["sent"])
        self.assertGreater(summary["answered"], 0)  # a busy machine skips slots
        for name in ("lost", "duplicates", "strange", "short_packets", "hmac_wrong", "tlvs_unrecognized",
                     "tlvs_malformed", "tlvs_integrity"):
            self.assertEqual(summary[name], 0, name)
        for packet in packets:
            if packet["fate"] == "skipped" or packet.get("void"):
                continue
            found = packet["segments_ns"]
            self.assertEqual(packet["fate"], "answered")
            self.assertEqual(list(found), segments or SEGMENTS)
            self.assertNotIn(None, found.values(), packet)
            self.assertEqual(sum(found.values()), packet["rtt_ns"], packet)
            self.assertEqual(packet["rtt_ns"] - packet["socket_ns"], found["reflector receive-send"])
            self.assertTrue(all(ns >= 0 for ns in found.values()), packet)
            self.assertEqual((packet["ttl_forward"], packet["ttl_back"]), (255, 255))
        return packets

    def test_the_sender_in_python_and_the_reflector_in_c(self):
        port = port_free()
        with reflector_c(port):
            self.complete(lines_of(run(client(port)).stdout))

    def test_the_sender_in_c_and_the_reflector_in_python(self):
        port = port_free()
        with reflector_python(port) as reflector:
            self.complete(lines_of(run(sender(port)).stdout))
        counters = json.loads(reflector.lines[-1])
        self.assertEqual(counters["received"], counters["answered"])
        self.assertEqual((counters["sessions"], counters["stamps_lost"]), (1, 0))

    def test_both_in_python(self):
        port = port_free()
        with reflector_python(port):
            self.complete(lines_of(run(client(port)).stdout))

    def test_both_ways_by_IPv6(self):
        port = port_free()
        try:
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
                sock.bind(("::1", port))
        except OSError:
            self.skipTest("this machine has no IPv6")
        with reflector_python(port):
            self.complete(lines_of(run(client(port, host="::1")).stdout))
            self.complete(lines_of(run(sender(port, host="::1")).stdout))

    def test_with_a_key_both_ways(self):
        port, other = port_free(), port_free()
        with tempfile.NamedTemporaryFile("w") as file, reflector_c(port, "--key", KEY.hex()):
            file.write(KEY.hex() + "\n")
            file.flush()
            self.complete(lines_of(run(client(port, "--key-file", file.name)).stdout))
            with reflector_python(other, "--key-file", file.name):
                self.complete(lines_of(run(sender(other, "--key", KEY.hex())).stdout))

    def test_say_the_same_of_classes(self):
        port, other = port_free(), port_free()
        classes = ("--dscp", 10, "--reply-dscp", 46)
        with reflector_c(port), reflector_python(other):
            for command in (client(port, *classes), sender(other, *classes)):
                for packet in self.complete(lines_of(run(command).stdout)):
                    if packet["fate"] == "answered":
                        self.assertEqual((packet["dscp_forward"], packet["dscp_back"]), (10, 46))

    def test_have_objects_of_the_same_shape(self):
        port = port_free()
        with reflector_c(port):
            shapes = []
            for command in (client(port), sender(port)):
                *packets, summary = lines_of(run(command).stdout)
                shape = [list(packet) for packet in packets
                         if packet["fate"] == "answered" and not {"late", "void"} & set(packet)]
                shapes.append((shape[0], list(summary)))
        (packet, counters), (packet_c, summary_c) = shapes
        self.assertEqual(packet, packet_c)
        # The counters; what the C side computes beyond them comes behind.
        self.assertEqual(counters, summary_c[:len(counters)])


class Trouble(unittest.TestCase):
    def test_another_key_is_named_and_counted(self):
        port = port_free()
        with reflector_c(port, "--key", "0102"):
            done = run(python("client", "127.0.0.1", "--port", port, "--count", 3, "--rate", 50, "--timeout", 0.2,
                              "--key", "0103"), 1)
        self.assertEqual(lines_of(done.stdout)[-1]["lost"], 3)
        self.assertIn("no answer", done.stderr)
        port = port_free()
        with reflector_python(port, "--key", "0102") as reflector:
            run([SONDE, "rtt", f"127.0.0.1:{port}", "--count", "3", "--rate", "50", "--timeout", "200ms", "--key",
                 "0103"], 1)
        counters = json.loads(reflector.lines[-1])
        self.assertEqual((counters["answered"], counters["hmac_wrong"]), (0, counters["received"]))
        self.assertGreaterEqual(counters["received"], 3)

    def test_nobody_there_is_told_by_whom(self):
        done = run(python("client", "127.0.0.1", "--port", port_free(), "--count", 3, "--rate", 50, "--timeout",
                          0.1), 1)
        self.assertIn("127.0.0.1 says: Connection refused (ICMP type 3, code 3)", done.stderr)
        self.assertGreater(lines_of(done.stdout)[-1]["refusals"], 0)

    def test_a_reflector_that_stops_is_loss_and_what_was_measured_stays(self):
        port = port_free()
        with reflector_c(port):
            with subprocess.Popen(python("client", "127.0.0.1", "--port", port, "--rate", 200, "--timeout", 0.2),
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
                first = json.loads(process.stdout.readline())
                side.settle()
        with process:
            pass
        self.assertEqual(first["fate"], "answered")

    def test_an_interrupt_ends_with_a_whole_ledger(self):
        port = port_free()
        with reflector_c(port), subprocess.Popen(
                python("client", "127.0.0.1", "--port", port, "--rate", 500, "--timeout", 0.1),
                stdout=subprocess.PIPE, text=True) as process:
            process.stdout.readline()
            process.send_signal(signal.SIGINT)
            # Not communicate(): it passes over what readline() has buffered.
            *packets, summary = lines_of(process.stdout.read())
            process.wait(timeout=20)
        self.assertEqual([packet["seq"] for packet in packets], list(range(1, summary["slots"])))
        self.assertEqual(process.returncode, 0 if summary["lost"] == 0 else 3)

    def test_the_reflector_answers_no_garbage_and_never_more(self):
        port = port_free()
        with reflector_python(port) as reflector, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(10)
            for size in range(0, 41):
                sock.sendto(bytes(size), ("127.0.0.1", port))
            for size in (41, 44, 45, 47, 48, 100, 1400):
                sock.sendto(b"\xff" * size, ("127.0.0.1", port))
                self.assertEqual(len(sock.recv(65536)), size)
        counters = json.loads(reflector.lines[-1])
        self.assertEqual((counters["short_packets"], counters["answered"]), (41, 7))

    def test_the_reflector_keeps_to_the_rate_of_a_prefix(self):
        port = port_free()
        with reflector_python(port, "--rate", 100) as reflector, \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            begun = time.monotonic()
            for seq in range(200):
                sock.sendto(bytes(message.Request().end(seq, 10**18)), ("127.0.0.1", port))
            side.settle()
            allowed = 10 + 100 * (time.monotonic() - begun + 1)
        counters = json.loads(reflector.lines[-1])
        self.assertEqual(counters["received"], counters["answered"] + counters["limited"])
        self.assertGreater(counters["limited"], 0)
        self.assertLessEqual(counters["answered"], allowed)


class Tax(unittest.TestCase):
    def both(self, *more, key=()):
        port = port_free(2)
        with reflector_c(port, "--python-port", port + 1, *key):
            time.sleep(0.5)  # until the one in Python is there too
            return run([SONDE, "rtt", f"127.0.0.1:{port}", "--count", 200, "--rate", 400, *key, *more])

    def check(self, lines, starred):
        """Each slot on its side, nothing lost, and medians that are those of
        the packets."""
        for name in ("c", "python"):
            own = [line for line in lines if line.get("side") == name]
            *packets, summary = own
            self.assertEqual(summary["type"], "summary")
            self.assertEqual([packet["seq"] for packet in packets], list(range(100)))
            self.assertEqual(summary["slots"], 100)
            self.assertEqual(summary["answered"], summary["sent"])
        rows = {line["segment"]: line for line in lines if line["type"] == "tax"}
        self.assertEqual(list(rows), [*SEGMENTS, "rtt"])
        self.assertEqual({name for name, row in rows.items() if "part" in row}, set(starred))
        for segment, row in rows.items():
            for name in ("c", "python"):
                values = sorted(
                    line["rtt_ns"] if segment == "rtt" else line["segments_ns"][segment] for line in lines
                    if line.get("side") == name and line.get("fate") == "answered" and not line.get("void"))
                half = len(values) // 2
                middle = values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2
                self.assertAlmostEqual(row[f"{name}_median_ns"], middle, delta=0.1, msg=segment)
                self.assertEqual(row[f"{name}_count"], len(values))
            self.assertAlmostEqual(row["difference_ns"], row["python_median_ns"] - row["c_median_ns"], delta=0.2)
            self.assertLessEqual(row["low_ns"], row["high_ns"])

    def test_of_a_sender(self):
        # How great it is, is the machine's affair (and that of sanitizers).
        self.check(lines_of(self.both("--sender", "python", "--json").stdout),
                   ["forward send-sched", "back received-receive"])

    def test_of_a_reflector_with_a_key(self):
        self.check(lines_of(self.both("--reflector", "python", "--json", key=("--key", KEY.hex())).stdout),
                   ["forward received-receive", "reflector receive-send", "back send-sched"])

    def test_of_both_as_a_table(self):
        lines = self.both("--sender", "python", "--reflector", "python").stdout.splitlines()
        self.assertTrue(lines[0].startswith("Medians of "), lines[0])
        self.assertIn("(sender and reflector), us", lines[0])
        self.assertEqual([line[:26].strip() for line in lines[2:12]], [*SEGMENTS, "round trip"])
        self.assertEqual(len([line for line in lines[2:12] if line.endswith("*")]), 5)
        self.assertEqual(len(lines), 18, lines)

    def test_says_that_python_is_missing(self):
        with tempfile.TemporaryDirectory() as nothing:
            environment = dict(os.environ, PATH=nothing)
            for command in (["rtt", "127.0.0.1:9", "--count", "2", "--sender", "python"],
                            ["reflect", "--port", str(port_free()), "--python-port", str(port_free())]):
                done = subprocess.run([str(SONDE), *command], env=environment, capture_output=True, text=True,
                                      timeout=20, check=False)
                self.assertEqual(done.returncode, 2)
                self.assertIn("python3: is not installed; Python 3.9 or newer is needed", done.stderr)

    def test_says_that_there_is_no_reflector_in_python(self):
        port = port_free(2)
        with reflector_c(port):
            done = run([SONDE, "rtt", f"127.0.0.1:{port}", "--count", 20, "--rate", 200, "--timeout", "200ms",
                        "--reflector", "python"], 1)
        self.assertIn(f"no answer from 127.0.0.1:{port + 1}; 'sonde reflect --python-port'", done.stderr)

    def test_refuses_what_python_cannot(self):
        for name in ("echo", "poisson", "hardware", "interleave"):
            done = run([SONDE, "rtt", "127.0.0.1:9", "--sender", "python", f"--{name}"], 2)
            self.assertIn(f"{name}: not with a sender or reflector in Python", done.stderr)
        done = run([SONDE, "rtt", "127.0.0.1:9", "--reflector", "python", "--tier", "T2"], 2)
        self.assertIn("tier: with a sender or reflector in Python T1 at most", done.stderr)

    def test_ends_with_its_reflector(self):
        port = port_free(2)
        with reflector_c(port, "--python-port", port + 1) as reflector:
            time.sleep(0.5)
            reflector.send_signal(signal.SIGKILL)
            reflector.wait()
            for _ in range(100):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                    try:
                        sock.bind(("127.0.0.1", port + 1))
                        return
                    except OSError:
                        time.sleep(0.05)
        self.fail("the reflector in Python outlives the one in C")


if __name__ == "__main__":
    side.main()
