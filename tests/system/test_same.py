"""The same file gives the same records: with 1, 2 or 3 workers, with and
without vector instructions (SONDE_PORTABLE leaves them out), and twice.

The rule: standard output, sorted by line, is the same to the byte.  Nothing
is left out: a record's (epoch, seq), which does differ, is for records that
are kept and is not printed by 'sonde flows'.  Lines are sorted because
shards hand out their records side by side.
"""
import concurrent.futures
import hashlib
import os
import random
import re
import socket
import struct
import subprocess
import sys

from lab import BUILD, SONDE, Skip, check, equal, ethernet, folder, ipv4, main, need_data, pcap, tcp, udp

EVERY_FILE = "all" in sys.argv[3:]  # else a sample of the public captures
SUFFIXES = (".pcap", ".pcapng", ".cap", ".pcap.gz", ".pcapng.gz")
S = 10**9
START = 1_700_000_000 * S
# Options of a run, and whether vector instructions are used; the first is
# what the others are compared with.
RUNS = [(["--workers", "1"], True), (["--workers", "1"], True), (["--workers", "1"], False),
        (["--workers", "2"], True), (["--workers", "3"], False)]
SHAPES = [["-f", "json", "--tcp-metrics"], ["-f", "csv"]]


def result(path, options, vector, shape):
    """Exit status, sorted output (its hash), what was said."""
    environment = {key: value for key, value in os.environ.items() if key != "SONDE_PORTABLE"}
    if not vector:
        environment["SONDE_PORTABLE"] = "1"
    done = subprocess.run([SONDE, "flows", *shape, *options, path], capture_output=True, timeout=120, check=False,
                          env=environment)
    check(done.returncode in (0, 3), f"{path}: exit {done.returncode}: {done.stderr[-2000:]}")
    lines = sorted(done.stdout.splitlines())
    return done.returncode, hashlib.sha256(b"\n".join(lines)).hexdigest(), done.stderr, lines


def first_difference(left, right):
    only_left, only_right = set(left) - set(right), set(right) - set(left)
    return f"{len(left)} and {len(right)} lines; only one has {sorted(only_left)[:2]}, {sorted(only_right)[:2]}"


def differences(path, *more):
    """What differs between the runs of one file, as sentences; and how many records it has."""
    wrong, count = [], 0
    for shape in SHAPES:
        first = result(path, RUNS[0][0], RUNS[0][1], [*shape, *more])
        count = len(first[3])
        for options, vector in RUNS[1:]:
            other = result(path, options, vector, [*shape, *more])
            if other[:3] != first[:3]:
                wrong.append(f"{path.name} {' '.join(shape + options)}{'' if vector else ' portable'}: "
                             f"{first_difference(first[3], other[3])} {first[2]} {other[2]}")
    return wrong, count


def same(path, *more, least):
    """The file's records are the same in every run, and not too few to tell."""
    wrong, count = differences(path, *more)
    equal(wrong, [], "runs that differ")
    check(count >= least, f"only {count} records")


def trace(path, **options):
    """A file by bench/trace."""
    program = BUILD / "bench" / "trace"
    if not program.exists():
        raise Skip(f"{program} is not built")
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    subprocess.run([program, *words, path], capture_output=True, check=True)
    return path


# ------------------------------------------------------- frames by chance --


def ip6(src, dst, protocol, payload):
    return b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01\x86\xdd" + struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + \
        socket.inet_pton(socket.AF_INET6, src) + socket.inet_pton(socket.AF_INET6, dst) + payload


