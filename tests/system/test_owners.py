#!/usr/bin/env python3
"""Real containers of every runtime there is: whose a process is, by name.

Daemons are this test's own: their folders lie in a temporary one, their
networks are none, and they are ended by process id.  A runtime that is not
installed is skipped by its name; 'tools/setup containers' installs them.
"""
import contextlib
import functools
import hashlib
import io
import json
import os
import pathlib
import pwd
import signal
import subprocess
import tarfile
import time

import lab

OWNERS = lab.BUILD / "tests/owner/owners"
BUSYBOX = pathlib.Path("/bin/busybox")
# What runc may set here: more than root's own limits is refused in many a container and virtual machine.
LIMITS = '[containers]\ndefault_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]\n'
IMAGE = "docker.io/local/sonde-owners:1"
APPLETS = ["sh", "sleep", "true", "init", "cat"]


# ---- an image, from nothing but busybox ----

def need_busybox():
    lab.need_root()
    if not BUSYBOX.exists():
        raise lab.Skip("'busybox' is not installed (busybox-static)")


def add(tar, name, data=b"", kind=tarfile.REGTYPE, mode=0o755, link=""):
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.size, entry.linkname = kind, mode, len(data), link
    tar.addfile(entry, io.BytesIO(data))


@functools.cache
def layer():
    """A root folder as a tar: busybox, its links and empty folders."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name in ("bin", "dev", "etc", "proc", "sys", "tmp", "usr", "usr/bin", "run", "root", "sbin", "var"):
            add(tar, name, kind=tarfile.DIRTYPE)
        add(tar, "bin/busybox", BUSYBOX.read_bytes())
        for name in APPLETS:
            add(tar, f"bin/{name}", kind=tarfile.SYMTYPE, link="busybox")
        add(tar, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n", mode=0o644)
        add(tar, "etc/group", b"root:x:0:\n", mode=0o644)
        add(tar, "etc/os-release", b"ID=sonde\n", mode=0o644)
    return data.getvalue()


def archive(path):
    """The image as 'docker save' writes one."""
    config = json.dumps({
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine),
        "os": "linux", "config": {"Cmd": ["/bin/sleep", "1000"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer()).hexdigest()]},
        "history": [{"created": "2024-01-01T00:00:00Z"}]}).encode()
    name = hashlib.sha256(config).hexdigest() + ".json"
    with tarfile.open(path, mode="w") as tar:
        add(tar, name, config, mode=0o644)
        add(tar, "layer.tar", layer(), mode=0o644)
        add(tar, "manifest.json", json.dumps([{"Config": name, "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]).encode(),
            mode=0o644)
    return path


def root_folder(path):
    path.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(layer())) as tar:
        tar.extractall(path)
    return path


# ---- what sonde says ----

class Seen:
    """One scan."""

    def __init__(self, *options):
        rows = [json.loads(line) for line in lab.run(OWNERS, *options, stdin=subprocess.DEVNULL).stdout.splitlines()]
        self.processes = [row for row in rows if row["type"] == "process"]
        self.containers = {row["id"]: row for row in rows if row["type"] == "container"}
        self.notes = [row["text"] for row in rows if row["type"] == "note"]
        self.end = rows[-1]

    def sleeper(self, seconds):
        """The process that sleeps so many seconds: a mark that nobody else has."""
        found = [row for row in self.processes if (row["command"] or "").endswith(f"sleep {seconds}")
                 and row["comm"] in ("sleep", "busybox")]
        lab.equal(len(found), 1, f"processes that sleep {seconds}; {[row['command'] for row in self.processes]}")
        return found[0]

    def check(self, seconds, runtime, name, image, container_id=None):
        process = self.sleeper(seconds)
        is_ = (process["runtime"], process["container_name"])
        lab.equal(is_, (runtime, name), f"container of {process}; notes {self.notes}")
        if container_id:
            lab.equal(process["container_id"], container_id, "its id")
        container = self.containers[process["container_id"]]
        lab.equal(container["image"], image, "its image")
        lab.equal(container["ended"], False, "whether it has ended")
        return container

    def check_outside(self, pid):
        process = next(row for row in self.processes if row["pid"] == pid)
        lab.equal(process["container_id"], None, f"container of {process}")


@contextlib.contextmanager
def sleeping(*command, seconds, **more):
    """A process executed into a container by 'command', ended by its id."""
    with lab.started(*command, "/bin/sleep", seconds, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                     stderr=subprocess.DEVNULL, **more) as process:
        lab.until(f"sleep {seconds} runs", lambda: process.poll() is not None or sleepers(seconds))
        yield process
        for pid in sleepers(seconds):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def sleepers(seconds):
    """Processes of that name and argument, by /proc itself."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if words[-3:] == [b"/bin/sleep", str(seconds).encode(), b""] and words[0] == b"/bin/sleep":
                found.append(int(path.parent.name))
    return found


