"""The results as tables: ratios, which are what counts, and the values they come from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from benchmarks.measures import Cell, Held, Series, lines_of, slope

Rows = Sequence[Sequence[str]]
TEXTS = frozenset({"measure", "beside", "whose", "unit", "aim"})
"""Heads of columns that hold words."""
GROWS = frozenset({"ms", "MB"})
"""Units of what may grow with the names."""


def ratios(every: Iterable[Series], sizes: Sequence[int]) -> Rows:
    """A row for each measure with an outcome, the middle of the runs at each size, and what it should be."""
    rows = [["measure", "beside", *map(number, sizes), "aim"]]
    for one in every:
        cells = {cell.size: cell for cell in one.cells}
        outcomes = [_outcome(one, cells[size]) if size in cells else "" for size in sizes]
        rows.append([one.measure.what, one.measure.peer, *outcomes, _aims(one, sizes)])
    return rows


def values(every: Iterable[Series], sizes: Sequence[int]) -> Rows:
    """Two rows for each measure, ours and the peer's: the middle of the runs, and the least and the most."""
    rows = [["measure", "whose", "unit", *map(number, sizes)]]
    for one in every:
        cells = {cell.size: cell for cell in one.cells}
        own = [_spread(cells[size].ours) if size in cells else "" for size in sizes]
        rows.append([one.measure.what, "dtkdns", one.measure.unit, *own])
        if any(cell.peer for cell in one.cells):
            theirs = [_spread(cells[size].peer) if size in cells else "" for size in sizes]
            rows.append(["", one.measure.peer, "", *theirs])
    return rows


def growth(every: Iterable[Series]) -> Rows:
    """The exponent with which each measure grows with the names, over all sizes and from the last but one."""
    rows = [["measure", "exponent", "at the end", "peer", "peer, at the end"]]
    for one in every:
        lines = lines_of(one)
        if (
            one.measure.unit in {"ms", "MB"}
            and len(lines[0]) > 1
            and all(y > 0 for line in lines for _x, y in line)
        ):
            rows.append([one.measure.what, *(_exponent(part) for line in lines for part in (line, line[-2:]))])
    return rows


def aligned(rows: Rows) -> str:
    """For a terminal."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if head in TEXTS else cell.rjust(width)
            for head, cell, width in zip(rows[0], row, widths, strict=True)
        ).rstrip()
        for row in rows
    )


def markdown(rows: Rows) -> str:
    head, *rest = rows
    lines = [head, ["---" if cell in TEXTS else "---:" for cell in head], *rest]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float) -> str:
    """Three digits that mean something, or all before the point."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _outcome(one: Series, cell: Cell) -> str:
    outcome = cell.outcome(one.measure.held)
    if outcome is None:
        return ""
    unit = f" {one.measure.unit}" if one.measure.held in {Held.MORE, Held.ALONE} else ""
    mark = {True: " ✓", False: " ✗", None: ""}[one.met(cell)]
    return f"{number(outcome)}{unit}{mark}"


def _aims(one: Series, sizes: Sequence[int]) -> str:
    aims = {size: aim for size, aim in one.measure.aims.items() if size in sizes}
    sign = "≥" if one.measure.held is Held.RATE else "≤"
    if len(set(aims.values())) == 1 and len(aims) == len(sizes):
        return f"{sign} {next(iter(aims.values())):g}"
    return ", ".join(f"{sign} {aim:g} at {size:,}" for size, aim in aims.items())


def _spread(runs: Sequence[float]) -> str:
    if not runs:
        return ""
    middle = number(median(runs))
    return middle if len(runs) == 1 else f"{middle} ({number(min(runs))} to {number(max(runs))})"


def _exponent(line: Sequence[tuple[float, float]]) -> str:
    found = slope(line)
    return "" if found is None else f"{found:.2f}"
