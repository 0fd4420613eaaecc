"""Judgements of the service: whether it answers, what it says of itself, and who calls it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from dtkdns.access import Interface
from dtkdns.cli.doctor.finding import Finding, fault, note, warning, well
from dtkdns.cli.machine import Unit
from dtkdns.cli.silence import PODS, awaits_records, silences, unseen
from dtkdns.cli.status import ago, conflicts, unshowable
from dtkdns.dtkconfig import DTKConfig
from dtkdns.rdata import Address
from dtkdns.smoke.report import FaultError
from dtkdns.status import PartStatus, ServiceStatus


def reachable(status: ServiceStatus, url: str) -> Finding:
    return well("service", f"dtkdns {status.version} answers at {url}.")


def unreachable(error: FaultError, unit: Unit, elsewhere: str) -> Finding:
    """Why the service does not answer; `elsewhere` is the URL of one that does, or empty."""
    installed = unit.load == "loaded"
    if elsewhere:
        return fault("service", error.wrong, f"One answers at {elsewhere}: give that with --url or DTKDNS_URL.")
    if installed and unit.state == "failed":
        return fault("service", f"{error.wrong} Its unit has failed.", "journalctl -u dtkdns says why.")
    if installed and unit.state == "inactive":
        return fault(
            "service", f"{error.wrong} It is installed, but stopped.", "Start it: sudo systemctl start dtkdns"
        )
    if installed:
        return fault(
            "service",
            f"{error.wrong} Its unit is {unit.state}.",
            "journalctl -u dtkdns says on which port it listens: give that with --url.",
        )
    return fault("service", error.wrong, error.advice)


def parts(status: ServiceStatus) -> Iterator[Finding]:
    """What /readyz says, each cause once: without its records no other part can do what it should."""
    wrong = [part for part in status.ready.parts if not part.ok]
    if awaits_records(status):
        yield fault(
            "store",
            "The stored records were lost, and dtkdns waits for external-dns to send them again.",
            f"It does so in its next pass, if it runs ({PODS}); the log of dtkdns says what was lost.",
        )
    told: set[str] = set()
    for part in wrong:
        if part.detail in told or _follows(part, status):
            continue
        told.add(part.detail)
        detail = part.detail if part.detail.endswith((".", "?")) else f"{part.detail}."
        advice = "See to that disk (df, dmesg); dtkdns tries" if part.part == "store" else "dtkdns tries"
        yield fault(part.part, detail, f"{advice} again by itself; its log has the cause.")
    if not wrong:
        yield well("parts", f"{', '.join(part.part for part in status.ready.parts)}: as they should be.")


def _follows(part: PartStatus, status: ServiceStatus) -> bool:
    """Whether a part is not as it should be only because the records are not known."""
    if part.part == "store" or not (status.store.failing or awaits_records(status)):
        return False
    if part.part == "dns":
        return status.dns is not None and bool(status.dns.addresses)
    return status.hosts is not None and not status.hosts.failing


def clusters(status: ServiceStatus) -> Iterator[Finding]:
    """Whether names of every cluster can be shown, and nobody else wants to decide them."""
    if not status.clusters:
        if not status.store.failing:  # then none can be known
            yield note("clusters", "None is known yet.", "Give --domains, or POST /domains.")
        return
    without, wanted = list(unshowable(status)), list(conflicts(status))
    for sentence in without:
        wrong, _, advice = sentence.partition(": ")  # what to do stands behind it
        yield fault("clusters", f"{wrong}.", f"Give {advice}")
    for sentence in wanted:
        yield fault("clusters", sentence, "dtkdns why NAME says what to do.")
    if not without and not wanted:
        number = sum(one.names for one in status.clusters)
        shown = f"{number} name is" if number == 1 else f"{number} names are"
        yield well("clusters", f"{', '.join(one.name for one in status.clusters)}: {shown} shown.")


def callers(status: ServiceStatus, now: datetime) -> Iterator[Finding]:
    """Whether external-dns calls."""
    silent, never = list(silences(status, now)), list(unseen(status, now))
    for one in silent:
        yield fault(
            "external-dns",
            f"That of cluster {one.cluster} has been silent for {ago(now - one.last)}; it came every"
            f" {ago(one.interval)}.",
            f"Is the cluster running, and external-dns in it ({PODS})?",
        )
    for name in never:
        yield warning(
            "external-dns",
            f"None of cluster {name} has called for {ago(_unseen_for(status, name, now))}.",
            f"Is it running ({PODS}), with the URL of this machine, and may it call, through the firewall and by"
            " --allow (the log of dtkdns says whom it refuses)?",
        )
    if not silent and not never:
        last = max((one.last_pass for one in status.external_dns), default=None)
        yield well("external-dns", f"It called {ago(now - last)} ago." if last else "It has not called yet.")


def _unseen_for(status: ServiceStatus, cluster: str, now: datetime) -> timedelta:
    return now - max(
        (one.last_pass for one in status.external_dns if one.cluster == cluster), default=status.started
    )


def host_ip(host: str, resolved: Sequence[str], attached: Iterable[tuple[str, Interface]]) -> Finding:
    """Whether DTK's `host-ip`, which resolves to these addresses, is this machine to the VMs."""
    own = {interface.ip for _, interface in attached}
    addresses = [ipaddress.ip_address(address.partition("%")[0]) for address in resolved]
    name = host.strip("[]")
    if not addresses:
        return fault(
            "host-ip",
            f"{host} does not resolve here.",
            "Put an address of this machine into host-ip of DTK's file.",
        )
    shown = host if [name] == [str(one) for one in addresses] else f"{host} ({', '.join(map(str, addresses))})"
    if all(address.is_loopback for address in addresses):
        return fault(
            "host-ip", f"{shown} is each machine to itself: the VMs call themselves.", _own_addresses(own)
        )
    if not own.intersection(addresses):
        return fault("host-ip", f"{shown} is no address of this machine.", _own_addresses(own))
    return well("host-ip", f"{shown} is this machine.")


def config(given: DTKConfig, status: ServiceStatus, port: int) -> Iterator[Finding]:
    """Whether DTK's file leads to this service, which is called at this port."""
    wanted = int(given.port) if given.port is not None else port
    known = {one.name: one.domains for one in status.clusters}.get(given.cluster, ())
    missing = [domain for domain in given.domains if domain not in known]
    if wanted != port:
        yield fault(
            "DTK's file",
            f"Its webhook-port is {wanted}, and dtkdns is called at port {port}.",
            "Make them the same: in the file, or by dtkdns install --config FILE.",
        )
    if missing:
        yield warning(
            "DTK's file",
            f"Its domain {', '.join(missing)} is not managed in cluster {given.cluster}.",
            "DTK's script posts it when it installs external-dns; or give --domains or --config to dtkdns.",
        )
    if wanted == port and not missing:
        yield well("DTK's file", "It leads here.")


def _own_addresses(own: Iterable[Address]) -> str:
    fit = sorted(str(one) for one in own if not one.is_loopback and not one.is_link_local)
    return f"Put one of these into host-ip of DTK's config.yaml: {', '.join(fit) or 'none is there now'}."
