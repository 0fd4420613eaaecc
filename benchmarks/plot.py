"""How a measure grows with the number of names, as an SVG with both axes logarithmic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from attrs import frozen

from benchmarks.measures import Series, lines_of
from benchmarks.table import number

WIDTH, HEIGHT = 560, 340
LEFT, RIGHT, TOP, BOTTOM = 64, 36, 48, 40
OURS, PEER = "#1f6fb2", "#c0562f"
PLOTTED = frozenset({"ms", "MB", "1/s"})
"""Units of what is worth a picture."""
Line = Sequence[tuple[float, float]]


@frozen
class Axis:
    """Whole decades of values along so many pixels, from one to another."""

    low: int
    high: int
    begin: float
    end: float

    @classmethod
    def of(cls, values: Sequence[float], begin: float, end: float) -> Axis:
        low = math.floor(math.log10(min(values)))
        return cls(low, max(math.ceil(math.log10(max(values))), low + 1), begin, end)

    def at(self, value: float) -> float:
        return self.begin + (math.log10(value) - self.low) / (self.high - self.low) * (self.end - self.begin)

    @property
    def decades(self) -> list[float]:
        return [10.0**exponent for exponent in range(self.low, self.high + 1)]


def svg(one: Series) -> str | None:
    """A line for us and one for the peer; None where there is nothing that grows."""
    ours, peer = lines_of(one)
    points = [*ours, *peer]
    if one.measure.unit not in PLOTTED or len(ours) < 2 or any(y <= 0 for _x, y in points):
        return None
    across = Axis.of([x for x, _y in points], LEFT, WIDTH - RIGHT)
    up = Axis.of([y for _x, y in points], HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"'
        ' font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="18" font-size="14">{escape(one.measure.what)}, {escape(one.measure.unit)}</text>',
        *_grid(across, up),
        *_line(ours, across, up, OURS),
        *_line(peer, across, up, PEER),
        f'<text x="{LEFT}" y="36" fill="{OURS}">dtkdns</text>',
        f'<text x="{LEFT + 60}" y="36" fill="{PEER}">{escape(one.measure.peer)}</text>' if peer else "",
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end">names</text>',
        "</svg>\n",
    ]
    return "\n".join(part for part in parts if part)


def _grid(across: Axis, up: Axis) -> list[str]:
    found = []
    for value in across.decades:
        x = f"{across.at(value):.1f}"
        found.append(f'<path d="M{x} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>')
        found.append(f'<text x="{x}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{value:,.0f}</text>')
    for value in up.decades:
        y = f"{up.at(value):.1f}"
        found.append(f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        found.append(f'<text x="{LEFT - 6}" y="{up.at(value) + 4:.1f}" text-anchor="end">{value:,g}</text>')
    return found


def _line(line: Line, across: Axis, up: Axis, colour: str) -> list[str]:
    places = [(f"{across.at(x):.1f}", f"{up.at(y):.1f}", y) for x, y in line]
    if not places:
        return []
    path = "L".join(f"{x} {y}" for x, y, _value in places)
    return [
        f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *(
            f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"><title>{number(value)}</title></circle>'
            for x, y, value in places
        ),
    ]
