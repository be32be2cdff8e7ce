"""The golden journey over real orders of November 2011, by real SMTP: what the oracle finds in the CSV happens."""

from __future__ import annotations

import email
import email.policy
import shutil
import signal
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from processes import Child, Mother, mother

from tests.real.uci_expected import LEFT, NOT_THERE, Expected, Night, Span
from tests.real.uci_oracle import FILE, HOUR, Truth, data_dir
from tests.real.uci_replay import LOOSE, OPEN, QUIET, Arrived, PostOffice, Shop, make_shop, replay
from tests.real.uci_verdict import Record, disagreements, in_the_night, over_caps, unfounded_refusals

DATA = data_dir()
NIGHT = Night(22, 7)
SINCE = datetime(2011, 11, 8, tzinfo=UTC)
HOURLY = Span(SINCE, datetime(2011, 11, 14, tzinfo=UTC), HOUR)
SELDOM = Span(SINCE, datetime(2011, 11, 11, tzinfo=UTC), 6 * HOUR)  # so that many are due at a time
IN_FLIGHT = 8  # mails that may be leaving when a process dies: as many as the provider has connections


@dataclass(frozen=True)
class Kill:
    """When a process dies: as it begins its so-manieth statement, or while the server takes a mail."""

    statements: int | None = None
    mail: int | None = None


KILLS = [Kill(statements=900), Kill(mail=150), Kill(statements=61), Kill(mail=300)]
pytestmark = pytest.mark.skipif(DATA is None, reason=f"{FILE} is not here (OUTREACH_DATA names its folder)")


