"""Every command as it is typed: what it does, what it leaves alone, and what it ends with."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import shops
from typed import typed

from engine.cli.commands import COMMANDS, Entry
from engine.cli.error_page import PAGE, page
from engine.simulate.answers import load_answers

HERE = Path(__file__).parents[2]
JOURNEY = "journeys/after_purchase.yaml"
MAIN = [sys.executable, "-m", "engine.cli.main"]
ENGLISH = {**os.environ, "LANGUAGE": "en", "PYTHONPATH": str(HERE)}


@pytest.fixture
def filled(shop: Path) -> Path:
    """The starter's shop with its people and their orders."""
    assert typed(shop, "import", "people", "people.csv").code == 0
    assert typed(shop, "import", "events", "events.csv").code == 0
    return shop


def edit(shop: Path, old: str, new: str, file: str = JOURNEY) -> None:
    path = shop / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def bytes_of(shop: Path) -> dict[str, bytes]:
    """Every file of a shop; of the database, what a reader would find in it and its log."""
    return {path.name: path.read_bytes() for path in shop.rglob("*") if path.is_file() and path.suffix != ".db-shm"}


# --- help and global options ------------------------------------------------------------------------------------------


def commands(entries: dict[str, Entry], *before: str) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, entry in entries.items():
        found += [(*before, name)] if entry.place else []
        found += commands(entry.inner or {}, *before, name)
    return found


@pytest.mark.parametrize("words", commands(COMMANDS), ids=" ".join)
def test_every_command_explains_itself_and_each_of_its_options(tmp_path: Path, words: tuple[str, ...]) -> None:
    told = typed(tmp_path, *words, "--help")

    assert told.code == 0
    assert told.out.startswith(f"Usage: outreach {' '.join(words)}")
    options = re.findall(r"^  (-{1,2}\S+.*|[A-Z]+ .*)$", told.out, re.MULTILINE)
    assert [line for line in options if not re.search(r"\S {2,}\S", line) and len(line) < 24] == []


def test_without_a_word_the_help_is_shown(tmp_path: Path) -> None:
    told = typed(tmp_path)

    assert told.code == 0
    assert all(name in told.out for name in COMMANDS)


def test_the_version_is_told_and_nothing_else_is_done(tmp_path: Path) -> None:
    number = version("outreach")
    told = typed(tmp_path, "--version")

    assert (told.code, told.out, told.err) == (0, f"outreach {number}\n", "")
    assert typed(tmp_path, "--version", "--format", "json").value == {"version": number}
    assert typed(tmp_path, "--version", "init", "shop").code == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("chekc", "there is no command chekc; did you mean check?"),
        ("preview", "JOURNEY is missing"),
        ("tasks", "name a command"),
        ("tasks shw", "there is no command shw; did you mean show?"),
        ("tasks show one", "NUMBER: "),
        ("publish --yess", "there is no option --yess; did you mean --yes?"),
        ("publish --expect many", "--expect: "),
        ("preview x --sample 0", "--sample: "),
        ("check --format yaml", "--format is text, json, github, sarif or junit, not yaml"),
        ("doctor --format yaml", "--format is text or json, not yaml"),
        ("--version --format github", "--format is text or json, not github"),
        ("check --version", "there is no option --version"),
        ("check --config", "--config needs a value"),
        ("simulate --from tomorrow", "'tomorrow' is no instant"),
        ("simulate --from 2026-12-02 --to 2026-12-01", "--to must be later than --from"),
        ("messages --state sent", "there is no state sent"),
        ("pause --all after_purchase", "name a journey or write --all, not both"),
    ],
)
def test_a_slip_of_the_fingers_is_bad_input_and_told_in_a_sentence(shop: Path, words: str, sentence: str) -> None:
    told = typed(shop, *words.split())

    assert told.code == 2
    assert f"error: {sentence}" in told.err
    if "--format" not in words and "--config" not in words:
        assert sentence in typed(shop, "--format", "json", *words.split()).value["error"]


@pytest.mark.parametrize("words", ["--format json check", "check --format json", "check --format=json"])
def test_global_options_may_stand_anywhere(shop: Path, words: str) -> None:
    elsewhere = shop.parent

    told = typed(elsewhere, *words.split(), "--config", "shop/config.yaml")

    assert (told.code, told.value["journeys"]) == (0, ["after_purchase"])


