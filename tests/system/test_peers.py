"""What other flow meters get wrong, each a test by the built program.

Most frames are made here, so that what is right is known and not measured.
Where a peer that is known for the mistake is installed its number is printed
beside ours ('# nfpcapd says ...'); no result depends on it.

What needs more than a file of frames is tested elsewhere as well:
  loss that adds up at speed, over a veth pair     system/test_replay.py
  super-frames and their segment size              system/test_afpacket_links.c
  collisions, overflow, eviction of one table      flow/test_table.c
  fragments: every rule, and their time            flow/test_fragment.c
  the direction: every rule                        flow/test_meter.c
  files cut, damaged and foreign                   system/test_flows.py
  the same records by any number of workers        system/test_same.py
"""
import collections
import json
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys

from lab import (BUILD, SONDE, Pair, Skip, check, equal, ethernet, flows, folder, ipv4, main, need_root, need_tool,
                 pcap, run, sonde, tcp, udp, until)

S = 10**9
START = 1_700_000_000 * S
CLIENT, SERVER = "192.0.2.1", "198.51.100.7"
CLIENT6, SERVER6 = "2001:db8::1", "2001:db8:1::7"
SYN, ACK, PSH, FIN = 0x02, 0x10, 0x08, 0x01


def ip6(payload, next_header, src=CLIENT6, dst=SERVER6):
    head = struct.pack("!IHBB", 6 << 28, len(payload), next_header, 64)
    addresses = socket.inet_pton(socket.AF_INET6, src) + socket.inet_pton(socket.AF_INET6, dst)
    return b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01\x86\xdd" + head + addresses + payload


def spaced(frames, step_ns=1_000_000):
    return [(START + i * step_ns, frame) for i, frame in enumerate(frames)]


def written(scratch, content, name="x.pcap"):
    path = scratch / name
    path.write_bytes(content)
    return path


def packets_of(records):
    return sum(record["packets"] + record["rev_packets"] for record in records)


def ledger_of(text):
    """The counters of --summary."""
    return {name: int(value.replace(",", "")) for name, value in re.findall(r"^\s+(\w+)\s+([\d,]+) ", text, re.M)}


def peers_tell(path, what):
    """Prints what installed peers make of the file; whatever goes wrong is theirs."""
    commands = {"nfpcapd": "nfpcapd -r {path} -l {out} >/dev/null 2>&1; nfdump -R {out} -q -o 'fmt:%pr %sa %da %pkt %byt'",
                "argus": "argus -r {path} -w - 2>/dev/null | ra -n -r - -L -1 -s proto saddr daddr pkts bytes"}
    for peer, command in commands.items():
        if not shutil.which(peer):
            continue
        with folder() as out:
            try:
                done = subprocess.run(command.format(path=path, out=out), shell=True, capture_output=True, text=True,
                                      timeout=30, check=False, errors="replace")
            except subprocess.TimeoutExpired:
                continue
            lines = [" ".join(line.split()) for line in done.stdout.splitlines() if line.strip()]
            print(f"# {what}: {peer} says {len(lines)} records; {'; '.join(lines[:2])}")


# ------------------------------------------------------------ bytes counted --