@contextlib.contextmanager
def daemon(*command, ready, log, **more):
    """A daemon in a session of its own; ended by its id, and what it left mounted is unmounted."""
    with open(log, "wb") as output:
        process = subprocess.Popen([str(part) for part in command], stdout=output, stderr=output,
                                   start_new_session=True, **more)
    try:
        lab.until(f"{command[0]} is ready", lambda: ready() or process.poll() is not None, timeout_s=60)
        if process.poll() is not None:
            raise lab.Skip(f"{command[0]} does not start here: {log.read_text(errors='replace')[-300:]}")
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def unmount_below(path):
    lines = pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    points = [line.split()[4] for line in lines]
    for point in sorted((p for p in points if p.startswith(f"{path}/")), key=len, reverse=True):
        subprocess.run(["umount", "-l", point], check=False, capture_output=True)


CGROUPS = pathlib.Path("/sys/fs/cgroup")
LEAVINGS = ("docker", "kubepods", "libpod_parent", "lxc.", "payload", "sonde-", "supervisor")


def cgroup_folders():
    """Folders of cgroups, by the part below their tree's root, that are named as runtimes name them."""
    tops = [CGROUPS] if (CGROUPS / "cgroup.controllers").exists() else sorted(CGROUPS.glob("*"))
    return {pathlib.Path(path) for top in tops for name in LEAVINGS for start in top.glob(f"{name}*")
            for path, _, _ in os.walk(start)}


def remove_cgroups(before):
    """Empty ones that are new; monitors take their time to end and to leave theirs."""
    for _ in range(100):
        new = cgroup_folders() - before
        for left in sorted(new, key=lambda path: -len(str(path))):
            with contextlib.suppress(OSError):
                left.rmdir()
        if not new:
            return
        time.sleep(0.02)


@contextlib.contextmanager
def folder():
    """A temporary folder; behind it no mount and no empty cgroup that was not there before."""
    before = cgroup_folders()
    with lab.folder() as path:
        path.chmod(0o755)
        try:
            yield path
        finally:
            unmount_below(path)
            remove_cgroups(before)


# ---- docker ----

DOCKER = "/usr/bin/docker"  # another client may stand before it on the path


@contextlib.contextmanager
def dockerd(home):
    sock = home / "d.sock"

    def docker(*words, **more):
        return lab.run(DOCKER, "-H", f"unix://{sock}", *words, **more).stdout.strip()

    def ready():
        return subprocess.run([DOCKER, "-H", f"unix://{sock}", "version"], capture_output=True, check=False,
                              timeout=20).returncode == 0

    with daemon("dockerd", "--data-root", home / "data", "--exec-root", home / "exec", "--pidfile", home / "pid",
                "-H", f"unix://{sock}", "--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false",
                ready=ready, log=home / "log") as process:
        docker("load", "-i", archive(home / "image.tar"))
        try:
            yield docker, process
        finally:
            for name in docker("ps", "-aq").split():
                docker("rm", "-f", name)


