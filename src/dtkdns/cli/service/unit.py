"""The units by which systemd runs dtkdns: a socket that is held all the time, and a service that may do little."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Mapping

from attrs import frozen

UNIT = "dtkdns.service"
HOLDER = "dtkdns.socket"
"""What holds its port."""
SERVICE = "/etc/systemd/system/dtkdns.service"
SOCKET = "/etc/systemd/system/dtkdns.socket"
HOMES = ("/home", "/root", "/run/user")
"""What `ProtectHome=` hides (systemd.exec(5))."""
SCRATCH = ("/tmp", "/var/tmp")  # noqa: S108 (they are hidden, not used)
"""What `PrivateTmp=` hides, and a boot may empty."""
ANYWHERE = re.compile(r"tcp6?:(\d+)(?::interface=(.+))?", re.ASCII)
"""Endpoints whose port systemd can hold: those without TLS."""

LIMITS = """\
CapabilityBoundingSet={capabilities}
NoNewPrivileges=yes
UMask=0077
ProtectSystem=strict
ReadWritePaths={writable}
ProtectHome={home}
PrivateTmp=yes
PrivateDevices=yes
PrivateMounts=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute={code}
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallFilter=@chown
SystemCallErrorNumber=EPERM
InaccessiblePaths={secrets}
ReadOnlyPaths={settings}
"""
"""What the service may do: open its ports, write in `/etc` and in its state. AF_NETLINK tells it the machine's
networks; chown(2) gives the new hosts file the owner of the old one. (systemd.exec(5))
"""
SECRETS = (
    *("/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/sudoers", "/etc/ssh"),
    *("/etc/ssl/private", "/etc/NetworkManager/system-connections", "/etc/wireguard", "/etc/kubernetes"),
)
"""Hidden; a file among them only until it is next replaced."""
SETTINGS = (
    *("/etc/systemd", "/etc/sudoers.d", "/etc/pam.d", "/etc/security", "/etc/cron.d", "/etc/cron.daily"),
    *("/etc/cron.hourly", "/etc/profile.d", "/etc/ld.so.conf.d", "/etc/init.d", "/etc/udev", "/etc/modprobe.d"),
    *("/etc/NetworkManager", "/etc/apt", "/etc/yum.repos.d", "/etc/X11", "/etc/xdg"),
)
"""Directories in `/etc` that stay read-only."""


@frozen
class Program:
    """An installation of dtkdns."""

    twistd: str
    directories: tuple[str, ...]
    """All that it needs: its own prefix, that of its Python, and a checkout that it is installed from."""


@frozen
class Unit:
    """What is to run, and how."""

    program: Program
    options: tuple[str, ...]
    """Of `twistd dtkdns`, each as `--name=value`; without `--port` where systemd holds it, and without files."""
    listen: str | None
    """`ListenStream=` of systemd.socket(5); None where the service opens its port itself."""
    files: Mapping[str, str]
    """Options whose value is a file that systemd hands over, whoever owns it: `config`, `credentials`."""
    state: str | None
    """The state directory, where it is not systemd's own for dtkdns."""
    hosts_directory: str | None
    """Where the hosts file lies; None where none is kept."""
    low_port: bool
    """Whether the service itself opens a port below 1024."""
    network: bool
    """Whether it has to wait for the addresses of the network."""
    given: tuple[str, ...]
    """All the options as they were given, to be found again."""

    @property
    def holds_port(self) -> bool:
        """Whether there is a socket unit."""
        return self.listen is not None

    def socket(self) -> str:
        """The text of dtkdns.socket."""
        return (
            "# Made by dtkdns install; a change is best made in a drop-in (systemctl edit dtkdns.socket).\n"
            "[Unit]\n"
            "Description=The port of dtkdns, which is open also while the service restarts\n\n"
            "[Socket]\n"
            f"ListenStream={self.listen}\n"
            "FreeBind=yes\n\n"
            "[Install]\n"
            "WantedBy=sockets.target\n"
        )

    def service(self) -> str:
        """The text of dtkdns.service."""
        waits = ["network.target"]
        unit = "Description=Names of Kubernetes Ingresses on this desktop\nDocumentation=man:dtkdns(1)\n"
        if self.holds_port:
            unit += "Requires=dtkdns.socket\n"
            waits.append("dtkdns.socket")
        if self.network:
            unit += "Wants=network-online.target\n"
            waits.append("network-online.target")
        unit += f"After={' '.join(waits)}\nStartLimitIntervalSec=600\nStartLimitBurst=100\n"
        also = "Also=dtkdns.socket\n" if self.holds_port else ""
        return (
            "# Made by dtkdns install; a change is best made in a drop-in (systemctl edit dtkdns).\n"
            f"[Unit]\n{unit}\n"
            f"[Service]\n{self._life()}\n{self._limits()}\n"
            f"[Install]\nWantedBy=multi-user.target\n{also}\n"
            f"[X-dtkdns]\nOptions={json.dumps(self.given)}\n"
        )

    def _life(self) -> str:
        lines = [
            "Type=notify",
            f"ExecStart={self._command()}",
            "Restart=on-failure",
            "RestartSec=5",
            "TimeoutStartSec=120",
            "TimeoutStopSec=20",
            "WatchdogSec=30",
            "SyslogIdentifier=dtkdns",
        ]
        if self.state is None:
            lines += ["StateDirectory=dtkdns", "StateDirectoryMode=0711"]
        lines += [f"LoadCredential={name}:{_escaped(path)}" for name, path in self.files.items()]
        return "".join(f"{line}\n" for line in lines)

    def _command(self) -> str:
        words = [self.program.twistd, "--nodaemon", "--pidfile=", "--logger=dtkdns.journal.observer", "dtkdns"]
        port = ["--port=systemd"] if self.holds_port else []
        own = [quoted(word).replace("$", "$$") for word in (*words, *port, *self.options)]
        return " ".join([*own, *(f"--{name}=${{CREDENTIALS_DIRECTORY}}/{name}" for name in self.files)])

    def _limits(self) -> str:
        writable = [place for place in (self.hosts_directory, self.state) if place is not None]
        hidden = [place for place in self.program.directories if is_below(place, (*HOMES, *SCRATCH))]
        bound = [place for place in writable if is_below(place, (*HOMES, *SCRATCH))]
        text = LIMITS.format(
            capabilities="CAP_NET_BIND_SERVICE" if self.low_port else "",
            writable=" ".join(map(path_word, writable)),
            home="tmpfs" if any(is_below(place, HOMES) for place in (*hidden, *bound)) else "yes",
            code="yes" if self.holds_port else "no",  # OpenSSL's callbacks are made in memory (cffi)
            secrets=" ".join(f"-{path}" for path in SECRETS),
            settings=" ".join(f"-{path}" for path in SETTINGS),
        )
        if hidden:
            text += f"BindReadOnlyPaths={' '.join(map(path_word, hidden))}\n"
        if bound:
            text += f"BindPaths={' '.join(map(path_word, bound))}\n"
        return text


