"""Tests that marketers write: the shipped ones hold, a wrong expectation is told at its line, nothing real is sent."""

from __future__ import annotations

from pathlib import Path

import pytest
import shops
from typed import Typed, typed

HEAD = 'start: "2026-11-02 09:00"\npeople: {mei: {phone: "+8613900000001"}}\n'
ORDERED = '- {at: "2026-11-02 10:00", event: Order Completed, with: {order_id: A1, total: 200}}'
FIRST = '- {sent: order_on_its_way, via: sms, at: "2026-11-02 16:00"}'


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shops.shipped(tmp_path_factory.mktemp("tested"))


def judged(shop: Path, *lines: str, head: str = HEAD) -> Typed:
    """Play one file of tests; `lines` stand below `tests:`."""
    file = shop / "journeys" / "tests" / "golden_72_hours.yaml"
    file.write_text(head + "tests:\n" + "".join(f"  {line}\n" for line in lines), encoding="utf-8")
    return typed(shop, "test", str(file.relative_to(shop)))


def test_every_test_that_ships_holds(tmp_path: Path) -> None:
    played = typed(shops.shipped(tmp_path / "shop"), "test")
    assert played.code == 0, played.said
    assert "0 failed" in played.out


def test_the_starter_shop_has_a_test_that_holds(tmp_path: Path) -> None:
    played = typed(shops.starter(tmp_path / "shop"), "test")
    assert played.code == 0, played.said


def test_a_message_at_another_minute_is_told_with_what_happened_instead(shop: Path) -> None:
    expected = '- {sent: order_on_its_way, at: "2026-11-02 15:00"}'
    played = judged(shop, "- title: late", "  story:", f"    {ORDERED}", "  expect:", f"    {expected}")
    assert played.code == 1
    assert "golden_72_hours.yaml:8: did not happen: mei at 2026-11-02 15:00 was sent order_on_its_way" in played.out
    assert "2026-11-02 16:00 mei was sent order_on_its_way by sms" in played.out


def test_a_message_nobody_spoke_of_fails_the_test(shop: Path) -> None:
    played = judged(shop, "- title: silence", "  story:", f"    {ORDERED}", "  expect: []")
    assert played.code == 1
    assert "not expected: 2026-11-02 16:00 mei was sent order_on_its_way by sms" in played.out


def test_one_message_does_not_fulfil_two_lines(shop: Path) -> None:
    late = "- {sent: parcel_is_coming}"
    lines = (f"    {FIRST}", f"    {FIRST}", f"    {late}")
    played = judged(shop, "- title: twice", "  story:", f"    {ORDERED}", "  expect:", *lines)
    assert played.code == 1
    assert ":9: did not happen" in played.out
    assert ":8: did not happen" not in played.out


def test_a_word_nobody_waits_for_and_a_happening_nobody_named_are_told(shop: Path) -> None:
    words = ("- {approved: golden_72_hours}", "- {approved: golden_72_hours, person: mei}", "- {happening: Comet}")
    played = judged(shop, "- title: words", "  story:", *(f"    {word}" for word in words), "  expect: []")
    assert played.code == 1
    assert ":6: no wave of golden_72_hours waits for a word then, and nobody at a step of it" in played.out
    assert ":7: mei does not wait for a word then" in played.out
    assert ":8: config.yaml knows no happening Comet" in played.out


def test_words_of_a_message_are_looked_for(shop: Path) -> None:
    said = FIRST.replace("via: sms", "via: sms, says: [no such words]")
    lines = (f"    {said}", "    - {sent: parcel_is_coming}")
    played = judged(shop, "- title: words", "  story:", f"    {ORDERED}", "  expect:", *lines)
    assert played.code == 1
    assert "saying 'no such words'" in played.out


def test_a_person_in_another_zone_is_expected_on_their_own_clock(shop: Path) -> None:
    head = 'start: "2026-11-02 09:00"\npeople: {ann: {email: ann@example.com, zone: America/New_York}}\n'
    played = judged(
        shop,
        "- title: abroad",
        "  story:",
        f"    {ORDERED}",
        "  expect:",
        '    - {sent: order_on_its_way, at: "2026-11-02 16:00"}',
        "    - {sent: parcel_is_coming}",
        head=head,
    )
    assert played.code == 0, played.said


def test_a_click_on_what_was_never_sent_is_told(shop: Path) -> None:
    played = judged(shop, "- title: click", "  story:", "    - {at: +1h, clicked: voucher}", "  expect: []")
    assert played.code == 1
    assert "mei cannot have clicked voucher" in played.out


def test_null_tells_nothing_and_an_order_without_its_key_opens_nothing(shop: Path) -> None:
    ordered = ORDERED.replace("order_id: A1", "order_id: null")
    played = judged(shop, "- title: null", "  story:", f"    {ordered}", "  expect: []")
    assert played.code == 0, played.said