def docker_its_names_and_what_is_executed_into_it():
    need_busybox()
    lab.need_tool(DOCKER, "dockerd", "containerd", "runc")
    with folder() as home, dockerd(home) as (docker, process):
        one = docker("run", "-d", "--name", "sonde-one", "--network", "none", IMAGE, "/bin/sleep", "10101")
        two = docker("run", "-d", "--name", "sonde-two", "--network", "none", "--cgroup-parent", "/sonde-other", IMAGE,
                     "/bin/sleep", "10102")
        into = [DOCKER, "-H", f"unix://{home}/d.sock", "exec", "sonde-one"]
        with sleeping(*into, seconds=10103):
            seen = Seen()
            seen.check(10101, "docker", "sonde-one", IMAGE, one)
            seen.check(10103, "docker", "sonde-one", IMAGE, one)
            seen.check(10102, "docker", "sonde-two", IMAGE, two)
            seen.check_outside(process.pid)
            lab.check(seen.containers[one]["cgroup_id"] or not unified(), "a cgroup id")
        docker("rename", "sonde-one", "sonde-new")
        Seen().check(10101, "docker", "sonde-new", IMAGE, one)


def unified():
    """Whether there is a version 2 tree."""
    return any((CGROUPS / name).exists() for name in ("cgroup.controllers", "unified/cgroup.controllers"))


# ---- podman ----

class Podman:
    """podman with folders of its own, of root or of a user."""

    def __init__(self, home, uid=0):
        self.home, self.uid = home, uid
        (home / "run").mkdir(parents=True)
        (home / "run").chmod(0o700)
        (home / "tmp").mkdir()
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(home), "XDG_RUNTIME_DIR": str(home / "run"),
                            "TMPDIR": str(home / "tmp"), "CONTAINERS_CONF": str(home / "containers.conf")}
        (home / "containers.conf").write_text(LIMITS)
        self.words = ["podman", "--root", home / "root", "--runroot", home / "run/root", "--tmpdir", home / "run/libpod",
                      "--runtime", "runc", "--cgroup-manager", "cgroupfs", "--events-backend", "file"]
        archive(home / "image.tar")
        if uid:
            for path in (home, home / "run", home / "tmp", home / "image.tar"):
                os.chown(path, uid, pwd.getpwuid(uid).pw_gid)
        self.more = {"env": self.environment, "cwd": home}
        if uid:
            self.more |= {"user": uid, "group": pwd.getpwuid(uid).pw_gid, "extra_groups": []}

    def __call__(self, *words, **more):
        return lab.run(*self.words, *words, **self.more, **more).stdout.strip().splitlines()

    def __enter__(self):
        done = subprocess.run([str(word) for word in (*self.words, "load", "-i", self.home / "image.tar")],
                              capture_output=True, text=True, check=False, timeout=120, **self.more)
        if done.returncode:
            raise lab.Skip(f"podman cannot load an image here: {done.stderr[-300:]}")
        return self

    def __exit__(self, *_):
        self("pod", "rm", "-f", "-t", "0", "-a", check_rc=None)
        self("rm", "-f", "-t", "0", "-a", check_rc=None)
        # Monitors end, and run podman once more, which writes.
        with contextlib.suppress(AssertionError):
            lab.until("conmon has ended", lambda: not self.monitors())
        if self.uid:  # the process that holds the user namespace
            with contextlib.suppress(OSError, ValueError, ProcessLookupError):
                os.kill(int((self.home / "run/libpod/pause.pid").read_text()), signal.SIGTERM)

    def monitors(self):
        """Processes that have this podman's folder in their arguments."""
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if str(self.home).encode() in path.read_bytes():
                    found.append(path.parent.name)
        return found

    def run(self, name, seconds, *options):
        return self("run", "-d", "--name", name, *options, IMAGE, "/bin/sleep", seconds)[-1]


def need_podman():
    need_busybox()
    lab.need_tool("podman", "conmon", "runc")


def podman_of_root_and_what_is_executed_into_it():
    need_podman()
    with folder() as home, Podman(home / "p") as podman:
        container = podman.run("sonde-pod1", 10201, "--network", "none")
        with sleeping(*podman.words, "exec", "sonde-pod1", seconds=10202):
            seen = Seen()
            seen.check(10201, "podman", "sonde-pod1", IMAGE, container)
            seen.check(10202, "podman", "sonde-pod1", IMAGE, container)
            for row in seen.processes:
                lab.check(row["comm"] != "conmon" or not row["container_id"], f"conmon is outside: {row}")


