"""Round trips against the truth: the delay line says what became of each packet.

'python3 test_rtt.py BUILD SOURCE MODE' measures and prints, MODE one of
'million' (scripted events, at 10 kHz), 'accuracy', 'complete', 'lateness',
'cost' (of stamps).
"""
import collections
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

from lab import SONDE, check, equal, folder, main, run, started, until
from line import PORT, RIGHT, Line, ledger_check, residual_check

KEY = "000102030405060708090a0b0c0d0e0f"


# ------------------------------------------------------------ exactness ------


def events_make(count, share, seed):
    """A script over sequence numbers; returns its lines and how many events they are."""
    pick, lines, seq, events = random.Random(seed), [], 0, 0

    def late():  # up to 200 packets at 10 kHz, more than an answer tells of unasked
        return pick.choice((pick.randrange(1, 3_000_000), pick.randrange(3_000_000, 20_000_000)))

    def one(kind, seq):
        if kind == "lost":
            return [f"{pick.choice('fb')} {seq} 0"]
        if kind == "doubled":
            return [f"f {seq} 0 0 {late()}"]
        if kind == "thrice":
            return [f"f {seq} 0 0 {late()} {late()}"]
        if kind == "doubled, an answer lost":
            return [f"f {seq} 0 0 {late()}", f"b {seq} {pick.randrange(2)}"]
        if kind == "doubled, both answers lost":
            return [f"f {seq} 0 0 {late()}", f"b {seq} 0", f"b {seq} 1"]
        if kind == "doubled answer":
            return [f"b {seq} 0 0 {late()}"]
        if kind == "all doubled":
            return [f"f {seq} 0 0 {late()}", f"b {seq} 0 0 {late()}", f"b {seq} 1 {late()} {late()}"]
        if kind == "late forward":
            return [f"f {seq} 0 {late()}"]
        if kind == "late back":
            return [f"b {seq} 0 {late()}"]
        return [f"f {seq} 0 {late()}", f"b {seq} 0 {late()}"]

    kinds = ("lost", "lost", "doubled", "thrice", "doubled, an answer lost", "doubled, both answers lost",
             "doubled answer", "all doubled", "late forward", "late back", "late both")
    while seq < count:
        if pick.random() < share / 400:
            leg, length = pick.choice("fb"), pick.randrange(2, 400)
            lines += [f"{leg} {at} 0" for at in range(seq, min(seq + length, count))]
            events += min(length, count - seq)
            seq += length
        elif pick.random() < share:
            fresh = one(pick.choice(kinds), seq)
            lines += fresh
            events += len(fresh)
            seq += 1
        else:
            seq += 1
    return lines, events


def truth_of(log):
    """By the delay line's log: the fields of each packet as 'sonde rtt' should report them."""
    came, outs = collections.Counter(), {}
    late_forward, late_back = set(), set()
    highest_forward, highest_back = -1, -1
    sent, answers = set(), collections.defaultdict(set)
    with open(log, encoding="ascii") as lines:
        for line in lines:
            leg, *numbers = line.split()
            seq, occurrence, _, in_ns, out_ns = map(int, numbers)
            if leg == "f":
                sent.add(seq)
                if out_ns == 0:
                    continue
                came[seq] += 1
                if came[seq] == 1 and seq < highest_forward:
                    late_forward.add(seq)
                highest_forward = max(highest_forward, seq)
            else:
                answers[seq].add(occurrence)
                if out_ns == 0:
                    continue
                if seq not in outs and in_ns < highest_back:
                    late_back.add(seq)
                outs.setdefault(seq, collections.Counter())[occurrence] += 1
                highest_back = max(highest_back, in_ns)  # answers leave the reflector in this order
    truth = {}
    for seq in sent:
        if len(answers[seq]) != came[seq]:
            raise AssertionError(f"packet {seq} came {came[seq]} times and left {len(answers[seq])} times")
        got = outs.get(seq, {})
        fate = "answered" if got else "lost_back" if came[seq] else "lost_forward"
        truth[seq] = (fate, max(came[seq] - 1, 0), sum(got.values()) - len(got), came[seq] - len(got),
                      seq in late_forward, seq in late_back)
    return truth


