"""What was published stays: its versions, what they changed, who is inside, and what people did with them."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from typed import Typed, typed

JOURNEY = "journeys/after_purchase.yaml"


@pytest.fixture
def running(shop: Path) -> Path:
    """The starter's journey, published by mei, with its three people inside."""
    assert typed(shop, "import", "people", "people.csv").code == 0
    assert typed(shop, "publish", "--yes", "--by", "mei").code == 0
    assert typed(shop, "import", "events", "events.csv", "--live").code == 0
    return shop


def edit(shop: Path, old: str, new: str, file: str = JOURNEY) -> None:
    path = shop / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def wait(shop: Path, span: timedelta) -> None:
    """Let time pass on the clock that the commands of this shop read."""
    later = datetime.fromisoformat((shop / "clock").read_text(encoding="utf-8")) + span
    (shop / "clock").write_text(later.isoformat(), encoding="utf-8")


def second_version(shop: Path) -> Typed:
    """An hour later, lin publishes a plan that waits longer and has a higher priority."""
    wait(shop, timedelta(hours=1))
    edit(shop, "- wait: 1m", "- wait: 2m")
    edit(shop, "topic: care", "topic: care\npriority: 70")
    return typed(shop, "publish", "--yes", "--by", "lin")


# --- versions --------------------------------------------------------------------------------------------------------


def test_each_version_says_when_by_whom_what_changed_and_who_is_inside(running: Path) -> None:
    assert second_version(running).code == 0

    told = typed(running, "versions", "after_purchase")

    lines = told.out.splitlines()
    assert (told.code, lines[1:3]) == (
        0,
        [
            "2        2026-11-24 10:00  lin  0       live",
            "1        2026-11-24 09:00  mei  3",
        ],
    )
    assert lines[4:8] == [
        "version 2, against 1",
        "  + priority: 70",
        "  + step wait-2m: wait: 2m",
        "  - step wait-1m: wait: 1m",
    ]


def test_a_program_reads_the_versions_as_one_value(running: Path) -> None:
    assert second_version(running).code == 0

    told = typed(running, "versions", "after_purchase", "--format", "json").value

    assert [(one["number"], one["by"], one["live"], one["inside"]) for one in told["versions"]] == [
        (2, "lin", True, 0),
        (1, "mei", False, 3),
    ]
    added = {"kind": "added", "step": None, "key": "priority", "before": None, "after": "70"}
    assert told["versions"][0]["changes"][0] == added
    assert [(one["deed"], one["number"], one["by"]) for one in told["journal"]] == [
        ("published", 1, "mei"),
        ("published", 2, "lin"),
    ]
    assert told["standing"]["state"] == "same"


def test_publishing_the_same_plan_again_is_no_version_and_no_deed(running: Path) -> None:
    edit(running, "  - wait: 1m", "  # a minute\n  - {id: wait-1m, wait: 1m}")
    assert typed(running, "publish", "--yes", "--by", "lin").code == 0

    told = typed(running, "versions", "after_purchase", "--format", "json").value

    assert [(one["number"], one["by"]) for one in told["versions"]] == [(1, "mei")]
    assert len(told["journal"]) == 1


def test_the_text_of_a_version_can_be_printed_as_it_was_written(running: Path) -> None:
    before = (running / JOURNEY).read_text(encoding="utf-8")
    assert second_version(running).code == 0

    told = typed(running, "versions", "after_purchase", "--show", "1")

    assert (told.code, told.out) == (0, before)
    asked = typed(running, "versions", "after_purchase", "--show", "1", "--format", "json").value
    assert asked == {"journey": "after_purchase", "version": 1, "file": JOURNEY, "text": before}


def test_what_was_published_with_the_journeys_has_versions_too(running: Path) -> None:
    edit(running, "at_least: 3", "at_least: 4", "journeys/audience.yaml")
    assert typed(running, "publish", "--yes").code == 0

    told = typed(running, "versions", "audience").out

    assert "  ~ segments.regulars: {orders_12m: {at_least: 3}} → {orders_12m: {at_least: 4}}" in told


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("versions after_purchas", "nothing of the name after_purchas was ever published; did you mean"),
        ("versions after_purchase --show 7", "after_purchase has no version 7; there are 1 to 1"),
        ("versions --show 1", "name the journey whose version is to be shown"),
    ],
)
def test_versions_that_are_not_there_are_bad_input(running: Path, words: str, sentence: str) -> None:
    told = typed(running, *words.split())

    assert told.code == 2
    assert sentence in told.err


