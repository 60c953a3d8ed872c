"""Public captures: every packet accounted for, and equal to other decoders.

Run under the sanitizers too (a finding makes sonde exit with a status of its
own).  The oracles are capinfos (packets in a file), tshark's conversations
and nDPI's flow lines; what differs and why is in divergences.txt.
"""
import collections
import concurrent.futures
import json
import os
import re
import subprocess

from lab import BUILD, SONDE, SOURCE, Skip, check, equal, main, need_data, need_tool

WIDE = ["--idle-timeout", "3600", "--active-timeout", "86400",
        "--idle-tcp-opening", "3600", "--idle-tcp-closing", "3600"]  # no flow is split by time
SUFFIXES = (".pcap", ".pcapng", ".cap", ".pcap.gz", ".pcapng.gz")
SANITIZED = "asan" in BUILD.name
DIVERGENCES = SOURCE / "tests/system/divergences.txt"


def captures(*names):
    return sorted(path for name in names for path in need_data(name).rglob("*") if path.name.endswith(SUFFIXES))


def meter(path):
    """sonde's records and ledger of one file."""
    done = subprocess.run([SONDE, "flows", "-f", "json", "--summary", *WIDE, path], capture_output=True, text=True,
                          timeout=120, check=False, env=dict(os.environ, UBSAN_OPTIONS="halt_on_error=1:exitcode=99",
                                                             ASAN_OPTIONS="exitcode=99"))
    check(done.returncode in (0, 3), f"{path}: exit {done.returncode}\n{done.stderr[-3000:]}")
    ledger = {name: int(value.replace(",", "")) for name, value in
              re.findall(r"^\s+(\w+)\s+([\d,]+) ", done.stderr, re.MULTILINE)}
    return [json.loads(line) for line in done.stdout.splitlines()], ledger, done


def side_by_side(function, items):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return list(pool.map(function, items))


def capinfos_counts(paths):
    """Packets a file by capinfos; a file that it does not read is absent."""
    need_tool("capinfos")
    counts = {}
    for path in paths:
        counts[str(path)] = None
    done = subprocess.run(["capinfos", "-M", "-T", "-r", "-c", "-K", *counts], capture_output=True, text=True,
                          check=False)
    for line in done.stdout.splitlines():
        name, _, count = line.rpartition("\t")
        if count.isdigit():
            counts[name] = int(count)
    return {name: count for name, count in counts.items() if count is not None}


def known_divergences():
    """(kind, file, key) -> reason, from divergences.txt."""
    lines = [line for line in DIVERGENCES.read_text().splitlines() if line and not line.startswith("#")]
    return {tuple(line.split("\t")[:3]): line.split("\t")[3] for line in lines}


def reads_every_capture_and_accounts_for_every_packet():
    paths = captures("ndpi", "tcpdump", "pcapng-gen", "community-id")
    expected = capinfos_counts(paths)
    known = known_divergences()
    wrong = []
    for path, (records, ledger, done) in zip(paths, side_by_side(meter, paths)):
        if done.returncode == 3:
            check(path.name in done.stderr, f"{path}: exit 3 and no word of it")
        frames = ledger.get("frames", 0)
        verdicts = sum(count for name, count in ledger.items() if name in VERDICTS)
        if frames != verdicts + ledger.get("decoded", 0):
            wrong.append(f"{path.name}: {frames} frames are not {ledger}")
        counted = sum(record["packets"] + record["rev_packets"] for record in records)
        if counted != ledger.get("metered", 0) + ledger.get("segments_extra", 0):
            wrong.append(f"{path.name}: {counted} packets in records, {ledger.get('metered')} metered")
        if str(path) in expected and frames != expected[str(path)] and ("frames", path.name, "-") not in known:
            wrong.append(f"{path.name}: {frames} frames, capinfos reads {expected[str(path)]}")
    check(len(paths) > 1000, f"only {len(paths)} captures found")
    equal(wrong, [], "captures that do not add up")


VERDICTS = ("arp", "not_ip", "llc", "link_unknown", "link_truncated", "depth", "ip_truncated", "ip_version",
            "ip_header", "ip_extension", "transport_truncated", "transport_header")


def both_ways(proto, a, b, forward, backward):
    """A conversation whichever way round: key, and counts in the key's order."""
    return ((proto, a, b), forward, backward) if a <= b else ((proto, b, a), backward, forward)