def podman_in_a_pod():
    need_podman()
    with folder() as home, Podman(home / "p") as podman:
        pod = podman("pod", "create", "--name", "sonde-pod", "--network", "none", "--share", "ipc,net,uts",
                     "--infra-image", IMAGE, "--infra-command", "/bin/sleep 10210")[-1]
        one = podman.run("sonde-in1", 10211, "--pod", "sonde-pod")
        two = podman.run("sonde-in2", 10212, "--pod", "sonde-pod")
        seen = Seen()
        lab.equal(seen.check(10210, "podman", pod[:12] + "-infra", IMAGE)["pod_id"], pod, "its pod")
        lab.equal(seen.check(10211, "podman", "sonde-in1", IMAGE, one)["pod_id"], pod, "its pod")
        lab.equal(seen.check(10212, "podman", "sonde-in2", IMAGE, two)["pod_id"], pod, "its pod")


def ordinary_user():
    """A user other than root that can have a user namespace."""
    users = [entry.pw_uid for entry in pwd.getpwall() if 1000 <= entry.pw_uid < 60000]
    return users[0] if users else pwd.getpwnam("nobody").pw_uid


def podman_of_a_user_and_what_is_executed_into_it():
    need_podman()
    uid = ordinary_user()
    with folder() as home, Podman(home / "u", uid) as podman:
        container = podman.run("sonde-user", 10301, "--network", "none")
        other = podman.run("sonde-user2", 10303, "--network", "none")
        with sleeping(*podman.words, "exec", "sonde-user", seconds=10302, **podman.more):
            seen = Seen()
            is_ = seen.check(10301, "podman", "sonde-user", IMAGE, container)
            lab.equal(is_["uid"], uid, "whose it is")
            seen.check(10302, "podman", "sonde-user", IMAGE, container)
            seen.check(10303, "podman", "sonde-user2", IMAGE, other)


# ---- containerd ----

def containerd_and_what_is_executed_into_it():
    need_busybox()
    lab.need_tool("containerd", "ctr", "runc")
    with folder() as home:
        (home / "c.toml").write_text(
            f'version = 2\nroot = "{home}/root"\nstate = "{home}/state"\n'
            'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
            f'[grpc]\naddress = "{home}/c.sock"\n[ttrpc]\naddress = "{home}/c.sock.ttrpc"\n')

        def ctr(*words, **more):
            return lab.run("ctr", "-a", home / "c.sock", "-n", "sonde-space", *words, **more).stdout

        def ready():
            return subprocess.run(["ctr", "-a", home / "c.sock", "version"], capture_output=True,
                                  check=False).returncode == 0

        with daemon("containerd", "--config", home / "c.toml", ready=ready, log=home / "log"):
            ctr("images", "import", archive(home / "image.tar"))
            names = {"sonde-ctr": 10401, "sonde-pods": 10402}
            try:
                ctr("run", "-d", IMAGE, "sonde-ctr", "/bin/sleep", "10401")
                ctr("run", "-d", "--cgroup", "/kubepods/burstable/pod11111111-2222-3333-4444-555555555555/sonde-pods",
                    IMAGE, "sonde-pods", "/bin/sleep", "10402")
                with sleeping("ctr", "-a", home / "c.sock", "-n", "sonde-space", "task", "exec", "--exec-id", "later",
                              "sonde-ctr", seconds=10403):
                    seen = Seen()
                    seen.check(10401, "containerd", "sonde-ctr", IMAGE, "sonde-ctr")
                    seen.check(10403, "containerd", "sonde-ctr", IMAGE, "sonde-ctr")
                    seen.check(10402, "containerd", "sonde-pods", IMAGE, "sonde-pods")
            finally:
                for name in names:
                    ctr("task", "kill", "-s", "SIGKILL", "-a", name, check_rc=None)
                    lab.until(f"{name} is gone",
                              lambda name=name: subprocess.run(
                                  ["ctr", "-a", home / "c.sock", "-n", "sonde-space", "task", "rm", name],
                                  capture_output=True, check=False).returncode == 0
                              or name not in ctr("task", "ls", "-q").split())
                    ctr("container", "rm", name, check_rc=None)


