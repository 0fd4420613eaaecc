"""The command: measure everything, print a table, write the results."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import click

from benchmarks import report, table
from benchmarks.measures import SIZES, Found, series
from benchmarks.programs import MissingError, have_peers

SCRATCH = "/var/tmp"  # noqa: S108 (a directory of its own is made there: on a disk, which /tmp often is not)
QUICK_SIZES = SIZES[:3]
RUNS = 3
SECONDS, QUICK_SECONDS = 3.0, 1.0
"""How long something is done whose result is so many a second."""

Group = Callable[[int, Path, float], Iterator[Found]]


def groups() -> Mapping[str, Group]:
    """What each module measures; they are imported once their peers are there."""
    from benchmarks import (  # noqa: PLC0415
        answers,
        clusters,
        decoding,
        hosts,
        pauses,
        rates,
        webhook,
    )

    modules = (webhook, pauses, rates, answers, clusters, hosts, decoding)
    return {module.__name__.rpartition(".")[2]: module.measure for module in modules}


@click.command()
@click.option("--quick", is_flag=True, help="Once, and without the largest number of names.")
@click.option("--only", multiple=True, metavar="GROUP", help="webhook, pauses, rates, answers, clusters, ...")
@click.option("--runs", type=click.IntRange(1), help=f"{RUNS} by default, 1 with --quick.")
@click.option("--into", type=click.Path(path_type=Path), help="Where results.md and the plots go.")
def main(quick: bool, only: tuple[str, ...], runs: int | None, into: Path | None) -> None:
    """Measure dtkdns beside its peers and print a table.

    A whole run writes results.md and its plots into the directory benchmarks; one with --quick or --only writes
    them where --into says, if it does.
    """
    try:
        have_peers()
        known = groups()
        unknown = set(only) - known.keys()
        if unknown:
            raise click.UsageError(
                f"There is no group {', '.join(sorted(unknown))}: there are {', '.join(known)}."
            )
        chosen = {word: measure for word, measure in known.items() if not only or word in only}
        _measure(chosen, quick, runs or (1 if quick else RUNS), into or _usual_place(quick or bool(only)))
    except MissingError as error:
        raise click.ClickException(str(error)) from error


def _usual_place(partial: bool) -> Path | None:
    return None if partial else Path(__file__).parent


def _measure(chosen: Mapping[str, Group], quick: bool, runs: int, into: Path | None) -> None:
    from benchmarks import machine  # noqa: PLC0415 (which asks the peers for their versions)

    sizes, seconds = (QUICK_SIZES, QUICK_SECONDS) if quick else (SIZES, SECONDS)
    found: list[tuple[int, Found]] = []
    where, before = machine.described(Path(SCRATCH)), machine.Processors.now()
    for run in range(runs):
        for size in sizes:
            for word, measure in chosen.items():
                print(f"run {run + 1} of {runs}: {size} names, {word}", file=sys.stderr, flush=True)
                with tempfile.TemporaryDirectory(prefix="dtkdns-bench-", dir=SCRATCH) as directory:
                    found += [(size, one) for one in measure(size, Path(directory), seconds)]
    every = series(found)
    for rows in (table.ratios(every, sizes), table.values(every, sizes), table.growth(every)):
        print(f"{table.aligned(rows)}\n")
    if into is not None:
        report.write(every, sizes, runs, [*where, machine.by_others(before)], into, quick=quick)


if __name__ == "__main__":
    main()
