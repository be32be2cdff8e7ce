"""The values of traits and scores for a page of people, by one question however many people and traits there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, select

from engine.audience import traits
from engine.audience.audience import Audience
from engine.audience.compare import Sql
from engine.audience.tables import customer as person
from engine.audience.traits import Value


@dataclass(frozen=True)
class Known:
    """A person and what was asked about them, in that order."""

    id: int
    external_id: str
    values: tuple[Value, ...]


class Asked:
    """Some traits and scores, as of an instant. Only what they need is read; the question is built once."""

    def __init__(self, audience: Audience, names: Sequence[str], now: datetime) -> None:
        self.audience, self.names = audience, tuple(names)
        columns = [traits.columns(name, audience, now) for name in self.names]
        self._widths = [len(each) for each in columns]
        self._query = select(person.c.id, person.c.external_id, *(one for each in columns for one in each)).order_by(
            person.c.id
        )

    def of_people(self, connection: Connection, ids: Sequence[int]) -> list[Known]:
        """These people, in the order of their ids."""
        return self._read(connection, self._query.where(person.c.id.in_(ids)))

    def page(self, connection: Connection, after: int, limit: int, inside: Sql | None = None) -> list[Known]:
        """The people after an id, or those of them for whom a condition holds."""
        chosen = person.c.id > after if inside is None else and_(person.c.id > after, inside)
        return self._read(connection, self._query.where(chosen).limit(limit))

    def _read(self, connection: Connection, query: Select[Any]) -> list[Known]:
        return [self._known(row) for row in connection.execute(query)]

    def _known(self, row: Any) -> Known:
        number, external_id, *cells = row
        found = []
        for name, width in zip(self.names, self._widths, strict=True):
            found.append(traits.from_cells(name, self.audience, cells[:width]))
            cells = cells[width:]
        return Known(number, external_id, tuple(found))