def told_of(row):
    return (row["fate"], row.get("duplicates_forward", 0), row.get("duplicates_back", 0), row.get("answers_lost", 0),
            row.get("overtaken_forward", False), row.get("overtaken_back", False))


def script_check(lines, truth):
    """The delay line itself: it lost and doubled what the script says."""
    for line in lines:
        leg, seq, occurrence, *delays = line.split()
        if leg == "f" and int(seq) in truth:
            equal(len(delays), 0 if truth[int(seq)][0] == "lost_forward" else truth[int(seq)][1] + 1,
                  f"departures of '{line}'")


def exact(count, rate, share, seed, *arguments, keyed=False):
    with Line() as line, folder() as path:
        lines, events = events_make(count, share, seed)
        (path / "script").write_text("\n".join(lines))
        key = ["--key", KEY] if keyed else []
        with line.delayed(path / "script", path / "log", keyed=keyed):
            with line.reflector("--rate", "0", *key, *arguments):
                packets, summary, _ = line.rtt("--count", count, "--rate", rate, *key, check_rc=None)
        ledger_check(packets, summary, count)
        truth = truth_of(path / "log")
        script_check(lines, truth)
    rows = [row for row in packets if row["fate"] != "skipped"]
    wrong = [(row["seq"], told_of(row), truth[row["seq"]]) for row in rows if told_of(row) != truth[row["seq"]]]
    seen = collections.Counter(truth[row["seq"]][0] for row in rows)
    print(f"# {count} slots at {rate} Hz, {events} events, {len(rows)} sent: {dict(seen)}, "
          f"{sum(truth[row['seq']][4] for row in rows)} overtaken forward, "
          f"{sum(truth[row['seq']][5] for row in rows)} back, "
          f"{sum(truth[row['seq']][1] for row in rows)} copies forward, "
          f"{sum(truth[row['seq']][2] for row in rows)} back; {len(wrong)} reported otherwise")
    for row in wrong[:10]:
        print("#   seq, told, truth:", *row)
    equal(len(wrong), 0, "packets reported otherwise than the delay line saw them")
    residual_check(packets)
    check(len(rows) > count * 0.5, f"only {len(rows)} of {count} packets could be sent in their slots")


def loss_copies_and_order_are_exactly_those_of_the_line():
    exact(20000, 5000, 0.2, 1)


def they_are_with_a_key():
    exact(5000, 2000, 0.3, 2, keyed=True)


def they_are_with_a_stateless_reflector():
    exact(5000, 2000, 0.3, 3, "--stateless")


# ------------------------------------------------------------- accuracy ------


def errors_of(packets, log):
    """Wire segments as reported, less the time in the delay line as logged; both legs, ns."""
    inside = {}
    with open(log, encoding="ascii") as lines:
        for line in lines:
            leg, seq, _, _, in_ns, out_ns = line.split()
            inside[leg, int(seq)] = int(out_ns) - int(in_ns)
    errors = []
    for row in packets:
        for leg, name in (("f", "forward sent-received"), ("b", "back sent-received")):
            wire_ns = row["segments_ns"][name] if row["fate"] == "answered" else None
            if wire_ns is not None:
                errors.append(wire_ns - inside[leg, row["seq"]])
    return sorted(errors)


def share(values, part):
    return values[min(int(len(values) * part), len(values) - 1)]


