"""What these tests share.  Run as 'python3 test_x.py BUILD [TEST...]'."""
import contextlib
import json
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time
import unittest

BUILD = pathlib.Path(sys.argv.pop(1)).resolve()
SONDE = BUILD / "sonde"
sys.path.insert(0, str(BUILD / "python"))
KEY = bytes(range(1, 21))
HOSTS = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


def at(host, port):
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def port_free(span=1):
    """A UDP port that nobody has, and 'span' - 1 behind it."""
    for _ in range(50):
        with contextlib.ExitStack() as held:
            first = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                for more in range(1, span):
                    held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)).bind(
                        ("127.0.0.1", port + more))
                return port
            except (OSError, OverflowError):
                continue
    raise AssertionError("no free ports")


def python(module, *arguments):
    """A command line of ours in Python."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import importlib; " \
           "sys.exit(importlib.import_module('sonde_rtt.' + sys.argv[2]).main(sys.argv[3:]))"
    return [sys.executable, "-c", code, str(BUILD / "python"), module, *map(str, arguments)]


@contextlib.contextmanager
def started(command, ready):
    """A process that has said 'ready'; ended by SIGTERM, then its lines are
    in .lines."""
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True)
    process.lines = []
    try:
        for line in process.stdout:
            process.lines.append(line)
            if re.search(ready, line):
                break
        else:
            raise AssertionError(f"{command}: {process.lines}")
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.lines += process.communicate(timeout=20)[0].splitlines()


def reflector_c(port, *more):
    return started([SONDE, "reflect", "--port", port, "--local", "127.0.0.1", *more], r"answering on")


def reflector_python(port, *more):
    return started(python("reflector", "--port", port, *more), r'"ready"')


def run(command, code=0):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != code:
        raise AssertionError(f"{command}: exit {done.returncode}, not {code}\n{done.stdout[-500:]}\n{done.stderr}")
    return done


def lines_of(text):
    return [json.loads(line) for line in text.splitlines()]


def settle():
    time.sleep(0.02)


def main():
    unittest.main(verbosity=1)
