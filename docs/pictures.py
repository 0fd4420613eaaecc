"""A screen as a picture, which refers to nothing outside itself."""

from __future__ import annotations

import io

from rich.console import Console, RenderableType
from rich.text import Text

WIDTH = 80
FORMAT = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace;
  font-size: {char_height}px;
  line-height: {line_height}px;
}}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""rich's own refers to a font of another site."""


def picture(command: str, screen: RenderableType) -> str:
    """What a terminal shows after a command, as SVG."""
    console = Console(
        file=io.StringIO(),
        record=True,
        width=WIDTH,
        highlight=False,
        force_terminal=True,
        color_system="truecolor",
        no_color=False,
    )
    console.print(Text(f"$ {command}", "bold"))
    console.print(screen)
    drawn = console.export_svg(
        title=command, code_format=FORMAT, unique_id=command.replace(" ", "-").replace(".", "-")
    )
    return "".join(f"{line.strip()}\n" for line in drawn.splitlines() if line.strip())
