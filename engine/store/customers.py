"""Customers, their consents and the suppression list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, bindparam, func, select, true, update

from engine.audience.tables import customer as person
from engine.audience.values import Person
from engine.decide.state import Consented
from engine.imports.zones import find_zone
from engine.store.questions import Question
from engine.store.tables import (
    Row,
    among,
    consent,
    customer,
    each_of,
    event,
    in_parts,
    put,
    put_new,
    suppression,
    take_ids,
)

_ZONES: dict[str, ZoneInfo] = {}
_NONE: Mapping[str, str | int] = {}
_NO_TAGS: frozenset[str] = frozenset()
_NOBODYS: Mapping[int, Mapping[str, str | int]] = {}


def zone_of(name: str) -> ZoneInfo:
    """A zone by name, read once."""
    found = _ZONES.get(name)
    if found is None:
        found = _ZONES[name] = ZoneInfo(name)
    return found


_SCALARS = tuple(customer.c[name] for name in ("id", "external_id", "zone", "locale", "country", "created_at"))
_KEPT = (*_SCALARS, *(customer.c[name] for name in ("addresses", "attributes", "tags")), customer.c.revision)
_PEOPLE = Question(select(*_KEPT).where(among(customer.c.id)))


def _person(row: Sequence[Any], scores: Mapping[str, str | int] = _NONE) -> Person:
    number, external_id, zone, locale, country, created_at, addresses, attributes, tags, _ = row
    known = frozenset(tags) if tags else _NO_TAGS
    return Person(number, external_id, zone_of(zone), locale, country, created_at, addresses, attributes, known, scores)


def people(
    connection: Connection, ids: Sequence[int], scores: Mapping[int, Mapping[str, str | int]] = _NOBODYS
) -> dict[int, tuple[Person, int]]:
    """id -> the person, with their scores of the night if these were read, and their revision."""
    rows = _PEOPLE.ask(connection, ids=ids)
    return {row[0]: (_person(row, scores.get(row[0], _NONE)), row[-1]) for row in rows}


_IN_BRIEF = Question(select(*_SCALARS, customer.c.revision).where(among(customer.c.id)))


def in_brief(connection: Connection, ids: Sequence[int]) -> dict[int, tuple[Person, int]]:
    """id -> the person without their addresses, attributes and tags, and their revision."""
    return {
        row[0]: (Person(row[0], row[1], zone_of(row[2]), *row[3:-1]), row[-1])
        for row in _IN_BRIEF.ask(connection, ids=ids)
    }


def attribute_names(connection: Connection) -> frozenset[str]:
    """The names of all attributes that are kept about anyone."""
    return _keys_kept(connection, customer.c.attributes)


def tags(connection: Connection) -> frozenset[str]:
    """Every tag that anyone has."""
    return _keys_kept(connection, customer.c.tags)


def _keys_kept(connection: Connection, column: Any) -> frozenset[str]:
    each = func.json_each if connection.dialect.name == "sqlite" else func.jsonb_each
    kept = each(column).table_valued("key")
    return frozenset(
        connection.execute(select(kept.c.key).select_from(customer).join(kept, true()).distinct()).scalars()
    )


_STANDING = select(customer.c.id, customer.c.revision).where(among(customer.c.id))
_REVISIONS = Question(_STANDING)
_HOLD = Question(_STANDING.order_by(customer.c.id).with_for_update(key_share=True))  # SQLite leaves the lock out


def revisions(connection: Connection, ids: Sequence[int]) -> dict[int, int]:
    """id -> revision now."""
    return dict(_REVISIONS.ask(connection, ids=ids))


def hold(connection: Connection, ids: Sequence[int]) -> dict[int, int]:
    """The first thing who writes beside others asks: id -> revision now, and nobody else writes about these people
    until this transaction ends. In the order of their ids, so that two who want the same people never wait for each
    other."""
    return dict(_HOLD.ask(connection, ids=ids))


def keep(connection: Connection, ids: Iterable[int]) -> None:
    """Like `hold`, for who asks later. On SQLite nobody else writes anyway."""
    if connection.dialect.name != "sqlite":
        hold(connection, sorted(ids))


_RAISE = update(customer).where(among(customer.c.id)).values(revision=customer.c.revision + 1)


def raise_revision(connection: Connection, ids: Iterable[int]) -> None:
    """Something new is known about these people: decisions made before it are void."""
    connection.execute(_RAISE, {"ids": sorted(set(ids))})


_IDS = Question(select(customer.c.external_id, customer.c.id).where(among(customer.c.external_id)))


def ids_of(connection: Connection, external_ids: Iterable[str]) -> dict[str, int]:
    """The shop's ids -> ours; unknown ones are left out."""
    return dict(_IDS.ask(connection, ids=sorted(set(external_ids))))


