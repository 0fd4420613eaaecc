"""What it comes to for a name of which no record is known: why none is."""

from __future__ import annotations

from collections.abc import Sequence

from dtkdns import names
from dtkdns.cli.silence import PODS, awaits_records, silences
from dtkdns.cli.status import ago
from dtkdns.cli.way import Facts

MANY = 5
"""Domains that are named each; above it the number of the others is said."""


def unsent(facts: Facts) -> str:
    """Why there is no record of the name, and what to do."""
    return _not_possible(facts) or _not_stored(facts) or _not_managed(facts) or _not_called(facts)


def _not_possible(facts: Facts) -> str:
    if names.is_hostname(facts.name.removeprefix("*.")):
        return ""
    return f"{facts.name or 'An empty text'} is no host name: letters, digits and hyphens, with dots between."


def _not_stored(facts: Facts) -> str:
    if facts.status.store.failing:
        return f"Whether one was sent is not known: {facts.status.store.failing} See to that disk (df, dmesg)."
    if awaits_records(facts.status):
        return (
            "The stored records were lost, and external-dns has not sent them again: it does so in its next pass,"
            f" if it runs ({PODS})."
        )
    return ""


def _not_managed(facts: Facts) -> str:
    if not facts.domains:
        return "No domain is managed: start dtkdns with --domains, or POST /domains."
    if not facts.managed:
        return (
            f"It lies in none of the managed domains ({few(facts.domains)}): use a name in one of them, or manage"
            " its own (--domains, POST /domains) and restart external-dns."
        )
    if facts.wildcard is not None:
        return (
            f"{facts.wildcard.name} was sent and covers it, but only DNS can show a wildcard, and dtkdns answers"
            " none: start dtkdns with --dns, and have your resolver ask it (dtkdns resolver says how)."
        )
    return ""


def _not_called(facts: Facts) -> str:
    passes = [one.last_pass for one in facts.senders]
    if not passes:
        return (
            "No cluster has sent a record of it, and no external-dns was seen since dtkdns started: is it running"
            f" ({PODS}), and may it call, through the firewall and by --allow (the log of dtkdns says whom it"
            " refuses)?"
        )
    managing = {cluster for cluster, _ in facts.managed}
    last = facts.now - max(passes)
    if managing <= {one.cluster for one in silences(facts.status, facts.now)}:
        return (
            f"No cluster has sent a record of it, and external-dns has been silent for {ago(last)}: is it running"
            f" ({PODS})?"
        )
    return (
        "No cluster has sent a record of it: is there an Ingress with this host (kubectl get ingress -A)?"
        f" external-dns was last seen {ago(last)} ago."
    )


def few(texts: Sequence[str]) -> str:
    """The first of many, and how many more there are."""
    more = f" and {len(texts) - MANY} more" if len(texts) > MANY else ""
    return ", ".join(texts[:MANY]) + more