def fragments4(src, dst, datagram, ident, size):
    """The datagram's frames, in order."""
    parts = [datagram[i:i + size] for i in range(0, len(datagram), size)]
    return [ethernet(ipv4(src, dst, 17, part, ident, i * size // 8 | (0x2000 if i + 1 < len(parts) else 0)))
            for i, part in enumerate(parts)]


def fragments6(src, dst, datagram, ident, size):
    parts = [datagram[i:i + size] for i in range(0, len(datagram), size)]
    return [ip6(src, dst, 44, struct.pack("!BBHI", 17, 0, i * size | (i + 1 < len(parts)), ident) + part)
            for i, part in enumerate(parts)]


def any_frames(chance):
    """One exchange, or part of it, between two of many hosts."""
    a, b = chance.randrange(300), chance.randrange(8)
    src, dst, sport = f"10.0.{a >> 8}.{a & 255}", f"10.1.0.{b}", 40000 + chance.randrange(8)
    kind = chance.randrange(10)
    if kind < 3:
        return [ethernet(ipv4(src, dst, 17, udp(sport, 53, b"q" * chance.randrange(300)))),
                ethernet(ipv4(dst, src, 17, udp(53, sport, b"a" * chance.randrange(900))))]
    if kind < 6:
        flags = chance.choice((0x02, 0x10, 0x10, 0x18, 0x18, 0x11, 0x04))
        return [ethernet(ipv4(src, dst, 6, tcp(sport, 443, flags, chance.randrange(9), 7, b"d" * chance.randrange(99)))),
                ethernet(ipv4(dst, src, 6, tcp(443, sport, flags | 0x10, chance.randrange(9), 7)))]
    if kind == 6:
        return [ip6(f"fd00::{a:x}", f"fd00:1::{b:x}", 17, udp(sport, 53, b"6"))]
    if kind == 7:
        return [ethernet(ipv4(src, dst, 1, bytes([chance.choice((8, 0, 3, 11)), 0, 0, 0, 0, a & 255, 0, 1]) + b"p" * 40))]
    cut = fragments4 if kind == 8 else fragments6
    ends = (src, dst) if kind == 8 else (f"fd00::{a:x}", f"fd00:1::{b:x}")
    frames = cut(*ends, udp(sport, 53, b"f" * 2000), chance.randrange(5000), 800)
    chance.shuffle(frames)
    return frames[:chance.randrange(1, 4)]


def traffic(seed, count, late_s=0, step_s=.02):
    """(time, frame), a part of them stamped up to late_s too early."""
    chance = random.Random(seed)
    now, out = START, []
    while len(out) < count:
        for frame in any_frames(chance):
            now += int(chance.expovariate(1 / step_s) * S)
            out.append((now - (int(chance.random() * late_s * S) if chance.random() < .1 else 0), frame))
    return out


def pcapng(frames, interfaces):
    """(time, frame, interface number) as pcapng with names and nanoseconds."""
    block = lambda kind, body: struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)
    pad = lambda text: text + bytes(-len(text) % 4)
    out = [block(0x0a0d0d0a, struct.pack("<IHHq", 0x1a2b3c4d, 1, 0, -1))]
    for i in range(interfaces):
        name = b"eth%d" % i
        out.append(block(1, struct.pack("<HHI", 1, 0, 0) + struct.pack("<HH", 2, len(name)) + pad(name) +
                         struct.pack("<HHBxxxI", 9, 1, 9, 0)))
    for at, frame, number in frames:
        out.append(block(6, struct.pack("<IIIII", number, at >> 32, at & 0xffffffff, len(frame), len(frame)) +
                         pad(frame)))
    return b"".join(out)


def written(scratch, content, name="x.pcap"):
    path = scratch / name
    path.write_bytes(content)
    return path


# ------------------------------------------------------------------ tests --


def gives_the_same_records_of_public_captures():
    paths = sorted(path for name in ("ndpi", "tcpdump", "pcapng-gen", "community-id")
                   for path in need_data(name).rglob("*") if path.name.endswith(SUFFIXES))
    check(len(paths) > 1000, f"only {len(paths)} captures found")
    if not EVERY_FILE:
        paths = paths[::25]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = list(pool.map(differences, paths))
    equal([sentence for wrong, _ in results for sentence in wrong], [], "runs that differ")
    print(f"# {len(paths)} captures, {sum(count for _, count in results)} records")


def gives_the_same_records_of_flows_that_come_and_go():
    with folder() as scratch:
        same(trace(scratch / "x.pcap", packets=300000, flows=20000, new=100000, rate=1000000), least=20000)


def gives_the_same_records_of_tcp_tunnels_and_ipv6():
    with folder() as scratch:
        same(trace(scratch / "x.pcap", packets=300000, flows=20000, new=50000, tcp=1, retransmit=50, reorder=50,
                   tunnels=40, ip6=30, size=0), least=20000)


def gives_the_same_records_of_more_flows_than_the_first_table_holds():
    with folder() as scratch:
        same(trace(scratch / "x.pcap", packets=900000, flows=400000, ip6=20, tunnels=20), least=350000)


def gives_the_same_records_beside_an_elephant():
    with folder() as scratch:
        same(trace(scratch / "x.pcap", packets=200000, flows=5000, elephant=70), least=5000)


def gives_the_same_records_of_chosen_collisions():
    with folder() as scratch:
        same(trace(scratch / "x.pcap", packets=100000, flows=5000, attack=1), least=5000)


def gives_the_same_records_of_fragments_in_any_order():
    with folder() as scratch:
        for step_s in (.02, .5, 5):  # a few packets pass, or none, before a datagram is given up
            same(written(scratch, pcap(traffic(1, 15000, step_s=step_s))), "--idle-timeout", "30", least=1000)


def gives_the_same_records_of_more_fragments_than_the_first_table_holds():
    """Later fragments, then the first ones; and some that never come."""
    datagrams = [fragments4(f"10.0.{i >> 8}.{i & 255}", "10.1.0.1", udp(5000, 53, b"f" * 1400), i, 800)
                 for i in range(20000)]
    frames = [parts[1] for parts in datagrams] + [parts[0] for parts in datagrams if parts[0][30] % 5]
    with folder() as scratch:
        path = written(scratch, pcap([(START + i * 1000, frame) for i, frame in enumerate(frames)]))
        same(path, least=20000)
        lines = result(path, ["--summary"], True, ["-f", "csv"])[2].decode()
        check("fragments_evicted" not in lines or re.search(r"fragments_evicted\s+0 ", lines), lines)


def gives_the_same_records_of_stamps_out_of_order():
    """Up to 25 s late: less than a step of the clock, about an idle timeout."""
    with folder() as scratch:
        for step_s in (.02, .5, 5):
            same(written(scratch, pcap(traffic(2, 15000, 25, step_s))), "--idle-timeout", "30", "--active-timeout",
                 "60", least=1000)


def gives_the_same_records_of_a_clock_that_was_set_back():
    with folder() as scratch:
        frames = traffic(1, 8000, late_s=5) + [(at - 7200 * S, frame) for at, frame in traffic(2, 8000, late_s=5)] + \
            [(at - 86400 * S, frame) for at, frame in traffic(3, 8000)]
        same(written(scratch, pcap(frames)), "--idle-timeout", "30", least=1000)


def gives_the_same_records_of_several_interfaces():
    """A packet is seen on up to three of them: duplicates are told alike."""
    chance = random.Random(5)
    frames = [(at + number, frame, number) for at, frame in traffic(4, 12000, late_s=3)
              for number in range(3) if number == 0 or chance.random() < .4]
    with folder() as scratch:
        path = written(scratch, pcapng(frames, 3), "x.pcapng")
        same(path, "--idle-timeout", "30", least=1000)
        lines = result(path, [], True, ["-f", "json"])[3]
        check(sum(b'"duplicate":true' in line for line in lines) > 100, "no duplicates")


def gives_the_same_records_of_a_growing_file_by_any_first_size():
    """As many records as with a table that was large from the start."""
    with folder() as scratch:
        path = trace(scratch / "x.pcap", packets=600000, flows=150000, new=100000, tcp=1)
        right = result(path, ["--flows", "1000000"], True, ["-f", "json"])
        equal(result(path, [], True, ["-f", "json"])[:3], right[:3], "records of the growing table")


def says_when_a_limit_makes_records_depend_on_the_start():
    """With a limit of its own the table evicts; nothing is lost, and it is said."""
    with folder() as scratch:
        path = trace(scratch / "x.pcap", packets=100000, flows=20000)
        seen = [result(path, ["--flows", "4096"], True, ["-f", "csv"]) for _ in range(2)]
        for _, _, said, lines in seen:
            check(b"table was full" in said and b"next time" in said, said)
            head = next(line for line in lines if b"src_ip" in line).split(b",")
            places = [head.index(b"packets"), head.index(b"rev_packets")]
            rows = [line.split(b",") for line in lines if b"src_ip" not in line]
            equal(sum(int(row[place]) for row in rows for place in places), 100000, "packets in records")


main(gives_the_same_records_of_public_captures, gives_the_same_records_of_flows_that_come_and_go,
     gives_the_same_records_of_tcp_tunnels_and_ipv6, gives_the_same_records_of_more_flows_than_the_first_table_holds,
     gives_the_same_records_beside_an_elephant, gives_the_same_records_of_chosen_collisions,
     gives_the_same_records_of_fragments_in_any_order,
     gives_the_same_records_of_more_fragments_than_the_first_table_holds,
     gives_the_same_records_of_stamps_out_of_order, gives_the_same_records_of_a_clock_that_was_set_back,
     gives_the_same_records_of_several_interfaces, gives_the_same_records_of_a_growing_file_by_any_first_size,
     says_when_a_limit_makes_records_depend_on_the_start)