# ---- runc alone ----

def runc_without_a_manager():
    need_busybox()
    lab.need_tool("runc")
    with folder() as home:
        bundle = home / "bundle"
        root_folder(bundle / "rootfs")
        lab.run("runc", "spec", cwd=bundle)
        spec = json.loads((bundle / "config.json").read_text())
        spec["process"] |= {"terminal": False, "args": ["/bin/sleep", "10501"], "rlimits": []}
        (bundle / "config.json").write_text(json.dumps(spec))
        name = f"sonde-runc{os.getpid()}"
        subprocess.run(["runc", "run", "-d", "--bundle", str(bundle), name], stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, timeout=60)
        try:
            Seen().check(10501, "runc", name, str(bundle / "rootfs"), name)
        finally:
            lab.run("runc", "delete", "-f", name)


# ---- LXC ----

def lxc_and_what_is_attached_to_it():
    need_busybox()
    lab.need_tool("lxc-start", "lxc-attach", "lxc-stop")
    with folder() as home:
        name = f"sonde-lxc{os.getpid()}"
        root = root_folder(home / name / "rootfs")
        (home / name / "config").write_text(
            f"lxc.uts.name = other\nlxc.rootfs.path = dir:{root}\nlxc.net.0.type = empty\n"
            "lxc.mount.auto = proc:mixed\nlxc.apparmor.profile = unconfined\n")
        where = ["-P", home, "-n", name]
        done = lab.run("lxc-start", *where, "-d", "-o", home / "log", "--", "/bin/sleep", "10601", check_rc=None)
        if done.returncode:
            raise lab.Skip(f"LXC does not start here: {(home / 'log').read_text()[-300:]}")
        try:
            lab.until("the container sleeps", lambda: sleepers(10601))
            with sleeping("lxc-attach", *where, "--", seconds=10602):
                seen = Seen()
                seen.check(10601, "lxc", name, f"dir:{root}", name)
                seen.check(10602, "lxc", name, f"dir:{root}", name)
        finally:
            lab.run("lxc-stop", *where, "-k", check_rc=None)


# ---- systemd-nspawn ----

def nspawn_and_what_enters_it():
    need_busybox()
    lab.need_tool("systemd-nspawn", "nsenter")
    with folder() as home:
        roots = [root_folder(home / name) for name in ("first", "second")]
        with contextlib.ExitStack() as stack:
            for root, machine, seconds in zip(roots, ("sonde-m1", None), (10701, 10702)):
                named = ["-M", machine] if machine else []
                process = stack.enter_context(lab.started(
                    "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network", *named, "-D", root,
                    "/bin/sleep", seconds, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE, text=True))
                lab.until("nspawn's container sleeps",
                          lambda seconds=seconds, process=process: sleepers(seconds) or process.poll() is not None)
                if process.poll() is not None:
                    raise lab.Skip(f"systemd-nspawn does not start here: {process.stderr.read()[-300:]}")
                stack.callback(end_sleepers, seconds)
            inside = sleepers(10701)[0]
            with sleeping("nsenter", "-t", inside, "-a", seconds=10703):
                seen = Seen()
                seen.check(10701, "nspawn", "sonde-m1", str(roots[0]), "sonde-m1")
                seen.check(10702, "nspawn", "second", str(roots[1]), "second")
                seen.check(10703, "nspawn", "sonde-m1", str(roots[0]), "sonde-m1")


def end_sleepers(seconds):
    for pid in sleepers(seconds):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + 5
    while sleepers(seconds) and time.monotonic() < end:
        time.sleep(0.02)


if __name__ == "__main__":
    lab.main(docker_its_names_and_what_is_executed_into_it,
             podman_of_root_and_what_is_executed_into_it,
             podman_in_a_pod,
             podman_of_a_user_and_what_is_executed_into_it,
             containerd_and_what_is_executed_into_it,
             runc_without_a_manager,
             lxc_and_what_is_attached_to_it,
             nspawn_and_what_enters_it)