def accuracy(delay_ns, count, rate, *arguments):
    with Line() as line, folder() as path:
        (path / "script").write_text("")
        with line.delayed(path / "script", path / "log", delay_ns):
            with line.reflector():
                packets, summary, _ = line.rtt("--count", count, "--rate", rate, *arguments)
        ledger_check(packets, summary, count)
        residual_check(packets)
        errors = errors_of(packets, path / "log")
    check(len(errors) > 1.9 * summary["sent"], f"{len(errors)} wire segments of {summary['sent']} packets")
    print(f"# delay {delay_ns / 1e6:g} ms each way, {summary['sent']} packets: wire segment less the line's own time: "
          f"least {errors[0]} ns, median {share(errors, 0.5)} ns, 99 % {share(errors, 0.99)} ns")
    return errors


def the_wire_segment_is_the_time_in_the_line():
    for delay_ns in (0, 100_000, 1_000_000, 10_000_000, 100_000_000):
        errors = accuracy(delay_ns, 1000, 1000)
        # Between two stamps a veth pair has some 0.2 us, twice; the machine may be busy.
        check(0 <= errors[0] and share(errors, 0.5) < 20_000, f"delay {delay_ns}: median error {share(errors, 0.5)} ns")


# --------------------------------------------------------- whole accounts ----


def complete(count, rate, *arguments):
    with Line(relayed=False) as line:
        with line.reflector():
            packets, summary, _ = line.rtt("--count", count, "--rate", rate, *arguments)
        ledger_check(packets, summary, count)
        whole = residual_check(packets)
    print(f"# {rate} Hz: {count} slots, {summary['sent']} sent, {summary['late']} late, {summary['skipped']} skipped, "
          f"{summary['answered']} answered, {whole} complete, residual 0 in each")
    check(whole >= 0.999 * summary["answered"], f"only {whole} of {summary['answered']} are complete")
    equal(summary["lost"], 0, "lost")


def every_packet_is_complete_and_its_segments_add_up():
    complete(2000, 1000)
    complete(20000, 10000)


def medians(packets, name):
    values = sorted(row["segments_ns"][name] for row in packets
                    if row["fate"] == "answered" and row["segments_ns"][name] is not None)
    return share(values, 0.5)


def a_full_queue_is_time_between_sched_and_sent():
    with Line(relayed=False) as line:
        run("ip", "netns", "exec", line.left, "tc", "qdisc", "add", "dev", "a0", "root", "tbf", "rate", "10mbit",
            "burst", "2000", "limit", "400000")
        with line.reflector():  # 1000 bytes each 500 us, where a frame takes 800 us
            packets, _, _ = line.rtt("--count", 300, "--rate", 2000, "--size", 958, "--tier", "T1")
    rows = [row for row in packets if row["fate"] == "answered"]
    queue = [row["segments_ns"]["forward sched-sent"] for row in rows]
    slots = [row["seq"] for row in rows]
    steps = sorted((queue[i + 1] - queue[i]) / (slots[i + 1] - slots[i]) for i in range(50, len(rows) - 1))
    print(f"# the queue grows by {share(steps, 0.5):.0f} ns a packet, by the rates 300000")
    check(abs(share(steps, 0.5) - 300_000) < 30_000, f"the queue grows by {share(steps, 0.5)} ns a packet")
    check(queue[-1] > 50_000_000, f"the last packet waited {queue[-1]} ns")
    check(medians(packets, "forward sent-received") < 1_000_000, "the wire is blamed")


def blamed(packets, least_ns):
    """Segments that were at least so long in some packet."""
    names = collections.Counter(name for row in packets if row["fate"] == "answered"
                                for name, value in row["segments_ns"].items()
                                if value is not None and value >= least_ns)
    return names


