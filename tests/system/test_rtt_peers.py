"""Round trips with other people's implementations: each is skipped by its name where it is not installed.

stamp-suite   both roles, plain and with a key, stateful and not, every TLV that both know
scapy         makes requests, reads our answers
tshark        reads our packets
"""
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import time

from lab import SONDE, Skip, check, equal, ethernet, folder, ipv4, main, need_tool, pcap, run, started, udp, until

NTP_UNIX_S = 2208988800
PORT = 8620
KEY = "00112233445566778899aabbccddeeff"


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        trial.bind(("127.0.0.1", 0))
        return trial.getsockname()[1]


def listening(port):
    until(f"port {port} is served", lambda: f":{port} " in run("ss", "-Hlun").stdout)


@contextlib.contextmanager
def ours(*arguments):
    """'sonde reflect'; its port and, at the end, its counters."""
    port, counters = free_port(), {}
    with started(SONDE, "reflect", "--local", "127.0.0.1", "--port", port, "--json", *arguments,
                 stdout=subprocess.PIPE, text=True) as process:
        listening(port)
        yield port, counters
        process.send_signal(signal.SIGINT)
        counters.update(json.loads(process.communicate(timeout=20)[0]))


@contextlib.contextmanager
def key_file():
    with folder() as path:
        (path / "key").write_text(KEY)
        os.chmod(path / "key", 0o400)
        yield path / "key"


# ------------------------------------------------------------ stamp-suite ----


def suite_asks(port, *arguments):
    """Its report of 100 packets to port."""
    done = run("stamp-suite", "--remote-addr", "127.0.0.1", "--remote-port", port, "-c", 100, "-d", "2ms", "-L", 1,
               "--output-format", "json", *arguments)
    return json.loads(done.stdout[done.stdout.index("{"):])


def answers_stamp_suite():
    need_tool("stamp-suite")
    tlvs = ["--timestamp-info", "--direct-measurement", "--location", "--follow-up-telemetry", "--cos", "--dscp", 34,
            "--access-report", 1, "--extra-padding", 20]
    with key_file() as path:
        keyed = ["-A", "A", "--hmac-key-file", path, "--verify-tlv-hmac"]
        for ours_is, theirs in (([], []), ([], ["--ssid", 77, *tlvs]), (["--stateless"], ["--ssid", 77, *tlvs]),
                                ([], ["-K", "PTP", *tlvs]), (["--key", KEY], keyed),
                                (["--key", KEY], [*keyed, "--ssid", 77, *tlvs])):
            with ours(*ours_is) as (port, counters):
                report = suite_asks(port, *theirs)
            equal((report["packets_sent"], report["packets_received"]), (100, 100), f"packets, {theirs}")
            equal(counters["answered"], counters["received"], f"answered, {theirs}")
            seen = report["measurements"]
            if tlvs[0] not in theirs:
                continue
            equal(seen["tlv_validation"]["flags"], {"unrecognized": 0, "malformed": 0, "integrity_failed": 0,
                                                    "conformant_reflected": 0}, f"TLV flags, {theirs}")
            equal(seen["tlv_validation"]["hmac"]["verified"], 100 if keyed[0] in theirs else 0, f"HMACs, {theirs}")
            equal(report["access_report"]["outcome"], "acknowledged", f"access report, {theirs}")
            direct = seen["direct_measurement"]
            equal((direct["forward_missing"], direct["reverse_missing"]), (0, 0), f"direct measurement, {theirs}")
            # The stamp of the answer before is there in time, but for a busy moment; never that of one and the same.
            check(seen["follow_up"]["matched"] >= 80, f"follow-ups, {theirs}: {seen['follow_up']}")
            check(0 < seen["follow_up"]["reverse_delay"]["min_ms"] < 10, f"follow-ups: {seen['follow_up']}")


def we_ask(port, *arguments, check_rc=0):
    done = run(SONDE, "rtt", "127.0.0.1", "--port", port, "--json", "--count", 100, "--rate", 500, "--timeout", "300ms",
               *arguments, check_rc=check_rc)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return rows[:-1], rows[-1]