def gather(rows):
    """Sum (packets, bytes) both ways by conversation."""
    sums = collections.defaultdict(lambda: [[0, 0], [0, 0]])
    for key, forward, backward in rows:
        for way, counts in enumerate((forward, backward)):
            for i, count in enumerate(counts):
                sums[key][way][i] += count
    return {key: (tuple(value[0]), tuple(value[1])) for key, value in sums.items()}


def ours(path):
    records, _, _ = meter(path)
    return gather(both_ways({6: "TCP", 17: "UDP"}[r["proto"]], (r["src_ip"], r["src_port"]),
                            (r["dst_ip"], r["dst_port"]), (r["packets"], r["frame_bytes"]),
                            (r["rev_packets"], r["rev_frame_bytes"]))
                  for r in records if r["proto"] in (6, 17))


def endpoint(text):
    address, _, port = text.rpartition(":")
    return address.strip("[]"), int(port)


NDPI = re.compile(r"^\t(\d+)\t(\S+?)(?: \[VLAN: (\d+)\])? (\S+) (<->|->) (\S+) .*?"
                  r"\[(\d+) pkts/(\d+) bytes (?:<->|->) (\d+) pkts/(\d+) bytes\]")


def ndpi(path):
    result = path.parent.parent / "result" / (path.name + ".out")
    if not result.exists():
        return {}
    rows = []
    for line in result.read_text(errors="replace").splitlines():
        match = NDPI.match(line)
        if match and match[2] in ("TCP", "UDP"):
            counts = [int(match[i]) for i in (7, 8, 9, 10)]
            rows.append(both_ways(match[2], endpoint(match[4]), endpoint(match[6]), tuple(counts[:2]),
                                  tuple(counts[2:])))
    return gather(rows)


TSHARK = re.compile(r"^(\S+):(\d+) +<-> (\S+):(\d+) +(\d+) (\d+) (bytes|\w?B) +(\d+) (\d+) (bytes|\w?B) ")


def tshark(path):
    """Frames both ways by conversation (bytes are rounded there from 10 kB)."""
    done = subprocess.run(["tshark", "-n", "-r", path, "-q", "-z", "conv,tcp", "-z", "conv,udp"],
                          capture_output=True, text=True, check=False, errors="replace")
    proto, rows = "", []
    for line in done.stdout.splitlines():
        if line.endswith(" Conversations"):
            proto = line.split()[0]
        match = TSHARK.match(line)
        if match:
            rows.append(both_ways(proto, (match[1], int(match[2])), (match[3], int(match[4])),
                                  (int(match[8]), 0), (int(match[5]), 0)))
    return gather(rows)


def compared(path):
    """Conversations on which nDPI and tshark agree, and those of ours that differ."""
    mine, first, second = ours(path), ndpi(path), tshark(path)
    agreed, differ = 0, []
    for key in first.keys() & second.keys():
        if [way[0] for way in first[key]] != [way[0] for way in second[key]]:
            continue
        agreed += 1
        if mine.get(key) != first[key]:
            differ.append((path.name, f"{key[0]} {key[1][0]}:{key[1][1]} {key[2][0]}:{key[2][1]}",
                           f"sonde {mine.get(key)}, nDPI and tshark {first[key]}"))
    return agreed, differ


def equals_tshark_and_ndpi_wherever_these_agree():
    if SANITIZED:
        raise Skip("compared once, with the plain build")
    need_tool("tshark")
    known = known_divergences()
    paths = sorted((need_data("ndpi") / "tests/cfgs/default/pcap").iterdir())
    results = side_by_side(compared, paths)
    agreed = sum(result[0] for result in results)
    differ = [row for result in results for row in result[1]]
    fresh = [row for row in differ if ("flow", row[0], row[1]) not in known and ("flow", row[0], "*") not in known]
    print(f"# {agreed} conversations agree between nDPI and tshark; sonde differs on {len(differ)}, "
          f"{len(differ) - len(fresh)} of them explained")
    check(agreed > 5000, f"only {agreed} conversations compared")
    equal(fresh[:20], [], f"{len(fresh)} unexplained divergences")


def finds_the_community_id_of_every_baseline_tuple():
    folder = need_data("community-id")
    rows = json.loads((folder / "baseline/baseline_deflt.json").read_text())
    records, _, _ = meter(folder / "pcaps/combined.pcap.gz")
    have = {record["community_id"] for record in records}
    missing = [row for row in rows if row["communityid"] not in have]
    equal(missing, [], "tuples whose Community ID no record has")
    print(f"# {len(rows)} tuples")


main(reads_every_capture_and_accounts_for_every_packet, equals_tshark_and_ndpi_wherever_these_agree,
     finds_the_community_id_of_every_baseline_tuple)