def a_reflector_that_pauses_is_time_before_its_read():
    with Line(relayed=False) as line, line.reflector() as process:
        with started(*line.inside(line.left, SONDE, "rtt", RIGHT, "--port", PORT, "--json", "--count", 600, "--rate",
                                  1000, "--tier", "T1"), stdout=subprocess.PIPE, text=True) as sender:
            time.sleep(0.3)
            process.send_signal(signal.SIGSTOP)
            time.sleep(0.15)
            process.send_signal(signal.SIGCONT)
            packets = [json.loads(row) for row in sender.communicate(timeout=30)[0].splitlines()][:-1]
    names = blamed(packets, 70_000_000)
    check(names["forward received-receive"] >= 30, f"segments of 70 ms and more: {names}")
    check(names["forward received-receive"] > 5 * (sum(names.values()) - names["forward received-receive"]),
          f"segments of 70 ms and more: {names}")


def lateness():
    """Of slots at 1 kHz, ours and irtt's, by turns on one link."""
    with Line(relayed=False) as line, line.reflector():
        for arguments in ([], ["--cpu", "0"], ["--realtime"], ["--cpu", "0", "--realtime"]):
            packets, summary, _ = line.rtt("--count", 3000, "--rate", 1000, *arguments)
            ledger_check(packets, summary, 3000)
            late = sorted(row["late_ns"] for row in packets if row["late_ns"] is not None)
            print(f"# sonde rtt {' '.join(arguments)}: {summary['sent']} of 3000 sent, {summary['late']} late, "
                  f"{summary['skipped']} skipped; lateness median {share(late, 0.5)} ns, 99 % {share(late, 0.99)} ns")
            if not shutil.which("irtt"):
                continue
            with started(*line.inside(line.right, "irtt", "server", "-i", "0"), stdout=subprocess.DEVNULL):
                until("irtt listens", lambda: line.listens(line.right, 2112))
                done = run(*line.inside(line.left, "irtt", "client", "-i", "1ms", "-d", "3s", "-o", "-", "-Q", RIGHT))
            sent = json.loads(done.stdout[done.stdout.index("{"):])["stats"]
            print(f"# irtt: {sent['packets_sent']} of 3000 sent, timer error "
                  f"median {sent['timer_error'].get('median')} ns, mean {sent['timer_error']['mean']} ns")


def cost():
    """What stamps add, every other packet without: to the round trip, and without the readers' wake-ups, which vary by
    far more."""
    asleep = ("forward received-receive", "reflector receive-send", "back received-receive")
    for rate in (1000, 10000) * 5:
        with Line(relayed=False) as line, line.reflector("--tier", "T1"):
            packets, summary, _ = line.rtt("--count", 3 * rate, "--rate", rate, "--interleave", "--tier", "T1", "--cpu",
                                           "0")
        rest = ([], [])
        for row in packets:
            parts = [row["segments_ns"][name] for name in asleep]
            if row["fate"] == "answered" and None not in parts:
                rest[row["seq"] % 2].append(row["rtt_ns"] - sum(parts))
        own = summary["own_cost"]
        print(f"# {rate} Hz: round trip {own['cost_ns']} ns ({own['low_ns']} to {own['high_ns']}), without wake-ups "
              f"{share(sorted(rest[0]), 0.5) - share(sorted(rest[1]), 0.5)} ns", flush=True)


MODES = {
    "cost": cost,
    "lateness": lateness,
    "million": lambda count=1_200_000: exact(int(count), 10000, 0.75, 4),
    "accuracy": lambda: [accuracy(delay, 5000, 1000, "--cpu", "0") for delay in (0, 10**5, 10**6, 10**7, 10**8)],
    "complete": lambda: [complete(20000, rate) for rate in (1000, 10000)],
}
if len(sys.argv) > 3:
    MODES[sys.argv[3]](*sys.argv[4:])
    sys.exit(0)
main(
    loss_copies_and_order_are_exactly_those_of_the_line,
    they_are_with_a_key,
    they_are_with_a_stateless_reflector,
    the_wire_segment_is_the_time_in_the_line,
    every_packet_is_complete_and_its_segments_add_up,
    a_full_queue_is_time_between_sched_and_sent,
    a_reflector_that_pauses_is_time_before_its_read,
)