def counts_a_flow_of_more_than_4_gib_in_64_bits():
    """4.55 GB in both directions of one flow, as the lengths on the wire say; 96 bytes of each frame are kept."""
    size, count = 65535, 69430
    claim = lambda src, dst, sport, dport: ethernet(struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, size, 0, 0, 64, 17, 0, socket.inet_aton(src), socket.inet_aton(dst)) +
        struct.pack("!HHHH", sport, dport, size - 20, 0) + bytes(54))
    ways = [claim(CLIENT, SERVER, 40000, 4000), claim(SERVER, CLIENT, 4000, 40000)]
    out = [pcap([])]
    for i in range(2 * count):
        at = START + i * 1000
        out.append(struct.pack("<IIII", at // S, at % S, 96, size + 14) + ways[i % 2])
    with folder() as scratch:
        path = written(scratch, b"".join(out))
        (record,) = flows(path)
        peers_tell(path, f"{2 * count * size} bytes")
    check(size * count > 2**32, "not more than 32 bits hold")
    for way in ("", "rev_"):
        equal([record[way + key] for key in ("packets", "bytes", "frame_bytes", "payload_bytes")],
              [count, count * size, count * (size + 14), count * (size - 28)], f"{way} counts")


def counts_whole_packets_of_slices():
    """1,500-byte packets of which 96 or 128 bytes, or the least that has the ports, were kept."""
    four = [ethernet(ipv4(CLIENT, SERVER, 6, tcp(40000, 443, ACK, i * 1448, 1, bytes(1460)))) for i in range(500)]
    six = [ip6(tcp(40000, 443, ACK, i * 1448, 1, bytes(1440)), 6) for i in range(500)]
    with folder() as scratch:
        for cut in (1514, 128, 96, 74, 68):
            path = written(scratch, pcap(spaced([f for pair in zip(four, six) for f in pair]), cut=cut))
            records = {record["src_ip"]: record for record in flows(path)}
            if cut == 96:
                peers_tell(path, "two flows of 750,000 bytes, 96 bytes of each frame")
            equal(sorted(records), sorted([CLIENT, CLIENT6]), f"flows of slices of {cut}")
            for record in records.values():
                equal([record[key] for key in ("packets", "bytes", "frame_bytes", "dst_port")],
                      [500, 500 * 1500, 500 * 1514, 443], f"slices of {cut}")


def keeps_every_ipv6_packet_that_a_snap_length_cut():
    """50,000 packets of 1,000 flows in 128-byte slices, extension headers before some of their ports."""
    options = struct.pack("!BB", 17, 1) + bytes([1, 12]) + bytes(12)  # destination options, 16 bytes
    frames = []
    for i in range(50000):
        datagram = udp(1024 + i % 1000, 53, bytes(1000))
        frames.append(ip6(options + datagram if i % 3 == 0 else datagram, 60 if i % 3 == 0 else 17))
    with folder() as scratch:
        records = flows(written(scratch, pcap(spaced(frames, 1000), cut=128)))
        equal((len(records), packets_of(records)), (1000, 50000), "flows, packets")
        equal(sum(record["payload_bytes"] for record in records), 50000 * 1000, "payload bytes")


def looks_behind_ipv6_extension_headers():
    """Hop-by-hop, routing, destination options, AH and a lone fragment header, one after another."""
    datagram = udp(5000, 53, b"x" * 100)
    hop = lambda after: struct.pack("!BB", after, 0) + bytes([1, 4, 0, 0, 0, 0])
    routing = lambda after: struct.pack("!BBBBI", after, 2, 4, 0, 0) + bytes(16)
    ah = lambda after: struct.pack("!BBHII", after, 4, 0, 1, 1) + bytes(12)
    fragment = lambda after: struct.pack("!BBHI", after, 0, 0, 7)
    chains = [(datagram, 17), (hop(17) + datagram, 0), (hop(17) + datagram, 60), (routing(17) + datagram, 43),
              (ah(17) + datagram, 51), (fragment(17) + datagram, 44),
              (hop(43) + routing(60) + hop(44) + fragment(51) + ah(17) + datagram, 0)]
    with folder() as scratch:
        path = written(scratch, pcap(spaced([ip6(*chain) for chain in chains])))
        records = flows(path)
        equal([(r["proto"], r["src_port"], r["dst_port"], r["packets"], r["payload_bytes"]) for r in records],
              [(17, 5000, 53, len(chains), len(chains) * 100)], "the flow")
        equal(records[0]["bytes"], sum(40 + len(chain[0]) for chain in chains), "bytes with every header")


def counts_segments_of_a_super_frame_as_on_the_wire():
    """1,000,000 bytes over a veth pair whose sender offloads segmentation, and the same without."""
    need_root()
    size = 1_000_000
    need_tool("ethtool")
    for offload in ("on", "off"):
        with Pair("pg") as pair, folder() as scratch:
            for space, interface in ((pair.left, "a0"), (pair.right, "b0")):
                run(*pair.inside(space, "ethtool", "-K", interface, "tso", offload, "gso", offload, "gro", "off"))
            records, ledger = live(pair, scratch, lambda pair=pair: exchange(pair, size), 1, side="left")
        record = max(records, key=lambda r: r["bytes"] + r["rev_bytes"])
        way = "" if record["payload_bytes"] else "rev_"
        packets, payload = record[way + "packets"], record[way + "payload_bytes"]
        equal(payload, size, f"payload bytes, offload {offload}")
        headers = record[way + "bytes"] - payload
        check(52 * packets <= headers <= 52 * packets + 40, f"{packets} packets have {headers} bytes of IP and TCP")
        equal(record[way + "frame_bytes"], record[way + "bytes"] + 14 * packets, "14 bytes of Ethernet a packet")
        check(size / 1448 <= packets < size / 1448 * 1.2, f"{packets} packets carry {size} bytes")
        extra = ledger.get("segments_extra", 0)
        check((extra > 0) == (offload == "on"), f"offload {offload}: {extra} segments beyond frames")
        print(f"# offload {offload}: {packets} packets, {extra} of them inside of super-frames")


def exchange(pair, size):
    """A TCP connection from left to right that carries 'size' bytes."""
    server = ("import socket;s=socket.create_server(('198.18.0.2',7000));print(flush=True);c=s.accept()[0]\n"
              "while c.recv(1<<20):pass")
    client = f"import socket;c=socket.create_connection(('198.18.0.2',7000));c.sendall(bytes({size}));c.close()"
    with subprocess.Popen(pair.inside(pair.right, sys.executable, "-c", server), stdout=subprocess.PIPE) as right:
        try:
            right.stdout.readline()
            run(*pair.inside(pair.left, sys.executable, "-c", client))
            right.wait(timeout=20)
        finally:
            right.kill()


def live(pair, scratch, send, workers, side="right"):
    """Records and ledger of what 'send' does, captured on one side and stopped at once after it."""
    space, interface = (pair.left, "a0") if side == "left" else (pair.right, "b0")
    out, log = scratch / "out", scratch / "log"
    with open(out, "wb") as stdout, open(log, "wb") as stderr:
        process = subprocess.Popen(pair.inside(space, SONDE, "flows", "-i", interface, "--workers", workers, "-f",
                                               "json", "--summary"), stdout=stdout, stderr=stderr)
        try:
            until("sonde's packet sockets", lambda: sum(
                line.split()[5] == "1" for line in
                run(*pair.inside(space, "cat", "/proc/net/packet")).stdout.splitlines()[1:]) >= workers)
            send()
            process.send_signal(signal.SIGINT)
            equal(process.wait(timeout=60), 0, f"exit status ({log.read_text()})")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    return [json.loads(line) for line in out.read_text().splitlines()], ledger_of(log.read_text())


# ---------------------------------------------------------- flows told apart --


def splits_and_merges_no_flow_by_colliding_hashes():
    """5,000 tuples that share a hash without a secret, and 120,000 that do by chance in few bits: each one flow."""
    trace = BUILD / "bench" / "trace"
    if not trace.exists():
        raise Skip(f"{trace} is not built")
    with folder() as scratch:
        path = scratch / "attack.pcap"
        run(trace, "--packets", 50000, "--flows", 5000, "--attack", 1, path)
        records = flows(path)
        equal((len(records), packets_of(records)), (5000, 50000), "colliding flows, packets")
        frames = []
        for i in range(120000):
            src = f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}"
            frames += [ethernet(ipv4(src, SERVER, 17, udp(5000, 53)))] * (1 + (i % 5 == 0))
            if i % 7 == 0:
                frames.append(ethernet(ipv4(SERVER, src, 17, udp(53, 5000))))
        path = written(scratch, pcap(spaced(frames, 1000)))
        done = sonde("flows", "-f", "json", "--summary", path)
    records = [json.loads(line) for line in done.stdout.splitlines()]
    for record in records:
        i = sum(int(part) << shift for part, shift in zip(record["src_ip"].split(".")[1:], (16, 8, 0)))
        equal((record["packets"], record["rev_packets"]), (1 + (i % 5 == 0), int(i % 7 == 0)), f"packets of flow {i}")
    equal(len({record["src_ip"] for record in records}), 120000, "flows")
    equal(len(records), 120000, "records")
    equal(ledger_of(done.stderr).get("ended_resources", 0), 0, "flows evicted")


def meters_ipv4_and_ipv6_together_on_one_interface():
    frames = []
    for i in range(100):
        frames += [ethernet(ipv4(CLIENT, SERVER, 17, udp(5000, 53, bytes(i)))), ip6(udp(5000, 53, bytes(i)), 17),
                   ethernet(ipv4(SERVER, CLIENT, 17, udp(53, 5000))),
                   ip6(udp(53, 5000), 17, src=SERVER6, dst=CLIENT6)]
    with folder() as scratch:
        records = flows(written(scratch, pcap(spaced(frames))))
    equal(sorted((r["src_ip"], r["packets"], r["rev_packets"], r["payload_bytes"]) for r in records),
          sorted([(CLIENT, 100, 100, 4950), (CLIENT6, 100, 100, 4950)]), "flows")


def meters_one_record_a_ping_and_not_one_a_packet():
    echo = lambda kind, number: struct.pack("!BBHHH", kind, 0, 0, 77, number) + bytes(48)
    frames = []
    for i in range(100):
        frames += [ethernet(ipv4(CLIENT, SERVER, 1, echo(8, i))), ethernet(ipv4(SERVER, CLIENT, 1, echo(0, i))),
                   ip6(echo(128, i), 58), ip6(echo(129, i), 58, src=SERVER6, dst=CLIENT6)]
    with folder() as scratch:
        path = written(scratch, pcap(spaced(frames, S // 10)))
        records = flows(path)
        peers_tell(path, "two pings of 100 requests and replies")
    equal(sorted((r["src_ip"], r["proto"], r["packets"], r["rev_packets"]) for r in records),
          sorted([(CLIENT, 1, 100, 100), (CLIENT6, 58, 100, 100)]), "pings")


# ---------------------------------------------------------------- fragments --


def fragments(datagram, ident, size=800):
    parts = [datagram[i:i + size] for i in range(0, len(datagram), size)]
    return [ethernet(ipv4(CLIENT, SERVER, 17, part, ident, i * size // 8 | (0x2000 if i + 1 < len(parts) else 0)))
            for i, part in enumerate(parts)]


def fragments6(datagram, ident, size=800):
    parts = [datagram[i:i + size] for i in range(0, len(datagram), size)]
    return [ip6(struct.pack("!BBHI", 17, 0, i * size | (i + 1 < len(parts)), ident) + part, 44)
            for i, part in enumerate(parts)]


def gives_later_fragments_the_ports_of_their_first_in_any_order():
    datagram = udp(5000, 53, bytes(2392))
    orders = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
    for cut, headers in ((fragments, 20), (fragments6, 48)):
        frames = [cut(datagram, n)[i] for n, order in enumerate(orders) for i in order]
        with folder() as scratch:
            records = flows(written(scratch, pcap(spaced(frames))))
        equal([(r["dst_port"], r["packets"], r["fragments"], r["bytes"]) for r in records],
              [(53, 18, 18, 6 * (2400 + 3 * headers))], f"the flow of {cut.__name__}")


def keeps_incomplete_sets_of_fragments_in_the_accounts():
    """Without the first, the last or a middle one: counted, with ports where the first is there."""
    datagram = udp(5000, 53, bytes(2392))
    frames = [part for n, left_out in enumerate((0, 1, 2)) for i, part in enumerate(fragments(datagram, n))
              if i != left_out]
    with folder() as scratch:
        records = flows(written(scratch, pcap(spaced(frames))))
    equal(sorted((r["dst_port"], r["packets"], r["bytes"]) for r in records),
          [(0, 2, 2 * 820), (53, 4, 4 * 820)], "flows of incomplete datagrams")


# ---------------------------------------------------- directions and counts --


def tells_the_client_when_the_start_was_not_seen():
    """Whoever is seen first: the server's port tells, the SYN-ACK tells, a SYN that comes late tells."""
    there = lambda flags, port=443: ethernet(ipv4(CLIENT, SERVER, 6, tcp(40000, port, flags, 1, 1)))
    back = lambda flags, port=443: ethernet(ipv4(SERVER, CLIENT, 6, tcp(port, 40000, flags, 1, 1)))
    cases = [[back(ACK | PSH), there(ACK)], [back(SYN | ACK), there(ACK)], [back(ACK), there(ACK), back(FIN | ACK)],
             [back(SYN | ACK, 50000), there(ACK, 50000)],  # ports that tell nothing
             [ethernet(ipv4(SERVER, CLIENT, 17, udp(53, 40000))), ethernet(ipv4(CLIENT, SERVER, 17, udp(40000, 53)))]]
    with folder() as scratch:
        for number, frames in enumerate(cases):
            (record,) = flows(written(scratch, pcap(spaced(frames))))
            mine = sum(socket.inet_aton(CLIENT) == frame[26:30] for frame in frames)
            equal((record["src_ip"], record["packets"], record["rev_packets"]),
                  (CLIENT, mine, len(frames) - mine), f"case {number}")


def counts_packets_and_bytes_of_each_direction_exactly():
    """From 1 to 40 packets there and 0 to 39 back, of all sizes: none too many at the start or the end."""
    frames, right = [], {}
    for n in range(40):
        sport = 41000 + n
        there = [ethernet(ipv4(CLIENT, SERVER, 6, tcp(sport, 443, SYN if i == 0 else ACK, i, 1 if i else 0,
                                                      bytes(i * 7)))) for i in range(n + 1)]
        back = [ethernet(ipv4(SERVER, CLIENT, 6, tcp(443, sport, SYN | ACK if i == 0 else ACK, i, 1, bytes(i * 3))))
                for i in range(n)]
        frames += there[:1] + [f for pair in zip(there[1:], back) for f in pair]
        right[sport] = (n + 1, sum(len(f) - 14 for f in there), sum(range(n + 1)) * 7, n,
                        sum(len(f) - 14 for f in back), sum(range(n)) * 3)
    with folder() as scratch:
        records = flows(written(scratch, pcap(spaced(frames))))
    found = {r["src_port"]: tuple(r[way + key] for way in ("", "rev_") for key in ("packets", "bytes", "payload_bytes"))
             for r in records}
    equal(found, right, "counts by flow")


def splits_a_long_flow_into_parts_that_add_up():
    """100 minutes, a packet each 700 ms, parts of 60 s: no packet twice or lost, no part longer, none overlaps."""
    frames = [ethernet(ipv4(*((CLIENT, SERVER) if i % 3 else (SERVER, CLIENT)), 17,
                            udp(*((5000, 53) if i % 3 else (53, 5000)), bytes(i % 100)))) for i in range(8572)]
    with folder() as scratch:
        parts = flows("--active-timeout", "60", written(scratch, pcap(spaced(frames, 700_000_000))))
    parts.sort(key=lambda part: part["start_ns"])
    equal(len({part["flow_id"] for part in parts}), 1, "flow_id of the parts")
    equal({part["src_ip"] for part in parts}, {parts[0]["src_ip"]}, "initiator of the parts")
    equal(packets_of(parts), 8572, "packets in all parts")
    equal(sum(p["payload_bytes"] + p["rev_payload_bytes"] for p in parts), sum(i % 100 for i in range(8572)),
          "payload in all parts")
    check(len(parts) >= 99, f"{len(parts)} parts")
    for part, after in zip(parts, parts[1:]):
        check(part["end_ns"] < after["start_ns"], "a part begins before the one before it ends")
        check(part["end_ns"] - part["start_ns"] <= 60 * S, "a part of more than 60 s")
        equal(part["end_reason"], "active_timeout", "why a part ended")


def keeps_nanoseconds_of_the_first_and_the_last_packet():
    """Also when the last stamp is not the last packet's, and when the flow ends long before the file does."""
    one, other = (ethernet(ipv4(CLIENT, SERVER, 17, udp(port, 53))) for port in (5000, 5001))
    stamps = [START + 123_456_789, START + 2 * S + 999_999_999, START + 2 * S + 1, START + S]
    with folder() as scratch:
        frames = [(at, one) for at in stamps] + [(START + 4000 * S + 7, other)]
        records = sorted(flows(written(scratch, pcap(frames))), key=lambda r: r["src_port"])
    equal([(r["start_ns"], r["end_ns"]) for r in records],
          [(min(stamps), max(stamps)), (START + 4000 * S + 7, START + 4000 * S + 7)], "start and end")
    equal(records[0]["end_reason"], "idle_timeout", "why the first one ended")


# --------------------------------------------------------------------- loss --


def adds_up_from_the_frames_of_a_file_to_its_records():
    """Good packets among ARP, LLC, runts, damaged headers and waiting fragments: every frame is in one sum."""
    good = ethernet(ipv4(CLIENT, SERVER, 17, udp(5000, 53, b"x")))
    bad = [good[:12] + b"\x08\x06" + bytes(46), good[:12] + b"\x00\x26" + b"\x42\x42\x03" + bytes(43), good[:20],
           good[:14] + b"\x41" + good[15:], good[:14] + b"\x65" + good[15:], ethernet(ipv4(CLIENT, SERVER, 17, b"abc")),
           good[:10]]
    frames = []
    for i in range(300):
        frames += [good, bad[i % len(bad)], fragments(udp(5000, 53, bytes(2392)), i)[i % 3]]
    for workers in (1, 2):
        with folder() as scratch:
            done = sonde("flows", "-f", "json", "--summary", "--workers", workers, written(scratch, pcap(spaced(frames))))
        ledger = ledger_of(done.stderr)
        records = [json.loads(line) for line in done.stdout.splitlines()]
        verdicts = sum(ledger.get(name, 0) for name in VERDICTS)
        equal(ledger["frames"], len(frames), "frames")
        equal(ledger["decoded"] + verdicts, len(frames), f"decoded and verdicts ({ledger})")
        check(verdicts >= 200, f"only {verdicts} frames had another verdict")
        equal(ledger["metered"] + ledger.get("refused_full", 0), ledger["decoded"], "metered and refused")
        equal(packets_of(records), ledger["metered"], "packets in records")
        equal(len(records), ledger["created"], "records and flows begun")
        equal(ledger["records"], len(records), "records handed out")


VERDICTS = ("arp", "not_ip", "llc", "link_unknown", "link_truncated", "depth", "ip_truncated", "ip_version",
            "ip_header", "ip_extension", "transport_truncated", "transport_header")


def loses_nobody_beside_an_elephant():
    """One flow is 90 % of the packets; 2,000 others share the rest, on one worker and on two."""
    elephant = ethernet(ipv4(CLIENT, SERVER, 17, udp(5000, 53, bytes(18))))
    frames, small = [], collections.Counter()
    for i in range(200000):
        if i % 10:
            frames.append(elephant)
            continue
        host = f"10.0.{i // 10 % 2000 >> 8}.{i // 10 % 2000 & 255}"
        small[host] += 1
        frames.append(ethernet(ipv4(host, SERVER, 17, udp(5000, 53))))
    with folder() as scratch:
        path = written(scratch, pcap(spaced(frames, 1000)))
        for workers in (1, 2):
            found = {r["src_ip"]: r["packets"] for r in flows("--workers", workers, path)}
            equal(found.pop(CLIENT), 180000, f"packets of the elephant, {workers} workers")
            equal(found, dict(small), f"packets of the others, {workers} workers")


def counts_the_last_packets_before_it_is_stopped():
    """5,000 frames over a veth pair and an interrupt right after the last: not one is missing in the records."""
    need_root()
    frames = [ethernet(ipv4(f"198.18.1.{i % 50}", "198.18.0.2", 17, udp(5000, 53, bytes(18)))) for i in range(50)]
    sender = ("import socket,sys;s=socket.socket(socket.AF_PACKET,socket.SOCK_RAW);s.bind(('a0',0))\n"
              f"frames={frames!r}\nfor i in range(5000):s.send(frames[i%50])")
    for workers in (1, 2):
        with Pair("pe") as pair, folder() as scratch:
            script = written(scratch, sender.encode(), "send.py")
            records, ledger = live(pair, scratch, lambda pair=pair, script=script:
                                   run(*pair.inside(pair.left, sys.executable, script)), workers)
        equal(ledger["received"], 5000, "received")
        equal((len(records), packets_of(records)), (50, 5000), f"flows and packets in records, {workers} workers")


main(counts_a_flow_of_more_than_4_gib_in_64_bits, counts_whole_packets_of_slices,
     keeps_every_ipv6_packet_that_a_snap_length_cut, looks_behind_ipv6_extension_headers,
     counts_segments_of_a_super_frame_as_on_the_wire, splits_and_merges_no_flow_by_colliding_hashes,
     meters_ipv4_and_ipv6_together_on_one_interface, meters_one_record_a_ping_and_not_one_a_packet,
     gives_later_fragments_the_ports_of_their_first_in_any_order, keeps_incomplete_sets_of_fragments_in_the_accounts,
     tells_the_client_when_the_start_was_not_seen, counts_packets_and_bytes_of_each_direction_exactly,
     splits_a_long_flow_into_parts_that_add_up, keeps_nanoseconds_of_the_first_and_the_last_packet,
     adds_up_from_the_frames_of_a_file_to_its_records, loses_nobody_beside_an_elephant,
     counts_the_last_packets_before_it_is_stopped)