def options_of(service: str) -> tuple[str, ...] | None:
    """The options that stand in the text of a service unit of ours; None where it is none."""
    found = re.search(r"^\[X-dtkdns\]\nOptions=(\[.*\])$", service, re.MULTILINE)
    if found is None:
        return None
    try:
        options = json.loads(found[1])
    except ValueError:
        return None
    return tuple(map(str, options))


def listen_of(endpoint: str) -> str | None:
    """What systemd is to listen at for a port number or an endpoint; None where it cannot."""
    if endpoint.isascii() and endpoint.isdigit():
        return endpoint
    found = ANYWHERE.fullmatch(endpoint)
    if found is None:
        return None
    port, interface = found[1], (found[2] or "").replace("\\:", ":")
    if not interface:
        return port if endpoint.startswith("tcp6:") else f"0.0.0.0:{port}"
    try:
        address = ipaddress.ip_address(interface)
    except ValueError:
        return None
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def quoted(word: str) -> str:
    """A word that systemd takes as it is, but for a `$` in a command line (systemd.syntax(7), systemd.unit(5))."""
    text = word.replace("%", "%%")
    if re.fullmatch(r"[A-Za-z0-9_./:=,@%$+-]+", text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def path_word(path: str) -> str:
    """A path in a list of paths, where a colon outside of quotes would divide it (systemd.exec(5), BindPaths=)."""
    word = quoted(path)
    return f'"{word}"' if ":" in word and not word.startswith('"') else word


def is_below(path: str, directories: Iterable[str]) -> bool:
    """Whether a path is one of these directories or lies in one."""
    return any(path == directory or path.startswith(f"{directory}/") for directory in directories)


def _escaped(path: str) -> str:
    return path.replace("%", "%%")
