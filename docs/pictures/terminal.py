"""Draws demo.svg from what the demo said: `outreach demo | python docs/pictures/terminal.py`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

HERE = Path(__file__).parent
WIDTH = 96
INK, PAPER = (232, 226, 214), (38, 35, 31)
COLOURS = [PAPER, *[INK] * 2, (226, 170, 90), *[INK] * 2, (120, 190, 190), INK]  # of which only two are used
THEME = TerminalTheme(PAPER, INK, COLOURS, COLOURS)
FIGURES = re.compile(r"^(  (?:entered|sent|held back|tasks|vouchers|goal|in the holdout|cost) +)(.*)$")


def lines(said: Iterable[str]) -> Iterator[Text]:
    """What was said up to the summary's end, names of journeys and of figures in colour."""
    yield Text("$ python3 dev.py demo", style="bold")
    for line in said:
        if line.startswith("Look at the mails"):
            return
        figures = FIGURES.match(line.rstrip())
        if figures:
            yield Text.assemble((figures[1], "cyan"), figures[2])
        else:
            yield Text(line.rstrip(), style="bold yellow" if re.fullmatch(r"\w+", line.strip()) else "")


def svg(shown: Iterable[Text]) -> str:
    """The picture, without the fonts that rich would fetch from elsewhere."""
    with Path("/dev/null").open("w") as nowhere:
        console = Console(record=True, width=WIDTH, force_terminal=True, highlight=False, file=nowhere)
        for line in shown:
            console.print(line)
        drawn = console.export_svg(title="outreach", theme=THEME, unique_id="demo")
    drawn = re.sub(r"@font-face \{.*?\}\s*|<!--.*?-->\s*", "", drawn, flags=re.DOTALL)
    drawn = drawn.replace("Fira Code, monospace", "'Fira Code', 'DejaVu Sans Mono', Menlo, Consolas, monospace")
    return "\n".join(line.rstrip() for line in drawn.splitlines()) + "\n"


if __name__ == "__main__":
    (HERE / "demo.svg").write_text(svg(lines(sys.stdin)), encoding="utf-8")
