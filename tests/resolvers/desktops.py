"""Desktops that differ in who resolves names on them, and dtkdns on each."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from attrs import define, field, frozen

import installed
from box import OFFICE, Box, desktop, until
from debian import system
from process import Dtkdns, dtkdns

from .nameserver import Nameserver, serving
from .readme import block
from .signed import Signed
from .wire import Wire

_SYSTEM = (
    *("base-files", "base-passwd", "bash", "coreutils", "dash", "findutils", "grep", "libc-bin", "passwd"),
    *("procps", "sed", "mount", "util-linux", "systemd", "systemd-sysv", "dbus", "iproute2", "bind9-dnsutils"),
    *installed.PACKAGES,
)
_WITH_RESOLVED = (*_SYSTEM, "systemd-resolved", "libnss-resolve")
_WITHOUT_RESOLVED = (*_SYSTEM, "network-manager", "dnsmasq", "unbound")
PORT = 5053
"""Where the README's recipes look for dtkdns."""
CLUSTER = "192.168.122.167"
ELSEWHERE = "93.184.215.14"
"""What the office's DNS server says of every name that is not of the tests' domain."""


def _wanted(unit: str, target: str = "desktop.target") -> str:
    return (
        f"mkdir -p etc/systemd/system/{target}.wants\n"
        f"ln -s /usr/lib/systemd/system/{unit} etc/systemd/system/{target}.wants/\n"
    )


@frozen
class Resolver:
    """A program that resolves names, as its Debian package leaves it, and its recipe."""

    recipe: str
    """The name of it in the README's `apply:` and `undo:`."""
    files: tuple[str, ...]
    """What the recipe adds."""
    prepare: str
    """A script that does what the packages' own would have done, and what a network does (DHCP)."""
    packages: tuple[str, ...] = field(default=_WITHOUT_RESOLVED, kw_only=True)
    suite: str = field(default="bookworm", kw_only=True)
    """The release of Debian that it is from."""
    remembers: float = field(default=1, kw_only=True)
    """For how long (seconds) it may give an answer of dtkdns again, with some time to ask in."""
    configures: bool = field(default=False, kw_only=True)
    """Whether it gives the desktop its address too."""
    watched: str = field(kw_only=True)
    """What must be the same after the recipe was undone."""


_RESOLVED = (
    _wanted("systemd-resolved.service", "sysinit.target")
    + f"""
ln -s /usr/lib/systemd/system/systemd-resolved.service etc/systemd/system/dbus-org.freedesktop.resolve1.service
ln -s ../run/systemd/resolve/stub-resolv.conf etc/resolv.conf
sed -i 's/^hosts:.*/hosts: files resolve [!UNAVAIL=return] dns/' etc/nsswitch.conf
printf '[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStart=resolvectl dns lan0 {OFFICE}\\n' \\
    > etc/systemd/system/office.service
mkdir -p etc/systemd/system/desktop.target.wants
ln -s ../office.service etc/systemd/system/desktop.target.wants/
"""
)
_RESOLVED_WATCHED = (
    "find /etc/systemd /run/systemd/resolve/netif -not -type d; ip -brief link; resolvectl dns; resolvectl domain"
)
RESOLVED = Resolver(
    recipe="systemd-resolved",
    files=("/etc/systemd/system/dtkdns-resolved.service",),
    packages=_WITH_RESOLVED,
    prepare=_RESOLVED,
    watched=_RESOLVED_WATCHED,
)
RESOLVED_258 = Resolver(
    recipe="systemd-resolved 258",
    files=("/etc/systemd/dns-delegate.d/dtkdns.dns-delegate",),
    suite="forky",
    packages=_WITH_RESOLVED,
    prepare=_RESOLVED,
    watched=_RESOLVED_WATCHED,
)
NETWORKMANAGER = Resolver(
    recipe="NetworkManager",
    remembers=7,
    files=("/etc/NetworkManager/conf.d/dtkdns.conf", "/etc/NetworkManager/dnsmasq.d/dtkdns.conf"),
    prepare=_wanted("NetworkManager.service")
    + f"""
printf '[connection]\\nid=lan\\ntype=ethernet\\ninterface-name=lan0\\n[ipv4]\\nmethod=manual\\n' > lan
printf 'address1=192.0.2.10/24,{OFFICE}\\ndns={OFFICE};\\n[ipv6]\\nmethod=disabled\\n' >> lan
mkdir -p etc/NetworkManager/system-connections
install -m 600 lan etc/NetworkManager/system-connections/lan.nmconnection
rm lan
""",
    configures=True,
    watched="find /etc/NetworkManager -not -type d; cat /etc/resolv.conf; pgrep -l dnsmasq || nmcli -t connection",
)
DNSMASQ = Resolver(
    recipe="dnsmasq",
    remembers=7,
    files=("/etc/dnsmasq.d/dtkdns.conf",),
    prepare=_wanted("dnsmasq.service")
    + f"""
printf 'no-resolv\\nserver={OFFICE}\\nstop-dns-rebind\\n' > etc/dnsmasq.d/office.conf
echo nameserver 127.0.0.1 > etc/resolv.conf
""",
    watched="find /etc/dnsmasq.conf /etc/dnsmasq.d; cat /etc/resolv.conf",
)
UNBOUND = Resolver(
    recipe="unbound",
    files=("/etc/unbound/unbound.conf.d/dtkdns.conf",),
    prepare=_wanted("unbound.service")
    + f"""
chroot . chown unbound:unbound /var/lib/unbound
cd etc/unbound/unbound.conf.d
printf 'server:\\n    private-address: 192.168.0.0/16\\n    use-caps-for-id: yes\\n' > office.conf
printf 'forward-zone:\\n    name: "."\\n    forward-addr: {OFFICE}\\n' >> office.conf
printf 'server:\\n    trust-anchor: "%s"\\n' "$ROOT_KEY" > root-auto-trust-anchor-file.conf
echo nameserver 127.0.0.1 > ../../resolv.conf
""",
    watched="find /etc/unbound -not -type d; cat /etc/resolv.conf",
)
ALL = (RESOLVED, RESOLVED_258, NETWORKMANAGER, DNSMASQ, UNBOUND)


