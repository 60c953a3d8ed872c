"""The live bench's sender, and a live run under it: counted to the frame."""
import json
import pathlib
import re
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "system"))
from lab import (BUILD, SONDE, Pair, Skip, check, equal, ethernet, folder,  # pylint: disable=wrong-import-position
                 ipv4, main, need_root, need_tool, pcap, run, signal_and_wait, started, udp, until)

SENDER = BUILD / "bench/sender"


def need_sender():
    need_root()
    need_tool("ethtool")
    if not SENDER.exists():
        raise Skip("bench/sender is not built: it needs clang and libbpf 0.8 or later")


class Live(Pair):
    """A pair that takes live frames, or a skip by name."""

    def __enter__(self):
        need_sender()
        super().__enter__()
        try:
            for space, name in ((self.left, "a0"), (self.right, "b0")):
                run(*self.inside(space, "ethtool", "-K", name, "gro", "on"))
            done = self.send("--count", 1, check_rc=None)
            if done.returncode:
                raise Skip(f"this kernel does not run bench/sender: {done.stderr.strip()}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def send(self, *words, check_rc=0):
        return run(*self.inside(self.left, SENDER, *words, "a0"), check_rc=check_rc)

    def sent(self, *words):
        return json.loads(self.send(*words).stdout)

    def taken(self):
        """What the far end says that it has received."""
        text = run("ip", "-n", self.right, "-s", "-j", "link", "show", "b0").stdout
        return json.loads(text)[0]["stats64"]["rx"]


def sends_exactly_what_it_is_told():
    with Live("sx") as pair:
        for words, count in ((("--count", 1), 1), (("--count", 100001), 100001),
                             (("--count", 70000, "--pps", 200000, "--flows", 3), 70000),
                             (("--ms", 500, "--pps", 100000), 50000)):
            before = pair.taken()
            result = pair.sent(*words)
            after = pair.taken()
            equal(result["sent"], count, f"{words}: sent")
            equal(result["taken"] + result["refused"], count, f"{words}: taken and refused")
            equal(after["packets"] - before["packets"], result["taken"], f"{words}: received at the far end")
            if not result["refused"]:
                equal(after["bytes"] - before["bytes"], result["bytes"], f"{words}: bytes at the far end")


def is_never_faster_than_its_pace():
    # On a busy machine it may be slower: what was missed is not made up.
    with Live("sp") as pair:
        for pace in (1000, 20000, 200000):
            result = pair.sent("--count", pace // 2, "--pps", pace)
            check(0 < result["pps"] < 1.05 * pace, f"{result['pps']} frames a second instead of {pace}")
            check(result["busy_ns"] * pace < 3e9, f"{result['busy_ns']} ns a frame beside waiting")


def ends_by_time_when_nothing_else_ends_it():
    with Live("st") as pair:
        result = pair.sent("--ms", 300, "--flows", 100)
        check(0.2 < result["seconds"] < 2, f"{result['seconds']} s instead of 0.3")
        check(result["sent"] > 1000, f"{result['sent']} frames")


def replays_a_file_in_turn():
    frames = [ethernet(ipv4("198.18.0.1", "198.18.0.2", 17, udp(1000 + i, 9, b"x" * (20 + 300 * i)))) for i in range(4)]
    with folder() as scratch, Live("sf") as pair:
        file, seen = scratch / "in.pcap", scratch / "seen.pcap"
        file.write_bytes(pcap([(0, frame) for frame in frames] + [(0, b"\0" * 3000)]))
        need_tool("tcpdump")
        with started(*pair.inside(pair.right, "tcpdump", "-i", "b0", "-w", seen, "-U", "-c", "10", "udp"),
                     stderr=subprocess.PIPE, text=True) as process:
            until("tcpdump", lambda: "listening" in process.stderr.readline())
            result = pair.sent("--file", file, "--count", 10, "--pps", 1000)
            equal(process.wait(timeout=20), 0, "tcpdump")
        equal((result["frames"], result["skipped"]), (4, 1), "frames of the file")
        bytes_ = seen.read_bytes()[24:]
        for i in range(10):
            size = int.from_bytes(bytes_[8:12], "little")
            equal(bytes_[16:16 + size], frames[i % 4], f"frame {i}")
            bytes_ = bytes_[16 + size:]


def refuses_what_it_cannot_do():
    need_sender()
    for words in (("--pps", "1"), ("--nothing", "1"), ("--size", "59"), ("--flows", "0"), ()):
        done = run(SENDER, *words, *(["lo"] if words else []), check_rc=None)
        check(done.returncode != 0 and done.stderr, f"{words}: exit {done.returncode}")
    done = run(SENDER, "--count", "1", "nosuch0", check_rc=1)
    check("nosuch0" in done.stderr, done.stderr)


def ledger(text):
    return {name: int(value.replace(",", "")) for name, value in re.findall(r"^  (\w+) +([\d,]+) ", text, re.M)}


def loaded(pair, words, more=()):
    """A live run under the sender: what was sent, and the run's ledger."""
    with started(*pair.inside(pair.right, SONDE, "run", "-i", "b0", "--no-tui", "--no-store", "--config", "/dev/null",
                              *more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        until("capturing", lambda: "capturing" in process.stdout.readline())
        result = pair.sent(*words)
        equal(signal_and_wait(process, signal.SIGINT), 0, "exit status")
        text = process.stdout.read()
    check("adds up" in text, text[-500:])
    return result, ledger(text)


def a_live_run_loses_nothing_at_a_moderate_rate():
    with Live("lm") as pair:
        for words in (("--size", 60), ("--size", 0), ("--size", 1514), ("--ip6", 50)):
            result, seen = loaded(pair, (*words, "--flows", 5000, "--pps", 50000, "--count", 50000))
            equal(result["refused"], 0, f"{words}: refused by the pair")
            equal(seen["dropped_kernel"], 0, f"{words}: dropped")
            equal(seen["received"], 50000, f"{words}: received")
            equal(seen["received_bytes"], result["bytes"], f"{words}: bytes")
            equal(seen["metered"], 50000, f"{words}: metered")
            equal(seen["created"], 5000, f"{words}: flows")


def a_live_run_counts_every_frame_at_any_rate():
    with Live("la") as pair:
        for workers in (1, 2):
            result, seen = loaded(pair, ("--flows", 5000, "--ms", 1000), ("--workers", workers, "--ring-size", "64M"))
            equal(seen["received"] + seen["dropped_kernel"], result["taken"], f"{workers} workers: received and dropped")
            check(seen["metered"] > 0, "nothing was metered")


if __name__ == "__main__":
    main(sends_exactly_what_it_is_told, is_never_faster_than_its_pace, ends_by_time_when_nothing_else_ends_it,
         replays_a_file_in_turn, refuses_what_it_cannot_do, a_live_run_loses_nothing_at_a_moderate_rate,
         a_live_run_counts_every_frame_at_any_rate)