def names_of(connection: Connection, ids: Iterable[int]) -> dict[int, str]:
    """Our ids -> the shop's, also of people the rest of whose row cannot be read."""
    found: dict[int, str] = {}
    for part in in_parts(sorted(set(ids))):
        rows = connection.execute(select(customer.c.id, customer.c.external_id).where(customer.c.id.in_(part)))
        found.update((row.id, row.external_id) for row in rows)
    return found


def find(connection: Connection, external_id: str) -> Person | None:
    """One person by the shop's id."""
    row = connection.execute(select(*_KEPT).where(customer.c.external_id == external_id)).first()
    return _person(row) if row else None


def count(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(customer)).scalar_one()


def first_ids(connection: Connection, limit: int, after: int = 0) -> list[int]:
    """Ids in order, from the one after `after`."""
    rows = connection.execute(select(customer.c.id).where(customer.c.id > after).order_by(customer.c.id).limit(limit))
    return [row.id for row in rows]


def first_known_between(
    connection: Connection, condition: ColumnElement[bool], after: datetime, until: datetime
) -> list[int]:
    """Ids of people who were first known in (after, until] and for whom the condition holds, in order."""
    query = select(person.c.id).where(person.c.created_at > after, person.c.created_at <= until, condition)
    return list(connection.execute(query.order_by(person.c.id)).scalars())


def first_known_after(connection: Connection, after: datetime) -> datetime | None:
    """When the first person after an instant was first known."""
    return connection.execute(select(func.min(customer.c.created_at)).where(customer.c.created_at > after)).scalar()


_EVERY_ZONE = each_of(customer.c.zone)


def zones(connection: Connection) -> list[str]:
    """Every zone someone lives in, in order."""
    return list(connection.execute(_EVERY_ZONE).scalars())


def upsert(connection: Connection, rows: Sequence[Row], live_since: datetime | None = None) -> tuple[int, int]:
    """Insert people, or bring known ones up to date (attributes, addresses and tags are merged). (new, changed).

    `tags` of a row are those to add (true) and those to take away (false). New ones whom the shop knew before
    `live_since` are history. `guessed` names what of `zone` and `locale` nobody told, with what the shop has
    instead: of a known person these change only where they were guessed before, on what is known now.
    """
    known = {
        row.external_id: row
        for part in in_parts([row["external_id"] for row in rows])
        for row in connection.execute(select(customer).where(customer.c.external_id.in_(part)))
    }
    fresh = [row for row in rows if row["external_id"] not in known]
    for number, row in zip(take_ids(connection, customer, len(fresh)), fresh, strict=True):
        row["id"] = number
    changed = [_merged(known[row["external_id"]], row) for row in rows if row["external_id"] in known]
    changed = [row for row in changed if row]
    number = new_fact(connection) if fresh or changed else 0
    for row in fresh:
        row |= {"revision": 0, "changed": number, "tags": _tags({}, row)}
        row["live"] = live_since is None or row["created_at"] >= live_since
    put(connection, customer, [_told(row) for row in fresh])
    if changed:
        connection.execute(
            update(customer)
            .where(customer.c.id == bindparam("_id"))
            .values(
                zone=bindparam("zone"),
                locale=bindparam("locale"),
                country=bindparam("country"),
                addresses=bindparam("addresses"),
                attributes=bindparam("attributes"),
                tags=bindparam("tags"),
                revision=customer.c.revision + 1,
                changed=number,
                live=True,
            ),
            changed,
        )
    return len(fresh), len(changed)


def new_fact(connection: Connection) -> int:
    """The number of something that was told of people themselves, in one count with the events."""
    return take_ids(connection, event, 1)[0]


def _told(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "guessed"}


