"""The demo's summary: every number of it is found again by SQL written here and by counting files in the mailbox."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from typed import typed

from engine.cli import demo

PEOPLE = 80
ENGLISH = {**os.environ, "LANGUAGE": "en", "LC_ALL": "C.UTF-8"}


def words(folder: Path, *more: str) -> list[str]:
    return ["demo", "--folder", str(folder), "--people", str(PEOPLE), *more]


class Shop:
    """A finished demo: what it told, its database, its mailbox."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told: dict[str, Any] = typed(folder.parent, *words(folder, "--format", "json")).value
        self.outbox = folder / "outbox"
        self.base = sqlite3.connect(folder / "outreach.db")

    def rows(self, sql: str, *values: Any) -> list[Any]:
        return self.base.execute(sql, values).fetchall()

    def journeys(self) -> list[dict[str, Any]]:
        return list(self.told["journeys"])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("demo") / "shop")


# a message went out, or may have, when a provider took it or nobody knows
WENT = "EXISTS (SELECT 1 FROM delivery d WHERE d.message_id = m.id AND d.kind IN ('accepted', 'unknown'))"


def test_who_entered_was_held_out_and_is_still_inside(shop: Shop) -> None:
    for told in shop.journeys():
        counted = shop.rows(
            "SELECT count(*), total(holdout), total(active) FROM enrollment WHERE journey = ?", told["journey"]
        )
        assert counted == [(told["entered"], told["holdout"], told["inside"])]
        assert told["entered"] > told["holdout"]
    assert sum(told["holdout"] for told in shop.journeys()) > 0


def test_what_was_sent_by_channel_and_locale(shop: Shop) -> None:
    for told in shop.journeys():
        counted = shop.rows(
            f"SELECT channel || '/' || locale, count(*) FROM message m WHERE journey = ? AND {WENT} GROUP BY 1",
            told["journey"],
        )
        assert dict(counted) == told["sent"]


def test_every_mail_told_of_lies_in_the_mailbox_folder_and_no_other(shop: Shop) -> None:
    told = Counter[str]()
    for journey in shop.journeys():
        for name, count in journey["sent"].items():
            told[name.split("/")[0]] += count
    mails = sorted((shop.outbox / "email").glob("*.eml"))
    assert len(mails) == told["email"] > 0
    assert [path.name for path in shop.outbox.iterdir()] == ["email"]
    owners = dict(
        shop.rows(
            "SELECT m.key, json_extract(c.addresses, '$.email') FROM message m "
            f"JOIN customer c ON c.id = m.customer_id WHERE m.channel = 'email' AND {WENT}"
        )
    )
    assert {path.stem for path in mails} == set(owners)
    for path in mails[:50]:
        mail = message_from_bytes(path.read_bytes(), policy=default)
        assert owners[path.stem] in str(mail["To"])
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_what_was_held_back_and_why(shop: Shop) -> None:
    for told in shop.journeys():
        born = shop.rows(
            "SELECT coalesce(rule, state) FROM message WHERE journey = ? AND state <> 'queued'", told["journey"]
        )
        later = shop.rows(
            "SELECT d.kind FROM message m JOIN delivery d ON d.message_id = m.id "
            "WHERE m.journey = ? AND m.state = 'queued' "
            "AND d.kind IN ('expired', 'suppressed', 'cancelled', 'rejected', 'dead') "
            f"AND NOT {WENT} GROUP BY m.id",
            told["journey"],
        )
        assert dict(Counter(row[0] for row in [*born, *later])) == told["held_back"]


def test_tasks_by_their_outcome(shop: Shop) -> None:
    for told in shop.journeys():
        found: dict[str, dict[str, int]] = {}
        for brief, outcome, count in shop.rows(
            "SELECT brief, coalesce(outcome, 'open'), count(*) FROM task WHERE journey = ? GROUP BY 1, 2",
            told["journey"],
        ):
            found.setdefault(brief, {})[outcome] = count
        assert found == told["tasks"]


def test_vouchers_given_each_to_one_person(shop: Shop) -> None:
    for told in shop.journeys():
        counted = shop.rows(
            "SELECT v.pool, count(DISTINCT v.code) FROM voucher v JOIN enrollment e ON e.id = v.enrollment_id "
            "WHERE e.journey = ? GROUP BY 1",
            told["journey"],
        )
        assert dict(counted) == told["vouchers"]


def test_the_goal_reached_by_those_written_to_and_those_held_out(shop: Shop) -> None:
    days = {"golden_72_hours": 30, "silent_wave": 14, "vip_concierge": 30}
    for told in shop.journeys():
        for arm, holdout in (("treated", 0), ("holdout", 1)):
            people = shop.rows(
                "SELECT count(*) FROM enrollment WHERE journey = ? AND holdout = ?", told["journey"], holdout
            )[0][0]
            hits = shop.rows(
                "SELECT e.id, json_extract(o.payload, '$.total') FROM enrollment e JOIN event o "
                "ON o.customer_id = e.customer_id AND o.name = 'Order Completed' AND o.at > e.entered_at "
                "AND julianday(o.at) <= julianday(e.entered_at) + ? WHERE e.journey = ? AND e.holdout = ?",
                days[told["journey"]],
                told["journey"],
                holdout,
            )
            goal = told["goal"][arm]
            assert (goal["people"], goal["reached"]) == (people, len({row[0] for row in hits}))
            assert Decimal(goal["value"]) == sum(Decimal(str(row[1])) for row in hits)


def test_the_cost_is_the_price_of_what_went_out(shop: Shop) -> None:
    price = Decimal("0.05")  # of one part of an SMS
    for told in shop.journeys():
        [(parts,)] = shop.rows(
            f"SELECT coalesce(sum(parts), 0) FROM message m WHERE journey = ? AND channel = 'sms' AND {WENT}",
            told["journey"],
        )
        assert parts == told["paid"].get("sms", 0)
        spent = price * parts
        assert sum((Decimal(amount) for amount in told["cost"].values()), Decimal(0)) == spent


def test_run_again_by_another_process_it_tells_the_same_in_words(shop: Shop) -> None:
    ledger = "SELECT key, channel, locale, state, created_at FROM message ORDER BY key"
    before = shop.rows(ledger)
    shop.base.close()
    command = [sys.executable, "-m", "engine.cli.main", *words(shop.folder)]  # into the same folder: it is made anew
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=ENGLISH)
    assert ended.returncode == 0, ended.stderr
    shop.base = sqlite3.connect(shop.folder / "outreach.db")
    assert shop.rows(ledger) == before
    for told in shop.journeys():
        assert f"{told['entered']}   ({told['holdout']} of them held out" in ended.stdout
        for brief, outcomes in told["tasks"].items():
            assert f"{brief} {sum(outcomes.values())}: " in ended.stdout


def test_another_seed_makes_another_shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "DAYS", 2)

    one, other = (typed(tmp_path, *words(tmp_path / "shop", "--seed", seed, "--format", "json")).value for seed in "12")

    assert one["journeys"] != other["journeys"]


def test_a_folder_that_no_demo_made_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")

    told = typed(tmp_path, "demo", "--folder", str(tmp_path))

    assert told.code == 2
    assert "no demo made it" in told.err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
