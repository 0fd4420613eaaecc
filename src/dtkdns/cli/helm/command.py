"""`dtkdns helm-values`: what external-dns' Helm chart needs, so that external-dns calls this dtkdns."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import msgspec
from attrs import evolve
from rich.console import Console
from rich.text import Text

from dtkdns.cli.client import Service, fetch_status, find_service, for_a_service, print_json, run
from dtkdns.cli.completion import complete_cluster
from dtkdns.cli.helm import rendered, sidecar, values
from dtkdns.cli.helm.values import Webhook, url_host
from dtkdns.cluster import DEFAULT
from dtkdns.dtkconfig import DTKConfig, read_config
from dtkdns.settings import SettingError
from dtkdns.smoke import webhook as calls
from dtkdns.smoke.command import check_cluster
from dtkdns.smoke.report import FaultError
from dtkdns.status import ServiceStatus

PORTS = {"http": 80, "https": 443}
"""Of a URL without one."""
DEFAULT_PORT = 5000
"""Of dtkdns, and of DTK's file."""
WARNING = (
    "The values hold a secret, which external-dns also writes into its log when it starts. Let nobody else read"
    " the file (umask 077)."
)


class Judgement(msgspec.Struct, frozen=True):
    """What a chart makes of the values, as `--check --json` prints it."""

    ok: bool
    chart: str
    faults: list[str]


def _check_host(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    host = url_host(value)
    if host is None:
        raise click.BadParameter("give an address or a host name.")
    return host


@click.command("helm-values", short_help="Values for external-dns' Helm chart.")
@for_a_service
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Desktop Kubernetes' config.yaml, whose section dns says where external-dns calls.",
)
@click.option("--host", callback=_check_host, metavar="HOST", help="This machine's address as the VMs reach it.")
@click.option("--port", type=click.IntRange(1, 65535), metavar="PORT", help="Where dtkdns listens.")
@click.option(
    "--cluster",
    callback=check_cluster,
    shell_complete=complete_cluster,
    metavar="CLUSTER",
    help="Whose values they are.",
)
@click.option(
    "--check", "chart", metavar="CHART", help="Render this chart with helm, and say whether all is well."
)
@click.option(
    "--post-renderer", is_flag=True, help="Print a script that takes the webhook's container out of a Deployment."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, which helm reads too.")
def helm_values(
    url: str,
    credentials: tuple[str, str] | None,
    config: Path | None,
    host: str | None,
    port: int | None,
    cluster: str | None,
    chart: str | None,
    post_renderer: bool,
    as_json: bool,
) -> None:
    """The values for external-dns' Helm chart, so that external-dns calls this dtkdns.

    Where it calls stands in Desktop Kubernetes' config.yaml (--config), or is given by --host, --port and
    --cluster; without both the dtkdns that runs here is asked. What --credentials says goes into the URL.

    With --check CHART, a directory or a .tgz file, the exit status is 1 when the Deployment is not as it should
    be.
    """
    if post_renderer and chart is not None:
        raise click.UsageError("Give --check or --post-renderer, not both.")
    service = find_service(url, credentials)

    async def work(asked: calls.Webhook, _reactor: Any) -> int:
        if post_renderer:
            _print_script(as_json=as_json)
            return 0
        if config is not None:
            found = of_config(_read(config), host)
        elif host is not None:
            found = evolve(_of_url(service), host=host)
        else:
            found = of_service(service, await fetch_status(asked), cluster)
        found = evolve(
            found,
            port=port or found.port,
            cluster=cluster or found.cluster,
            credentials=service.credentials or found.credentials,
        )
        if chart is not None:
            return _check(found, chart, as_json=as_json)
        _print_values(found, as_json=as_json)
        return 0

    run(service, work)


def _print_script(*, as_json: bool) -> None:
    script = Path(sidecar.__file__).read_text("utf-8")
    if as_json:
        print_json({"post-render.py": script})
    else:
        click.echo(script, nl=False)


def _print_values(webhook: Webhook, *, as_json: bool) -> None:
    if webhook.credentials is not None:
        click.echo(f"dtkdns: {WARNING}", err=True)
    if as_json:
        print_json(values.values_for(webhook))
    else:
        click.echo(values.text(webhook), nl=False)


def _check(webhook: Webhook, chart: str, *, as_json: bool) -> int:
    made = rendered.deployment_of(rendered.render(chart, values.text(webhook)))
    wrong = list(rendered.faults(made, rendered.expected_flags(values.values_for(webhook))))
    if as_json:
        print_json(Judgement(not wrong, made.chart, wrong))
        return int(bool(wrong))
    console = Console(highlight=False)
    for sentence in wrong:
        console.print(Text.assemble(("! ", "bold red"), sentence))
    if not wrong:
        console.print(Text(f"All is well: {made.chart} starts external-dns alone and as it should.", "green"))
    return int(bool(wrong))


# Where external-dns calls


def _read(path: Path) -> DTKConfig:
    try:
        return read_config(str(path))
    except SettingError as error:
        raise FaultError(str(error), "Mend the file, or give --host instead of it.") from None


def of_config(config: DTKConfig, host: str | None = None) -> Webhook:
    """Where DTK has external-dns call. Raises `FaultError`."""
    called = host or url_host(config.host)
    if called is None:
        raise FaultError(
            "The file says no address of this machine.", "Fill in dns.host-ip as the VMs reach it, or give --host."
        )
    return Webhook(called, int(config.port or DEFAULT_PORT), config.cluster, config.credentials)


def of_service(service: Service, status: ServiceStatus, cluster: str | None) -> Webhook:
    """Where the one that runs is called from the VMs. Raises `FaultError`."""
    known = [one.name for one in status.clusters]
    if cluster is None and len(known) > 1:
        raise FaultError(f"There are several clusters: {', '.join(known)}.", "Give --cluster with one of them.")
    meant = cluster or next(iter(known), DEFAULT)
    found = evolve(_of_url(service), cluster=meant)
    if not _is_loopback(found.host):
        return found
    peers = [one.peer for one in status.external_dns if one.cluster == meant]
    addresses = [address for one in status.clusters if one.name == meant for address in one.addresses]
    host = next(filter(None, map(_own_address_towards, [*peers, *addresses])), None)
    if host is None:
        raise FaultError(
            "It cannot be told under which address the VMs reach this machine.", "Give --host, or --config FILE."
        )
    return evolve(found, host=host)


def _of_url(service: Service) -> Webhook:
    parts = urlsplit(service.url)
    return Webhook(
        url_host(parts.hostname or "") or "", parts.port or PORTS[parts.scheme], DEFAULT, None, parts.scheme
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _own_address_towards(address: str) -> str | None:
    """This machine's address from which it speaks to another one; connecting UDP sends nothing."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
            own = url_host(probe.getsockname()[0])
    except OSError:
        return None
    return None if own is None or _is_loopback(own) else own
