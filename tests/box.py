"""A desktop with a systemd and a network of its own, in namespaces, gone when it is left.

It has two links: `lo`, and `lan0` (192.0.2.10/24) to another network, where the DNS server of the office stands.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from attrs import define, field

T = TypeVar("T")

OFFICE = "192.0.2.53"
"""The DNS server that the desktop's network has."""
DESKTOP = "192.0.2.10"
BOOT_SECONDS = 60

_MOUNTS = r"""
mount -t tmpfs -o mode=755 box "$BOX"
mkdir "$BOX/upper" "$BOX/work" "$BOX/root"
mount -t overlay -o "lowerdir=$BASE,upperdir=$BOX/upper,workdir=$BOX/work" box "$BOX/root"
cd "$BOX/root"
mount -t tmpfs -o mode=755 dev dev
mknod -m 666 dev/null c 1 3
mknod -m 666 dev/zero c 1 5
mknod -m 666 dev/full c 1 7
mknod -m 666 dev/random c 1 8
mknod -m 666 dev/urandom c 1 9
mknod -m 666 dev/tty c 5 0
mkdir dev/pts dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=1777 shm dev/shm
mount -t sysfs -o ro sysfs sys
ip link set lo up
"""

_BOOT = r"""
bind() {
    if [ -d "$1" ]; then mkdir -p ".$1"; else mkdir -p ".${1%/*}"; [ -e ".$1" ] || touch ".$1"; fi
    mount --bind "$1" ".$1"
    mount -o remount,bind,ro ".$1"
}
cd "$BOX/root"
mount -t proc proc proc
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 run run
mount -t tmpfs -o mode=1777 tmp tmp
mkdir -p run/systemd
# A container manager leaves its payload mounts that reach the namespaces of its services.
mount --make-rshared .
echo "$BOUND" | while read -r path; do
    [ -z "$path" ] || bind "$path"
done
exec env -i container=other PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin \
    chroot . /usr/lib/systemd/systemd --system --unit=desktop.target --log-target=console --show-status=false
"""

_OFF = (
    *("systemd-udevd.service", "systemd-udevd-control.socket", "systemd-udevd-kernel.socket"),
    *("systemd-udev-trigger.service", "systemd-logind.service", "systemd-remount-fs.service", "timers.target"),
    *("kmod-static-nodes.service", "tmp.mount", "dev-hugepages.mount", "dev-mqueue.mount"),
    *("sys-kernel-debug.mount", "sys-kernel-tracing.mount", "sys-kernel-config.mount"),
    "sys-fs-fuse-connections.mount",
)
"""What a desktop starts and these tests have no use for, or a namespace has no device for."""


@define
class Box:
    """A running desktop."""

    root: Path
    """Its root directory, seen from where `prefix` leads."""
    holder: int
    """The process that keeps its mounts and its network."""
    office: int
    """The process that keeps the other network."""
    configured: bool
    """Whether the tests give the desktop its address; else a program of the desktop does so."""
    bound: Sequence[Path] = ()
    """What it has of this machine's files, in the same places, without the right to change them."""
    init: int = field(default=0)

    @property
    def prefix(self) -> list[str]:
        """What brings a program of this machine into the network of the desktop, with this machine's files."""
        return ["nsenter", f"--target={self.holder}", "--mount", "--net"]

    def run(self, command: str, *, check: bool = False) -> subprocess.CompletedProcess[str]:
        """What a person at the desktop types, as root."""
        enter = ["nsenter", f"--target={self.init}", "--mount", "--net", "--pid", "--ipc", "--uts", "--cgroup"]
        enter += [f"--root=/proc/{self.init}/root", f"--wd=/proc/{self.init}/root"]
        environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            [*enter, "bash", "-ec", command],
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
        if check and done.returncode:
            raise AssertionError(f"{command}\n{done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def write(self, path: str, text: str) -> None:
        self.run(f"mkdir -p $(dirname {path}) && printf %s {shlex.quote(text)} > {path}", check=True)


def within(process: int, call: Callable[[], T]) -> T:
    """Make a call, for instance open a socket, in the network namespace of a process."""
    made: list[T] = []

    def enter() -> None:
        with open(f"/proc/{process}/ns/net") as namespace:
            if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), 0x40000000):  # CLONE_NEWNET
                raise OSError(ctypes.get_errno(), "setns")
        made.append(call())

    # setns(2) moves only the thread that calls it.
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    return made[0]


def until(what: Callable[[], T], *, seconds: float = 60, every: float = 0.1) -> T:
    """Ask again and again until there is an answer; the last one when the time is over."""
    end = time.monotonic() + seconds
    while not (found := what()) and time.monotonic() < end:
        time.sleep(every)
    return found


@contextmanager
def _held(*arguments: str, environment: dict[str, str], script: str) -> Iterator[int]:
    """A process that has made something in new namespaces and keeps it."""
    command = ["unshare", *arguments, "--propagation", "private", "sh", "-ec", f"{script}\necho made\nexec cat"]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        if process.stdout.readline() != "made\n":
            raise AssertionError(process.stderr.read())
        yield process.pid
    finally:
        process.communicate()


