"""A bar chart on a logarithmic scale, as SVG and without a library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

WIDTH, LABEL, ROW, TOP = 900, 380, 28, 60
COLOURS = {"ours": "#0b6e4f", "peer": "#8d99ae", "limit": "#d9a404"}


class Bar(NamedTuple):
    """A value with what its rounds lie between; ``kind`` is its colour."""

    name: str
    value: float
    lowest: float
    highest: float
    kind: str


def bars(title: str, given: Sequence[Bar]) -> str:
    """The chart; powers of ten are marked. Values are above 0."""
    least = 10 ** math.floor(math.log10(min(bar.lowest for bar in given))) if given else 1
    most = 10 ** math.ceil(math.log10(max(bar.highest for bar in given))) if given else 10
    height = TOP + ROW * len(given) + 20

    def x(value: float) -> float:
        share = (math.log10(value) - math.log10(least)) / (math.log10(most) - math.log10(least) or 1)
        return LABEL + share * (WIDTH - LABEL - 90)

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        'font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="12" y="24" font-size="16">{escape(title)}</text>',
    ]
    for power in range(round(math.log10(least)), round(math.log10(most)) + 1):
        at = x(10**power)
        lines.append(f'<line x1="{at:.1f}" y1="{TOP - 12}" x2="{at:.1f}" y2="{height - 16}" stroke="#dddddd"/>')
        lines.append(f'<text x="{at:.1f}" y="{TOP - 16}" text-anchor="middle" fill="#666666">{10**power:,}</text>')
    for number, bar in enumerate(given):
        top = TOP + number * ROW
        middle = top + ROW / 2 - 2
        lines += [
            f'<text x="{LABEL - 8}" y="{middle + 4:.1f}" text-anchor="end">{escape(bar.name)}</text>',
            f'<rect x="{LABEL}" y="{top}" width="{x(bar.value) - LABEL:.1f}" height="{ROW - 8}" '
            f'fill="{COLOURS[bar.kind]}"/>',
            f'<line x1="{x(bar.lowest):.1f}" y1="{middle:.1f}" x2="{x(bar.highest):.1f}" y2="{middle:.1f}" '
            'stroke="black" stroke-width="2"/>',
            f'<text x="{x(bar.highest) + 6:.1f}" y="{middle + 4:.1f}">{bar.value:,.0f}</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])
