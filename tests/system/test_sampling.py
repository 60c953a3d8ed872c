"""Timeouts by protocol and sampling, from outside."""
import collections
import math
import subprocess

from lab import BUILD, SONDE, Skip, check, equal, ethernet, flows, folder, ipv4, main, pcap, sonde, tcp, udp

CLIENT, SERVER = "192.0.2.1", "198.51.100.7"
WIDE = ("--idle-timeout", "3600", "--active-timeout", "86400")  # no flow is split by time
SIGMAS = 4.5  # seeds are fixed: what passes once passes always


def at(seconds, frame):
    return 1_700_000_000 * 10**9 + int(seconds * 10**9), frame


def trace(scratch, packets=300000, live=20000):
    program = BUILD / "bench" / "trace"
    if not program.exists():
        raise Skip("bench/trace is not built")
    path = scratch / "trace.pcap"
    subprocess.run([program, "--packets", str(packets), "--flows", str(live), "--size", "0", path], check=True,
                   stdout=subprocess.DEVNULL)
    return path


def totals(records):
    """Packets and bytes, both ways, and how many 5-tuples."""
    return (sum(r["packets"] + r["rev_packets"] for r in records), sum(r["bytes"] + r["rev_bytes"] for r in records),
            len({r["flow_id"] for r in records}))


def near(estimate, truth, variance, what):
    check(abs(estimate - truth) <= SIGMAS * math.sqrt(variance),
          f"{what}: {estimate} is {abs(estimate - truth) / math.sqrt(variance):.1f} sigma from {truth}")


def estimates_totals_from_sampled_packets():
    with folder() as scratch:
        path = trace(scratch)
        packets, size, _ = totals(flows(*WIDE, path))
        for mode in ("random", "count", "probability"):
            for n in (10, 100):
                sample = totals(flows(*WIDE, "--sample-packets", n, "--sample-mode", mode, path))
                if mode == "probability":
                    near(n * sample[0], packets, packets * (n - 1), f"packets, {mode} 1 in {n}")
                else:
                    check(abs(n * sample[0] - packets) <= n, f"packets, {mode} 1 in {n}: {n * sample[0]}")
                near(n * sample[1], size, (n - 1) * size * 1500, f"bytes, {mode} 1 in {n}")


def estimates_totals_from_sampled_flows():
    with folder() as scratch:
        path = trace(scratch)
        everything = flows(*WIDE, path)
        by_flow = collections.defaultdict(lambda: [0, 0, 1])
        for r in everything:
            by_flow[r["flow_id"]][0] += r["packets"] + r["rev_packets"]
            by_flow[r["flow_id"]][1] += r["bytes"] + r["rev_bytes"]
        for n in (10, 50):
            sample = flows(*WIDE, "--sample-flows", n, path)
            for i, what in enumerate(("packets", "bytes", "flows")):
                near(n * totals(sample)[i], totals(everything)[i], (n - 1) * sum(f[i]**2 for f in by_flow.values()),
                     f"{what} by one flow in {n}")


def keeps_sampled_flows_whole():
    with folder() as scratch:
        path = trace(scratch)
        key = lambda r: (r["flow_id"], r["interface"], r["vlan"], r["network"], r["start_ns"])
        whole = {key(r): r for r in flows(*WIDE, path)}
        sample = flows(*WIDE, "--sample-flows", 16, path)
        check(len(sample) > 500, f"only {len(sample)} records")
        for r in sample:
            equal(r.pop("flow_sampling_mode"), "hash", "flow_sampling_mode")
            equal(r.pop("flow_sampling_population"), 16, "flow_sampling_population")
            equal({k: v for k, v in r.items() if not k.startswith("sampling_")}, whole[key(r)], "a sampled record")


def prints_the_same_bytes_twice_and_adds_up():
    with folder() as scratch:
        path = trace(scratch, 50000, 2000)
        for options in (("--sample-packets", "7"), ("--sample-packets", "9", "--sample-mode", "probability"),
                        ("--sample-packets", "40", "--sample-size", "16"), ("--sample-flows", "5")):
            done = [sonde("flows", "-f", "json", "-v", *options, path) for _ in range(2)]
            equal(done[0].stdout, done[1].stdout, f"{options}: records")
            check("Every sum adds up" in done[0].stderr, done[0].stderr)
            other = sonde("flows", "-f", "json", *options, "--sample-seed", "3", path)
            check(other.stdout != done[0].stdout, f"{options}: another seed chose the same")


