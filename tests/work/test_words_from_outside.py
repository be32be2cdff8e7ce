"""What services call things and what people answer is written down, whatever signs it is made of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from stubs import JOURNEY, World

from channels.contract import Answer, Outgoing, Receipt, ReceiptType, Sent
from channels.errors import Rejected
from engine.work.incoming.receipts import take_receipts

ANN, BOB = "p0000", "p0001"
HALF, NUL = "Thanks \ud83d", "a\x00b"  # the first half of a smiley, as a service cuts it off; what PostgreSQL refuses
LONG = "".join(chr(0x4E00 + number * 7919 % 0x5000) for number in range(3_000))  # which no index packs into a row


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    made = make_world({"note": JOURNEY})
    made.email.features = type(made.email.features)(in_flight=8, receipts=True)
    made.people(2)
    made.order(ANN, BOB)
    return made


def sending(world: World, says: Callable[[Outgoing], Answer]) -> set[str]:
    world.email.says = says
    world.tick()
    return {state for (_, channel), state in world.states().items() if channel == "email"}


@pytest.mark.parametrize("name", [HALF, NUL, LONG])
def test_D9_a_name_in_strange_signs_does_not_keep_what_was_accepted_from_being_written(world: World, name: str) -> None:
    # the second commit failed, for the whole batch, and no message left that lane any more
    assert sending(world, lambda out: Sent(f"{name}{out.message_id}")) == {"accepted"}
    world.tick(timedelta(minutes=5))
    assert len(world.email.handed) == 2


def test_a_report_finds_its_message_by_a_name_in_strange_signs(world: World) -> None:
    sending(world, lambda out: Sent(f"{HALF}{out.message_id}"))
    told = [
        Receipt(ReceiptType.delivered, world.clock.now(), f"e{out.message_id}", provider_id=f"{HALF}{out.message_id}")
        for out in world.email.handed
    ]
    assert take_receipts(world.app, "email", told).unmatched == 0


@pytest.mark.parametrize("words", [HALF, NUL])
def test_a_refusal_in_strange_signs_is_written(world: World, words: str) -> None:
    assert sending(world, lambda out: Rejected(f"It says {words}.", code=words)) == {"rejected"}


def deep(levels: int) -> Any:
    found: Any = 1
    for _ in range(levels):
        found = [found]
    return found


@pytest.mark.parametrize(
    "told",
    [
        *({name: text} for name in ("event_id", "key", "to", "link", "detail") for text in (HALF, NUL, LONG)),
        *({"raw": {"content": value}} for value in (HALF, NUL, deep(700), float("nan"))),
        {"raw": {HALF: {NUL: [HALF]}}},
    ],
    ids=lambda told: "-".join(told),
)
def test_R4_one_report_in_strange_signs_does_not_keep_out_those_it_came_with(
    world: World, told: dict[str, Any]
) -> None:
    # a person's answer, cut in the middle of a smiley, was answered 500, and with it all that came in its request
    sending(world, lambda out: Sent(f"stub-{out.message_id}"))
    first, second = world.email.handed
    odd = {"event_id": "odd", "provider_id": f"stub-{first.message_id}", **told}
    even = Receipt(ReceiptType.delivered, world.clock.now(), "even", provider_id=f"stub-{second.message_id}")
    heard = [Receipt(ReceiptType.clicked, world.clock.now(), **odd), even]

    assert take_receipts(world.app, "email", heard).new == 2
    assert take_receipts(world.app, "email", heard).repeated == 2