@define
class Desktop:
    """A desktop, what was asked of the office's DNS server, and what of the port of dtkdns."""

    box: Box
    resolver: Resolver
    office: Nameserver
    wire: Wire
    _directory: Path
    _port: int = field(default=0)

    def apply(self) -> None:
        """Do what the README says."""
        for path in self.resolver.files:
            self.box.write(path, block(path))
        self.box.run(block(f"apply: {self.resolver.recipe}"), check=True)

    def undo(self) -> None:
        self.box.run(block(f"undo: {self.resolver.recipe}"), check=True)

    def watched(self) -> str:
        return self.box.run(self.resolver.watched, check=True).stdout

    def dig(self, name: str, kind: str = "A") -> str:
        """The data that the desktop's resolver has; empty where it has none, or no answer in time."""
        done = self.box.run(f"dig +short +tries=1 +timeout=5 {name} {kind}").stdout
        return "" if done.startswith(";;") else done.strip()

    def getent(self, name: str) -> str:
        """The first address that the C library finds."""
        found = self.box.run(f"getent ahostsv4 {name}").stdout.split()
        return found[0] if found else ""

    def settled(self) -> str:
        """Wait until the resolver answers as it did when it was installed."""
        return until(lambda: self.dig("settled.example.org"))

    def said(self) -> str:
        """The last of the journal."""
        return self.box.run("journalctl --no-pager -n 100").stdout

    @property
    def unit(self) -> str:
        return self.resolver.recipe.split()[0]

    def typed(self, words: str) -> subprocess.CompletedProcess[str]:
        """What a person at the desktop types after `dtkdns`, as root."""
        return self.box.run(f"DTKDNS_URL=http://127.0.0.1:{self._port} {installed.COMMAND} {words}")

    def manage(self, domain: str) -> None:
        """Have dtkdns manage one more domain."""
        self._call("/domains", domain)

    @contextmanager
    def dtkdns(self, *options: str) -> Iterator[Dtkdns]:
        """dtkdns with a cluster, that publishes foo, a wildcard and a TXT record."""
        command = ["--port", "tcp:0:interface=127.0.0.1", "--dns", f"127.0.0.1:{PORT}"]
        command += ["--state", f"{self._directory}/state", "--domains", "dtk.io", "--cluster-ip", CLUSTER]
        with dtkdns(*command, *options, prefix=self.box.prefix) as service:
            self._port = service.port
            self.change(
                create=[
                    {"dnsName": "foo.dtk.io", "targets": [CLUSTER], "recordType": "A"},
                    {"dnsName": "foo.dtk.io", "targets": ['"of foo"'], "recordType": "TXT"},
                    {"dnsName": "*.apps.dtk.io", "targets": [CLUSTER], "recordType": "A"},
                ]
            )
            yield service

    def change(self, **changes: list[Mapping[str, object]]) -> None:
        """Send external-dns' changes, as it does."""
        self._call("/records", json.dumps(changes))

    def _call(self, path: str, body: str) -> None:
        command = [*self.box.prefix, "curl", "--fail", "--silent", "--show-error", "--noproxy", "*"]
        command += ["-H", "Content-Type: application/external.dns.webhook+json;version=1"]
        command += [f"http://127.0.0.1:{self._port}{path}", "--data-binary", body]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@contextmanager
def on(resolver: Resolver, directory: Path) -> Iterator[Desktop]:
    """A desktop that has been started, without the recipe and without dtkdns."""
    office = Signed(("",), {("*.org", "A"): [ELSEWHERE], ("*.example.org", "A"): [ELSEWHERE]})
    with (
        desktop(
            directory,
            system(resolver.suite, resolver.packages),
            f"ROOT_KEY='{office.key}'\n{resolver.prepare}",
            configured=not resolver.configures,
            bound=installed.bound(),
        ) as box,
        serving(office, box.office, OFFICE),
    ):
        wire = Wire.of(box.holder, PORT)
        try:
            made = Desktop(box, resolver, office, wire, directory)
            assert made.settled(), made.said()
            yield made
        finally:
            wire.close()