@pytest.mark.parametrize(
    "words",
    [
        *("check", "schema", "schema --check", "doctor", "messages", "tasks list", "approve", "explain c1"),
        *("preview after_purchase", "simulate", "publish --yes", "pause --all", "report after_purchase"),
        *("import people people.csv", "import events events.csv", "chekc", "preview", "publish", "--help"),
        *("report nothing", "tasks show 9", "resume --lane email", "messages --show 9", "preview nothing"),
    ],
)
def test_a_program_gets_exactly_one_value_whatever_happens(filled: Path, words: str) -> None:
    told = typed(filled, *words.split(), "--format", "json")

    assert isinstance(told.value, dict | list)
    assert told.code in (0, 1, 2, 3)
    if isinstance(told.value, dict) and "error" in told.value:
        assert told.value["error"]
        assert isinstance(told.value["problems"], list)


def test_where_nobody_is_known_no_days_are_played(shop: Path) -> None:
    told = typed(shop, "simulate")
    assert told.code == 1
    assert "outreach import people FILE" in told.out
    assert "running" not in told.out
    assert typed(shop, "simulate", "--format", "json").value["people"] == 0


# --- beginning --------------------------------------------------------------------------------------------------------


def test_the_steps_that_init_prints_lead_to_a_mail_word_by_word(tmp_path: Path) -> None:
    told = typed(tmp_path, "init", "my shop")
    steps = re.findall(r"^  (.*)$", told.out.partition("Try next:")[2], re.MULTILINE)
    program = tmp_path / "bin" / "outreach"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.join(MAIN)} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    path = os.pathsep.join([str(program.parent), os.environ["PATH"]])

    done = subprocess.run(
        ["sh", "-ec", "\n".join(steps)],
        cwd=tmp_path,
        env={**ENGLISH, "PATH": path},
        input="y\n",
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0)
    assert "3 journeys started" in done.stdout
    assert "2 messages handed over" in done.stdout
    assert "thank_you is not sent: email: opted out of care by email" in done.stdout
    assert len(list((tmp_path / "my shop" / "outbox").rglob("*.eml"))) == 2


# --- why nothing happened ---------------------------------------------------------------------------------------------


def test_explain_says_that_an_event_came_as_history(filled: Path) -> None:
    _wait(filled, minutes=1)
    assert typed(filled, "publish", "--yes").code == 0
    assert "was known before this journey was published" in typed(filled, "explain", "c1").out

    event = f"id,person,name,at\nh1,c1,Order Completed,{shops.NOW.isoformat()}\n"
    (filled / "later.csv").write_text(event, encoding="utf-8")
    _wait(filled, minutes=1)
    assert typed(filled, "import", "events", "later.csv").code == 0

    told = typed(filled, "explain", "c1").out
    assert "did not enter: the Order Completed of 2026-11-24 09:00 came as history: imported without --live" in told
    assert f"({JOURNEY}:5)" in told


def test_explain_says_that_an_event_came_too_late(shop: Path) -> None:
    assert typed(shop, "import", "people", "people.csv").code == 0
    assert typed(shop, "publish", "--yes").code == 0
    _wait(shop, minutes=13 * 60)
    assert typed(shop, "import", "events", "events.csv", "--live").code == 0

    assert "came too late to start anything: more than 12h after it was" in typed(shop, "explain", "c1").out


def _wait(shop: Path, minutes: int) -> None:
    """Let time pass on the clock that the commands of this shop read."""
    later = datetime.fromisoformat((shop / "clock").read_text(encoding="utf-8")) + timedelta(minutes=minutes)
    (shop / "clock").write_text(later.isoformat(), encoding="utf-8")


def test_commands_that_write_no_message_do_not_stumble_over_a_text(filled: Path) -> None:
    assert typed(filled, "publish", "--yes").code == 0
    edit(filled, "event.order_id }}", "event.order_id", "templates/thank_you/email.en.mjml")

    assert typed(filled, "check").code == 2
    for step in ("messages", "explain c1", "tasks list", "report after_purchase", "pause --all", "resume --all"):
        assert typed(filled, *step.split()).code == 0


def test_init_leaves_a_folder_with_something_in_it_alone(shop: Path) -> None:
    before = bytes_of(shop)

    assert typed(shop.parent, "init", "shop").code == 2
    assert bytes_of(shop) == before


# --- schema -----------------------------------------------------------------------------------------------------------


def test_the_schema_of_the_journeys_that_ship_is_fresh() -> None:
    assert typed(HERE, "schema", "--check").code == 0, "run: outreach schema"


def test_a_stale_schema_is_told_and_written_anew(shop: Path) -> None:
    assert typed(shop, "schema", "--check").code == 1
    assert typed(shop, "schema").code == 0
    assert typed(shop, "schema", "--check").code == 0
    edit(shop, "  care: {title", "  news: {title: News, purpose: marketing}\n  care: {title", "config.yaml")
    assert typed(shop, "schema", "--check").code == 1
    assert json.loads((shop / "journeys" / "journey.schema.json").read_text(encoding="utf-8"))["title"] == "A journey"


