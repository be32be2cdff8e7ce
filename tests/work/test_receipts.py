"""What providers report about messages: kept once, in any order, before or after our own commit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import permutations
from pathlib import Path

import pytest
from stubs import Died, World

from channels.contract import Asked, FailureReason, Outgoing, Receipt, ReceiptType
from channels.errors import Uncertain
from engine.work.incoming.receipts import take_receipts

ANN = "p0000"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.email.features = type(made.email.features)(in_flight=8, receipts=True)
    yield made
    made.close()


def told(world: World, type: ReceiptType, name: str = "r1", **more: object) -> Receipt:
    """A report about the last message handed over."""
    number = world.email.handed[-1].message_id if world.email.handed else 0
    own: dict[str, object] = {"provider_id": f"stub-{number}", **more}
    return Receipt(type, world.clock.now(), name, **own)  # type: ignore[arg-type]


def sent(world: World) -> Outgoing:
    world.people(1)
    world.order(ANN)
    world.tick()
    return world.email.handed[-1]


def state(world: World) -> str:
    return world.states()[ANN, "email"]


@pytest.mark.parametrize(
    ("type", "reason", "becomes"),
    [
        (ReceiptType.delivered, None, "delivered"),
        (ReceiptType.bounced, FailureReason.address_full, "bounced"),
        (ReceiptType.complained, None, "complained"),
        (ReceiptType.deferred, None, "accepted"),
        (ReceiptType.clicked, None, "delivered"),
        (ReceiptType.unknown, None, "accepted"),
    ],
)
def test_a_report_says_what_became_of_a_message(
    world: World, type: ReceiptType, reason: FailureReason | None, becomes: str
) -> None:
    sent(world)
    kept = take_receipts(world.app, "email", [told(world, type, reason=reason)])
    assert (kept.new, kept.repeated, kept.unmatched) == (1, 0, 0)
    assert state(world) == becomes


def test_a_machine_that_opens_a_message_proves_no_arrival_at_a_person(world: World) -> None:
    sent(world)
    take_receipts(world.app, "email", [told(world, ReceiptType.opened, machine=True)])
    assert state(world) == "accepted"
    assert [row.name for row in world.rows("SELECT name FROM event WHERE name LIKE 'Message%'")] == ["Message Scanned"]


def test_D21_reports_may_come_in_any_order_and_any_number_of_times(tmp_path: Path) -> None:
    outcomes = set()
    story = [ReceiptType.deferred, ReceiptType.delivered, ReceiptType.opened, ReceiptType.complained]
    for number, order in enumerate(permutations(range(len(story)))):
        world = World(tmp_path / str(number))
        world.email.features = type(world.email.features)(in_flight=8, receipts=True)
        sent(world)
        reports = [told(world, word, f"r{place}") for place, word in enumerate(story)]
        for place in order:
            take_receipts(world.app, "email", [reports[place], reports[place]])
        kept = take_receipts(world.app, "email", reports)
        assert kept.repeated == len(reports)
        events = world.rows("SELECT name FROM event WHERE name LIKE 'Message%' ORDER BY name")
        kinds = world.rows("SELECT kind FROM delivery ORDER BY weight, kind")
        outcomes.add((state(world), tuple(row.name for row in events), tuple(row.kind for row in kinds)))
        world.close()
        if number == 11:  # half of all orders: each pair in both
            break
    assert len(outcomes) == 1
    assert outcomes.pop()[0] == "complained"


def test_D21_a_report_that_is_faster_than_our_own_commit_finds_its_message_afterwards(world: World) -> None:
    world.people(1)
    world.order(ANN)

    def fast(batch: Sequence[Outgoing]) -> None:
        kept = take_receipts(world.app, "email", [told(world, ReceiptType.delivered)])
        assert kept.unmatched == 1

    world.email.during = fast
    world.tick()
    world.email.during = None
    assert state(world) == "accepted"
    world.tick(timedelta(seconds=2))
    assert state(world) == "delivered"


def test_D21_a_report_by_our_key_finds_its_message_before_our_own_commit(world: World) -> None:
    world.people(1)
    world.order(ANN)

    def fast(batch: Sequence[Outgoing]) -> None:
        key = batch[0].key
        assert take_receipts(world.app, "email", [told(world, ReceiptType.delivered, key=key)]).unmatched == 0

    world.email.during = fast
    world.tick()
    assert state(world) == "delivered"


def test_R4_a_report_about_nothing_we_know_is_kept(world: World) -> None:
    world.people(1)
    kept = take_receipts(world.app, "email", [told(world, ReceiptType.delivered, provider_id="somebody else's")])
    assert (kept.new, kept.unmatched) == (1, 1)
    assert [tuple(row) for row in world.rows("SELECT lane, type, message_id FROM report")] == [
        ("email", "delivered", None)
    ]
    world.tick(timedelta(hours=2))
    assert [row.open for row in world.rows("SELECT open FROM report")] == [0]


@pytest.mark.parametrize(
    ("type", "more"),
    [
        (ReceiptType.bounced, {"reason": FailureReason.address_unknown}),
        (ReceiptType.complained, {}),
        (ReceiptType.unsubscribed, {}),
        (ReceiptType.replied, {"opt_out": True, "detail": "STOP"}),
    ],
)
def test_nothing_more_goes_to_an_address_that_is_dead_or_whose_owner_wants_no_more(
    world: World, type: ReceiptType, more: dict[str, object]
) -> None:
    sent(world)
    take_receipts(world.app, "email", [told(world, type, **more)])
    before = len(world.email.handed)
    world.tick(timedelta(days=7))
    world.order(ANN, number="2")
    world.tick()
    assert len(world.email.handed) == before
    assert [one.content.to for one in world.sms.handed]  # there is another way to them


def test_an_address_no_message_of_ours_went_to_is_suppressed_as_well(world: World) -> None:
    world.people(1)
    own = told(world, ReceiptType.bounced, provider_id=None, to="P0000@EXAMPLE.com", reason=FailureReason.opted_out)
    take_receipts(world.app, "email", [own])
    world.order(ANN)
    world.tick()
    assert world.email.handed == []
    assert len(world.sms.handed) == 1


def test_a_full_mailbox_ends_nothing(world: World) -> None:
    sent(world)
    take_receipts(world.app, "email", [told(world, ReceiptType.bounced, reason=FailureReason.address_full)])
    assert world.rows("SELECT * FROM suppression") == []


# --- what nobody knows -----------------------------------------------------------------------------------------------


def unknown(world: World) -> Outgoing:
    world.email.says = lambda outgoing: Uncertain("no answer")
    out = sent(world)
    assert state(world) == "unknown"
    return out


def reason(world: World) -> str:
    (row,) = world.rows("SELECT reason FROM delivery ORDER BY weight DESC LIMIT 1")
    return str(row.reason)


def test_D5_a_report_closes_an_unknown_message(world: World) -> None:
    out = unknown(world)
    take_receipts(world.app, "email", [told(world, ReceiptType.accepted, key=out.key, provider_id="x")])
    assert state(world) == "accepted"
    assert reason(world) == "the provider says that it was accepted"


def test_D5_a_look_up_closes_an_unknown_message_and_is_made_by_one_worker_now_and_then(world: World) -> None:
    asked: list[Asked] = []

    async def look_up(which: Sequence[Asked], timeout: float) -> Sequence[Receipt | None]:
        asked.extend(which)
        return [Receipt(ReceiptType.accepted, world.clock.now(), "found", provider_id="x") for _ in which]

    world.email.features = type(world.email.features)(in_flight=8, look_up=True)
    world.email.look_up = look_up  # type: ignore[method-assign]
    out = unknown(world)
    world.tick(timedelta(seconds=10))
    assert asked == []  # the service may need a while itself
    world.tick(timedelta(minutes=2))
    assert [one.key for one in asked] == [out.key]
    assert asked[0].content == out.content
    assert state(world) == "accepted"
    world.tick(timedelta(minutes=10))
    assert len(asked) == 1


def test_D5_a_look_up_that_finds_nothing_proves_nothing(world: World) -> None:
    world.email.features = type(world.email.features)(in_flight=8, look_up=True)
    unknown(world)
    for _ in range(3):
        world.tick(timedelta(minutes=10))
    assert state(world) == "unknown"
    assert len(world.email.handed) == 1


def test_a_report_survives_a_death_right_after_it_was_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sent(world)
    from engine.work.incoming import receipts

    def die(*_: object) -> None:
        raise Died

    monkeypatch.setattr(receipts, "_tell_journeys", die)
    with pytest.raises(Died):
        take_receipts(world.app, "email", [told(world, ReceiptType.delivered)])
    monkeypatch.undo()
    assert state(world) == "accepted"  # all or nothing: the service tells it again
    assert take_receipts(world.app, "email", [told(world, ReceiptType.delivered)]).new == 1
    assert state(world) == "delivered"


def test_a_chunk_of_reports_costs_a_constant_number_of_statements(world: World) -> None:
    world.people(40)
    for name in [f"p{number:04d}" for number in range(40)]:
        world.order(name)
    world.tick()

    def cost(part: Sequence[Outgoing], name: str) -> int:
        reports = [
            Receipt(
                ReceiptType.delivered,
                world.clock.now(),
                f"{name}{one.message_id}",
                provider_id=f"stub-{one.message_id}",
            )
            for one in part
        ]
        before = world.app.database.statements
        take_receipts(world.app, "email", reports)
        return world.app.database.statements - before

    handed = world.email.handed
    cost(handed[:1], "first")
    assert cost(handed[:2], "a") == cost(handed[2:32], "b")