def test_the_overview_says_how_each_file_stands_to_what_runs(running: Path) -> None:
    def file_of() -> tuple[str, str]:
        told = typed(running, "versions")
        (one,) = typed(running, "versions", "--format", "json").value
        return one["file"], told.out.splitlines()[1].split("  ")[-1].strip()

    assert file_of() == ("same", "says what runs")
    edit(running, "topic: care", "topic: care\npriority: 70")
    assert file_of() == ("edited", "says something else; publish makes it run")
    edit(running, "topic: care", "topik: care")
    assert file_of() == ("wrong", "has 1 mistake")
    (running / JOURNEY).unlink()
    assert file_of() == ("gone", "is gone")


# --- rollback --------------------------------------------------------------------------------------------------------


def versions_inside(shop: Path) -> dict[int, int]:
    told = typed(shop, "versions", "after_purchase", "--format", "json").value
    return {one["number"]: one["inside"] for one in told["versions"]}


def order(shop: Path, number: str) -> None:
    """One more order, now."""
    now = (shop / "clock").read_text(encoding="utf-8")
    text = f"id,person,name,at,payload.order_id,payload.total\n{number},c1,Order Completed,{now},{number},20\n"
    (shop / "order.csv").write_text(text, encoding="utf-8")
    assert typed(shop, "import", "events", "order.csv", "--live").code == 0


def test_after_a_rollback_people_enter_the_older_version_and_those_inside_stay(running: Path) -> None:
    assert second_version(running).code == 0
    order(running, "o-1")
    assert versions_inside(running) == {1: 3, 2: 1}

    told = typed(running, "rollback", "after_purchase", "--yes", "--by", "mei", "--reason", "too slow")

    assert told.code == 0
    assert "1 person inside stays on the steps of version 2" in told.out
    assert "  - priority: 70" in told.out
    assert "after_purchase: version 1 is live" in told.out
    order(running, "o-2")
    assert versions_inside(running) == {1: 4, 2: 1}
    assert (
        "2026-11-24 10:00  mei  rolled back to version 1: too slow" in typed(running, "versions", "after_purchase").out
    )


def test_the_file_keeps_its_text_and_publishing_it_says_that_the_version_comes_back(running: Path) -> None:
    assert second_version(running).code == 0
    text = (running / JOURNEY).read_bytes()

    told = typed(running, "rollback", "after_purchase", "--yes")

    assert f"{JOURNEY} says something else, and publishing it would make that live" in told.out
    assert f"outreach versions after_purchase --show 1 > {JOURNEY}" in told.out
    assert (running / JOURNEY).read_bytes() == text
    assert "version 2 again" in typed(running, "publish", "--yes").out
    assert typed(running, "versions", "--format", "json").value[0]["version"] == 2


def test_the_text_is_written_back_when_asked_for_unless_unpublished_edits_would_be_lost(running: Path) -> None:
    before = (running / JOURNEY).read_bytes()
    assert second_version(running).code == 0
    edit(running, "priority: 70", "priority: 71")

    refused = typed(running, "rollback", "after_purchase", "--yes", "--write")
    assert (refused.code, "holds edits that were never published" in refused.err) == (2, True)
    assert typed(running, "versions", "--format", "json").value[0]["version"] == 2

    edit(running, "priority: 71", "priority: 70")
    told = typed(running, "rollback", "after_purchase", "--yes", "--write")
    assert (told.code, (running / JOURNEY).read_bytes()) == (0, before)
    assert "says the same" in told.out


def test_rolling_back_twice_undoes_it(running: Path) -> None:
    assert second_version(running).code == 0
    for number in (1, 2, 1):
        assert typed(running, "rollback", "after_purchase", "--yes").code == 0
        assert typed(running, "versions", "--format", "json").value[0]["version"] == number


def test_without_a_yes_nothing_is_rolled_back(running: Path) -> None:
    assert second_version(running).code == 0

    told = typed(running, "rollback", "after_purchase", answer="n\n")

    assert (told.code, "nothing was changed" in told.out) == (0, True)
    assert typed(running, "versions", "--format", "json").value[0]["version"] == 2
    assert typed(running, "rollback", "after_purchase").code == 2


def test_a_version_that_speaks_of_what_is_gone_does_not_come_back(running: Path) -> None:
    edit(running, "leave: [{event: Order Cancelled}]", "leave: [{event: Order Cancelled}, {segment: regulars}]")
    assert typed(running, "publish", "--yes").code == 0
    edit(running, ", {segment: regulars}", "")
    edit(running, "regulars:", "faithful:", "journeys/audience.yaml")
    assert typed(running, "publish", "--yes").code == 0

    told = typed(running, "rollback", "after_purchase", "--to", "2", "--yes")

    assert told.code == 2
    assert "version 2 of after_purchase can no longer run" in told.err
    assert f"version 2 of {JOURNEY}:7:" in told.err
    assert "regulars" in told.err