# --- check ------------------------------------------------------------------------------------------------------------


def test_check_counts_every_journey_message_and_text_with_mistakes_or_without(shop: Path) -> None:
    sound = typed(shop, "check").out
    edit(shop, "wait: 1m", "wait: 6 hours")
    broken = typed(shop, "check").out

    counts = sound.partition(", one for")[0]
    assert counts.startswith("1 journey, ")
    assert broken.startswith(f"{counts}, one for each channel and language: 1 error, 0 warnings")


def test_check_writes_nothing_not_even_a_database(shop: Path) -> None:
    before = bytes_of(shop)

    assert typed(shop, "check").code == 0
    assert bytes_of(shop) == before


def test_check_needs_no_more_of_the_house_than_it_uses(shop: Path) -> None:
    code = (
        "import sys\nfrom engine.cli.main import run_command\ncode = run_command(['check'])\n"
        "heavy = {'fastapi', 'uvicorn', 'apscheduler', 'rich', 'aiosmtplib', 'email_validator'}\n"
        "print(code, sorted(heavy & sys.modules.keys()))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=shop, env=ENGLISH, capture_output=True, text=True, check=True
    )

    assert ended.stdout.splitlines()[-1] == "0 []"


# --- publish ----------------------------------------------------------------------------------------------------------


def test_publishing_asks_first_and_a_no_changes_nothing(filled: Path) -> None:
    asked = typed(filled, "publish", answer="n\n")

    assert "Publish?" in asked.err
    assert "nothing was published" in asked.out
    assert typed(filled, "report", "after_purchase").code == 2


def test_what_is_published_stands_beside_what_changes(filled: Path) -> None:
    first = typed(filled, "publish", "--yes").out
    edit(filled, "wait: 1m", "wait: 2d")

    assert re.search(r"after_purchase +new +whoever brings its event +0", first)
    assert re.search(r"after_purchase +changed +whoever brings its event +0", typed(filled, "publish", "--yes").out)
    assert re.search(r"after_purchase +same plan +whoever brings its event +0", typed(filled, "publish", "--yes").out)


def test_publishing_tells_of_events_that_nobody_has_sent_and_goes_on(filled: Path) -> None:
    edit(filled, "{event: Order Completed}", "{event: Order Compleeted}")

    told = typed(filled, "publish", "--yes")

    assert told.code == 0
    assert "no event `Order Compleeted` was seen so far [unknown-event]" in told.err
    assert "did you mean `Order Completed`?" in told.err
    assert "[unknown-event]" not in typed(filled, "publish", "--yes").err  # nothing of it changes any more


def test_publishing_tells_of_attributes_that_nobody_has(filled: Path) -> None:
    edit(filled, "  - wait: 1m", "  - branch: [{if: {favourite_coat: green, zone: Asia/Tokyo}, then: [{wait: 1m}]}]")

    told = typed(filled, "publish", "--yes")

    assert told.code == 0
    assert told.err.count("[unknown-attribute]") == 1
    assert "nobody has an attribute `favourite_coat` so far [unknown-attribute]" in told.err


def test_publishing_tells_of_a_key_that_no_such_event_told(filled: Path) -> None:
    edit(filled, "again: {per: order_id}", "again: {per: order_ib}")

    told = typed(filled, "publish", "--yes")

    assert told.code == 0
    assert "none of the latest events `Order Completed` told a `order_ib` [unknown-event-key]" in told.err
    assert "did you mean `order_id`?" in told.err


def test_where_no_event_has_come_in_yet_none_is_doubted(shop: Path) -> None:
    assert typed(shop, "publish", "--yes").err == ""


def test_publishing_where_nobody_can_be_asked_is_refused(filled: Path) -> None:
    told = typed(filled, "publish")

    assert told.code == 2
    assert "--yes" in told.err


def test_a_second_publish_of_the_same_meaning_keeps_the_version_and_a_new_meaning_gets_the_next(filled: Path) -> None:
    def published() -> Any:
        return typed(filled, "publish", "--yes", "--format", "json").value["published"]

    first = published()
    edit(filled, "  - wait: 1m", "  # a comment, and more room\n  - wait:   1m")
    same = published()
    edit(filled, "  1m", "  2m")

    assert first == same == [{"journey": "after_purchase", "version": 1}]
    assert published() == [{"journey": "after_purchase", "version": 2}]


