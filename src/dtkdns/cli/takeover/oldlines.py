"""What is said of the lines that DTK's `hostsfile-server.py` left, beside what dtkdns has for their names."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dtkdns import names
from dtkdns.cli.client import plain
from dtkdns.cli.takeover.oldserver import SCRIPT
from dtkdns.hosts.oldserver import OldLine
from dtkdns.projection import Reason
from dtkdns.status import ServiceStatus

RESTART = "kubectl -n external-dns rollout restart deployment external-dns"


class Found(msgspec.Struct, frozen=True):
    """A line that is shown, and what dtkdns has for its name."""

    line: int
    """Counted from 1."""
    text: str
    name: str
    state: str
    """`shown`: dtkdns shows the same address; `conflict`: another one; `hidden`: it has a record and shows none;
    `unknown`: it has no record; `unasked`: it does not answer.
    """
    addresses: tuple[str, ...]
    """That dtkdns shows."""
    sentence: str


class Takeover(msgspec.Struct, frozen=True):
    """What was found and what became of it, as `--json` prints it."""

    path: str
    stop: str
    """The command that stops the old server first; empty where it is not there."""
    lines: list[Found]
    removed: bool
    """Whether none of the lines is left."""
    to_do: list[str]
    """What is left for the person to do, a sentence or a command each."""


def describe(line: OldLine, status: ServiceStatus | None) -> Found:
    """A line with what the service has for its name; None is one that does not answer."""
    addresses: tuple[str, ...] = ()
    if status is None:
        state, sentence = "unasked", "it does not answer"
    else:
        addresses = next((one.addresses for one in status.names if one.name == line.name), ())
        reason = next(
            (
                one.sentence
                for one in status.hidden
                if names.to_ascii(one.name) == line.name and one.reason != Reason.OWNERSHIP.word
            ),
            "",
        )
        if line.address in addresses:
            state, sentence = "shown", "has it too"
        elif addresses:
            state, sentence = "conflict", f"has {' '.join(addresses)}, but this line wins"
        elif reason:
            state, sentence = "hidden", f"does not show it: {reason}"
        else:
            state, sentence = "unknown", "does not know it: the name goes with the line"
    text = plain(line.text.removesuffix(b"\n").decode("utf-8"))
    return Found(line.number, text, plain(line.name), state, addresses, sentence)


def screen(path: str, found: Sequence[Found]) -> RenderableType:
    """The lines, for a terminal."""
    if not found:
        return Text(f"{plain(path)} has no line of {SCRIPT}.", "green")
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for column in ("Line", "As it stands", "dtkdns"):
        table.add_column(column, overflow="fold")
    for one in found:
        style = {"conflict": "yellow", "unknown": "yellow"}.get(one.state, "")
        table.add_row(str(one.line), Text(one.text), Text(one.sentence, style))
    title = Text(f"Lines in {plain(path)} as {SCRIPT} writes them:")
    advice = Text("If one is yours, put a comment behind it (# mine) and run this again: it is then left alone.")
    return Group(title, Text(), table, Text(), advice, Text())


def what_is_left(domain: str, address: str, status: ServiceStatus | None, url: str) -> list[str]:
    """What else the move takes, a sentence or a command each; the old server had this domain and this address."""
    restart = ["Restart external-dns once, so that it asks for the domains again:", RESTART]
    if status is None:
        return [f"Start dtkdns on the port of {SCRIPT}.", *restart]
    if any(cluster.domains and cluster.addresses for cluster in status.clusters):
        return restart
    return [
        "Tell dtkdns the domain and the address of the cluster, as DTK's script does:",
        f"curl -X POST {url}/domains -d {domain}",
        f"curl -X POST {url}/clusterip -d {address}",
        *restart,
    ]
