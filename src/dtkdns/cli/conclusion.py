"""What it comes to for one name: whether all is well, and what to do where it is not."""

from __future__ import annotations

from collections.abc import Set

from dtkdns import names
from dtkdns.cli.status import is_shown_nowhere
from dtkdns.cli.unsent import unsent
from dtkdns.cli.way import HOSTS_FILE, OWN_DNS, SYSTEM, Facts, Line
from dtkdns.endpoint import ADDRESS_TYPES
from dtkdns.projection import Reason

REMEDIES = {
    Reason.NAME.word: "Give the Ingress another host.",
    Reason.UNMANAGED.word: "Manage its domain (--domains, POST /domains), and restart external-dns.",
    Reason.WILDCARD.word: "Start dtkdns with --dns.",
}
"""What to do about a record that is not shown, where the reason does not say it."""


def conclusion(facts: Facts) -> tuple[bool, str]:
    """Whether all is well with the name; and what is so, with what to do."""
    if not facts.records and facts.shown is None:
        return False, unsent(facts)
    for judge in (_not_shown, _contested, _not_in_the_file, _not_resolved, _not_listening):
        sentence = judge(facts)
        if sentence:
            return False, sentence
    assert facts.shown is not None  # noqa: S101 (else `_not_shown` would say so)
    addresses = ", ".join(facts.shown.addresses)
    ports = " and ".join(map(str, sorted({port for _, port in facts.listening})))
    return True, f"All is well: it resolves to {addresses}, where something listens on port {ports}."


def _not_shown(facts: Facts) -> str:
    if facts.shown is not None:
        return ""
    why = [one for one in facts.hidden if one.type in ADDRESS_TYPES or is_shown_nowhere(facts.status, one)]
    if why:
        reasons = "; ".join(f"its {one.type} record is not shown: {one.sentence}" for one in why)
        remedies = dict.fromkeys(REMEDIES[one.reason] for one in why if one.reason in REMEDIES)
        return " ".join([f"It has no address, because {reasons}.", *remedies])
    types = ", ".join(sorted({one.record_type for one in facts.records}))
    return (
        f"It has no address: no A, AAAA or CNAME record was sent, but {types}, which DNS answers. To have one it"
        " needs an Ingress with this host."
    )


def _contested(facts: Facts) -> str:
    """Lines of the user's own are no matter of this."""
    assert facts.shown is not None  # noqa: S101 (see `conclusion`)
    for one in facts.conflicts:
        if one.kind == "cluster":
            return f"Another cluster wants it too ({one.sentence}): give one of the two Ingresses another host."
        if one.kind == "fight":
            return f"It comes and goes, because {one.sentence}."
    return ""


def _not_in_the_file(facts: Facts) -> str:
    hosts = facts.status.hosts
    if hosts is None or facts.shown is None or facts.shown.name != facts.name:
        return ""
    if facts.name in hosts.shadowed:
        numbers = ", ".join(str(line.number) for line in facts.lines if line.own)
        return (
            f"A line of your own in {hosts.path} says {hosts.shadowed[facts.name]}, and it wins (line {numbers}):"
            f" remove it to see the cluster's {', '.join(facts.shown.addresses)}."
        )
    if hosts.failing or hosts.held:
        return f"{hosts.path} is not as it should be: {hosts.failing or 'it waits for external-dns'}"
    return ""


def _not_resolved(facts: Facts) -> str:
    assert facts.shown is not None  # noqa: S101 (see `conclusion`)
    expected = set(facts.shown.addresses)
    found = set(facts.answer_of(SYSTEM))
    if found & expected:
        return ""
    wrong = f"This system's resolver says {', '.join(sorted(found)) or 'nothing'}"
    return f"{wrong}{_not_by_the_file(facts, expected) or _not_by_dns(facts, expected)}"


def _not_by_the_file(facts: Facts, expected: Set[str]) -> str:
    """Why the hosts file does not lead there, to stand behind what does; empty where it could not."""
    assert facts.shown is not None  # noqa: S101 (see `conclusion`)
    hosts = facts.status.hosts
    kept = hosts is not None and not names.is_wildcard(facts.shown.name)
    if hosts is not None and kept and hosts.path != str(HOSTS_FILE):
        return f": dtkdns keeps {hosts.path}, and the resolver reads {HOSTS_FILE}. Give no --hosts-file."
    other = [line for line in facts.lines if not line.addresses(facts.name) & expected]
    if other:
        return f", {_because_of(other[0], kept=kept)}"
    if facts.lines:
        return f", although the hosts file has the name. {facts.resolver_advice}"
    if kept:
        return (
            f", and {HOSTS_FILE} does not have the name, which dtkdns shows: does it run with --dry-run, or in a"
            " container that has a hosts file of its own? Start it without."
        )
    return ""


def _not_by_dns(facts: Facts, expected: Set[str]) -> str:
    if set(facts.answer_of(OWN_DNS)) & expected:
        return (
            ", because it does not ask dtkdns, which knows the name: set up your resolver for the managed domains"
            " (dtkdns resolver says how)."
        )
    return ", and dtkdns' DNS server is off or does not answer: start dtkdns with --dns."


def _because_of(line: Line, *, kept: bool) -> str:
    """Why a line of the hosts file has another address than the name, and what to do."""
    where = f"as line {line.number} of {HOSTS_FILE} has it"
    if line.own:
        return f"{where}, which is your own, and wins: remove it."
    if kept:
        return (
            f"{where}, in a block that is stale: start dtkdns again; if it stays so, another program puts back an"
            " older file, or dtkdns runs in a container that has a hosts file of its own."
        )
    return (
        f"{where}, in the block of a dtkdns, although this one keeps no hosts file: if no other dtkdns keeps it,"
        " remove the lines from '# BEGIN dtkdns' to '# END dtkdns'."
    )


def _not_listening(facts: Facts) -> str:
    if facts.listening:
        return ""
    assert facts.shown is not None  # noqa: S101 (see `conclusion`)
    addresses = ", ".join(facts.shown.addresses)
    cluster = next((one for one in facts.status.clusters if one.name == facts.shown.cluster), None)
    if cluster is not None and not cluster.addresses:
        return (
            f"It resolves to {addresses}, as the cluster itself says, and nothing takes connections there on port"
            " 80 or 443: tell dtkdns the address under which this machine reaches the cluster (--cluster-ip, POST"
            " /clusterip)."
        )
    return (
        f"It resolves to {addresses}, but nothing takes connections there on port 80 or 443: is the cluster"
        " running, and the ingress controller in it?"
    )