def stamp_suite_answers():
    need_tool("stamp-suite")
    with key_file() as path:
        for theirs, arguments in (([], []), (["--stateful-reflector"], []), (["--tlv-mode", "ignore"], []),
                                  (["-K", "PTP", "--strict-packets"], ["--size", 44]),
                                  (["-A", "A", "--hmac-key-file", path, "--verify-tlv-hmac"], ["--key", KEY]),
                                  (["-A", "A", "--hmac-key-file", path], ["--key", KEY[::-1]])):
            port = free_port()
            with started("stamp-suite", "-i", "--local-addr", "127.0.0.1", "--local-port", port, *theirs,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
                listening(port)
                wrong_key = KEY[::-1] in arguments
                rows, summary = we_ask(port, *arguments, "--dscp", 10, "--reply-dscp", 34, check_rc=int(wrong_key))
            equal(summary["answered"], 0 if wrong_key else summary["sent"], f"answered, {theirs}")
            equal([summary[name] for name in ("strange", "short_packets", "tlvs_malformed", "tlvs_integrity")],
                  [0, 0, 0, 0], f"{theirs}: {summary}")
            got = [row for row in rows if row["fate"] == "answered"]
            check(all(row["ttl_forward"] == 255 and "receive" in "".join(row["segments_ns"]) for row in got), f"{theirs}")
            if not theirs or "--stateful-reflector" in theirs:
                equal({(row["dscp_forward"], row["dscp_back"]) for row in got}, {(10, 34)}, f"classes, {theirs}")
            if "--stateful-reflector" in theirs:  # its follow-ups say when its answers went
                check(sum(row["segments_ns"].get("back sent-received") is not None for row in got) > 50, f"{got[50]}")
            for row in got:
                parts = list(row["segments_ns"].values())
                check(None in parts or sum(parts) == row["rtt_ns"], f"residual: {row}")


# ------------------------------------------------------------------ scapy ----


def scapy_and_we_read_each_other():
    try:
        from scapy.contrib import stamp
    except ImportError as reason:
        raise Skip("scapy with contrib.stamp (2.6) is not installed") from reason
    tlv = [stamp.STAMPTestTLV(flags="U", type=1, len=8, value=b"x" * 8),
           stamp.STAMPTestTLV(flags="U", type=99, len=4, value=b"what"),
           stamp.STAMPTestTLV(flags="U", type=3, len=4, value=bytes(4))]
    asked = stamp.STAMPSessionSenderTestUnauthenticated(seq=4711, ssid=12, ts=time.time() + NTP_UNIX_S, tlv_objects=tlv)
    with ours() as (port, _), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.connect(("127.0.0.1", port))
        asker.send(bytes(asked))
        check(select.select([asker], [], [], 5)[0], "no answer")
        got = asker.recv(2000)
    equal(len(got), len(bytes(asked)), "bytes")
    reply = stamp.STAMPSessionReflectorTestUnauthenticated(got)
    equal((reply.seq, reply.seq_sender, reply.ssid), (0, 4711, 12), "numbers")
    check(abs(reply.ts_rx - NTP_UNIX_S - time.time()) < 60, f"received at {reply.ts_rx}")
    check(0 <= reply.ts - reply.ts_rx < 1 and reply.ts_rx - reply.ts_sender < 1, "order of times")
    equal(bytes(reply)[28:38], bytes(asked)[4:14], "the sender's time and error estimate")
    equal([int(item.flags) & 0x80 for item in reply.tlv_objects], [0, 0x80, 0], "flag U")
    equal(bytes(reply.tlv_objects[1].value), b"what", "an unknown TLV's value")


# ----------------------------------------------------------------- tshark ----


def passed_through(arguments):
    """Payloads of requests and answers between our two ends."""
    packets = []
    with ours() as (port, _), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as front, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as back:
        front.bind(("127.0.0.1", 0))
        back.connect(("127.0.0.1", port))
        with started(SONDE, "rtt", "127.0.0.1", "--port", front.getsockname()[1], "--count", 20, "--rate", 200,
                     *arguments, stdout=subprocess.DEVNULL) as sender:
            while sender.poll() is None:
                for ready in select.select([front, back], [], [], 0.1)[0]:
                    payload, address = ready.recvfrom(70000)
                    packets.append((ready is back, payload))
                    if ready is front:
                        asker = address
                        back.send(payload)
                    else:
                        front.sendto(payload, asker)
    return packets


def tshark_reads_our_packets():
    """TWAMP-Test, RFC 5357: the first 41 bytes are STAMP's."""
    need_tool("tshark")
    packets = passed_through([])
    check(len(packets) >= 38, f"{len(packets)} packets")
    frames = [(10**18 + 10**6 * at, ethernet(ipv4("10.0.0.1", "10.0.0.2", 17, udp(PORT, 40000, payload)
                                                  if back else udp(40000, PORT, payload))))
              for at, (back, payload) in enumerate(packets)]
    with folder() as path:
        (path / "file.pcap").write_bytes(pcap(frames))
        fields = ["twamp.test.seq_number", "twamp.test.sender_seq_number", "twamp.test.sender_ttl",
                  "twamp.test.error_estimate.multiplier", "twamp.test.timestamp"]
        command = ["tshark", "-n", "-r", path / "file.pcap", "-d", f"udp.port=={PORT},twamp.test", "-T", "fields", "-E", "separator=|"]
        done = run(*command, *sum((["-e", field] for field in fields), []))
    rows = [line.split("|") for line in done.stdout.splitlines()]
    equal(len(rows), len(packets), "packets that tshark read")
    for (back, payload), (seq, sender_seq, ttl, multiplier, at) in zip(packets, rows):
        equal(seq, str(int.from_bytes(payload[:4], "big")), "number")
        equal(multiplier.split(",")[0], str(payload[13]), "error estimate")
        check(at.startswith(time.strftime("%b")), f"a time of this month: {at}")
        if back:
            equal((sender_seq, ttl), (str(int.from_bytes(payload[24:28], "big")), str(payload[40])), "of the sender")


main(answers_stamp_suite, stamp_suite_answers, scapy_and_we_read_each_other, tshark_reads_our_packets)
