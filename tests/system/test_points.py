#!/usr/bin/env python3
"""Round trips stamped by BPF: two namespaces, tiers T2 and what lacks."""
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time

import lab

PORT = 8620


@contextlib.contextmanager
def reflector(space, *options):
    command = lab.Pair.inside(space, lab.SONDE, "reflect", "--port", PORT, "--json", *options)
    with lab.started(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        listening = lab.Pair.inside(space, "sh", "-c", f"grep -iq ':{PORT:04X} ' /proc/net/udp /proc/net/udp6")
        lab.until("the reflector listens",
                  lambda: subprocess.run(listening, check=False).returncode == 0 or process.poll() is not None)
        yield process


def rtt(space, host, *options, check_rc=0):
    """Trips and summary of 'sonde rtt --json'."""
    done = lab.run(*lab.Pair.inside(space, lab.SONDE, "rtt", host, "--json", *options), check_rc=check_rc)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return rows[:-1], rows[-1]


def check_trips(trips, summary, least):
    """Complete but for one in a thousand; sums exact; nothing goes back in time."""
    sent = [trip for trip in trips if trip["fate"] not in ("skipped", "failed")]
    complete = [trip for trip in sent if None not in trip["segments_ns"].values()
                and len(trip["segments_ns"]) + 1 >= least]
    lab.equal(len(sent), summary["sent"], "trips that were sent")
    lab.check(len(complete) >= 0.999 * len(sent) > 0,
              f"complete with {least} points: {len(complete)} of {len(sent)}; {summary}")
    for trip in complete:
        lab.equal(sum(trip["segments_ns"].values()), trip["rtt_ns"], f"sum of segments of {trip['seq']}")
    back = [(trip["seq"], name, ns) for trip in sent for name, ns in trip["segments_ns"].items()
            if ns is not None and ns < 0]
    lab.check(not back, f"segments below zero: {back[:5]} and so on, {len(back)} of them")
    lab.equal(summary["bpf_lost"], 0, "stamps lost")


def run_at(rate):
    with lab.Pair("points") as pair, reflector(pair.right):
        trips, summary = rtt(pair.left, f"198.18.0.2:{PORT}", "--count", 20000, "--rate", rate)
    lab.check(summary["tier"] in ("T2", "T3"), f"tier: {summary['tier']}")
    lab.equal(summary["reflector_tier"], summary["tier"], "the other host's tier")
    lab.equal(len(trips), 20000, "slots in the account")
    check_trips(trips, summary, 20)


def twenty_points_of_every_packet_at_1_khz():
    lab.need_tracepoints()
    run_at(1000)


def twenty_points_of_every_packet_at_10_khz():
    lab.need_tracepoints()
    run_at(10000)


def asleep_it_is_woken_and_runs():
    lab.need_tracepoints()
    with lab.Pair("points") as pair, reflector(pair.right):
        trips, summary = rtt(pair.left, f"198.18.0.2:{PORT}", "--count", 1000, "--rate", 1000, "--sleep")
    check_trips(trips, summary, 20)
    # The reflector waits asleep; the sender may still be at work when its answer is there.
    woken = [trip for trip in trips if "forward waking-running" in trip["segments_ns"]]
    lab.check(len(woken) > 100, f"woken: {len(woken)} of {len(trips)}")


def a_backlog_keeps_its_stamps():
    lab.need_tracepoints()
    with lab.Pair("points") as pair, reflector(pair.right) as there:
        command = lab.Pair.inside(pair.left, lab.SONDE, "rtt", f"198.18.0.2:{PORT}", "--json", "--count", 10000,
                                  "--rate", 10000)
        with lab.started(*command, stdout=subprocess.PIPE, text=True) as here:
            time.sleep(0.4)
            there.send_signal(signal.SIGSTOP)
            time.sleep(0.4)
            there.send_signal(signal.SIGCONT)
            rows = [json.loads(line) for line in here.communicate(timeout=30)[0].splitlines()]
    late = [trip for trip in rows[:-1] if trip["rtt_ns"] and trip["rtt_ns"] > 100_000_000]
    lab.check(len(late) > 1100, f"of {len(rows) - 1} only {len(late)} waited for the reflector")
    check_trips(rows[:-1], rows[-1], 20)


def behind_a_shaper_few_lack_stamps_and_none_by_us():
    """Packets of a shaper leave in an interrupt, on top of whatever has the CPU; docs/POINTS.md, Limits."""
    lab.need_tracepoints()
    lab.need_tool("tc")
    for turn in range(6):
        with lab.Pair("points") as pair, reflector(pair.right):
            lab.run("tc", "-n", pair.left, "qdisc", "add", "dev", "a0", "root", "tbf", "rate", "3mbit", "burst", "1600",
                    "latency", "900ms")
            trips, summary = rtt(pair.left, f"198.18.0.2:{PORT}", "--count", 1000, "--rate", 1000, check_rc=None)
        missing = {name: count for name, count in summary["missing"].items() if count}
        print(f"# run {turn}: {summary['answered']} answered, missing: {missing}", flush=True)
        lab.equal(sum(summary[name] for name in ("bpf_lost", "bpf_unread", "bpf_strange")), 0, "lost by us")
        lab.check(set(missing) <= {f"forward {point}" for point in ("driver", "stack", "ready", "waking")},
                  f"missing too: {missing}")
        lab.check(max(missing.values(), default=0) <= summary["answered"] // 50, f"missing: {missing}")
        for trip in trips:
            if trip["fate"] == "answered" and None not in trip["segments_ns"].values():
                lab.equal(sum(trip["segments_ns"].values()), trip["rtt_ns"], f"sum of segments of {trip['seq']}")


def ipv6_and_a_key_on_one_host():
    lab.need_tracepoints()
    key = ["--key", "00112233"]
    with lab.Pair("points") as pair, reflector(pair.left, *key):
        trips, summary = rtt(pair.left, f"[::1]:{PORT}", "--count", 1000, "--rate", 1000, *key)
    check_trips(trips, summary, 20)


def other_traffic_is_not_stamped():
    lab.need_tracepoints()
    flood = ("import socket, time\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
             "end = time.monotonic() + 1\nwhile time.monotonic() < end:\n    s.sendto(b'x' * 100, ('198.18.0.2', 9))\n")
    with lab.Pair("points") as pair, reflector(pair.right):
        with lab.started(*lab.Pair.inside(pair.left, "python3", "-c", flood)):
            _, summary = rtt(pair.left, f"198.18.0.2:{PORT}", "--count", 500, "--rate", 1000, check_rc=None)
    each = 4 if summary["tier"] == "T2" else 8
    lab.check(summary["bpf_taken"] >= each * summary["answered"], f"too few: {summary}")
    lab.check(summary["bpf_taken"] <= each * (summary["sent"] + 64), f"too many: {summary}")


def a_lower_tier_can_be_forced():
    lab.need_tracepoints()
    with lab.Pair("points") as pair, reflector(pair.right):
        trips, summary = rtt(pair.left, f"198.18.0.2:{PORT}", "--count", 200, "--rate", 1000, "--tier", "T1")
    lab.equal((summary["tier"], summary["reflector_tier"], summary["points"]), ("T1", "T1", 10), "tier, points")
    lab.equal(summary["bpf_taken"], 0, "stamps by BPF")
    check_trips(trips, summary, 10)


def one_host_may_have_more_than_the_other():
    lab.need_tracepoints()
    with lab.Pair("points") as pair, reflector(pair.right, "--tier", "T1"):
        trips, summary = rtt(pair.left, f"198.18.0.2:{PORT}", "--count", 200, "--rate", 1000)
    lab.equal(summary["reflector_tier"], "T1", "the other host's tier")
    check_trips(trips, summary, 15)


def without_a_privilege_it_says_what_is_lost():
    lab.need_root()
    lab.need_tool("setpriv")
    with lab.Pair("points") as pair, reflector(pair.right), lab.folder() as folder:
        # Where the build folder cannot be reached by others.
        program = shutil.copy(lab.SONDE, folder / "sonde")
        os.chmod(folder, 0o755)
        nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", program, "rtt",
                  f"198.18.0.2:{PORT}", "--json", "--count", "50", "--rate", "1000"]
        done = lab.run(*lab.Pair.inside(pair.left, *nobody))
        summary = json.loads(done.stdout.splitlines()[-1])
        forced = lab.run(*lab.Pair.inside(pair.left, *nobody, "--tier", "T2"), check_rc=None)
    lab.equal(summary["tier"], "T1", "tier")
    lab.check(re.search("CAP_BPF|without BPF", summary["tier_note"]), f"note: {summary['tier_note']}")
    lab.check(forced.returncode != 0, "a tier that cannot be had was taken for had")
    lab.check(re.search("tier T2: .*(CAP_BPF|without BPF)", forced.stderr), forced.stderr)


def capabilities_of(process):
    """The effective and permitted sets of each of its threads."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for task in os.listdir(f"/proc/{process}/task"):
            with open(f"/proc/{process}/task/{task}/status", encoding="ascii") as status:
                found += re.findall(r"^Cap(?:Eff|Prm):\s*(\w+)", status.read(), re.M)
    return found


def gives_its_privileges_back():
    lab.need_root()
    with lab.Pair("points") as pair, reflector(pair.right) as there:
        command = lab.Pair.inside(pair.left, lab.SONDE, "rtt", f"198.18.0.2:{PORT}", "--rate", 1000, "--json")
        with lab.started(*command, stdout=subprocess.DEVNULL) as here:
            for process in (there, here):
                lab.until("no capability left", lambda process=process: capabilities_of(process.pid) and
                          not any(int(text, 16) for text in capabilities_of(process.pid)))
            time.sleep(0.2)
            lab.equal(lab.signal_and_wait(here, signal.SIGINT), 0, "exit code")


def doctor_has_seen_the_points():
    lab.need_tracepoints()
    with lab.Pair("points") as pair:
        done = lab.run(*lab.Pair.inside(pair.left, lab.SONDE, "doctor", "-f", "json", "-i", "a0"), check_rc=None)
    rows = {row["name"]: row for row in map(json.loads, done.stdout.splitlines()) if row["area"] == "Round trips"}
    lab.check("seen: sched sent" in rows["T1"]["text"], rows["T1"]["text"])
    lab.check("seen: call queue driver" in rows["T2"]["text"], rows["T2"]["text"])
    lab.check(rows["T3"]["verdict"] == "ok" or rows["T3"]["remedy"], rows["T3"])


if __name__ == "__main__":
    lab.main(twenty_points_of_every_packet_at_1_khz, twenty_points_of_every_packet_at_10_khz,
             asleep_it_is_woken_and_runs, a_backlog_keeps_its_stamps,
             behind_a_shaper_few_lack_stamps_and_none_by_us, ipv6_and_a_key_on_one_host,
             other_traffic_is_not_stamped, a_lower_tier_can_be_forced, one_host_may_have_more_than_the_other,
             without_a_privilege_it_says_what_is_lost, gives_its_privileges_back, doctor_has_seen_the_points)
