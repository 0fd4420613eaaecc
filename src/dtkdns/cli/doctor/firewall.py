"""Judgements of the firewall: whether VMs may call. Whoever manages it on this machine is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from subprocess import CompletedProcess

from dtkdns.cli.doctor import firewalld, netfilter, ufw
from dtkdns.cli.doctor.finding import Finding, fault, note, warning, well
from dtkdns.cli.doctor.networks import Attached

CHECK = "firewall"
NO_PROGRAM = 127
"""The exit status where there is no such program."""

Run = Callable[[Sequence[str]], CompletedProcess[str]]
Closed = list[tuple[Attached, str]]
"""Networks that may not call, each with the command that lets it."""


class _NotAskedError(Exception):
    """A firewall does not tell; the message says whose."""


def firewall(
    run: Run, ufw_configuration: str, networks: Sequence[Attached], port: int, *, certain: bool
) -> Iterator[Finding]:
    """Whether the port is open for these networks; `certain` is whether something will call from there."""
    if not networks:
        yield well(CHECK, "Nobody else has to get through it: external-dns calls, or there is no network of VMs.")
        return
    try:
        if ufw.is_on(ufw_configuration):
            closed = _ufw(run, networks, port)
        elif run(["firewall-cmd", "--state"]).returncode == 0:
            closed = _firewalld(run, networks, port)
        else:
            yield _netfilter(run, networks, port)
            return
    except _NotAskedError as error:
        yield note(CHECK, f"{error} was not asked: it does not tell every user.", "Run this with sudo.")
        return
    for one, command in closed:
        judge = fault if certain else warning
        sentence = (
            f"It does not let {one.network} ({one.interface}) call port {port}, so no external-dns there can."
        )
        yield judge(CHECK, sentence, f"Open it: {command}")
    if not closed:
        yield well(CHECK, f"Port {port} is open for {_listed(networks)}.")


def _ufw(run: Run, networks: Iterable[Attached], port: int) -> Closed:
    asked = run(["ufw", "status", "verbose"])
    if asked.returncode:
        raise _NotAskedError("ufw")
    return [(one, ufw.opening(one, port)) for one in networks if not ufw.lets_in(asked.stdout, one, port)]


def _firewalld(run: Run, networks: Iterable[Attached], port: int) -> Closed:
    def ask(*options: str) -> str:
        asked = run(["firewall-cmd", *options])
        if asked.returncode:
            raise _NotAskedError("firewalld")
        return asked.stdout

    active, default = ask("--get-active-zones"), ask("--get-default-zone")
    closed = []
    for one in networks:
        zone = firewalld.zone_of(one, active, default)
        if not firewalld.lets_in(ask(f"--zone={zone}", "--list-all"), one, port):
            closed.append((one, firewalld.opening(zone, port)))
    return closed


def _netfilter(run: Run, networks: Iterable[Attached], port: int) -> Finding:
    """What can be seen without the help of a program that manages the rules."""
    look = "sudo nft list ruleset"
    asked = run(["nft", "--json", "list", "ruleset"])
    if asked.returncode == NO_PROGRAM:
        look = "sudo iptables -S INPUT"
        asked = run(["iptables", "-S", "INPUT"])
        if asked.returncode == NO_PROGRAM:
            return well(CHECK, "There is none: neither ufw, firewalld, nft nor iptables is installed.")
        refuses, forbids = netfilter.chain_refuses, netfilter.chain_forbids
    else:
        refuses, forbids = netfilter.ruleset_refuses, netfilter.ruleset_forbids
    if asked.returncode:
        return note(
            CHECK, "The rules of the kernel were not asked: they are told to root only.", "Run this with sudo."
        )
    if forbids(asked.stdout, port):
        return warning(
            CHECK,
            f"A rule refuses what comes in to port {port}, which {_listed(networks)} must be able to call.",
            f"Look whether it is about this network, and remove it then: {look}",
        )
    if not refuses(asked.stdout, port):
        return well(CHECK, f"No rule is known that keeps {_listed(networks)} from port {port}.")
    return warning(
        CHECK,
        f"What comes in is refused unless a rule lets it in, and none names port {port}, which"
        f" {_listed(networks)} must be able to call.",
        f"Look whether another rule does, and else add one: {look}",
    )


def _listed(networks: Iterable[Attached]) -> str:
    return ", ".join(f"{one.network} ({one.interface})" for one in networks)
