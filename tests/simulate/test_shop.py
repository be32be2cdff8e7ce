"""The sample shop: the same seed gives the same bytes, nobody real is in it, and every journey finds its people."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from babel import Locale
from babel.core import get_global

from engine.simulate.shop import COLUMNS, Kind, make_shop, more_events, residents

END = datetime(2026, 11, 22, tzinfo=UTC)
DAY = timedelta(days=1)


class Lumen:
    """A shop of 600 as plain values, read without any code of ours."""

    def __init__(self, folder: Path) -> None:
        made = make_shop(folder, people=600, end=END)
        future = more_events(folder, people=600, end=END)
        with made.people.open(encoding="utf-8", newline="") as lines:
            self.people = {row["id"]: row for row in csv.DictReader(lines)}
        self.made = made
        self.past, self.future = events_in(made.events), events_in(future)
        self.kinds = {person.id: person.kind for person in residents(600, 1)}
        self.lives: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for event in self.past + self.future:
            self.lives[event["person"]].append(event)

    def of(self, kind: Kind) -> Iterator[tuple[dict[str, str], list[dict[str, Any]]]]:
        return ((self.people[id], self.lives[id]) for id, found in self.kinds.items() if found is kind)


def events_in(file: Path) -> list[dict[str, Any]]:
    events = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [event | {"at": datetime.fromisoformat(event["at"])} for event in events]


def named(events: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [event for event in events if event["name"] == name]


@pytest.fixture(scope="module")
def lumen(tmp_path_factory: pytest.TempPathFactory) -> Lumen:
    return Lumen(tmp_path_factory.mktemp("lumen"))


def written(folder: Path, **how: Any) -> tuple[bytes, bytes, bytes]:
    made = make_shop(folder, end=END, **how)
    return made.people.read_bytes(), made.events.read_bytes(), more_events(folder, end=END, **how).read_bytes()


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    assert written(tmp_path / "one", people=60, seed=7) == written(tmp_path / "two", people=60, seed=7)


def test_another_seed_gives_another_shop(tmp_path: Path) -> None:
    for one, other in zip(
        written(tmp_path / "one", people=60, seed=7), written(tmp_path / "two", people=60, seed=8), strict=True
    ):
        assert one != other


def test_the_first_people_of_a_large_shop_are_those_of_a_small_one(tmp_path: Path) -> None:
    small, large = written(tmp_path / "small", people=40), written(tmp_path / "large", people=80)
    assert large[0].startswith(small[0])
    for few, many in zip(small[1:], large[1:], strict=True):
        assert few.splitlines() == [line for line in many.splitlines() if json.loads(line)["person"] <= "p00040"]


def test_what_was_counted_was_written(lumen: Lumen) -> None:
    assert (lumen.made.people_count, lumen.made.event_count) == (600, len(lumen.past))
    assert len(lumen.people) == 600
    ids = [event["id"] for event in lumen.past + lumen.future]
    assert len(set(ids)) == len(ids)


def test_a_short_history_holds_only_its_days(tmp_path: Path) -> None:
    made = make_shop(tmp_path, people=80, days=20, end=END)
    instants = [event["at"] for event in events_in(made.events)]
    assert min(instants) >= END - 20 * DAY
    assert max(instants) <= END


# ── nobody real ──


def test_every_address_is_of_a_reserved_domain(lumen: Lumen) -> None:
    domains = {row["email"].partition("@")[2] for row in lumen.people.values() if row["email"]}
    assert domains == {"example.com", "example.org", "example.net"}


def test_every_phone_number_is_in_normal_form_and_fits_its_country(lumen: Lumen) -> None:
    countries = {person.id: person.country for person in residents(600, 1)}
    seen = set()
    for id, row in lumen.people.items():
        if not row["phone"]:
            continue
        number = phonenumbers.parse(row["phone"])
        assert phonenumbers.is_valid_number(number), row["phone"]
        assert phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) == row["phone"]
        assert phonenumbers.region_code_for_number(number) == countries[id]
        seen.add(row["phone"])
    assert len(seen) == sum(1 for row in lumen.people.values() if row["phone"])


def test_american_numbers_are_those_kept_for_fiction(lumen: Lumen) -> None:
    american = [row["phone"] for row in lumen.people.values() if row["phone"].startswith("+1")]
    assert american
    assert all(phone[5:10] == "55501" for phone in american)


# ── a believable crowd ──


def test_countries_zones_and_locales_are_real_and_fit(lumen: Lumen) -> None:
    zones = get_global("zone_territories")
    for row in lumen.people.values():
        Locale.parse(row["locale"], sep="-")
        if row["zone"]:
            ZoneInfo(row["zone"])
        if row["zone"] and row["country"]:
            assert zones[row["zone"]] == row["country"]


def test_many_countries_zones_and_locales_are_there_and_china_leads(lumen: Lumen) -> None:
    countries = [row["country"] for row in lumen.people.values()]
    assert {"CN", "HK", "TW", "DE", "AT", "US", "GB", "JP", "AU"} <= set(countries)
    assert countries.count("CN") > 0.45 * len(countries)
    assert len({row["zone"] for row in lumen.people.values() if row["country"] == "US"} - {""}) >= 4
    assert {"zh-CN", "zh-Hant-HK", "en", "de", "en-US"} <= {row["locale"] for row in lumen.people.values()}
    assert {"none", "silver", "gold", "black"} == {row["tier"] for row in lumen.people.values()}


@pytest.mark.parametrize("column", ["email", "phone", "wechat", "push", "first_name", "zone", "country", "owner"])
def test_some_have_it_and_some_do_not(lumen: Lumen, column: str) -> None:
    assert {bool(row[column]) for row in lumen.people.values()} == {True, False}


def test_some_cannot_be_reached_at_all_and_some_share_a_mailbox(lumen: Lumen) -> None:
    channels = ("email", "phone", "wechat", "push")
    assert any(not any(row[channel] for channel in channels) for row in lumen.people.values())
    mails = [row["email"] for row in lumen.people.values() if row["email"]]
    assert len(set(mails)) < len(mails)


def test_everyone_without_a_country_can_be_placed_by_phone(lumen: Lumen) -> None:
    assert all(row["phone"] for row in lumen.people.values() if not row["country"])


@pytest.mark.parametrize("column", [name for name in COLUMNS if name.count(".") == 2])
def test_each_channel_and_topic_has_a_yes_a_no_and_silence(lumen: Lumen, column: str) -> None:
    assert {row[column] for row in lumen.people.values()} == {"yes", "no", ""}


def test_consent_needs_an_address_and_says_where_and_when(lumen: Lumen) -> None:
    for row in lumen.people.values():
        assert row["email"] or not row["consent.email.care"]
        if any(row[name] for name in COLUMNS if name.count(".") == 2):
            assert row["consent.source"]
            assert datetime.fromisoformat(row["consent.at"]) <= END


# ── lives that make sense ──


def test_nobody_does_anything_before_the_shop_knew_them(lumen: Lumen) -> None:
    for id, life in lumen.lives.items():
        assert datetime.fromisoformat(lumen.people[id]["created_at"]) <= min(event["at"] for event in life)


def test_the_past_ends_where_the_future_begins(lumen: Lumen) -> None:
    past, future = ([event["at"] for event in events] for events in (lumen.past, lumen.future))
    assert past == sorted(past)
    assert future == sorted(future)
    assert past[0] >= END - 90 * DAY
    assert past[-1] <= END < future[0]
    assert future[-1] <= END + 14 * DAY


def test_what_becomes_of_an_order_follows_that_order(lumen: Lumen) -> None:
    ordered: dict[str, tuple[str, datetime]] = {}
    for event in named(lumen.past + lumen.future, "Order Completed"):
        assert event["payload"]["order_id"] not in ordered
        ordered[event["payload"]["order_id"]] = event["person"], event["at"]
    for name in ("Parcel Delivered", "Order Cancelled", "Order Refunded"):
        for event in named(lumen.past + lumen.future, name):
            person, at = ordered[event["payload"]["order_id"]]
            assert person == event["person"]
            assert at < event["at"]


def test_a_cancelled_order_is_never_delivered(lumen: Lumen) -> None:
    everything = lumen.past + lumen.future
    cancelled = {event["payload"]["order_id"] for event in named(everything, "Order Cancelled")}
    assert cancelled
    assert not cancelled & {event["payload"]["order_id"] for event in named(everything, "Parcel Delivered")}


def test_orders_of_the_last_days_are_delivered_in_the_future(lumen: Lumen) -> None:
    past = {event["payload"]["order_id"] for event in named(lumen.past, "Order Completed")}
    assert past & {event["payload"]["order_id"] for event in named(lumen.future, "Parcel Delivered")}


def test_an_order_says_what_it_was(lumen: Lumen) -> None:
    for event in named(lumen.past, "Order Completed"):
        order = event["payload"]
        worth = sum(item["price"] * item["quantity"] for item in order["items"])
        assert order["currency"] == "CNY"
        assert order["category"]
        assert order["total"] == worth or order["voucher"]
        assert 0 <= order["total"] <= worth


# ── every way through the three journeys ──


def after_order(lumen: Lumen, what: str) -> list[timedelta]:
    """How long after its order each such event happened."""
    everything = lumen.past + lumen.future
    ordered = {order["payload"]["order_id"]: order["at"] for order in named(everything, "Order Completed")}
    return [event["at"] - ordered[event["payload"]["order_id"]] for event in named(everything, what)]


def test_some_parcels_come_within_the_golden_hours_and_some_do_not(lumen: Lumen) -> None:
    took = after_order(lumen, "Parcel Delivered")
    assert min(took) < timedelta(hours=54) < max(took)


@pytest.mark.parametrize("what", ["Order Cancelled", "Order Refunded"])
def test_some_orders_are_taken_back_within_72_hours(lumen: Lumen, what: str) -> None:
    assert min(after_order(lumen, what)) < timedelta(hours=72)


def test_some_orders_are_worth_nothing(lumen: Lumen) -> None:
    assert {order["payload"]["total"] < 1 for order in named(lumen.past, "Order Completed")} == {True, False}


def test_buyers_of_the_future_are_of_every_tier_of_value_and_some_complained(lumen: Lumen) -> None:
    buyers = {event["person"] for event in named(lumen.future, "Order Completed")}
    counts = {id: len(named(lumen.lives[id], "Order Completed")) for id in buyers}
    assert min(counts.values()) == 1
    assert any(2 <= count < 5 for count in counts.values())
    assert max(counts.values()) >= 5
    assert any(named(lumen.lives[id], "Complaint Filed") for id in buyers)


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind.startswith("lost")])
def test_the_lost_have_not_looked_in_nor_ordered_for_thirty_days(lumen: Lumen, kind: Kind) -> None:
    lost = list(lumen.of(kind))
    assert lost
    for _, life in lost:
        coming = [event for name in ("Page Viewed", "Order Completed", "Cart Updated") for event in named(life, name)]
        last = [event["at"] for event in coming if event["at"] <= END]
        assert max(last, default=END - 91 * DAY) <= END - 30 * DAY


def test_those_lost_to_service_complained_twice(lumen: Lumen) -> None:
    assert all(len(named(life, "Complaint Filed")) >= 2 for _, life in lumen.of(Kind.lost_service))


def test_those_lost_to_a_rival_searched_for_its_name(lumen: Lumen) -> None:
    for _, life in lumen.of(Kind.lost_rival):
        queries = {event["payload"]["query"] for event in named(life, "Products Searched")}
        assert queries & {"othershop", "bargainhut"}


def test_those_lost_to_price_bought_mostly_with_vouchers(lumen: Lumen) -> None:
    orders = [order["payload"] for _, life in lumen.of(Kind.lost_price) for order in named(life, "Order Completed")]
    assert sum("voucher" in order for order in orders) > 0.6 * len(orders)


def test_those_lost_in_silence_said_nothing(lumen: Lumen) -> None:
    for _, life in lumen.of(Kind.lost_silent):
        assert not named(life, "Complaint Filed")
        queries = {event["payload"]["query"] for event in named(life, "Products Searched")}
        assert not queries & {"othershop", "bargainhut"}


def test_some_of_the_lost_come_back_to_look_and_some_to_buy(lumen: Lumen) -> None:
    lost = [life for kind in Kind if kind.startswith("lost") for _, life in lumen.of(kind)]
    back = [life for life in lost if any(event["at"] > END for event in named(life, "Page Viewed"))]
    bought = [life for life in back if any(event["at"] > END for event in named(life, "Order Completed"))]
    assert 0 < len(bought) < len(back)


def test_fading_customers_are_dear_ones_and_turn_quiet_in_the_future(lumen: Lumen) -> None:
    quiet = 0
    for person, life in lumen.of(Kind.fading):
        assert person["tier"] in ("gold", "black")
        assert len([order for order in named(life, "Order Completed") if order["at"] <= END]) >= 2
        seen = [event["at"] for event in named(life, "Page Viewed") if event["at"] <= END + 4 * DAY]
        quiet += END - 2 * DAY < max(seen) < END + DAY
    assert quiet >= 3


def test_lookers_look_and_never_order(lumen: Lumen) -> None:
    for _, life in lumen.of(Kind.looking):
        assert len(named(life, "Page Viewed")) >= 3
        assert not named(life, "Order Completed")
