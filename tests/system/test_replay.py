"""Over a veth pair, every frame is captured or counted as dropped."""
import json
import re
import signal
import subprocess
import time

from lab import SONDE, Pair, check, equal, ethernet, folder, ipv4, main, need_root, need_tool, pcap, run, udp, until

FRAMES, LOOPS = 20_000, 100  # two million


def capture_file(path):
    frames = [(10**9 + i * 1000, ethernet(ipv4(f"198.18.1.{i % 200}", f"198.18.2.{i % 97}", 17,
                                               udp(1024 + i % 50000, 53, b"x" * 18)))) for i in range(FRAMES)]
    path.write_bytes(pcap(frames))


def link_counters(space, interface):
    out = run("ip", "-n", space, "-s", "-j", "link", "show", "dev", interface).stdout
    return json.loads(out)[0]["stats64"]


def replay(pair, path, *speed):
    """Send the file with tcpreplay; frames sent and packets a second."""
    before = link_counters(pair.left, "a0")["tx"]["packets"]
    begin = time.monotonic()
    run(*pair.inside(pair.left, "tcpreplay", "-q", "-K", "-i", "a0", "--loop", LOOPS, *speed, path), timeout=300)
    seconds = time.monotonic() - begin
    sent = link_counters(pair.left, "a0")["tx"]["packets"] - before
    return sent, sent / seconds


def metered(pair, path, workers, *speed):
    """The ledger of one replay, frames sent, and its rate."""
    errors = path.with_suffix(".log")
    lost = link_counters(pair.right, "b0")["rx"]["dropped"]
    with open(errors, "wb") as log:
        process = subprocess.Popen(pair.inside(pair.right, SONDE, "flows", "-i", "b0", "--workers", workers, "-f",
                                               "csv", "--summary", "--ring-size", "512M"),
                                   stdout=subprocess.DEVNULL, stderr=log)
        try:
            until("sonde's packet sockets", lambda: sockets(pair.right) >= workers)
            sent, rate = replay(pair, path, *speed)
            time.sleep(0.5)  # what is under way arrives
            process.send_signal(signal.SIGINT)
            equal(process.wait(timeout=60), 0, "exit status")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    ledger = {name: int(value.replace(",", "")) for name, value in
              re.findall(r"^\s+(\w+)\s+([\d,]+) ", errors.read_text(), re.MULTILINE)}
    sent -= link_counters(pair.right, "b0")["rx"]["dropped"] - lost  # lost by the link before any tap
    return ledger, sent, rate


def sockets(space):
    """Packet sockets that are bound and running in the namespace."""
    out = run("ip", "netns", "exec", space, "cat", "/proc/net/packet").stdout
    return sum(line.split()[5] == "1" for line in out.splitlines()[1:])


def replayed(workers):
    need_root()
    need_tool("tcpreplay")
    with folder() as scratch, Pair("rp") as pair:
        path = scratch / "x.pcap"
        capture_file(path)
        ledger, sent, rate = metered(pair, path, workers, "--topspeed")
        check(sent > FRAMES * LOOPS * 0.9, f"tcpreplay sent only {sent}")
        equal(ledger["received"] + ledger["dropped_kernel"], sent, "received + dropped at top speed")
        equal(ledger["metered"] + ledger.get("refused_full", 0), ledger["decoded"], "metered + refused")
        print(f"# {workers} workers: {rate / 1e6:.2f} Mpps sent, {ledger['dropped_kernel']} dropped")
        ledger, sent, rate = metered(pair, path, workers, "--pps", int(rate / 2))
        equal(ledger["received"], sent, "received at half the rate")
        equal(ledger["dropped_kernel"], 0, "dropped at half the rate")


def loses_nothing_uncounted_with_one_worker():
    replayed(1)


def loses_nothing_uncounted_with_two_workers():
    replayed(2)


main(loses_nothing_uncounted_with_one_worker, loses_nothing_uncounted_with_two_workers)
