"""The command line as a whole: help, mistakes, manual, doctor, the screen."""
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

from lab import SONDE, SOURCE, check, equal, ethernet, folder, ipv4, main, need_tool, pcap, run, sonde, tcp, udp, until

VERBS = ("flows", "run", "doctor", "help")


def explains_every_verb_in_the_same_words():
    listed = sonde("--help").stdout
    for verb in VERBS:
        check(re.search(rf"^  {verb} ", listed, re.M), f"{verb} is not in: {listed}")
        equal(sonde("help", verb).stdout, sonde(verb, "--help").stdout, f"help of {verb}")
    equal(sonde("help").stdout, listed, "help alone")
    check(re.fullmatch(r"sonde \d+\.\d+\.\d+\n", sonde("--version").stdout), "version")


def names_what_may_have_been_meant():
    cases = [
        ([], "usage: sonde VERB"),
        (["flow"], "did you mean 'sonde flows'?"),
        (["dcotor"], "did you mean 'sonde doctor'?"),
        (["xyzzy"], "'sonde --help' lists them"),
        (["--verbose"], "no such option before a verb"),
        (["help", "rnu"], "did you mean 'sonde run'?"),
        (["flows", "--work", "2", "x"], "did you mean '--workers'?"),
        (["run", "--keep_aeg", "2d"], "did you mean '--keep-age'?"),
        (["run", "eth0"], "interfaces are named with -i"),
        (["doctor", "now"], "takes no arguments"),
        (["flows"], "name a file, '-', or an interface with -i"),
        (["flows", "--ring-size", "16M", "x"], "ring-size: 16M is out of range: 64M to 2G"),
        (["flows", "--workers"], "workers: needs a value (COUNT)"),
        (["flows", "-f", "jsn", "x"], "format: 'jsn' is none of: table, json, csv"),
        (["flows", "--filter", "tcp prot 3", "x"], "filter: 'tcp prot 3': "),
    ]
    for arguments, sentence in cases:
        done = sonde(*arguments, check_rc=2)
        equal(done.stdout, "", f"{arguments}: standard output")
        check(sentence in done.stderr, f"{arguments}: {done.stderr}")
        if arguments:
            equal(len(done.stderr.splitlines()), 1, f"{arguments}: lines: {done.stderr}")


def the_configuration_in_deploy_is_the_printed_one():
    printed = sonde("run", "--print-config").stdout
    equal((SOURCE / "deploy/sonde.conf").read_text(), printed, "deploy/sonde.conf (sonde run --print-config writes it)")
    with folder() as scratch:
        uncommented = re.sub(r"^#(\w+ =)", r"\1", printed, flags=re.M)
        check(uncommented.count("\nworkers = 1\n") == 1, uncommented)
        (scratch / "sonde.conf").write_text(uncommented)
        equal(sonde("run", "--check", "--config", scratch / "sonde.conf").stdout, f"{scratch}/sonde.conf: ok\n", "check")


def the_manual_has_every_option_and_no_warning():
    page = sonde("man").stdout
    for verb in ("flows", "run", "doctor"):
        for option in re.findall(r"--([a-z-]+)", sonde(verb, "--help").stdout.split("Examples:")[0]):
            check(option.replace("-", "\\-") in page, f"{verb} --{option} is not in the manual")
    need_tool("groff")
    done = run("groff", "-man", "-ww", "-Tutf8", "-z", input=page)
    equal(done.stderr, "", "groff's warnings")


def doctor_says_the_same_to_people_and_programs():
    done = sonde("doctor", "-f", "json", check_rc=None)
    check(done.returncode in (0, 1), f"exit {done.returncode}: {done.stderr}")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    for line in lines:
        equal(sorted(line), ["area", "name", "remedy", "text", "verdict"], "keys")
        check(line["verdict"] in ("ok", "warn", "no") and line["text"], line)
    found = {(line["area"], line["name"]): line["verdict"] for line in lines}
    for wanted in (("Backends", "file"), ("Backends", "null"), ("Store", "sqlite")):
        equal(found.get(wanted), "ok", wanted)
    able = found[("Backends", "afpacket")] == "ok" or found[("Backends", "pcap")] == "ok"
    equal(done.returncode, 0 if able else 1, "exit status")
    people = sonde("doctor", check_rc=None).stdout
    for area, name in found:
        check(area in people and name in people, f"{area} {name} is not in {people}")


def traffic():
    now = time.time_ns()
    for i in range(40):
        yield now + i * 10**6, ethernet(ipv4("192.0.2.1", f"198.51.100.{i}", 17, udp(40000, 53, b"q" * i)))
    for i in range(9):
        yield now + i * 10**6, ethernet(ipv4("192.0.2.7", "203.0.113.9", 6, tcp(50000, 443, 0x10, payload=b"x" * 1400)))


