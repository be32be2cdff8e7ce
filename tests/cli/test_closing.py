"""After a crash: what doctor names, what closes it, and that doctor is content afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import shops
from sqlalchemy import text
from stubs import CONFIG, World, die
from typed import Typed, typed

from engine.store import enrollments
from engine.work.sending.recovery import DEATHS, recover


@pytest.fixture
def crashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shop whose daemon died: of two mails nobody knows, one killed it three times, and so did a person."""
    monkeypatch.setenv("OUTREACH_SECRET", shops.SECRET)
    config = CONFIG.replace("policy:", "policy:\n  max_lateness: 1d") + "test_clock: clock\n"
    world = World(tmp_path / "shop", config=config)
    names = world.people(4)
    world.order(*names[:2])
    die(world)
    recover(world.app, world.clock.now())
    world.email.features = type(world.email.features)(dedupe_by="key", in_flight=8)
    world.order(names[2])
    for _ in range(DEATHS):
        die(world)
        recover(world.app, world.clock.now())
    world.order(names[3])
    with world.app.database.writing() as connection:
        connection.execute(text("UPDATE enrollment SET failures = 2 WHERE customer_id = 4"))
        enrollments.note_failure(connection, [4], "the process died while it was deciding", world.clock.now())
    world.close()
    (world.app.home / "clock").write_text(shops.NOW.isoformat())
    return world.app.home


def numbers(shop: Path, state: str) -> list[str]:
    rows = typed(shop, "messages", "--state", state, "--format", "json").value
    return sorted(str(row["id"]) for row in rows)


def findings(shop: Path) -> list[str]:
    found: list[dict[str, Any]] = typed(shop, "doctor", "--format", "json").value
    return [one["sentence"] for one in found if not one["ok"]]


def test_doctor_names_what_is_open_with_its_command_and_is_content_once_a_person_has_closed_it(crashed: Path) -> None:
    assert typed(crashed, "doctor").code == 1
    unknown, dead, aside = findings(crashed)
    assert "2 messages are unknown" in unknown
    assert "outreach messages --state unknown" in unknown
    assert "outreach messages close" in unknown
    assert "1 message is dead" in dead
    assert "outreach messages --state dead" in dead
    assert "1 person is set aside" in aside
    assert "outreach set-aside list" in aside

    came, lost = numbers(crashed, "unknown")
    (dead_one,) = numbers(crashed, "dead")
    (way,) = typed(crashed, "set-aside", "list", "--format", "json").value
    assert (way["person"], way["journey"], way["reason"]) == ("p0003", "note", "the process died while it was deciding")

    words = ("--reason", "looked up in the log of the server", "--by", "mei")
    assert typed(crashed, "messages", "close", came, "--as", "accepted", *words).code == 0
    not_sent = typed(crashed, "messages", "close", lost, "--as", "not-accepted", *words)
    assert not_sent.code == 0
    assert f"outreach messages retry {lost}" in not_sent.out
    assert typed(crashed, "messages", "drop", dead_one, *words).code == 0
    assert typed(crashed, "set-aside", "drop", str(way["id"]), *words).code == 0

    assert findings(crashed) == []
    content = typed(crashed, "doctor")
    assert content.code == 0
    assert {"✓ no message is unknown", "✓ no message is dead", "✓ nobody is set aside"} <= set(content.out.splitlines())
    told = typed(crashed, "explain", "p0000").out
    assert "mei says that it was accepted: looked up in the log of the server" in told
    assert "mei ends it: looked up in the log of the server" in typed(crashed, "explain", "p0003").out