@contextmanager
def desktop(
    directory: Path, base: Path, prepare: str, *, configured: bool = True, bound: Sequence[Path] = ()
) -> Iterator[Box]:
    """A desktop whose files are those of `base`, which does not change, and of `bound`.

    `prepare` is a script that runs in its root directory before it is booted.
    """
    place = directory / "box"
    place.mkdir()
    with (
        _held("--net", "--mount", environment={}, script="ip link set lo up") as office,
        _held(
            "--net",
            "--mount",
            "--ipc",
            "--uts",
            environment={"BOX": str(place), "BASE": str(base)},
            script=_MOUNTS,
        ) as holder,
    ):
        box = Box(place / "root", holder, office, configured, bound)
        _outside(holder, f"cd {box.root}\n{_PREPARE}\n{prepare}")
        _connect(box)
        with booted(box):
            yield box


_PREPARE = f"""
mkdir -p etc/systemd/system usr/local/bin
printf '#!/bin/sh\\nexec "$@"\\n' > usr/local/bin/sudo
chmod +x usr/local/bin/sudo
printf '[Unit]\\nRequires=basic.target dbus.service\\nAfter=basic.target dbus.service\\nAllowIsolate=yes\\n' \\
    > etc/systemd/system/desktop.target
for unit in {" ".join(_OFF)}; do ln -sf /dev/null etc/systemd/system/$unit; done
if ip link add tried type dummy 2>/dev/null; then
    ip link delete tried
else
    # A kernel without this type of link has another one that carries nothing.
    printf '%s\\n' '#!/bin/sh' 'for word do' '    shift' '    [ "$word" != dummy ] || word=ifb' \\
        '    set -- "$@" "$word"' 'done' 'exec /usr/bin/ip "$@"' > usr/local/bin/ip
    chmod +x usr/local/bin/ip
fi
echo 0123456789abcdef0123456789abcdef > etc/machine-id
printf '127.0.0.1 localhost desktop\\n' > etc/hosts
chroot . systemd-sysusers
for user in messagebus dnsmasq unbound; do
    grep -q "^$user:" etc/passwd || chroot . useradd --system --user-group $user
done
"""


_LINKS = r"ip -oneline link | sed -n 's/^[0-9]*: \([^:@]*\).*/\1/p' | grep -vx lo || true"


def _connect(box: Box) -> None:
    """Plug the desktop into the other network."""
    _outside(box.office, f"ip link add office0 type veth peer name lan0 netns {box.holder}")
    _outside(box.office, f"ip address add {OFFICE}/24 dev office0 && ip link set office0 up")
    if box.configured:
        _outside(box.holder, f"ip address add {DESKTOP}/24 dev lan0 && ip link set lan0 up")
        _outside(box.holder, f"ip route add default via {OFFICE}")


def _outside(process: int, script: str) -> None:
    command = ["nsenter", f"--target={process}", "--mount", "--net", "sh", "-ec", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"{script}\n{done.stdout}{done.stderr}")


@contextmanager
def booted(box: Box) -> Iterator[Box]:
    """The desktop while its systemd runs."""
    log = box.root.parent.with_suffix(".console")
    command = [
        *["nsenter", f"--target={box.holder}", "--mount", "--net", "--ipc", "--uts"],
        *["unshare", "--pid", "--mount", "--cgroup", "--fork", "--kill-child", "--propagation", "private"],
        *["sh", "-ec", _BOOT],
    ]
    with log.open("wb") as opened:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=opened,
            stderr=opened,
            env=os.environ | {"BOX": str(box.root.parent), "BOUND": "\n".join(map(str, box.bound))},
        )
    try:
        box.init = until(lambda: _child_of(process.pid), seconds=BOOT_SECONDS, every=0.02)
        ready = until(
            lambda: box.run("systemctl is-active desktop.target").stdout == "active\n", seconds=BOOT_SECONDS
        )
        if not ready:
            raise AssertionError(
                log.read_text()[-4000:] + box.run("systemctl list-jobs; systemctl --failed").stdout
            )
        # The kernel says up to a second late that a link is up (Documentation/networking/operstates.rst).
        assert until(lambda: box.run("cat /sys/class/net/lan0/operstate").stdout == "up\n")
        yield box
    finally:
        if box.init:
            _cut(box)
        process.kill()
        process.wait()


def _cut(box: Box) -> None:
    """End the desktop's systemd, which ends when all its programs have: until then they hold their ports."""
    with contextlib.suppress(ProcessLookupError):
        ending = os.pidfd_open(box.init)
        try:
            signal.pidfd_send_signal(ending, signal.SIGKILL)
            select.select([ending], [], [])
        finally:
            os.close(ending)
    box.init = 0


def _child_of(process: int) -> int:
    with contextlib.suppress(OSError, IndexError):
        children = Path(f"/proc/{process}/task/{process}/children").read_text()
        child = int(children.split()[0])
        if Path(f"/proc/{child}/comm").read_text() == "systemd\n":
            return child
    return 0


@contextmanager
def rebooted(box: Box) -> Iterator[Box]:
    """The desktop after its power was cut: what stood under /run and /tmp is gone, and so are its links."""
    _cut(box)
    _outside(box.holder, f"for link in $({_LINKS}); do ip link delete $link 2>/dev/null || true; done")
    _connect(box)
    with booted(box):
        yield box
