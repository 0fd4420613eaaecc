"""The command, and how its findings look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import click
import msgspec
from msgspec import structs
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from dtkdns.cli.client import find_service, for_a_service, plain, print_json, run
from dtkdns.cli.doctor.examination import examine
from dtkdns.cli.doctor.finding import Finding, Level
from dtkdns.cli.machine import Machine
from dtkdns.dtkconfig import DTKConfig, read_config
from dtkdns.local import local_url
from dtkdns.settings import SettingError
from dtkdns.smoke.webhook import Webhook

STYLES = {Level.OK: "green", Level.NOTE: "dim", Level.WARNING: "bold yellow", Level.FAULT: "bold red"}


class Examination(msgspec.Struct, frozen=True):
    """All findings, as `--json` prints them."""

    url: str
    well: bool
    """Whether there is no fault."""
    findings: list[Finding]


def _read_config(_context: click.Context, _parameter: click.Parameter, value: str | None) -> DTKConfig | None:
    try:
        return None if value is None else read_config(value)
    except SettingError as error:
        raise click.BadParameter(str(error).removeprefix("--config: ")) from error


@click.command(short_help="What keeps names from resolving here, and what to do.")
@for_a_service
@click.option(
    "--config",
    callback=_read_config,
    metavar="FILE",
    help="DTK's config.yaml: whether it leads here  [default: the host-ip that dtkdns was started with]",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def doctor(url: str, credentials: tuple[str, str] | None, config: DTKConfig | None, as_json: bool) -> None:
    """What of this machine and its dtkdns keeps names from resolving, and what to do.

    Looks only and changes nothing. A firewall may tell root alone: use sudo for that.

    Exit status 1 when there is a fault, 0 with warnings alone.
    """
    service = find_service(url, credentials)

    async def look(webhook: Webhook, reactor: Any) -> int:
        findings = [_plain(one) async for one in examine(Machine(), webhook, local_url(), reactor, config)]
        well = all(one.level is not Level.FAULT for one in findings)
        if as_json:
            print_json(Examination(service.url, well, findings))
        else:
            Console(highlight=False).print(screen(findings))
        return int(not well)

    run(service, look)


def _plain(one: Finding) -> Finding:
    return structs.replace(one, detail=plain(one.detail), advice=plain(one.advice))


def screen(findings: Sequence[Finding]) -> RenderableType:
    """A row for each finding, and what they come to last, where it is read."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for one in findings:
        table.add_row(
            Text(one.level, STYLES[one.level], no_wrap=True), Text(one.check, no_wrap=True), Text(one.detail)
        )
        if one.advice:
            table.add_row(Text(), Text(), Text(one.advice, "bold" if one.level is Level.FAULT else ""))
    return Group(table, Text(), conclusion(findings))


def conclusion(findings: Sequence[Finding]) -> Text:
    """What they come to."""
    numbers = Counter(one.level for one in findings)
    counted = [
        f"{numbers[level]} {level}{'' if numbers[level] == 1 else 's'}"
        for level in (Level.FAULT, Level.WARNING)
        if numbers[level]
    ]
    if not counted:
        return Text("All is as it should be.", STYLES[Level.OK])
    return Text(f"{' and '.join(counted)}.", STYLES[Level.FAULT if numbers[Level.FAULT] else Level.WARNING])
