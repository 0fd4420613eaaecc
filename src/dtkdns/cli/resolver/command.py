"""`dtkdns resolver`: the recipe for this machine's resolver is shown, followed, or undone."""

from __future__ import annotations

import ipaddress
from typing import Any

import click

from dtkdns import names
from dtkdns.cli.client import fetch_status, find_service, for_a_service, print_json, run
from dtkdns.cli.machine import Machine
from dtkdns.cli.resolver import recipes as resolver
from dtkdns.cli.resolver.following import apply, undo
from dtkdns.smoke.report import FaultError
from dtkdns.smoke.webhook import Webhook
from dtkdns.status import ServiceStatus


@click.command("resolver", short_help="Set up this machine's resolver for the managed domains.")
@for_a_service
@click.option(
    "--for",
    "name",
    type=click.Choice(list(resolver.RESOLVERS)),
    metavar="RESOLVER",
    help=f"Which one answers on this machine: {', '.join(resolver.RESOLVERS)}  [default: the one that is found]",
)
@click.option("--apply", "applied", is_flag=True, help="Do it, and see that the resolver asks dtkdns; as root.")
@click.option("--undo", "undone", is_flag=True, help="Take away what is there, of whichever resolver; as root.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="One JSON object, for programs; changes something only with --yes.",
)
def set_up_resolver(
    url: str,
    credentials: tuple[str, str] | None,
    name: str | None,
    applied: bool,
    undone: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """How this machine's resolver asks dtkdns for the managed domains, and for these only.

    Prints the lines to write and to type, and the way back.

    With --apply it shows what differs, asks, does it, and sees that the resolver asks dtkdns. If the resolver does
    not start or answer with it, all is put back. With --undo it shows what is there, asks, and removes it; dtkdns
    need not run.
    """
    if applied and undone:
        raise click.UsageError("Give --apply or --undo, not both.")
    if yes and not (applied or undone):
        raise click.UsageError("Give --yes with --apply or --undo.")

    async def work(webhook: Webhook, reactor: Any) -> int:
        if undone:
            return undo(name, Machine(), yes=yes, as_json=as_json)
        status = await fetch_status(webhook)
        domains, own = recipe_settings(status)
        chosen = _choose(name)
        if applied:
            return await apply(chosen, domains, own, status, Machine(), reactor, yes=yes, as_json=as_json)
        recipe = resolver.recipe_for(chosen, domains, *own)
        if as_json:
            print_json(resolver.as_object(recipe))
        else:
            click.echo(resolver.text(recipe))
        return 0

    run(find_service(url, credentials), work)


def recipe_settings(status: ServiceStatus) -> tuple[list[str], tuple[str, int]]:
    """The managed domains, and where dtkdns answers DNS. Raises `FaultError`.

    Whoever has taken the port could have said them, and root writes them into files: nothing else passes.
    """
    domains = list(dict.fromkeys(domain for cluster in status.clusters for domain in cluster.domains))
    if status.dns is None or not status.dns.addresses:
        raise FaultError("dtkdns answers no DNS.", "Start it with --dns.")
    if not domains:
        raise FaultError("No domain is managed.", "Start dtkdns with --domains, or POST /domains.")
    host, _, port = status.dns.addresses[0].rpartition(":")
    host = host.strip("[]")
    try:
        ipaddress.ip_address(host)
        number = int(port)
        strange = next((domain for domain in domains if names.parse_domain(domain) != domain), None)
    except ValueError as error:
        raise FaultError(f"What answers is no dtkdns ({error}).", "Give its --url.") from error
    if strange is not None:
        raise FaultError(f"What answers is no dtkdns (it manages {names.quoted(strange)}).", "Give its --url.")
    return domains, (host, number)


def _choose(name: str | None) -> str:
    chosen = name or resolver.find_here(Machine())
    if chosen is None:
        known = ", ".join(resolver.RESOLVERS)
        raise FaultError("It cannot be told which resolver answers here.", f"Give --for with one of: {known}.")
    return chosen
