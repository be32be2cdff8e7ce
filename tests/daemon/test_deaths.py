"""People the process dies of while it decides about them: after three deaths they are set aside, and nobody waits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import shops
from daemons import Books, Nursery, set_clock
from stubs import CONFIG, JOURNEY, World

DEADLY = """
import os, signal
import engine.work.advance as advance

real = advance.render_want

def render_want(app, state, rules, want, *rest):
    if {condition}:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(app, state, rules, want, *rest)

advance.render_want = render_want
"""
OF_ONE = DEADLY.format(condition="state.person.external_id == 'p0007'")
OF_ONE_JOURNEY = DEADLY.format(condition="(state.person.external_id, want.enrollment.journey) == ('p0007', 'deadly')")
OF_ALL = DEADLY.format(condition="True")
ASIDE = (
    "SELECT c.external_id, e.journey FROM enrollment e JOIN customer c ON c.id = e.customer_id WHERE e.failures >= 3"
)


def ready(folder: Path, people: int, **journeys: str) -> Path:
    """A shop with so many orders that wait for their note."""
    world = World(folder, journeys or None, CONFIG + "test_clock: clock.txt\n")
    world.order(*world.people(people))
    world.close()
    set_clock(folder, shops.NOW)
    return folder


def deaths(born: Nursery, folder: Path, first: str, limit: int = 9) -> int:
    """Start it until it lives through a whole beat; how often it died before."""
    for died in range(limit):
        code = born.start(folder, "daemon", "--once", first=first).wait()
        if code != -9:
            assert code == 0
            return died
    raise AssertionError(f"it died {limit} times")


def test_D19_one_person_that_kills_the_process_is_set_aside_after_three_deaths_and_all_others_get_their_mail(
    tmp_path: Path, born: Nursery
) -> None:
    """Broken by hand: with a limit of 99 failures it died at every start."""
    folder = ready(tmp_path / "shop", 120)
    assert deaths(born, folder, OF_ONE) == 3
    look = Books(folder)
    assert look.rows(ASIDE) == [("p0007", "note")]
    assert look.one("SELECT reason FROM enrollment WHERE failures >= 3") == "the process died while it was deciding"
    assert look.one("SELECT count(*) FROM delivery WHERE kind = 'accepted'") == 119
    assert len(list((folder / "outbox" / "email").glob("*.eml"))) == 119
    assert look.one("SELECT count(*) FROM chunk") == 0
    assert look.one("SELECT count(*) FROM enrollment WHERE active AND failures BETWEEN 1 AND 2") == 0
    look.close()


def test_who_comes_while_it_dies_again_and_again_does_not_wait(tmp_path: Path, born: Nursery) -> None:
    folder = ready(tmp_path / "shop", 20)
    assert born.start(folder, "daemon", "--once", first=OF_ONE).wait() == -9
    world = shops.opened(folder)
    shops.add_people(world, [{"external_id": "late"}])
    shops.happen(world, "o-late", "late", "Order Completed", {"order_id": "late"})
    world.close()
    assert born.start(folder, "daemon", "--once", first=OF_ONE).wait() == -9
    look = Books(folder)
    whose = "SELECT c.external_id FROM delivery d JOIN customer c ON c.id = d.customer_id WHERE d.kind = 'accepted'"
    assert look.rows(whose) == [("late",)]
    look.close()


def test_only_the_journey_that_kills_is_set_aside_and_the_others_of_that_person_go_on(
    tmp_path: Path, born: Nursery
) -> None:
    orders = JOURNEY.replace("topic: news", "topic: orders")
    folder = ready(tmp_path / "shop", 20, deadly=orders, good=orders)
    assert deaths(born, folder, OF_ONE_JOURNEY) == 3
    look = Books(folder)
    assert look.rows(ASIDE) == [("p0007", "deadly")]
    went = dict(look.rows("SELECT m.journey, count(*) FROM message m GROUP BY m.journey"))
    assert went == {"deadly": 19, "good": 20}
    look.close()


def test_deaths_that_are_nobodys_fault_set_nobody_aside(tmp_path: Path, born: Nursery) -> None:
    """Killed in the middle of a chunk, then in the middle of a part of it, then no more."""
    folder = ready(tmp_path / "shop", 120)
    for _ in range(2):
        assert born.start(folder, "daemon", "--once", first=OF_ALL).wait() == -9
    assert deaths(born, folder, "") == 0
    look = Books(folder)
    assert look.rows(ASIDE) == []
    assert look.one("SELECT count(*) FROM delivery WHERE kind = 'accepted'") == 120
    assert look.one("SELECT count(*) FROM enrollment WHERE failures > 0") == 0
    look.close()


def test_a_person_set_aside_stays_so_through_later_days_and_deaths(tmp_path: Path, born: Nursery) -> None:
    folder = ready(tmp_path / "shop", 3)
    first = OF_ONE.replace("p0007", "p0001")
    assert deaths(born, folder, first) == 3
    set_clock(folder, shops.NOW + timedelta(days=2))
    assert deaths(born, folder, first) == 0
    look = Books(folder)
    assert look.rows(ASIDE) == [("p0001", "note")]
    look.close()


WAVE = """
title: A wave at noon
owner: us
topic: orders
enter: {every: day, at: "12:00", zone: person, segment: everyone}
again: always
steps: [{send: note, via: [email]}]
"""
NOON = datetime(2026, 11, 24, 11, tzinfo=UTC)  # in Berlin


def test_one_person_that_kills_the_process_while_a_wave_lets_them_in_is_set_aside_after_three_deaths_too(
    tmp_path: Path, born: Nursery
) -> None:
    folder = ready(tmp_path / "shop", 120, note=WAVE)
    set_clock(folder, NOON)
    assert deaths(born, folder, OF_ONE) == 3
    look = Books(folder)
    assert look.rows(ASIDE) == [("p0007", "note")]
    assert look.one("SELECT count(*) FROM enrollment") == 120, "everybody entered once"
    assert look.one("SELECT count(*) FROM delivery WHERE kind = 'accepted'") == 119
    assert look.rows("SELECT state, entered FROM run") == [("done", 120)]
    look.close()
