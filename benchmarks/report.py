"""What a run leaves behind: `results.md`, and a plot for each measure that grows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks import plot, table
from benchmarks.measures import Series

INTRODUCTION = """\
# How fast dtkdns is

Made by `tox -e bench`: dtkdns and what it is held against are measured in turn, in one run. A ratio is dtkdns'
value by the other's, in the middle of the runs, of which there were {runs}. ✓ and ✗ say whether an aim is met.
Each name comes with the TXT record that external-dns sends with it."""
QUICK = (
    "**A quick run**, once and without the largest number of names: it tells the order of things, and not more."
)


def write(
    every: Sequence[Series], sizes: Sequence[int], runs: int, machine: Sequence[str], into: Path, *, quick: bool
) -> None:
    """Replace what the run before has left in this directory."""
    plots = into / "plots"
    plots.mkdir(parents=True, exist_ok=True)
    for old in plots.glob("*.svg"):
        old.unlink()
    pictures = []
    for one in every:
        drawn = plot.svg(one)
        if drawn is not None:
            (plots / f"{one.measure.word}.svg").write_text(drawn)
            pictures.append(f"![{one.measure.what}](plots/{one.measure.word}.svg)")
    parts = [
        INTRODUCTION.format(runs=runs),
        *([QUICK] if quick else []),
        "\n".join(f"- {line}" for line in machine),
        "## Ratios, by the number of names",
        table.markdown(table.ratios(every, sizes)),
        "## The values they come from",
        "The middle of the runs, and the least and the most of them.",
        table.markdown(table.values(every, sizes)),
        "## Growth",
        "The exponent with which a value grows with the names (1: twice as many take twice as long): over all"
        " sizes, by least squares of the logarithms, and between the last two.",
        table.markdown(table.growth(every)),
        "\n".join(pictures),
    ]
    (into / "results.md").write_text("\n\n".join(parts) + "\n")
