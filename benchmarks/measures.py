"""What is measured, what it is held against, and what it should come to; values in, values out."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from attrs import field, frozen

SIZES = 100, 1_000, 10_000, 60_000
"""Names, each with the TXT record that external-dns sends with it."""
LARGEST = SIZES[-1]


class Held(enum.Enum):
    """How a measure is held against its peer."""

    RATIO = "ratio"
    """At most so many times the peer's."""
    RATE = "rate"
    """At least so many times the peer's: more is better."""
    MORE = "more"
    """At most so much more than the peer's."""
    ALONE = "alone"
    """At most so much; what stands beside it is no yardstick."""


@frozen
class Measure:
    word: str
    """By which files and options know it."""
    what: str
    peer: str = ""
    """What it is held against; empty where there is nothing."""
    unit: str = "ms"
    held: Held = Held.RATIO
    aims: Mapping[int, float] = field(factory=dict)
    """By size; empty where the result is only stated."""


@frozen
class Found:
    """What one run at one size has found, in the unit of the measure."""

    measure: Measure
    ours: float
    peer: float | None = None


@frozen
class Cell:
    """All runs of one measure at one size."""

    size: int
    ours: tuple[float, ...]
    peer: tuple[float, ...]

    @property
    def compared(self) -> tuple[float, ...]:
        """Ours by the peer's, run by run: what both met in the same run is in neither."""
        return tuple(ours / peer for ours, peer in zip(self.ours, self.peer, strict=True)) if self.peer else ()

    def outcome(self, held: Held) -> float | None:
        """The middle of the runs, as the measure is held; None where there is no peer to hold it against."""
        if held is Held.ALONE:
            return median(self.ours)
        if not self.peer:
            return None
        if held is Held.MORE:
            return median(ours - peer for ours, peer in zip(self.ours, self.peer, strict=True))
        return median(self.compared)


@frozen
class Series:
    """One measure at every size."""

    measure: Measure
    cells: tuple[Cell, ...]

    def met(self, cell: Cell) -> bool | None:
        """Whether the aim for this size is met; None where there is none."""
        aim = self.measure.aims.get(cell.size)
        outcome = cell.outcome(self.measure.held)
        if aim is None or outcome is None:
            return None
        return outcome >= aim if self.measure.held is Held.RATE else outcome <= aim


def series(found: Iterable[tuple[int, Found]]) -> list[Series]:
    """What several runs have found, by measure and size, in the order in which it came."""
    by_measure: dict[str, tuple[Measure, dict[int, list[Found]]]] = {}
    for size, one in found:
        _measure, sizes = by_measure.setdefault(one.measure.word, (one.measure, {}))
        sizes.setdefault(size, []).append(one)
    return [
        Series(measure, tuple(_cell(size, runs) for size, runs in sorted(sizes.items())))
        for measure, sizes in by_measure.values()
    ]


def _cell(size: int, runs: Sequence[Found]) -> Cell:
    peers = tuple(one.peer for one in runs if one.peer is not None)
    return Cell(size, tuple(one.ours for one in runs), peers)


def slope(points: Sequence[tuple[float, float]]) -> float | None:
    """The exponent with which the second value grows with the first: least squares of their logarithms.

    None where there are fewer than two.
    """
    if len(points) < 2:
        return None
    xs = [math.log(x) for x, _y in points]
    ys = [math.log(y) for _x, y in points]
    x_mean, y_mean = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - x_mean) ** 2 for x in xs)
    return sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True)) / spread


def lines_of(one: Series) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Size and value in the middle of the runs, ours and the peer's."""
    ours = [(float(cell.size), median(cell.ours)) for cell in one.cells]
    peer = [(float(cell.size), median(cell.peer)) for cell in one.cells if cell.peer]
    return ours, peer
