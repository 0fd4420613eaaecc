"""What it comes to for one name: whether all is well, and what to do where it is not."""

from __future__ import annotations

from collections.abc import Sequence

from dtkdns import names
from dtkdns.cli.status import ago, is_shown_nowhere
from dtkdns.cli.way import HOSTS_FILE, OWN_DNS, SYSTEM, Facts
from dtkdns.endpoint import ADDRESS_TYPES

MANY = 5
"""Domains that are named each; above it the number of the others is said."""


def conclusion(facts: Facts) -> tuple[bool, str]:
    """Whether all is well with the name; and what is so, with what to do."""
    for judge in (_not_known, _not_shown, _not_in_the_file, _not_resolved):
        sentence = judge(facts)
        if sentence:
            return False, sentence
    assert facts.shown is not None  # noqa: S101 (else it would not be known)
    addresses = ", ".join(facts.shown.addresses)
    if not facts.listening:
        return False, (
            f"It resolves to {addresses}, but nothing takes connections there on port 80 or 443: is the cluster"
            " running, and the ingress controller in it?"
        )
    ports = " and ".join(map(str, sorted({port for _, port in facts.listening})))
    return True, f"All is well: it resolves to {addresses}, where something listens on port {ports}."


def _not_known(facts: Facts) -> str:
    if facts.records or facts.shown is not None:
        return ""
    if not names.is_hostname(facts.name.removeprefix("*.")):
        return f"{facts.name or 'An empty text'} is no host name: letters, digits and hyphens, with dots between."
    if not facts.domains:
        return "No domain is managed: start dtkdns with --domains, or POST /domains."
    if not facts.managed:
        return (
            f"It lies in none of the managed domains ({few(facts.domains)}): use a name in one of them, or manage"
            " its own (--domains, POST /domains) and restart external-dns."
        )
    passes = [one.last_pass for one in facts.status.external_dns]
    if not passes:
        return (
            "No cluster has sent a record of it, and no external-dns was seen since dtkdns started: is it running"
            " (kubectl -n external-dns get pods), and may it call through the firewall?"
        )
    return (
        "No cluster has sent a record of it: is there an Ingress with this host (kubectl get ingress -A)?"
        f" external-dns was last seen {ago(facts.now - max(passes))} ago."
    )


def _not_shown(facts: Facts) -> str:
    if facts.shown is not None:
        return ""
    reasons = [
        f"its {one.type} record is not shown: {one.sentence}"
        for one in facts.hidden
        if one.type in ADDRESS_TYPES or is_shown_nowhere(facts.status, one)
    ]
    if reasons:
        return f"It has no address, because {'; '.join(reasons)}."
    types = ", ".join(sorted({one.record_type for one in facts.records}))
    return f"It has no address: no A, AAAA or CNAME record was sent, but {types}, which DNS answers."


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
    by_dns = bool(set(facts.answer_of(OWN_DNS)) & expected)
    wrong = f"This system's resolver says {', '.join(sorted(found)) or 'nothing'}"
    hosts = facts.status.hosts
    in_file = not names.is_wildcard(facts.shown.name)
    if in_file and hosts is not None and hosts.path != str(HOSTS_FILE):
        return f"{wrong}: dtkdns keeps {hosts.path}, and the resolver reads {HOSTS_FILE}. Give no --hosts-file."
    if facts.lines:
        return f"{wrong}, although the hosts file has the name. {facts.resolver_advice}"
    if by_dns:
        return (
            f"{wrong}, because it does not ask dtkdns, which knows the name: set up your resolver for the managed"
            " domains (README, DNS)."
        )
    return f"{wrong}, and dtkdns' DNS server is off or does not answer: start dtkdns with --dns."


def few(texts: Sequence[str]) -> str:
    """The first of many, and how many more there are."""
    more = f" and {len(texts) - MANY} more" if len(texts) > MANY else ""
    return ", ".join(texts[:MANY]) + more