def test_what_is_brought_back_leaves_with_the_next_beat(crashed: Path) -> None:
    (dead,) = numbers(crashed, "dead")
    (way,) = typed(crashed, "set-aside", "list", "--format", "json").value
    assert "set aside: the process died while it was deciding" in typed(crashed, "explain", "p0003").out
    assert typed(crashed, "messages", "retry", dead, "--by", "mei").code == 0
    assert typed(crashed, "set-aside", "retry", str(way["id"]), "--by", "mei").code == 0

    assert typed(crashed, "daemon", "--once").code == 0

    assert {p["person"] for p in accepted(crashed)} == {"p0002", "p0003"}
    assert "mei tries it again" in typed(crashed, "explain", "p0002").out
    assert "nobody is set aside" in typed(crashed, "set-aside", "list").out


def accepted(shop: Path) -> list[dict[str, Any]]:
    return list(typed(shop, "messages", "--state", "accepted", "--format", "json").value)


def test_a_word_that_changes_nothing_ends_with_1_and_says_why_of_each(crashed: Path) -> None:
    first, second = numbers(crashed, "unknown")
    typed(crashed, "messages", "close", first, "--as", "accepted", "--reason", "r", "--by", "mei")

    told = typed(crashed, "messages", "close", first, second, "--as", "accepted", "--reason", "r", "--format", "json")

    assert told.code == 1
    assert [(one["id"], one["done"], one["state"]) for one in told.value] == [
        (int(first), False, "accepted"),
        (int(second), True, "accepted"),
    ]
    assert "it is accepted, not unknown" in told.value[0]["sentence"]
    assert typed(crashed, "messages", "retry", first).code == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("messages close 1 --as perhaps --reason r", "--as is accepted or not-accepted, not perhaps"),
        ("messages close 1 --as accepted", "--reason is missing"),
        ("messages close --as accepted --reason r", "NUMBER is missing"),
        ("messages close 999 --as accepted --reason r", "there is no message 999; nothing was changed"),
        ("messages --state unknown close 1 --as accepted --reason r", "outreach messages close takes the numbers"),
        ("messages drop 1 --reason=", "--reason is empty"),
        ("messages clse 1", "there is no command clse; did you mean close?"),
        ("set-aside retry 999", "there is no way 999 through a journey; nothing was changed"),
        ("set-aside", "name a command"),
    ],
)
def test_a_slip_of_the_fingers_closes_nothing(crashed: Path, words: str, sentence: str) -> None:
    told = typed(crashed, *words.split())

    assert told.code == 2
    assert f"error: {sentence}" in told.err
    assert len(numbers(crashed, "unknown")) == 2


# --- the secret ------------------------------------------------------------------------------------------------------

GOOD = shops.SECRET


def sick(told: Typed) -> list[str]:
    return [line for line in told.out.splitlines() if "✗" in line and "OUTREACH_SECRET" in line]


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (f"{GOOD},", "secret 2 of 2 in the environment variable OUTREACH_SECRET: it is empty"),
        (f",{GOOD}", "secret 1 of 2 in the environment variable OUTREACH_SECRET: it is empty"),
        (f"{GOOD},short,{GOOD}x", "secret 2 of 3 in the environment variable OUTREACH_SECRET: it is shorter than 16"),
        (" ", "the environment variable OUTREACH_SECRET holds no secret"),
    ],
)
def test_each_of_several_secrets_is_looked_at(
    crashed: Path, monkeypatch: pytest.MonkeyPatch, value: str, sentence: str
) -> None:
    assert sick(typed(crashed, "doctor")) == []
    monkeypatch.setenv("OUTREACH_SECRET", value)
    (told,) = sick(typed(crashed, "doctor"))
    assert sentence in told
    started = typed(crashed, "daemon", "--once")
    assert (started.code, "OUTREACH_SECRET" in started.err) == (3, True)


def test_several_good_secrets_are_told_with_their_parts(crashed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTREACH_SECRET", f"a new secret of today, {GOOD}")
    told = typed(crashed, "doctor").out
    assert "secret 1 of 2 in the environment variable OUTREACH_SECRET: it signs links" in told
    assert "secret 2 of 2 in the environment variable OUTREACH_SECRET: it is still recognised" in told
    assert GOOD not in told
