"""Every statement of a day's work, as the database means to answer it: by an index, and keyed by person.

A shop with a past is filled; a start, beats, events, a wave, people who are due, batches, clicks and trimming are run;
every statement is explained with the values it had. So a query that grows with people or with history fails here, and
one that a shard by customer could not answer has to be named below, with why it is harmless.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from servers import Fresh
from servers import postgres as postgres
from sqlalchemy import Connection, event

from bench import history
from engine.app import App
from engine.clock import ManualClock
from engine.store import tables
from engine.store.tables import enrollment, put, take_ids
from engine.work.advance import advance
from engine.work.entering.pages import enter_page
from engine.work.entering.waves import Entered, plan_waves
from engine.work.incoming.intake import record_events
from engine.work.recovery import recover
from engine.work.sending.dispatch import dispatch
from engine.work.tick import next_due, tick
from engine.work.trimming import trim

PEOPLE = 3_000
#: tables with a row for each person, or for each thing that ever happened to one
GROW = ("customer", "event", "consent", "enrollment", "touch", "message", "body", "delivery", "trace", "task")
GROW += ("suppression",)
#: by these a row is found among those of one person, whose customer_id the caller has in hand as well
KEYS = {
    **{table: {"customer_id", "id", "enrollment_id", "message_id"} for table in GROW},
    "customer": {"id", "external_id"},
}
#: (table, what leads there) -> why it crosses customers, and why it is cheap all the same
ACROSS = {
    ("customer", "id>"): "a page of a wave, of a night: the next ones by number, with a LIMIT",
    ("customer", "zone"): "a page of a wave in one zone, with a LIMIT; the zones there are, a look for each",
    ("customer", "created_at>"): "who is known so long now: what moved since the last look",
    ("enrollment", "due_at<"): "who is due: the first of a small index, with a LIMIT",
    ("enrollment", "due_at"): "when the next one is due: the first of a small index",
    ("enrollment", "version_id"): "is anybody inside a version: one look for each version",
    ("enrollment", "ended_at"): "what is over for long: a range with a LIMIT",
    ("enrollment", "journey"): "slim rows that nothing asks for any more: a range with a LIMIT",
    ("event", "at"): "what is over for long: a range with a LIMIT",
    ("event", "external_id"): "was this event told before: the shop's id is unique over all people",
    ("message", "batch_id"): "a batch of up to 500 that leave together",
    ("message", "address_hash"): "two people may share an address",
    ("suppression", "address_hash"): "an address is suppressed, whoever has it",
    ("task", "escalate_at"): "open tasks whose time to escalate has come: a small index of what is open",
    ("trace", "id>"): "what is over for long: the next ones by number, with a LIMIT",
}
ANYBODY = "SELECT suppression.address_hash FROM suppression LIMIT"  # is there any at all: the first row
SMALL = {"batch_due", "enrollment_due", "enrollment_inhabited", "enrollment_ended", "task_open"}  # of what is open


@dataclass(frozen=True)
class Asked:
    """One statement, and how it is answered."""

    during: str
    sql: str
    plan: tuple[str, ...]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def asked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Asked]]:
    """Everything that a day of a shop with a past asks of its database."""
    url = None
    if request.param == "postgresql":
        fresh: Fresh = request.getfixturevalue("postgres")
        url = fresh()
    folder = tmp_path_factory.mktemp("plans") / "shop"
    app = history.shop(folder, url)
    history.fill(app.database, PEOPLE)
    history.fill_history(app, PEOPLE)
    _fill_what_is_rare(app)
    history.settle(app.database)
    if url is not None:  # as for disks of today; so small a table would else be read whole where a large one is not
        with app.database.engine.connect() as connection:
            name = connection.exec_driver_sql("SELECT current_database()").scalar_one()
            connection.exec_driver_sql(f"ALTER DATABASE {name} SET random_page_cost = 1.1")
            connection.commit()
    app.close()
    with (folder / "config.yaml").open("a", encoding="utf-8") as config:
        config.write("keep: 200d\n")
    clock = ManualClock(history.NOW - timedelta(hours=2))
    app = history.open_shop(folder, url, clock)
    app.providers["email"] = history.Taker("email", {}, {})
    yield a_day(app, clock)
    app.close()


def _fill_what_is_rare(app: App) -> None:
    """Tasks that were done, addresses never to be written to, visits of today: as many as make an index worth it."""
    at = history.NOW - timedelta(days=100)
    done = {
        "journey": "welcome",
        "step": "call",
        "visit": 1,
        "brief": "note",
        "queue": "care",
        "outcomes": {},
        "later": {},
    }
    done |= {"opened_at": at, "due_at": at, "closed_at": at, "outcome": "reached"}
    with app.database.writing() as connection:
        numbers = take_ids(connection, tables.task, PEOPLE)
        rows = ({**done, "id": n, "customer_id": who, "enrollment_id": who} for who, n in enumerate(numbers, 1))
        put(connection, tables.task, rows)
        numbers = take_ids(connection, tables.event, PEOPLE * 5)
        now = history.NOW - timedelta(hours=3)
        visit = {"name": "Page Viewed", "at": now, "received_at": now, "payload": {}, "body_hash": "", "live": True}
        rows = ({**visit, "id": n, "external_id": f"V{n}", "customer_id": 1 + n % PEOPLE} for n in numbers)
        put(connection, tables.event, rows)
        kept = {"channel": "email", "reason": "asked", "at": at}
        put(connection, tables.suppression, ({"address_hash": f"{n:032}", **kept} for n in range(PEOPLE)))


def a_day(app: App, clock: ManualClock) -> list[Asked]:
    found: dict[str, Asked] = {}
    during = ["a start"]
    explain = "EXPLAIN QUERY PLAN " if app.database.is_sqlite else "EXPLAIN "

    def look(connection: Connection, _cursor: Any, sql: str, values: Any, _context: Any, many: bool) -> None:
        alike = re.sub(r"(\?|%\(\w+\)s(::\w+)?|%s)(, (\?|%\(\w+\)s(::\w+)?|%s))+", "...", sql)
        if alike in found or sql.split()[0] not in ("SELECT", "UPDATE", "DELETE", "WITH") or "pg_" in sql:
            return
        found[alike] = Asked(during[0], alike, ())
        plan = connection.exec_driver_sql(explain + sql, values[0] if many else values)
        lines = tuple(str(row[3] if app.database.is_sqlite else row[0]).strip() for row in plan)
        found[alike] = Asked(during[0], alike, lines)

    event.listen(app.database.engine, "before_cursor_execute", look)
    with app.database.reading() as connection:
        rules = app.rules(connection)
    needs = app.needs(rules)
    entered = Entered()

    def wave() -> None:
        clock.move_to(history.NOW)
        plan_waves(app, rules, clock.now(), entered)
        enter_page(app, rules, needs, clock.now(), entered)

    def due() -> None:
        with app.database.writing() as connection:
            some = enrollment.c.customer_id.between(2_000, 2_100), enrollment.c.journey == "statement"
            connection.execute(enrollment.update().where(*some).values(active=True, due_at=clock.now()))
        during[0] = "people who are due"
        advance(app, rules, needs, clock.now())

    parts: dict[str, Callable[[], object]] = {
        "a start": lambda: recover(app, clock.now()),
        "a beat": lambda: (tick(app), next_due(app, clock.now())),
        "events": lambda: record_events(app, rules, needs, [history.news(clock, nth, PEOPLE) for nth in range(500)]),
        "a page of a wave": wave,
        "(the test itself)": due,
        "a batch": lambda: dispatch(app, rules),
        "trimming": lambda: trim(app, 60),
    }
    for name, work in parts.items():
        during[0] = name
        work()
    return [one for one in found.values() if one.during != "(the test itself)"]


@dataclass(frozen=True)
class Reached:
    """A table that a plan looks into."""

    table: str
    leads: str  # the column that leads there, with its sign if that is a range; "" for all of it
    index: str | None
    terms: int  # columns of the index that narrow it down


def reached(one: Asked) -> Iterator[Reached]:
    """Every look of a statement into a table."""
    names = {alias: table for table, alias in re.findall(r"\b(\w+) AS (\w+)", one.sql)}
    for nth, line in enumerate(one.plan):
        after = one.plan[nth + 1] if nth + 1 < len(one.plan) else ""
        if found := re.match(r"(?:SEARCH|SCAN) (\w+)(?:.*?USING (?:COVERING )?(?:INDEX (\w+)|\w+ KEY))?", line):
            term = re.search(r"\((\w+)([=><)].*)", line) if "SEARCH" in line else None
            yield Reached(names.get(found[1], found[1]), *_led(term, found[2]))
        elif found := re.search(r"Seq Scan on (\w+)", line):
            yield Reached(found[1], "", None, 0)
        elif found := re.search(r"Index(?: Only)? Scan(?: Backward)? using (\w+) on (\w+)", line):
            yield Reached(found[2], *_led(_condition(after), found[1]))
        elif found := re.search(r"Bitmap Index Scan on (\w+)", line):
            index = found[1]
            table = next(table for table in (*GROW, "run", "batch") if index.startswith((table, f"ix_{table}")))
            yield Reached(table, *_led(_condition(after), index))


def _condition(line: str) -> re.Match[str] | None:
    """What leads into an index of PostgreSQL."""
    return re.match(r"Index Cond: \(*\"?(\w+)\"?\)*(?:::\w+\)*)? ([=><I].*)", line)


def _led(term: re.Match[str] | None, index: str | None) -> tuple[str, str | None, int]:
    if term is None:
        return "", index, 0
    column = {"rowid": "id"}.get(term[1], term[1])
    return column + term[2][0] if term[2][0] in "<>" else column, index, term[2].count(" AND ") + 1


def looks(asked: list[Asked]) -> Iterator[tuple[Asked, Reached]]:
    """Every look into a table that grows."""
    return ((one, look) for one in asked for look in reached(one) if look.table in GROW)


def test_nothing_that_grows_with_people_or_history_is_looked_through(asked: list[Asked]) -> None:
    # With `deliveries.sending` asked of all messages, as it was, this named it on both databases.
    whole = [
        (one.during, look.table, one.sql, one.plan)
        for one, look in looks(asked)
        if not look.leads and look.index not in SMALL and ANYBODY not in " ".join(one.sql.split())
    ]

    assert not whole, "\n\n".join(map(str, whole))


def test_what_is_read_of_one_person_does_not_grow_with_their_past(asked: list[Asked]) -> None:
    # With `or_(due_at > since, created_at > since, ...)` back in `messages.of_people` this named it.
    past = [
        (one.during, look, one.sql)
        for one, look in looks(asked)
        if look.table in ("message", "event", "enrollment") and look.leads == "customer_id" and look.terms < 2
    ]

    assert past == []


def test_no_query_crosses_customers_but_for_those_that_say_why(asked: list[Asked]) -> None:
    strange = {
        (look.table, look.leads): (one.during, look.index, one.sql[:300])
        for one, look in looks(asked)
        if look.leads and look.leads not in KEYS[look.table]
        if not {(look.table, look.leads), (look.table, look.leads.rstrip("<>"))} & set(ACROSS)
    }

    assert strange == {}


def test_what_crosses_customers_has_a_limit_or_an_index_of_what_is_open(asked: list[Asked]) -> None:
    named = {("message", "batch_id"), ("message", "address_hash"), ("suppression", "address_hash")}
    named |= {("event", "external_id"), ("enrollment", "version_id")}  # each names its few rows
    endless = [
        (look.table, look.leads, one.sql)
        for one, look in looks(asked)
        if look.leads not in KEYS[look.table] and (look.table, look.leads) not in named
        if "LIMIT" not in one.sql and "min(" not in one.sql and look.index not in SMALL
    ]

    assert endless == []


def test_a_day_was_looked_at(asked: list[Asked]) -> None:
    told = {one.during for one in asked}

    assert told == {"a start", "a beat", "events", "a page of a wave", "people who are due", "a batch", "trimming"}
    assert len(asked) > 60
    assert {look.table for _, look in looks(asked)} == set(GROW)