def an_interrupt_while_waiting_for_a_pipe_writes_what_came():
    with subprocess.Popen([SONDE, "flows", "-f", "json", "--summary", "-"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=False) as process:
        process.stdin.write(pcap(list(traffic())))
        process.stdin.flush()
        until("the pipe to be read", lambda: unread(process.stdin.fileno()) == 0)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    equal(process.returncode, 0, f"exit status: {err.decode()}")
    records = [json.loads(line) for line in out.splitlines()]
    equal(sum(record["packets"] for record in records), 49, "packets")
    check(b"Every sum adds up" in err, err.decode())


def unread(fd):
    return struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0" * 4))[0]


class Screen:
    """sonde run on a terminal of its own, fed by a named pipe."""

    def __init__(self, scratch, lines, columns):
        self.fifo = scratch / "traffic.pcap"
        os.mkfifo(self.fifo)
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color", LC_ALL="C.UTF-8")
            os.environ.pop("NO_COLOR", None)
            os.execv(SONDE, [str(SONDE), "run", "--backend", "file", "-i", str(self.fifo), "--config", "/dev/null",
                             "--database", str(scratch / "x.db")])
        self.size(lines, columns)
        self.seen = ""
        self.pipe = open(self.fifo, "wb", buffering=0)  # pylint: disable=consider-using-with

    def size(self, lines, columns):
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def read(self):
        """What came since, without what only places and colours it."""
        while select.select([self.terminal], [], [], 0.05)[0]:
            try:
                part = os.read(self.terminal, 65536)
            except OSError:
                break
            if not part:
                break
            self.seen += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[=>]", " ",
                                part.decode(errors="replace"))
        return self.seen

    def wait(self, text):
        until(f"'{text}' on the screen", lambda: text in self.read())

    def key(self, key):
        self.seen = ""
        os.write(self.terminal, key.encode())

    def end(self):
        until("the end", lambda: self.read() is not None and self.ended())
        self.pipe.close()
        os.close(self.terminal)
        return self.status

    def ended(self):
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        self.status = os.waitstatus_to_exitcode(status) if pid else None
        return pid != 0


def shows_flows_and_hosts_and_takes_keys_at_any_size():
    with folder() as scratch:
        screen = Screen(scratch, 24, 80)
        try:
            screen.pipe.write(pcap(list(traffic())))
            for text in ("INITIATOR", "192.0.2.7:50000", "203.0.113.9:443", "tcp", "q quit"):
                screen.wait(text)
            screen.key("h")
            screen.wait("HOST")
            screen.key("i")
            screen.wait("INTERFACE")
            screen.key("?")
            screen.wait("hold the screen still")
            screen.key("?")
            screen.wait("INITIATOR")
            screen.key("f")
            screen.wait("filter:")
            screen.key(".100.33\r")
            screen.wait("198.51.100.33:53")
            for lines, columns in ((6, 20), (1, 1), (3, 200), (60, 40), (50, 160)):
                screen.size(lines, columns)
                os.kill(screen.pid, signal.SIGWINCH)
                time.sleep(0.2)
                check(not screen.ended(), f"ended at {columns}x{lines}")
            screen.seen = ""
            screen.wait("PACKETS")
            screen.key("q")
            equal(screen.end(), 0, "exit status")
            check("Every sum adds up, from the wire to the store." in screen.seen, screen.seen[-3000:])
        finally:
            if screen.status is None:
                os.kill(screen.pid, signal.SIGKILL)
                os.waitpid(screen.pid, 0)


def a_log_goes_where_there_is_no_terminal():
    with folder() as scratch:
        fifo = scratch / "traffic.pcap"
        os.mkfifo(fifo)
        with subprocess.Popen([SONDE, "run", "--backend", "file", "-i", fifo, "--config", "/dev/null", "--no-store"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            with open(fifo, "wb") as pipe:
                pipe.write(pcap(list(traffic())))
                pipe.flush()
                line = process.stdout.readline()
                check("no store" in line, line)
                lines = [process.stdout.readline() for _ in range(6)]
                process.send_signal(signal.SIGTERM)
                rest, errors = process.communicate(timeout=20)
        check("49 flows" not in lines[0] and "41 flows" in lines[0] and "0 dropped" in lines[0], lines)
        check(re.search(r"tcp +192.0.2.7:50000 +> 203.0.113.9:443 ", lines[1]), lines)
        check("Every sum adds up" in rest, rest)
        equal((process.returncode, errors), (0, ""), "exit status and errors")


main(explains_every_verb_in_the_same_words, names_what_may_have_been_meant,
     the_configuration_in_deploy_is_the_printed_one, the_manual_has_every_option_and_no_warning,
     doctor_says_the_same_to_people_and_programs, an_interrupt_while_waiting_for_a_pipe_writes_what_came,
     shows_flows_and_hosts_and_takes_keys_at_any_size, a_log_goes_where_there_is_no_terminal)
