"""What `dtkdns why` says, to people and to programs: the whole way of a name, and the conclusion last."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dtkdns.cli.conclusion import conclusion
from dtkdns.cli.status import ago
from dtkdns.cli.unsent import few
from dtkdns.cli.way import NAMESERVER, OWN_DNS, PORTS, STUB, SYSTEM, Answer, Facts, Line, Record
from dtkdns.projection import DNS_FACE, HOSTS_FACE
from dtkdns.status import ExternalDNSStatus, HiddenStatus, NameStatus

WELL = "green"
WRONG = "bold red"
LABEL_WIDTH = 30
"""Columns of a terminal that may be taken by what a row is about."""
FACES = {DNS_FACE: "DNS", HOSTS_FACE: "the hosts file"}

Row = tuple[str, str, str]
"""What it is about, what is so, and the style of the latter."""


class Managing(msgspec.Struct, frozen=True):
    """A cluster that manages the name, and the domain in which it lies."""

    cluster: str
    domain: str


class Listening(msgspec.Struct, frozen=True):
    """An address of the name, and the ports of it that take connections."""

    address: str
    ports: list[int]


class Explanation(msgspec.Struct, frozen=True):
    """All of it, as `--json` prints it."""

    name: str
    well: bool
    conclusion: str
    managed: tuple[Managing, ...]
    records: tuple[Record, ...]
    external_dns: tuple[ExternalDNSStatus, ...]
    """The last one seen of each cluster that manages the name or has sent a record of it."""
    shown: NameStatus | None
    hidden: tuple[HiddenStatus, ...]
    lines: tuple[Line, ...]
    answers: tuple[Answer, ...]
    listening: tuple[Listening, ...]


def explanation(facts: Facts) -> Explanation:
    """The facts and what they come to."""
    well, sentence = conclusion(facts)
    return Explanation(
        facts.name,
        well,
        sentence,
        tuple(Managing(*one) for one in facts.managed),
        facts.records,
        facts.senders,
        facts.shown,
        facts.hidden,
        facts.lines,
        facts.answers,
        tuple(Listening(address, ports) for address, ports in _listening(facts)),
    )


def screen(facts: Facts) -> RenderableType:
    """All of it, for a terminal; the conclusion last, where it is read."""
    well, sentence = conclusion(facts)
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(overflow="fold", max_width=LABEL_WIDTH)
    table.add_column(overflow="fold")
    for what, said, style in _rows(facts):
        table.add_row(Text(what), Text(said, style))
    return Group(Text(facts.name, "bold"), Text(), table, Text(), Text(sentence, WELL if well else WRONG))


def _rows(facts: Facts) -> Iterator[Row]:
    yield "managed", _managed(facts), ""
    yield from _sent(facts)
    yield from _shown(facts)
    yield from _hosts_file(facts)
    for one in facts.answers:
        yield _who(one), " ".join(one.addresses) or one.fault or "nothing", _style(facts, one)
    for address, ports in _listening(facts):
        said = f"listens on {' and '.join(map(str, ports))}" if ports else "nothing listens on 80 and 443"
        yield address, said, WELL if ports else WRONG


def _managed(facts: Facts) -> str:
    if facts.managed:
        return "yes, " + ", ".join(f"{domain} (cluster {cluster})" for cluster, domain in facts.managed)
    return f"no, only what lies in {few(facts.domains)}" if facts.domains else "no, there is no managed domain"


def _sent(facts: Facts) -> Iterator[Row]:
    for one in facts.records:
        source = f", from {one.resource}" if one.resource else ""
        yield f"sent ({one.cluster})", f"{one.record_type} {' '.join(one.targets)}{source}", ""
    if not facts.records:
        yield "sent", "nothing", ""
    for sender in facts.senders:
        changed = "" if sender.last_change is None else f", last change {ago(facts.now - sender.last_change)} ago"
        said = f"last seen {ago(facts.now - sender.last_pass)} ago{changed}"
        yield f"external-dns ({sender.cluster})", said, ""
    if not facts.senders:
        yield "external-dns", "not seen since dtkdns started", ""


def _shown(facts: Facts) -> Iterator[Row]:
    if facts.shown is not None:
        by = "" if facts.shown.name == facts.name else f", by {facts.shown.name}"
        yield "shown", f"{' '.join(facts.shown.addresses)}{by}, for {ago(facts.now - facts.shown.since)}", ""
    for one in facts.hidden:
        where = " and ".join(FACES[face] for face in one.faces)
        age = "" if one.since is None else f", sent {ago(facts.now - one.since)} ago"
        yield "not shown", f"{one.type}, in {where}{age}: {one.sentence}", ""


def _hosts_file(facts: Facts) -> Iterator[Row]:
    hosts = facts.status.hosts
    wins = hosts is not None and facts.name in hosts.shadowed
    for line in facts.lines:
        own = ", your own" if line.own else ""
        yield f"line {line.number}{own}", line.text, WRONG if wins and line.own else ""
    if not facts.lines:
        yield "hosts file", "no line has it", ""


def _who(answer: Answer) -> str:
    known = {SYSTEM: "this system's resolver", OWN_DNS: "dtkdns' DNS server"}
    if answer.who == NAMESERVER:
        return f"the nameserver {answer.at.rpartition(':')[0].strip('[]')}"
    return known.get(answer.who, answer.who)


def _style(facts: Facts, answer: Answer) -> str:
    """Of what is answered: resolvers beside the system's may well know nothing of the name."""
    expected = set(facts.shown.addresses) if facts.shown is not None else set()
    if expected & set(answer.addresses):
        return WELL
    matters = answer.who in {SYSTEM, OWN_DNS} or (answer.who == STUB and answer.addresses)
    return WRONG if expected and matters else ""


def _listening(facts: Facts) -> Iterator[tuple[str, list[int]]]:
    for address in facts.shown.addresses if facts.shown is not None else ():
        yield address, [port for port in PORTS if (address, port) in facts.listening]