def says_what_was_sampled_only_if_it_was():
    with folder() as scratch:
        path = trace(scratch, 1000, 10)
        equal([k for k in flows(path)[0] if "sampling" in k], [], "keys without sampling")
        keys = "mode interval space size population probability".split()
        for options, values in ((("count", 1), ("count", 1, 4, None, None, None)),
                                (("random", 2), ("random", None, None, 2, 5, None)),
                                (("probability", 1), ("probability", None, None, None, None, 0.2))):
            record = flows("--sample-packets", 5, "--sample-mode", options[0], "--sample-size", options[1], path)[0]
            equal(tuple(record["sampling_" + k] for k in keys), values, options)
            equal(record["flow_sampling_mode"], None, "flow_sampling_mode")


def refuses_contradictions_by_name():
    cases = {"sample-size": ["--sample-size", "3"], "sample-mode": ["--sample-mode", "count"],
             "sample-size: 3": ["--sample-packets", "3", "--sample-size", "3"],
             "sample-size: more": ["--sample-packets", "9", "--sample-size", "3", "--sample-mode", "probability"],
             "tcp-metrics": ["--sample-packets", "10", "--tcp-metrics"], "sample-seed": ["--sample-seed", "1"]}
    with folder() as scratch:
        for name, options in cases.items():
            done = sonde("flows", *options, "x", check_rc=2)
            check(done.stderr.startswith(f"sonde: {name}"), done.stderr)
            equal(len(done.stderr.splitlines()), 1, f"lines of the error: {done.stderr}")
        conf = scratch / "sonde.conf"
        conf.write_text("sample_packets = 10\ntcp_metrics = yes\n")
        done = sonde("run", "-c", conf, "--check", check_rc=2)
        check("tcp-metrics: needs every packet" in done.stderr, done.stderr)
        conf.write_text("sample_flows = 10\ntcp_metrics = yes\nidle_udp = 10s\n")
        sonde("run", "-c", conf, "--check")


def ends_flows_by_protocol_and_state():
    gap = lambda protocol, payload, seconds: [at(t, ethernet(ipv4(CLIENT, SERVER, protocol, payload)))
                                              for t in (0, seconds)]
    syn, ack, fin = (tcp(40000, 443, flags, 7, 7) for flags in (0x02, 0x10, 0x11))
    query = udp(40000, 53, b"q")
    cases = [("--idle-udp", 17, query, 10), ("--idle-tcp", 6, ack, 40), ("--idle-tcp-opening", 6, syn, 3),
             ("--idle-tcp-closing", 6, fin, 20), ("--idle-other", 50, b"x" * 40, 7),
             ("--active-udp", 17, query, 5), ("--active-tcp", 6, ack, 9), ("--active-other", 50, b"x" * 40, 2)]
    with folder() as scratch:
        path = scratch / "x.pcap"
        for option, protocol, payload, seconds in cases:
            for after, count in ((seconds - .001, 1), (seconds, 2)):
                path.write_bytes(pcap(gap(protocol, payload, after)))
                equal(len(flows(option, seconds, path)), count, f"{option} {seconds}, packets {after} s apart")
        for after, count in ((119, 1), (121, 2)):  # presets
            path.write_bytes(pcap(gap(6, syn, after)))
            equal(len(flows(path)), count, f"SYNs {after} s apart")
            path.write_bytes(pcap(gap(6, ack, after)))
            equal(len(flows(path)), 1, f"ACKs {after} s apart")


check(SONDE.exists(), f"{SONDE} is not built")
main(estimates_totals_from_sampled_packets, estimates_totals_from_sampled_flows, keeps_sampled_flows_whole,
     prints_the_same_bytes_twice_and_adds_up, says_what_was_sampled_only_if_it_was, refuses_contradictions_by_name,
     ends_flows_by_protocol_and_state)
