"""The installed prefix serves a C program that knows nothing else."""
import os

from lab import BUILD, SOURCE, check, equal, ethernet, folder, ipv4, main, need_tool, pcap, run, tcp, udp

FRAMES = [
    (10**9, ethernet(ipv4("192.0.2.1", "192.0.2.2", 6, tcp(40000, 80, 0x02)))),
    (2 * 10**9, ethernet(ipv4("192.0.2.2", "192.0.2.1", 6, tcp(80, 40000, 0x12)))),
    (3 * 10**9, ethernet(ipv4("192.0.2.1", "192.0.2.3", 17, udp(5000, 53, b"abc")))),
]


def builds_and_runs_the_example_from_an_installed_prefix():
    need_tool("meson", "cc", "pkg-config")
    with folder() as root:
        run("meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", root / "dest")
        found = {path.name: path for path in (root / "dest").rglob("*") if not path.is_dir()}
        for name in ("packet_capture.h", "libpacket_capture.so", "packet_capture.pc", "sonde", "sonde.1",
                     "sonde.service", "flows.c", "client.py", "reflector.py"):
            check(name in found, f"{name} is not installed: {sorted(found)}")
        library = found["libpacket_capture.so"].parent
        environment = dict(os.environ, PKG_CONFIG_PATH=str(found["packet_capture.pc"].parent),
                           PKG_CONFIG_SYSROOT_DIR=str(root / "dest"), LD_LIBRARY_PATH=str(library))
        options = run("pkg-config", "--cflags", "--libs", "packet_capture", env=environment).stdout.split()
        run("cc", "-Wall", "-Werror", found["flows.c"], *options, "-o", root / "flows")
        (root / "x.pcap").write_bytes(pcap(FRAMES))
        lines = run(root / "flows", root / "x.pcap", env=environment).stdout.splitlines()
        equal(lines[-1], "polled 3 packets, 153 bytes; metered 3, dropped 0; 2 flows", "the example's last line")
        equal(len(lines), 3, "lines")
        # A later call of the same program names what it cannot open.
        done = run(root / "flows", "nowhere0", env=environment, check_rc=1)
        check("nowhere0: neither an interface nor a file" in done.stderr, done.stderr)


def exports_nothing_but_the_public_names():
    need_tool("nm")
    out = run("nm", "-D", "--defined-only", BUILD / "libpacket_capture.so").stdout
    names = {line.split()[-1].split("@")[0] for line in out.splitlines()}
    header = (SOURCE / "include/packet_capture.h").read_text()
    for name in ("capture_init", "capture_start", "capture_stop", "capture_poll", "capture_flow_enable",
                 "capture_flow_lookup", "capture_flow_get_all", "capture_netflow_enable", "capture_set_encryption",
                 "capture_verify_firmware", "capture_get_stats", "capture_cleanup"):
        check(name in names, f"{name} is not exported")
    strangers = [name for name in names if f"{name}(" not in header]
    equal(strangers, [], "exported but not in the header")


main(builds_and_runs_the_example_from_an_installed_prefix, exports_nothing_but_the_public_names)