def test_a_wrong_number_of_people_stops_a_publish(shipped: Path) -> None:
    plans = typed(shipped, "publish", "silent_wave", "--format", "json", answer="n\n").value["plans"]
    (plan,) = plans
    assert plan["audience"] > 0

    refused = typed(shipped, "publish", "silent_wave", "--yes", "--expect", str(plan["audience"] + 1))

    assert refused.code == 2
    assert f"the entry segments hold {plan['audience']}" in refused.err
    assert typed(shipped, "publish", "silent_wave", "--yes", "--expect", str(plan["audience"])).code == 0


def test_nothing_is_published_when_one_of_several_has_errors(filled: Path) -> None:
    good = (filled / JOURNEY).read_text(encoding="utf-8")
    (filled / "journeys" / "second.yaml").write_text(good.replace("wait: 1m", "wait: long"), encoding="utf-8")

    for words in (["publish", "--yes"], ["publish", "second", "after_purchase", "--yes"]):
        told = typed(filled, *words)
        assert told.code == 2
        assert "[bad-duration]" in told.err
    assert typed(filled, "report", "after_purchase").code == 2
    assert typed(filled, "publish", "after_purchase", "--yes").code == 0


def test_an_unknown_journey_is_refused_with_the_nearest_name(filled: Path) -> None:
    told = typed(filled, "publish", "after_purchse", "--yes")

    assert (told.code, "did you mean `after_purchase`?" in told.err) == (2, True)


# --- import -----------------------------------------------------------------------------------------------------------


def test_a_dry_run_writes_nothing(filled: Path) -> None:
    rows = (filled / "people.csv").read_text(encoding="utf-8").replace("Ada", "Adele") + "c9,di@example.com,Di,,,,,\n"
    (filled / "more.csv").write_text(rows, encoding="utf-8")
    before = bytes_of(filled)

    told = typed(filled, "import", "people", "more.csv", "--dry-run", "--format", "json")

    assert (told.code, told.value["new"], told.value["changed"], told.value["dry_run"]) == (0, 1, 1, True)
    assert bytes_of(filled) == before


def test_good_rows_are_taken_and_wrong_ones_told(shop: Path) -> None:
    edit(shop, "ben@example.org", "ben", "people.csv")

    told = typed(shop, "import", "people", "people.csv", "--format", "json")

    assert told.code == 1
    assert (told.value["new"], told.value["refused"]) == (2, 1)
    assert [one["code"] for one in told.value["problems"]] == ["bad-email"]


def test_a_row_that_is_wrong_in_many_ways_is_one_row(shop: Path) -> None:
    (shop / "some.csv").write_text(
        "id,email,country,locale,zone\n1,one@example.com,DE,de,\n2,nowhere,Germany,deutsch,Berlin\n,three@example.com,,,\n",
        encoding="utf-8",
    )
    told = typed(shop, "import", "people", "some.csv")

    assert "1 person read: 1 new, 0 changed, 0 consents noted, 2 rows refused" in told.out
    assert told.err.count("some.csv:3:") == 4


def test_events_that_can_be_read_and_not_be_taken_are_counted_once(shop: Path) -> None:
    assert typed(shop, "import", "people", "people.csv").code == 0
    lines = ["id,person,name,at", "1,c1,Page Viewed,2026-11-20T10:00Z", "2,nobody,Page Viewed,2026-11-20T10:00Z"]
    (shop / "some.csv").write_text("\n".join([*lines, "3,c1,Page Viewed,yesterday", ""]), encoding="utf-8")

    told = typed(shop, "import", "events", "some.csv").out

    assert "1 event read: 1 new, 0 known already, 0 journeys started, 2 rows refused" in told


