"""All that one run has measured: what its page and its aims are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bench.measure import Figure

GROWTH = ("minutes", "messages/s", "us of a core each", "peak MiB", "exponent")  # what is told of a wave of some size


@dataclass
class Group:
    """What is set side by side: the raw loop, what people use instead, and outreach."""

    title: str
    rows: list[tuple[str, str, Figure]] = field(default_factory=list)  # kind (raw, other, ours), what, figure
    note: Sequence[str] = ()  # how it was measured, where that is not plain

    def shares(self) -> Iterator[tuple[str, str, Figure, float | None]]:
        """Every row, and how much of the raw loop it reaches: of the one above it."""
        ceiling: Figure | None = None
        for kind, what, figure in self.rows:
            if kind == "raw":
                ceiling = figure
            yield kind, what, figure, ceiling.cost / figure.cost if ceiling and kind != "raw" else None


@dataclass
class Report:
    """All that one run has measured."""

    people: int
    rounds: int
    load: float
    groups: list[Group] = field(default_factory=list)
    tables: list[tuple[str, Sequence[str], Sequence[Sequence[str]]]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