def test_a_mistake_in_some_text_keeps_nobody_from_rolling_back(running: Path) -> None:
    assert second_version(running).code == 0
    edit(running, "event.order_id }}", "event.order_id", "templates/thank_you/email.en.mjml")

    assert typed(running, "rollback", "after_purchase", "--yes").code == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("rollback after_purchase --yes", "after_purchase has had one version only"),
        ("rollback after_purchase --to 1 --yes", "version 1 of after_purchase is the live one already"),
        ("rollback after_purchase --to 4 --yes", "after_purchase has no version 4"),
        ("rollback audience --yes", "traits and segments are not rolled back by themselves"),
        ("rollback nothing --yes", "nothing of the name nothing was ever published"),
    ],
)
def test_what_cannot_be_rolled_back_is_said_in_a_sentence(running: Path, words: str, sentence: str) -> None:
    told = typed(running, *words.split())

    assert (told.code, sentence in told.err) == (2, True)


# --- move ------------------------------------------------------------------------------------------------------------

MOVE = ("move", "after_purchase", "--from", "1", "--map", "wait-1m=wait-2m")


def test_a_move_is_looked_at_first_and_done_only_with_the_number_of_people(running: Path) -> None:
    assert second_version(running).code == 0

    looked = typed(running, *MOVE)

    assert (looked.code, versions_inside(running)) == (0, {1: 3, 2: 0})
    assert (
        looked.out.splitlines()[:3]
        == [
            "after_purchase: from version 1 to version 2",
            "step       people  goes to  can be moved  stay where they are",
            "the start  3       the start  3",
        ]
        or "can be moved" in looked.out
    )
    assert "outreach move after_purchase --from 1 --to 2 --map wait-1m=wait-2m --yes --expect 3" in looked.out

    assert typed(running, *MOVE, "--yes").code == 2
    refused = typed(running, *MOVE, "--yes", "--expect", "2")
    assert (refused.code, "nothing was moved: 2 people were expected, 3 can be moved" in refused.err) == (2, True)
    assert versions_inside(running) == {1: 3, 2: 0}

    done = typed(running, *MOVE, "--yes", "--expect", "3", "--by", "mei")
    assert (done.code, versions_inside(running)) == (0, {1: 0, 2: 3})
    assert "3 people were moved" in done.out
    assert "mei  moved people to version 2: 3 people of version 1" in typed(running, "versions", "after_purchase").out
    assert "mei moved it from version 1 to version 2" in typed(running, "explain", "c1").out


def test_explain_names_the_version_of_who_is_not_on_the_live_one(running: Path) -> None:
    assert ", version" not in typed(running, "explain", "c1").out
    assert second_version(running).code == 0

    assert ", version 1, inside" in typed(running, "explain", "c1").out


def test_a_program_is_told_who_goes_where_and_what_follows(running: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTREACH_SECRET", "a secret for tests only")
    order(running, "o-1")
    assert typed(running, "daemon", "--once").code == 0  # the orders of yesterday go through at once
    edit(running, "- wait: 1m", "- wait: 2m")
    assert typed(running, "publish", "--yes").code == 0
    wait(running, timedelta(minutes=5))

    told = typed(running, "move", "after_purchase", "--from", "1", "--format", "json").value
    assert (told["movable"], told["stay"], told["moved"]) == (0, 1, 0)
    (step,) = told["steps"]
    assert step == {"step": "wait-1m", "to": None, "people": 1, "movable": 0, "stay": {"step": 1}}

    told = typed(running, *MOVE, "--format", "json").value
    assert (told["movable"], told["stay"]) == (1, 0)
    assert told["follows"]["people"] == 1
    assert told["follows"]["unsent"] == [{"step": "send-thank_you", "rule": "capped", "people": 1}]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--map wait-1m", "--map is written OLD=NEW"),
        ("--map a=b --map a=c", "--map names two steps for a"),
        ("--yes --dry-run --expect 1", "--dry-run only looks"),
        ("--yes", "write --expect with the number of people"),
        ("--map nothing=wait-2m", "version 1 of after_purchase has no step nothing"),
    ],
)
def test_slips_in_a_move_are_told_in_a_sentence(running: Path, words: str, sentence: str) -> None:
    assert second_version(running).code == 0

    told = typed(running, "move", "after_purchase", "--from", "1", *words.split())

    assert (told.code, sentence in told.err) == (2, True)