@pytest.fixture(scope="module")
def opened(converted: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop on the morning of the first day, which knows the eleven months before."""
    return make_shop(tmp_path_factory.mktemp("opened") / "shop", *converted, SINCE, HOURLY.until)


@pytest.fixture
def shop(opened: Shop, tmp_path: Path) -> Shop:
    """A shop of one's own on that morning."""
    return Shop(Path(shutil.copytree(opened.folder, tmp_path / "shop")))


@pytest.fixture(scope="module")
def week(opened: Shop, tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, Sequence[Arrived]]:
    """What the days left behind, and what the server got: with a night for mails, and without caps."""
    shop = Shop(Path(shutil.copytree(opened.folder, tmp_path_factory.mktemp("week") / "shop")))
    shop.set(HOURLY, LOOSE)
    with PostOffice(shop.clock, keep=True) as office:
        replay(shop, office.port)
    return Record(shop.database), office.arrived


def test_the_csv_foretells_these_totals(truth: Truth) -> None:
    assert Expected(truth, HOURLY, NIGHT).totals() == {
        "ended done": 86,
        "ended ends_after": 41,
        "ended left: Order Cancelled": 3,
        "ended not_delivered_yet": 299,
        "enrollments": 518,
        "held out": 37,
        "late order_on_its_way": 68,
        "late parcel_is_coming": 41,
        "mails": 838,
        "mails core_thanks": 49,
        "mails goes_well_with": 19,
        "mails how_to_use": 112,
        "mails order_on_its_way": 410,
        "mails parcel_is_coming": 242,
        "mails voucher": 6,
        "vouchers": 6,
    }


def test_every_order_gets_its_mails_once_at_the_instants_foretold_and_no_other(
    week: tuple[Record, Sequence[Arrived]], truth: Truth
) -> None:
    record, arrived = week

    assert disagreements(Expected(truth, HOURLY, NIGHT), record, arrived, truth) == []


def test_no_mail_comes_in_the_quiet_hours_of_its_reader(week: tuple[Record, Sequence[Arrived]], truth: Truth) -> None:
    assert in_the_night(week[1], truth, NIGHT) == []


def test_a_cancelled_order_leaves_and_another_of_the_same_person_stays(
    week: tuple[Record, Sequence[Arrived]], truth: Truth
) -> None:
    ended = {one.order: one.ended for one in week[0].entered}

    assert truth.orders["575219"].customer == truth.orders["575220"].customer
    assert ended["575220"] == (LEFT, truth.cancellations["575220"])
    assert ended["575219"] == (NOT_THERE, truth.orders["575219"].at + 54 * HOUR)


def test_each_mail_speaks_of_its_own_order(week: tuple[Record, Sequence[Arrived]]) -> None:
    record, arrived = week

    assert wrong_numbers(arrived, record) == []


def wrong_numbers(arrived: Sequence[Arrived], record: Record) -> list[str]:
    """Mails about an order that speak of another one."""
    named = {one.key: one.about for one in record.written}
    spoken = [(named[mail.key], text_of(mail)) for mail in arrived if named[mail.key][1] == "order_on_its_way"]
    return [number for (number, _), text in spoken if number not in text]


def text_of(mail: Arrived) -> str:
    parsed = email.message_from_bytes(mail.content or b"", policy=email.policy.default)
    body = parsed.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


@pytest.mark.parametrize("chunk", [50, 500])
def test_the_totals_are_the_same_whatever_the_chunks(shop: Shop, truth: Truth, chunk: int) -> None:
    shop.set(SELDOM, OPEN)

    with PostOffice(shop.clock) as office:
        replay(shop, office.port, chunk)

    assert disagreements(Expected(truth, SELDOM), Record(shop.database), office.arrived, truth) == []


def test_the_totals_are_the_same_when_people_are_served_one_by_one(shop: Shop, truth: Truth) -> None:
    """A quarter of the customers, and many of them due at a time."""
    shop.set(SELDOM, OPEN)
    shop.keep(a_quarter)

    with PostOffice(shop.clock) as office:
        replay(shop, office.port, chunk=1)

    expected = Expected(truth, SELDOM, of=a_quarter)
    assert disagreements(expected, Record(shop.database), office.arrived, truth) == []
    assert max(Counter(mail.at for mail in office.arrived).values()) > 10


def a_quarter(customer: str) -> bool:
    return int(customer) % 4 == 0


def test_the_totals_are_the_same_when_the_process_is_killed_again_and_again(
    shop: Shop, truth: Truth, tmp_path: Path
) -> None:
    shop.set(SELDOM, OPEN)

    with PostOffice(shop.clock) as office, mother(tmp_path, "tests.real.uci_replay") as born:
        kills = live_on_through_kills(shop, office, born, KILLS)

    record = Record(shop.database)
    assert kills == len(KILLS)
    assert disagreements(Expected(truth, SELDOM), record, office.arrived, truth) == []
    assert 0 < len(record.in_state("unknown")) <= kills * IN_FLIGHT


REPLAY = """
from pathlib import Path
from tests.real.uci_replay import Shop, die_after, replay
replay(Shop(Path(folder)), port, prepare=die_after(statements) if statements else lambda app: None)
"""


def live_on_through_kills(shop: Shop, office: PostOffice, born: Mother, kills: Iterable[Kill]) -> int:
    """Replay in processes that are killed, one after the other, and in a last one to the end; how many were killed."""
    killed = 0
    for kill in [*kills, Kill()]:
        process = born.start(REPLAY, folder=str(shop.folder), port=office.port, statements=kill.statements)
        office.on_mail = partial(_kill_at, process, kill.mail)
        assert process.heard_within(300_000), "it goes on and on"
        assert process.hear() == ""
        code = process.wait()
        assert code in (0, -signal.SIGKILL)
        killed += code != 0
    assert code == 0
    return killed


def _kill_at(process: Child, mail: int | None, count: int) -> None:
    if count == mail:
        process.kill()


def test_nobody_gets_more_than_the_caps_that_ship_allow(
    shop: Shop, truth: Truth, week: tuple[Record, Sequence[Arrived]]
) -> None:
    shop.set(HOURLY, QUIET)
    allowed: dict[str, Any] = {"per_day": 2, "per_week": 5, "gap": timedelta(hours=2)}

    with PostOffice(shop.clock) as office:
        replay(shop, office.port)

    record = Record(shop.database)
    assert over_caps(office.arrived, truth, **allowed) == []
    assert len(over_caps(week[1], truth, **allowed)) > 20, "without caps some people get more, so these days are a test"
    assert in_the_night(office.arrived, truth, NIGHT) == []
    assert len({mail.key for mail in office.arrived}) == len(office.arrived)
    assert unfounded_refusals(office.arrived, record, truth) == []
    assert sum(one.rule == "capped" for one in record.written) > 20