@pytest.mark.parametrize(
    ("lines", "line", "sentence"),
    [
        (("- {title: a, story: [{event: X, clicked: y}]}",), 4, "`event` and `clicked` stand in one line"),
        (("- {title: a, story: [{at: noon, event: X}]}",), 4, "`noon` is no instant"),
        (("- {title: a, expect: [{at: +1h}]}",), 4, "it is not said what happens"),
        (("- title: a", "  stroy: []"), 5, "`stroy` is not a key of `tests`"),
        (("- title: a", "  story:", "    - {person: max, event: X}"), 6, "`max` is nobody of this test"),
        (("- title: a", "  expect:", "    - {sent: x, because: capped}"), 6, "`because` belongs to `not_sent`"),
        (("- title: a", "  people: {eve: {email: nonsense}}"), 5, "email"),
        (("- title: a", "  expect:", "    - {sent: order_on_its_wy}"), 6, "there is no message `order_on_its_wy`"),
        (("- title: a", "  expect:", "    - {sent: voucher, via: smoke}"), 6, "there is no channel `smoke`"),
        (("- title: a", "  story:", "    - {unsubscribed: carre}"), 6, "there is no topic `carre`"),
    ],
)
def test_a_mistake_is_told_at_its_line(shop: Path, lines: tuple[str, ...], line: int, sentence: str) -> None:
    played = judged(shop, *lines)
    assert played.code == 2
    assert f"golden_72_hours.yaml:{line}:" in played.said
    assert sentence in played.said
    assert "Traceback" not in played.said


CALLING = """
title: A call after each order
topic: care
enter: {event: Order Completed}
steps:
  - task: care_call
    queue: care
    call: true
    due: 24h
    outcomes: {satisfied: [{exit: glad}], unreachable: [{exit: not_called}]}
"""
CALLS = """
start: "2026-11-02 09:00"
people: {mei: {phone: "+8613900000001"}}
tests:
  - title: spoken
    story:
      - {at: "2026-11-02 22:00", event: Order Completed, with: {order_id: A1}}
      - {at: "2026-11-03 09:00", task: care_call, outcome: satisfied}
    expect:
      - {task: care_call, at: "2026-11-03 08:00"}
      - {ended: glad}
  - title: refused
    people: {mei: {phone: "+8613900000001", consent: {call: {care: no}}}}
    story:
      - {at: "2026-11-02 10:00", event: Order Completed, with: {order_id: A1}}
    expect:
      - {not_sent: care_call, via: call, because: no_consent}
      - {ended: not_called}
  - title: at night
    story:
      - {at: "2026-11-02 20:00", event: Order Completed, with: {order_id: A1}}
      - {at: "2026-11-02 21:30", task: care_call, outcome: satisfied}
    expect:
      - {task: care_call}
"""


def test_a_call_is_played_as_a_task_and_one_that_must_not_be_made_as_not_sent(tmp_path: Path) -> None:
    folder = shops.shipped(tmp_path / "shop")
    for file in (*folder.glob("journeys/*.yaml"), *folder.glob("journeys/tests/*.yaml")):
        if file.name != "audience.yaml":
            file.unlink()
    (folder / "journeys" / "calling.yaml").write_text(CALLING, encoding="utf-8")
    (folder / "journeys" / "tests" / "calling.yaml").write_text(CALLS, encoding="utf-8")
    played = typed(folder, "test")
    assert "3 tests: 1 failed" in played.out, played.said
    assert "task 1 is a call, and held until 2026-11-03 08:00 Asia/Shanghai: quiet hours of call" in played.out


def test_events_of_a_file_happen_while_a_simulation_runs(tmp_path: Path) -> None:
    shop = shops.shipped(tmp_path / "shop")
    (shop / "people.csv").write_text("id,email,consent.email.care\nmei,mei@example.com,yes\n", encoding="utf-8")
    (shop / "soon.csv").write_text(
        "id,person,name,at,payload.order_id,payload.total\n"
        "e0,mei,Order Completed,2026-11-01T10:00+08:00,A0,90\n"
        "e1,mei,Order Completed,2026-11-02T10:00+08:00,A1,90\n"
        "e2,mei,Order Cancelled,2026-11-03T09:00+08:00,A1,\n",
        encoding="utf-8",
    )
    assert typed(shop, "import", "people", "people.csv").code == 0
    ledger = shop / "ledger.jsonl"
    span = ("--from", "2026-11-02T00:00", "--to", "2026-11-12T00:00")
    ran = typed(shop, "simulate", "golden_72_hours", *span, "--events", "soon.csv", "--ledger", str(ledger))
    assert ran.code == 0, ran.said
    assert "Order Cancelled: 1 event" in ran.out
    assert "1 event lies before the start" in ran.out
    rows = ledger.read_text(encoding="utf-8").splitlines()
    assert [row.split('"message": "')[1].split('"')[0] for row in rows] == ["order_on_its_way"]