# --- files that do not say what runs ---------------------------------------------------------------------------------


def told_by(shop: Path, *words: str) -> str:
    """The lines of a command that speak of the journey's file."""
    return "\n".join(line for line in typed(shop, *words).out.splitlines() if JOURNEY in line)


def test_S12_an_edit_with_mistakes_changes_nothing_and_is_told(running: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTREACH_SECRET", "a secret for tests only")
    assert told_by(running, "doctor") == told_by(running, "report", "after_purchase") == ""
    edit(running, "- wait: 1m", "- wait: soon")
    edit(running, "leave: [{event: Order Cancelled}]", "leave: [{segment: nobody}]")
    sentence = f"{JOURNEY} has 2 mistakes; version 1 runs on; see: outreach check"

    assert told_by(running, "doctor") == f"✗ {sentence}"
    assert typed(running, "doctor").code == 1
    assert told_by(running, "report", "after_purchase") == sentence
    assert typed(running, "report", "after_purchase", "--format", "json").value["standing"]["mistakes"] == 2
    assert told_by(running, "versions", "after_purchase") == sentence
    assert typed(running, "publish", "--yes").code == 2
    order(running, "o-1")
    assert versions_inside(running) == {1: 4}


def test_an_edit_that_waits_to_be_published_is_told(running: Path) -> None:
    edit(running, "- wait: 1m", "- wait: 2m")
    sentence = f"{JOURNEY} says something else; publish makes it run; version 1 runs on"

    assert told_by(running, "doctor") == f"• {sentence}"
    assert told_by(running, "report", "after_purchase") == sentence


def test_a_file_that_is_deleted_ends_nothing_and_it_is_said_how_to(running: Path) -> None:
    (running / "journeys" / "other.yaml").write_text((running / JOURNEY).read_text(encoding="utf-8"), encoding="utf-8")
    (running / JOURNEY).unlink()
    cure = "if it was renamed, write `was: after_purchase` in its new file"
    sentence = f"{JOURNEY} is gone; version 1 runs on; {cure}; to end it for good: outreach retire after_purchase"

    assert told_by(running, "doctor") == f"• {sentence}"
    assert told_by(running, "publish", "--yes") == sentence
    order(running, "o-1")
    assert versions_inside(running)[1] == 4


# --- retire ----------------------------------------------------------------------------------------------------------


def test_a_retired_journey_lets_nobody_in_and_runs_on_for_those_inside(
    running: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTREACH_SECRET", "a secret for tests only")
    told = typed(running, "retire", "after_purchase", "--yes", "--by", "mei", "--reason", "season is over")

    assert told.code == 0
    assert "3 people inside go on to the end of their plan; to let them out: --let-out" in told.out
    order(running, "o-1")
    assert versions_inside(running) == {1: 3}
    assert typed(running, "daemon", "--once").code == 0
    assert len(typed(running, "messages", "--state", "accepted", "--format", "json").value) == 2
    assert "2026-11-24 09:00  mei  retired it: season is over" in typed(running, "versions", "after_purchase").out
    assert (
        "retired since 2026-11-24 09:00 UTC: nobody enters any more" in typed(running, "report", "after_purchase").out
    )
    assert "nobody enters any more" in typed(running, "explain", "c1").out
    assert typed(running, "versions").out.splitlines()[1].endswith("retired 2026-11-24 09:00")


def test_a_retired_journey_stays_so_until_it_is_published_by_its_name(running: Path) -> None:
    assert typed(running, "retire", "after_purchase", "--yes").code == 0
    assert typed(running, "publish", "--yes").code == 2

    told = typed(running, "publish", "after_purchase", "--yes")

    assert (told.code, "opens again" in told.out) == (0, True)
    order(running, "o-1")
    assert versions_inside(running) == {1: 4}


def test_a_retirement_asks_and_counts(running: Path) -> None:
    assert typed(running, "retire", "after_purchase", answer="n\n").code == 0
    assert typed(running, "retire", "after_purchase").code == 2
    refused = typed(running, "retire", "after_purchase", "--yes", "--expect", "4")
    assert (refused.code, "4 people were expected, 3 are inside" in refused.err) == (2, True)
    assert typed(running, "versions", "--format", "json").value[0]["retired_at"] is None

    assert typed(running, "retire", "after_purchase", "--yes", "--expect", "3").code == 0
    again = typed(running, "retire", "after_purchase", "--yes")
    assert (again.code, "after_purchase was retired at 2026-11-24 09:00 UTC" in again.err) == (2, True)
    assert typed(running, "retire", "after_purchase", "--let-out", "--yes").code == 0
