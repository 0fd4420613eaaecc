"""Root directories of Debian, made of unpacked packages: nothing is installed, nothing of this machine changes."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import peers

LINKED = ("bin", "lib", "lib64", "sbin")
"""Directories that are links into /usr on an installed system, and that packages may still name directly."""
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class UnpackError(Exception):
    """A package cannot be had; the message is a sentence."""


def system(suite: str, packages: Sequence[str]) -> Path:
    """A root directory with these packages and what they need, as they are unpacked; raises `UnpackError`.

    It is made once and not to be changed; a second call at the same time waits for the first.
    """
    digest = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:8]
    into = peers.directory() / "debian" / f"{suite}-{digest}"
    into.parent.mkdir(parents=True, exist_ok=True)
    with into.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not into.exists():
            with tempfile.TemporaryDirectory(dir=into.parent) as scratch:
                _make(Path(scratch) / "root", suite, packages, Path(scratch))
                (Path(scratch) / "root").rename(into)
    return into


def _make(root: Path, suite: str, packages: Sequence[str], scratch: Path) -> None:
    config = _apt_of_its_own(suite, _mirror(), scratch / "apt")
    _apt(config, "update")
    # A question only, and about a system on which nothing is installed.
    said = _apt(config, "--simulate", "--no-install-recommends", "install", *packages)
    _apt(config, "download", *(line.split()[1] for line in said.splitlines() if line.startswith("Inst ")))
    for name in LINKED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    (root / "var").mkdir()
    (root / "var/run").symlink_to("/run")
    for archive in sorted(config.parent.glob("*.deb")):
        unpack = f"dpkg-deb --fsys-tarfile {archive} | tar --extract --keep-directory-symlink --directory={root}"
        subprocess.run(["bash", "-o", "pipefail", "-c", unpack], check=True)
    for name in ("passwd", "group"):
        shutil.copy(root / f"usr/share/base-passwd/{name}.master", root / "etc" / name)
    shutil.copy(root / "usr/share/libc-bin/nsswitch.conf", root / "etc/nsswitch.conf")
    subprocess.run(["chroot", str(root), "/sbin/ldconfig"], check=True)


def _mirror() -> str:
    """Where this machine has its Debian from."""
    wanted = ["Created-By: Packages", "Origin: Debian", "Label: Debian"]
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", *wanted]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    if not found:
        raise UnpackError("apt-get knows no mirror of Debian: run apt-get update.")
    return found[0]


def _apt_of_its_own(suite: str, mirror: str, into: Path) -> Path:
    """A configuration of apt that knows this suite and nothing of this machine; where it is."""
    for name in ("etc/apt", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/lib/dpkg"):
        (into / name).mkdir(parents=True)
    (into / "var/lib/dpkg/status").touch()
    (into / "etc/apt/sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror} {suite} main\n")
    settings = {
        "Dir": str(into),
        "APT::Sandbox::User": "root",
        "Dir::State::status": f"{into}/var/lib/dpkg/status",
        "Acquire::Check-Valid-Until": "false",  # a mirror that lags behind will do: it is signed all the same
    }
    (into / "apt.conf").write_text("".join(f'{key} "{value}";\n' for key, value in settings.items()))
    return into / "apt.conf"


def _apt(config: Path, *arguments: str) -> str:
    command = ["apt-get", "--quiet", *arguments]
    environment = os.environ | {"APT_CONFIG": str(config)}
    done = subprocess.run(command, cwd=config.parent, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UnpackError(f"{' '.join(command)} has failed: {done.stderr}")
    return done.stdout
