"""After a crash: what doctor names, what closes it, and that doctor is content afterwards."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import shops
from sqlalchemy import text
from stubs import CONFIG, World, die
from typed import Typed, typed

from engine.store import enrollments
from engine.work.recovery import recover
from engine.work.sending.after_death import DEATHS


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
    assert "outreach unknown list" in unknown
    assert "outreach unknown close" in unknown
    assert "1 message is dead" in dead
    assert "outreach dead list" in dead
    assert "1 person is set aside" in aside
    assert "outreach set-aside list" in aside

    came, lost = numbers(crashed, "unknown")
    (dead_one,) = numbers(crashed, "dead")
    (way,) = typed(crashed, "set-aside", "list", "--format", "json").value
    assert (way["person"], way["journey"], way["reason"]) == ("p0003", "note", "the process died while it was deciding")

    words = ("--reason", "looked up in the log of the server", "--by", "mei")
    assert typed(crashed, "unknown", "close", came, "--sent", *words).code == 0
    not_sent = typed(crashed, "unknown", "close", lost, "--not-sent", *words)
    assert not_sent.code == 0
    assert f"outreach dead retry {lost}" in not_sent.out
    assert typed(crashed, "dead", "drop", dead_one, *words).code == 0
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
    assert typed(crashed, "dead", "retry", dead, "--by", "mei").code == 0
    assert typed(crashed, "set-aside", "retry", str(way["id"]), "--by", "mei").code == 0

    assert typed(crashed, "daemon", "--once").code == 0

    assert {p["person"] for p in accepted(crashed)} == {"p0002", "p0003"}
    assert "mei tries it again" in typed(crashed, "explain", "p0002").out
    assert "nobody is set aside" in typed(crashed, "set-aside", "list").out


def accepted(shop: Path) -> list[dict[str, Any]]:
    return list(typed(shop, "messages", "--state", "accepted", "--format", "json").value)


def test_a_word_that_changes_nothing_ends_with_1_and_says_why_of_each(crashed: Path) -> None:
    first, second = numbers(crashed, "unknown")
    typed(crashed, "unknown", "close", first, "--sent", "--reason", "r", "--by", "mei")

    told = typed(crashed, "unknown", "close", first, second, "--sent", "--reason", "r", "--format", "json")

    assert told.code == 1
    assert [(one["id"], one["done"], one["state"]) for one in told.value] == [
        (int(first), False, "accepted"),
        (int(second), True, "accepted"),
    ]
    assert "it is accepted, not unknown" in told.value[0]["sentence"]
    assert typed(crashed, "dead", "retry", first).code == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("unknown close 1 --reason r", "say what you found out: --sent, or --not-sent"),
        ("unknown close 1 --sent --not-sent --reason r", "say what you found out: --sent, or --not-sent"),
        ("unknown close 1 --sent --retry --reason r", "--retry goes with --not-sent"),
        ("unknown close 1 --sent", "--reason is missing"),
        ("unknown close --sent --reason r", "name numbers, or choose by"),
        ("unknown close 1 --all --sent --reason r", "name numbers, or choose by"),
        ("unknown close 999 --sent --reason r", "there is no message 999; nothing was changed"),
        ("unknown close --all --sent --reason r", "nobody is there to be asked, and nothing was done; write --yes"),
        ("unknown list --journey notes", "there is no published journey notes; did you mean"),
        ("unknown list --channel mail", "there is no channel mail; did you mean"),
        ("unknown list --older soon", "--older: 'soon' is not a duration"),
        ("dead drop 1 --reason=", "--reason is empty"),
        ("unknown clse 1", "there is no command clse; did you mean close?"),
        ("set-aside retry 999", "there is no way 999 through a journey; nothing was changed"),
        ("set-aside", "name a command"),
    ],
)
def test_a_slip_of_the_fingers_closes_nothing(crashed: Path, words: str, sentence: str) -> None:
    told = typed(crashed, *words.split())

    assert told.code == 2
    assert f"error: {sentence}" in told.err
    assert len(numbers(crashed, "unknown")) == 2


# --- lists, filters --------------------------------------------------------------------------------------------------


def listed(shop: Path, *words: str) -> list[dict[str, Any]]:
    return list(typed(shop, *words, "--format", "json").value)


def test_unknown_list_tells_since_when_whom_to_ask_and_what_can_close_it(crashed: Path) -> None:
    first, second = listed(crashed, "unknown", "list")
    assert (first["person"], first["journey"], first["step"], first["channel"]) == (
        "p0000",
        "note",
        "send-note",
        "email",
    )
    assert first["since"] == first["begun_at"] == shops.NOW.isoformat()
    assert (first["provider"], first["provider_id"], first["attempts"]) == ("stub", None, 1)
    assert first["repeat_until"] is None, "config.yaml names another provider now, and nobody else knows the key"
    assert "the process died after it began to leave" in first["reason"]
    shown = typed(crashed, "unknown", "list").out
    assert {"since (UTC)", "provider", "its number there", "what can close it"} <= set(
        shown.splitlines()[0].split("  ")
    )
    assert "a person" in shown
    assert second["id"] > first["id"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("--journey note", 2),
        ("--journey other", 0),
        ("--channel sms", 0),
        ("--channel email --provider stub", 2),
        ("--provider smtp", 0),
        ("--older 0m", 2),
        ("--older 1h", 0),
        ("--limit 1", 1),
    ],
)
def test_the_lists_are_filtered(crashed: Path, words: str, found: int) -> None:
    if "other" in words:
        assert typed(crashed, "unknown", "list", *words.split()).code == 2
        return
    assert len(listed(crashed, "unknown", "list", *words.split())) == found
    assert len(listed(crashed, "dead", "list", *words.split())) == min(found, 1)


def test_what_a_filter_finds_is_asked_about_and_closed_together(crashed: Path) -> None:
    close = ("unknown", "close", "--channel", "email", "--not-sent", "--reason", "their log is empty", "--by", "mei")
    no = typed(crashed, *close, answer="n\n")
    assert (no.code, len(numbers(crashed, "unknown"))) == (0, 2)
    assert "found: 2; close them as not sent?" in no.err
    assert "nothing was changed" in no.out
    assert typed(crashed, *close, answer="y\n").code == 0
    assert numbers(crashed, "unknown") == []
    assert len(numbers(crashed, "dropped")) == 2
    nothing = typed(crashed, *close)
    assert (nothing.code, nothing.out) == (0, "there is no such message\n")


def test_D5_an_unknown_stays_listed_until_a_person_closes_it_and_the_reason_is_kept(crashed: Path) -> None:
    """Broken by hand: with an `unknown` that weighs less than the attempt it is about, the next start opens it again
    and the list changes with every beat."""
    before = listed(crashed, "unknown", "list")
    for hours in (1, 30, 24 * 40):
        (crashed / "clock").write_text((shops.NOW + timedelta(hours=hours)).isoformat())
        assert typed(crashed, "daemon", "--once").code == 0
        assert listed(crashed, "unknown", "list") == before
    numbers_ = [str(one["id"]) for one in before]
    assert (
        typed(crashed, "unknown", "close", *numbers_, "--sent", "--reason", "log of the 24th", "--by", "mei").code == 0
    )
    assert listed(crashed, "unknown", "list") == []
    for person in ("p0000", "p0001"):
        assert "mei says that it was accepted: log of the 24th" in typed(crashed, "explain", person).out


def test_D20_a_dead_message_stays_with_reason_and_last_answer_until_a_person_decides(crashed: Path) -> None:
    before = listed(crashed, "dead", "list")
    (dead,) = before
    assert "the process died 3 times while it was leaving" in dead["reason"]
    assert dead["attempts"] == 3
    (crashed / "clock").write_text((shops.NOW + timedelta(days=40)).isoformat())
    assert typed(crashed, "daemon", "--once").code == 0
    assert listed(crashed, "dead", "list") == before
    late = typed(crashed, "dead", "retry", "--all", "--yes", "--by", "mei")
    assert late.code == 1, "the rules of sending are asked, and it is too late"
    assert listed(crashed, "dead", "list") == before
    assert typed(crashed, "dead", "drop", "--journey", "note", "--yes", "--reason", "too late", "--by", "mei").code == 0
    assert listed(crashed, "dead", "list") == []
    assert "mei drops it: too late" in typed(crashed, "explain", "p0002").out


def test_what_was_not_sent_is_tried_again_where_that_is_asked_for(crashed: Path) -> None:
    words = ("--not-sent", "--retry", "--reason", "never came", "--by", "mei", "--yes")
    told = typed(crashed, "unknown", "close", "--all", *words, "--format", "json")
    assert (told.code, [(one["done"], one["state"]) for one in told.value]) == (0, [(True, "retry")] * 2)
    assert typed(crashed, "daemon", "--once").code == 0
    assert {"p0000", "p0001"} <= {p["person"] for p in accepted(crashed) if p["channel"] == "email"}


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
