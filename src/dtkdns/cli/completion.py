"""What the shell completes: commands and options, and the names and clusters that the running service has."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class
from twisted.internet.defer import Deferred
from twisted.internet.task import react

from dtkdns import names
from dtkdns.cli.client import fetch_status, find_service
from dtkdns.local import local_url
from dtkdns.projection import Reason
from dtkdns.smoke.report import FaultError
from dtkdns.smoke.webhook import Webhook
from dtkdns.status import ServiceStatus

ANSWER_SECONDS = 1.0
"""How long the service may take: a person who pressed a key waits for it."""
SHELLS = ("bash", "zsh", "fish")


@click.command(short_help="Let a shell complete commands and names.")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the lines by which SHELL completes commands, options, names and clusters.

    \b
    For this shell alone:
      bash  eval "$(dtkdns completion bash)"
      zsh   eval "$(dtkdns completion zsh)"
      fish  dtkdns completion fish | source

    \b
    For every new one, and without a moment's wait at its start:
      bash  dtkdns completion bash > ~/.local/share/bash-completion/completions/dtkdns
      zsh   dtkdns completion zsh > DIRECTORY/_dtkdns, for a DIRECTORY in $fpath
      fish  dtkdns completion fish > ~/.config/fish/completions/dtkdns.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 (click has one for each of `SHELLS`)
    root = context.find_root()
    click.echo(kind(root.command, {}, "dtkdns", "_DTKDNS_COMPLETE").source())


def complete_name(context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """The names that begin so; none where no service answers."""
    status = _ask(context)
    return [] if status is None else names_in(status, begun, context.params.get("cluster"))


def complete_cluster(context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """The clusters that begin so; none where no service answers."""
    status = _ask(context)
    return [] if status is None else clusters_in(status, begun)


def names_in(status: ServiceStatus, begun: str, cluster: str | None = None) -> list[CompletionItem]:
    """The names of records that begin so, shown or not, each with its addresses."""
    found = {
        names.to_ascii(one.name): "not shown"
        for one in status.hidden
        if one.reason != Reason.OWNERSHIP.word and cluster in {None, one.cluster}
    }
    found |= {one.name: " ".join(one.addresses) for one in status.names if cluster in {None, one.cluster}}
    fit = {name: said for name, said in sorted(found.items()) if names.is_owner(name)}
    return [CompletionItem(name, help=said) for name, said in fit.items() if name.startswith(begun)]


def clusters_in(status: ServiceStatus, begun: str) -> list[CompletionItem]:
    """The clusters that begin so, each with its domains."""
    return [
        CompletionItem(one.name, help=" ".join(one.domains))
        for one in status.clusters
        if one.name.startswith(begun)
    ]


def _ask(context: click.Context) -> ServiceStatus | None:
    """What the service that is meant by the options typed so far says of itself."""
    url = context.params.get("url") or os.environ.get("DTKDNS_URL") or local_url()
    service = find_service(url, context.params.get("credentials"))
    found: list[ServiceStatus] = []

    async def look(reactor: Any) -> None:
        webhook = Webhook(service.url, service.credentials, ANSWER_SECONDS, reactor)
        try:
            with suppress(FaultError):
                found.append(await fetch_status(webhook))
        finally:
            await webhook.close()

    with suppress(SystemExit):
        react(lambda reactor: Deferred.fromCoroutine(look(reactor)))
    return found[0] if found else None