def _zone_now(old: Any, new: Row, row: Row) -> str:
    """The zone told; else the one known, unless it was a guess: then what is known now says more."""
    if "zone" not in new.get("guessed", ()):
        return str(new["zone"])
    shop = new["guessed"]["zone"]
    if find_zone(None, old.addresses.get("sms"), old.country, shop) != old.zone:
        return str(old.zone)  # somebody told it
    return find_zone(None, row["addresses"].get("sms"), row["country"], shop)


def _merged(old: Any, new: Row) -> Row:
    row = {
        "locale": old.locale if "locale" in new.get("guessed", ()) else new["locale"],
        "country": new["country"] or old.country,
        "addresses": {**old.addresses, **new["addresses"]},
        "attributes": {**old.attributes, **new["attributes"]},
        "tags": _tags(old.tags, new),
    }
    row["zone"] = _zone_now(old, new, row)
    same = all(getattr(old, name) == value for name, value in row.items())
    return {} if same else {"_id": old.id, **row}


def change(connection: Connection, people: Sequence[Person]) -> None:
    """Write what a journey changed about people: their attributes and tags. Their revisions rise."""
    if people:
        connection.execute(
            update(customer)
            .where(customer.c.id == bindparam("_id"))
            .values(
                attributes=bindparam("attributes"),
                tags=bindparam("tags"),
                revision=customer.c.revision + 1,
                changed=new_fact(connection),
                live=True,
            ),
            [
                {"_id": one.id, "attributes": dict(one.attributes), "tags": dict.fromkeys(sorted(one.tags), True)}
                for one in people
            ],
        )


def _tags(old: Mapping[str, Any], new: Row) -> dict[str, bool]:
    told = {**old, **new.get("tags", {})}
    return {tag: True for tag, has in told.items() if has}


_CONSENTS = Question(
    select(*(consent.c[name] for name in ("customer_id", *Consented.__struct_fields__)))
    .where(among(consent.c.customer_id))
    .order_by(consent.c.at, consent.c.granted.desc(), consent.c.id)
)


def consents(connection: Connection, ids: Sequence[int]) -> dict[int, list[Consented]]:
    """id -> the latest word per channel and topic; at one instant the no holds."""
    latest: dict[int, dict[tuple[str, str], Consented]] = {}
    for number, *word in _CONSENTS.ask(connection, ids=ids):
        said = Consented(*word)
        latest.setdefault(number, {})[said.channel, said.topic] = said
    return {number: list(words.values()) for number, words in latest.items()}


def record_consents(connection: Connection, rows: Sequence[Row], now: datetime) -> None:
    """Append to the log; the people's revisions rise."""
    for number, row in zip(take_ids(connection, consent, len(rows)), rows, strict=True):
        row["id"] = number
    put(connection, consent, [{**row, "recorded_at": now} for row in rows])
    raise_revision(connection, {row["customer_id"] for row in rows})


def consent_log(connection: Connection, customer_id: int) -> list[Any]:
    """The whole log of one person, oldest first."""
    return list(
        connection.execute(
            select(consent).where(consent.c.customer_id == customer_id).order_by(consent.c.at, consent.c.id)
        )
    )


_SUPPRESSED = select(suppression.c.address_hash).where(among(suppression.c.address_hash))


def suppressed(connection: Connection, hashes: Mapping[str, Any]) -> set[str]:
    """Which of these address hashes must not be written to."""
    found: set[str] = set()
    for part in in_parts(list(hashes)):
        found.update(connection.execute(_SUPPRESSED, {"ids": part}).scalars())
    return found


def suppressions(connection: Connection, hashes: Sequence[str]) -> dict[str, Any]:
    """What the list says of these addresses."""
    rows = connection.execute(select(suppression).where(suppression.c.address_hash.in_(hashes)))
    return {row.address_hash: row for row in rows}


_ANYBODY = Question(select(suppression.c.address_hash).limit(1))


def any_suppressed(connection: Connection) -> bool:
    """Is there any address on the suppression list at all?"""
    return bool(_ANYBODY.ask(connection))


def suppress(connection: Connection, addresses: Mapping[str, Row]) -> None:
    """Never write to these again: hash of the address -> channel, reason, at."""
    put_new(connection, suppression, [{"address_hash": h, **row} for h, row in addresses.items()])