def test_S9_an_import_killed_in_the_middle_goes_on_to_the_same_end(tmp_path: Path) -> None:
    shop = shops.starter(tmp_path / "shop")
    with (shop / "many.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "email"])
        writer.writerows([f"n{number}", f"n{number}@example.com"] for number in range(5_000))
    command = [*MAIN, "import", "people", "many.csv", "--format", "json"]
    with subprocess.Popen(command, cwd=shop, env=ENGLISH, stdout=subprocess.DEVNULL) as running:
        while not _rows_noted(shop):
            assert not _ended(running)
        with _kept_locked(shop):  # it cannot go on, however slow this machine is
            running.send_signal(signal.SIGKILL)
            running.wait()
    cut = _rows_noted(shop)

    told = typed(shop, "import", "people", "many.csv", "--format", "json").value

    assert 0 < cut < 5_000
    assert (told["skipped"], told["new"]) == (cut, 5_000 - cut)
    again = typed(shop, "import", "people", "many.csv", "--format", "json").value
    assert (again["new"], again["changed"], again["read"]) == (0, 0, 5_000)


def _ended(running: subprocess.Popen[bytes]) -> bool:
    """Does it end within a hundredth of a second?"""
    try:
        running.wait(timeout=0.01)
    except subprocess.TimeoutExpired:
        return False
    return True


@contextmanager
def _kept_locked(shop: Path) -> Iterator[None]:
    """Nobody else writes meanwhile."""
    other = shops.sqlite_module().connect(shop / "outreach.db", isolation_level=None, timeout=30)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield
    finally:
        other.close()


def _rows_noted(shop: Path) -> int:
    """What a stranger reads in the table of imports while one is under way."""
    if not (shop / "outreach.db").exists():
        return 0
    module = shops.sqlite_module()
    other = module.connect(f"file:{shop / 'outreach.db'}?mode=ro", uri=True, timeout=5)
    try:
        return int(other.execute("SELECT coalesce(max(rows), 0) FROM import").fetchone()[0])
    except module.OperationalError:  # the table is not there yet
        return 0
    finally:
        other.close()


# --- preview ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("journey", ["golden_72_hours", "silent_wave", "vip_concierge"])
def test_a_preview_walks_every_step_once_and_changes_no_byte(shipped: Path, journey: str, tmp_path: Path) -> None:
    before = bytes_of(shipped)

    told = typed(shipped, "preview", journey, "--out", str(tmp_path / "pages"), "--format", "json").value

    assert bytes_of(shipped) == before
    app = shops.opened(shipped)
    try:
        steps = set(shops.load_drafts(app).graphs[journey].nodes)
    finally:
        app.close()
    assert told["people"]
    for person in told["people"]:
        seen = Counter(stop["step"] for stop in person["stops"])
        assert set(seen.values()) == {1}
        assert set(seen) == steps


def test_the_gallery_shows_every_mail_in_a_page_of_its_own_and_every_language(shipped: Path, tmp_path: Path) -> None:
    told = typed(shipped, "preview", "golden_72_hours", "--sample", "1", "--out", str(tmp_path / "pages"))
    index = (tmp_path / "pages" / "index.html").read_text(encoding="utf-8")
    pages = re.findall(r'<iframe sandbox loading="lazy" src="([^"]+)"', index)

    assert f"gallery: {tmp_path / 'pages' / 'index.html'}" in told.out
    assert sorted(pages) == sorted(2 * [path.name for path in (tmp_path / "pages").glob("0*.html")])
    assert {name.split(".")[1] for name in pages} == {"zh-CN", "en", "de"}
    assert "CN¥20.00" in index
    assert "CN¥120.00" not in index, "a voucher of another journey"
    assert "<script" not in index
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data: https:; frame-src 'self'" in index
    assert not re.search(r'(?:src|href)=(?!"(?:#|\d{4}-))', index), "nothing is fetched from elsewhere"


def test_what_people_are_called_cannot_leave_its_place_in_the_gallery(filled: Path, tmp_path: Path) -> None:
    evil = "</title><script>alert(1)</script>'\""
    with (filled / "evil.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["id", "email", "first_name"], [evil, "eve@example.com", evil]])
    assert typed(filled, "import", "people", "evil.csv").code == 0

    told = typed(filled, "preview", "after_purchase", "--person", evil, "--out", str(tmp_path / "pages"))

    assert told.code == 1, "no order of theirs is known, so no text can name its number"
    assert all("<script" not in path.read_text(encoding="utf-8") for path in (tmp_path / "pages").iterdir())


def test_the_gallery_shows_a_text_that_cannot_be_written_with_its_reason(filled: Path, tmp_path: Path) -> None:
    lives = next(path for path in sorted((filled / "templates").glob("*/email.en.*")))
    german = lives.with_name(lives.name.replace(".en.", ".de."))
    german.write_text(
        lives.read_text(encoding="utf-8").replace("links.unsubscribe", "person.nickname ~ links.unsubscribe"),
        encoding="utf-8",
    )

    told = typed(filled, "preview", "after_purchase", "--sample", "1", "--out", str(tmp_path / "pages"))

    reason = "person.nickname is not known here"
    index = (tmp_path / "pages" / "index.html").read_text(encoding="utf-8")
    assert (told.code, "cannot be written</b>" in index, reason in index) == (1, True, True)
    assert re.search(rf"{lives.parent.name} email de cannot be written: .*{reason}", " ".join(told.out.split()))
    in_json = typed(filled, "preview", "after_purchase", "--out", str(tmp_path / "pages"), "--format", "json")
    assert [(one["locale"], one["content"]) for one in in_json.value["unwritten"]] == [("de", {})]
    assert (typed(filled, "preview", "after_purchase").code, in_json.code) == (0, 1)


def test_a_preview_of_nobody_says_what_to_do_first(shop: Path) -> None:
    told = typed(shop, "preview", "after_purchase")

    assert (told.code, "outreach import people" in told.out) == (1, True)


# --- simulate ---------------------------------------------------------------------------------------------------------


def test_a_simulation_begins_with_what_it_takes_for_granted_and_changes_no_byte(shipped: Path) -> None:
    before = bytes_of(shipped)

    told = typed(shipped, "simulate", "silent_wave", "golden_72_hours", "--from", "2026-11-24", "--to", "2026-12-10")

    assert told.out.startswith("assumed, for nobody can know")
    assert "tasks: nobody does them" in told.out
    assert "golden_72_hours: nobody new enters, for no Order Completed is assumed" in told.out
    assert "silent_wave: nobody new" not in told.out
    assert bytes_of(shipped) == before


def test_who_watches_a_simulation_sees_the_day_it_has_come_to(shipped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unwatched = typed(shipped, "simulate", "vip_concierge", "--to", "2026-11-26T12:00")
    monkeypatch.setenv("FORCE_COLOR", "1")
    watched = typed(shipped, "simulate", "vip_concierge", "--to", "2026-11-26T12:00")

    assert (unwatched.code, watched.code) == (0, 0)
    assert "day " not in unwatched.err
    assert re.search(r"day \d of 3: 2026-11-2\d", watched.err)


def test_the_answers_file_of_the_documentation_works_as_it_is_written(shipped: Path, tmp_path: Path) -> None:
    page_ = (HERE / "docs" / "answers.md").read_text(encoding="utf-8")
    (written,) = re.findall(r"```yaml\n(.*?)```", page_, re.DOTALL)
    file = tmp_path / "answers.yaml"
    file.write_text(written, encoding="utf-8")
    words = ("simulate", "--assume", str(file), "--from", "2026-11-30", "--to", "2026-12-04", "--format", "json")

    first, again = typed(shipped, *words).value, typed(shipped, *words).value

    assert first == again
    assert first["assumed"] == load_answers(file).sentences()
    assert any("approvals: approved after 1h" in sentence for sentence in first["assumed"])


def test_the_ledger_holds_every_message_that_was_decided(shipped: Path, tmp_path: Path) -> None:
    file = tmp_path / "ledger.jsonl"
    words = ("simulate", "silent_wave", "--from", "2026-11-24", "--to", "2026-12-10", "--ledger", str(file))

    told = typed(shipped, *words, "--format", "json").value

    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert rows == told["ledger"]
    assert rows


# --- a wave that waits, and the work it brings ------------------------------------------------------------------------


@pytest.fixture
def waiting(shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shop on the first of December, whose silent wave waits for a word."""
    monkeypatch.setenv("OUTREACH_SECRET", shops.SECRET)
    shop = Path(shutil.copytree(shipped, tmp_path / "waiting"))
    assert typed(shop, "publish", "--yes").code == 0
    (shop / "clock").write_text("2026-12-01T03:00:00+00:00", encoding="utf-8")
    assert typed(shop, "daemon", "--once").code == 0
    return shop


def test_a_wave_waits_until_it_is_approved_by_a_name_with_the_right_number(waiting: Path) -> None:
    (asked,) = typed(waiting, "approve", "--format", "json").value
    people = str(asked["people"])

    assert typed(waiting, "approve", "silent_wave", "--yes", "--expect", str(asked["people"] + 1)).code == 2
    assert "goes on waiting" in typed(waiting, "approve", "silent_wave", answer="no\n").out
    done = typed(waiting, "approve", "silent_wave", "--yes", "--expect", people, "--by", "lan")
    assert (done.code, "to stop a journey: outreach pause JOURNEY" in done.out) == (0, True)
    assert "nothing waits for a word" in typed(waiting, "approve").out


def test_a_wave_that_is_refused_lets_nobody_in(waiting: Path) -> None:
    assert "refused" in typed(waiting, "approve", "silent_wave", "--refuse", "--yes", "--by", "lan").out
    assert typed(waiting, "daemon", "--once").code == 0

    assert typed(waiting, "report", "silent_wave", "--format", "json").value["entered"] == 0


def test_messages_are_listed_and_one_is_shown_with_its_content(waiting: Path) -> None:
    for hour in (4, 12, 16):
        typed(waiting, "approve", "silent_wave", "--yes", "--by", "lan")
        (waiting / "clock").write_text(f"2026-12-01T{hour:02}:00:00+00:00", encoding="utf-8")
        assert typed(waiting, "daemon", "--once").code == 0
    rows = typed(waiting, "messages", "--journey", "silent_wave", "--format", "json").value
    mail = next(row for row in rows if row["channel"] == "email" and row["state"] == "accepted")

    shown = typed(waiting, "messages", "--show", str(mail["id"]), "--format", "json").value
    theirs = typed(waiting, "messages", "--person", mail["person"], "--format", "json").value
    told = typed(waiting, "explain", mail["person"], "silent_wave")

    assert (shown["channel"], bool(shown["subject"])) == ("email", True)
    assert {row["person"] for row in theirs} == {mail["person"]}
    assert re.search(r"\(journeys/silent_wave\.yaml:\d+\)", told.out)
    assert f"message {mail['id']} {mail['message']} email" in told.out
    assert typed(waiting, "report", "silent_wave", "--format", "json").value["entered"] > 0


CALL = """\
topic: care
enter: {event: Order Completed}
steps:
  - task: call
    queue: care
    due: 4h
    outcomes: {reached: [], no_answer: []}
"""
BRIEF = """\
---
title: Call {{ person.first_name | default("the customer") }}
---
About order {{ event.order_id }}.
"""
ORDER = """\
id,person,name,at,payload.order_id
o9,c1,Order Completed,2026-11-24T08:30:00+00:00,1009
"""


@pytest.fixture
def called(filled: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shop in which a fresh order has opened a task."""
    monkeypatch.setenv("OUTREACH_SECRET", shops.SECRET)
    (filled / "templates" / "call").mkdir()
    (filled / "templates" / "call" / "task.en.md").write_text(BRIEF, encoding="utf-8")
    (filled / "journeys" / "call.yaml").write_text(CALL, encoding="utf-8")
    (filled / "fresh.csv").write_text(ORDER, encoding="utf-8")
    edit(filled, "policy:", "queues:\n  care: {title: Care, people: [mei]}\n\npolicy:", "config.yaml")
    assert typed(filled, "publish", "--yes").code == 0
    live = typed(filled, "import", "events", "fresh.csv", "--live", "--format", "json").value
    assert live["taken"]["entered"] == 2
    assert typed(filled, "daemon", "--once").code == 0
    return filled


def test_a_call_shows_whom_to_call_and_why_not_and_is_taken_before_it_is_done(called: Path) -> None:
    edit(called, "    queue: care\n", "    queue: care\n    call: true\n", "journeys/call.yaml")
    edit(called, "topic: care\n", "topic: care\nagain: always\n", "journeys/call.yaml")
    (called / "agreed.csv").write_text(
        "id,phone,country,consent.call.care\nc1,+491713920007,DE,yes\n", encoding="utf-8"
    )
    (called / "more.csv").write_text(ORDER.replace("o9", "o10").replace("1009", "1010"), encoding="utf-8")
    assert typed(called, "import", "people", "agreed.csv").code == 0
    assert typed(called, "publish", "--yes").code == 0
    (first,) = typed(called, "tasks", "list", "--format", "json").value
    assert typed(called, "tasks", "done", str(first["id"]), "reached").code == 0
    assert typed(called, "daemon", "--once").code == 0
    assert typed(called, "import", "events", "more.csv", "--live").code == 0
    assert typed(called, "daemon", "--once").code == 0
    (task,) = typed(called, "tasks", "list", "--format", "json").value
    number = str(task["id"])

    assert (first["call"], task["call"]) == (False, True)
    assert "call +491713920007; it is 10:00 where they are" in typed(called, "tasks", "show", number).out
    assert "take it first" in typed(called, "tasks", "done", number, "reached").err
    (called / "no.csv").write_text("id,consent.call.care\nc1,no\n", encoding="utf-8")
    assert typed(called, "import", "people", "no.csv").code == 0
    shown = typed(called, "tasks", "show", number, "--format", "json").value
    assert shown["call"]["refused"].startswith("opted out of care by call")
    refused = typed(called, "tasks", "take", number)
    assert (refused.code, "is called off: opted out of care by call" in refused.err) == (2, True)
    assert "no task is open" in typed(called, "tasks", "list").out


def test_a_task_is_listed_shown_taken_and_done_once(called: Path) -> None:
    (task,) = typed(called, "tasks", "list", "--format", "json").value
    number = str(task["id"])

    shown = typed(called, "tasks", "show", number).out
    assert shown.startswith("Call Ada\nAbout order 1009.")
    assert f"outreach tasks done {number} OUTCOME, with one of reached, no_answer" in shown

    assert (task["person"], task["queue"], task["outcomes"]) == ("c1", "care", ["reached", "no_answer"])
    assert typed(called, "tasks", "take", number, "--by", "mei").code == 0
    assert "mei" in typed(called, "tasks", "take", number, "--by", "jonas").err
    assert typed(called, "tasks", "done", number, "perhaps").code == 2
    assert typed(called, "tasks", "done", number, "reached", "--by", "mei").code == 0
    assert typed(called, "tasks", "done", number, "no_answer", "--by", "mei").code == 1
    assert "no task is open" in typed(called, "tasks", "list").out
    assert "reached" in typed(called, "tasks", "list", "--all").out
    assert typed(called, "tasks", "list", "--queue", "nowhere").code == 2


# --- running it -------------------------------------------------------------------------------------------------------


def test_a_report_adds_up_what_the_goal_was_worth_in_the_currency_of_the_shop(shop: Path) -> None:
    with (shop / "config.yaml").open("a", encoding="utf-8") as config:
        config.write('rates: {USD: "0.5"}\n')
    assert typed(shop, "import", "people", "people.csv").code == 0
    assert typed(shop, "publish", "--yes").code == 0
    _order(shop, "1", shops.NOW, 10, "EUR")
    (shop / "clock").write_text((shops.NOW + timedelta(hours=2)).isoformat(), encoding="utf-8")
    _order(shop, "2", shops.NOW + timedelta(hours=1), 2999.9, "USD")
    _order(shop, "3", shops.NOW + timedelta(hours=1), 1_000_000, "XXX")

    told = typed(shop, "report", "after_purchase").out

    assert "worth 1,499.95 EUR" in told


def _order(shop: Path, number: str, at: datetime, total: float, currency: str) -> None:
    columns = "id,person,name,at,payload.order_id,payload.total,payload.currency"
    row = f"{number},c1,Order Completed,{at.isoformat()},{number},{total},{currency}"
    (shop / "order.csv").write_text(f"{columns}\n{row}\n", encoding="utf-8")
    assert typed(shop, "import", "events", "order.csv", "--live").code == 0


def test_pause_says_what_is_on_its_way_and_resume_lets_it_go_on(filled: Path) -> None:
    typed(filled, "publish", "--yes")

    paused = typed(filled, "pause", "after_purchase", "--format", "json").value
    assert paused == {"paused": ["after_purchase"], "in_flight": 0}
    assert "• after_purchase is paused; to let it go on: outreach resume after_purchase" in typed(filled, "doctor").out
    assert typed(filled, "resume", "--all").code == 0
    assert "is paused" not in typed(filled, "doctor").out


def test_the_doctor_says_what_would_keep_messages_from_leaving(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OUTREACH_SECRET", raising=False)

    sick = typed(filled, "doctor")
    typed(filled, "publish", "--yes")
    monkeypatch.setenv("OUTREACH_SECRET", shops.SECRET)
    well = typed(filled, "doctor")

    assert sick.code == 1
    assert "✗ the environment variable OUTREACH_SECRET" in sick.out
    assert "see: outreach publish" in sick.out
    assert (well.code, "✗" in well.out) == (0, False)


def test_a_daemon_without_its_secret_does_not_begin(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OUTREACH_SECRET", raising=False)
    typed(filled, "publish", "--yes")

    for words in (["daemon"], ["daemon", "--once"]):
        told = typed(filled, *words)
        assert (told.code, "OUTREACH_SECRET" in told.err) == (3, True)


def test_a_person_is_explained_with_file_and_line_also_where_nothing_happened(filled: Path) -> None:
    typed(filled, "publish", "--yes")

    told = typed(filled, "explain", "c3")

    assert told.code == 0
    assert f"({JOURNEY}:5)" in told.out
    assert "care by email: no" in told.out
    assert "It is entered by Order Completed" in told.out


def test_a_story_is_told_on_the_clock_of_its_person_and_their_zone_is_named_at_the_top(called: Path) -> None:
    edit(called, "Europe/London", "Asia/Shanghai", "people.csv")
    assert typed(called, "import", "people", "people.csv").code == 0

    told = typed(called, "explain", "c1").out

    assert told.splitlines()[1] == "  times are those of Asia/Shanghai"
    assert "entered 2026-11-24 16:30, " in told
    assert (
        "It is entered by Order Completed; the last was at 2026-11-24 16:30."
        in typed(called, "explain", "c1", "call").out
    )
    assert "UTC" not in told


def test_explain_says_that_somebody_waits_because_the_journey_is_paused(called: Path) -> None:
    assert "paused" not in typed(called, "explain", "c1").out
    assert typed(called, "pause", "call").code == 0

    told = typed(called, "explain", "c1", "call").out

    assert "paused since 2026-11-24 09:00: nothing of it begins until: outreach resume call" in told
    assert "inside, at task-call, waiting while the journey is paused" in told


def test_the_list_of_codes_in_the_documentation_is_fresh() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m engine.cli.error_page"
