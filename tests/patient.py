"""A machine for the doctor: files under a directory, and commands that say what a test has them say."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from pathlib import Path
from subprocess import CompletedProcess

from attrs import define, field

from dtkdns.access import Interface
from dtkdns.cli.machine import Machine

NFT = "nft --json list ruleset"
SHOW_UNIT = (
    "systemctl show --timestamp=unix"
    " --property=ActiveState,UnitFileState,MainPID,ActiveEnterTimestamp,InvocationID,LoadState dtkdns.service"
)
NO_RULES = '{"nftables": [{"metainfo": {"version": "1.0.6", "json_schema_version": 1}}]}'
DELEGATE = "etc/systemd/dns-delegate.d/dtkdns.dns-delegate"


@define
class Patient:
    """Healthy as it is made: systemd-resolved with its recipe, libvirt's network, no firewall."""

    root: Path
    said: dict[str, tuple[int, str]] = field(factory=dict)
    """Exit status and output of each command; of another one, that there is no such program."""
    attached: list[tuple[str, Interface]] = field(
        factory=lambda: [
            ("lo", ipaddress.ip_interface("127.0.0.1/8")),
            ("eth0", ipaddress.ip_interface("192.168.0.12/24")),
            ("virbr0", ipaddress.ip_interface("192.168.122.1/24")),
        ]
    )

    def __attrs_post_init__(self) -> None:
        self.write("etc/hosts", "127.0.0.1 localhost\n")
        self.write("etc/nsswitch.conf", "passwd: files\nhosts: files mdns4_minimal [NOTFOUND=return] dns\n")
        self.write("etc/resolv.conf", "nameserver 127.0.0.53\n")
        self.write("sys/class/net/virbr0/bridge/bridge_id", "")
        self.said |= {
            "resolvectl --version": (0, "systemd 258 (258.1)\n"),
            SHOW_UNIT: (0, "LoadState=not-found\nActiveState=inactive\n"),
            NFT: (0, NO_RULES),
        }

    def write(self, path: str, text: str) -> None:
        whole = self.root / path
        whole.parent.mkdir(parents=True, exist_ok=True)
        whole.write_text(text)

    def follow_recipe(self, dns_address: str, domain: str = "dtk.io") -> None:
        """Tell its resolver to ask there."""
        self.write(DELEGATE, f"[Delegate]\nDNS={dns_address}\nDomains=~{domain}\n")

    def run(self, command: Sequence[str]) -> CompletedProcess[str]:
        status, output = self.said.get(" ".join(command), (127, ""))
        return CompletedProcess(command, status, output, "")

    @property
    def machine(self) -> Machine:
        return Machine(self.root, self.run, lambda: self.attached)
