"""`webhook`: another system is told of a person, as a message is sent: kept before it leaves, once, signed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import shops
from standardwebhooks import Webhook as Receiver
from stubs import CONFIG, Died, Stub, World

from channels.contract import Answer, FailureReason, Outgoing, Sent, Webhook
from channels.errors import Rejected, Unavailable, Uncertain
from channels.testing import Double, Request, Response
from engine.work.recovery import recover

MakeWorld = Callable[..., World]
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
KEY = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
CRM = """
  webhook:
    provider: webhook
    allow: [localhost]
    endpoints: {{crm: {{url: "{url}", secret_env: CRM_SECRET}}}}
"""
TELLS = """
title: The CRM hears of it
owner: us
topic: news
enter: {event: Order Completed}
again: {per: order_id}
steps:
  - webhook: crm
    with: {order: {from: event.order_id}, reason: bought again, nobody: {from: event.nothing}}
    then: [{exit: told}]
    otherwise: [{exit: not_told}]
"""


def config(url: str = "https://crm.example.com/hooks") -> str:
    return CONFIG.replace("policy:\n", CRM.format(url=url).lstrip("\n") + "policy:\n")


@pytest.fixture
def make(make_world: MakeWorld) -> MakeWorld:
    def world(journey: str = TELLS, says: Callable[[Outgoing], Answer] | None = None, **features: Any) -> World:
        made = make_world({"tells": journey}, config=config(), secrets={"CRM_SECRET": KEY})
        stub = Stub("webhook", says, **features)
        made.app.providers["webhook"] = stub
        return made

    return world


def stub(world: World) -> Stub:
    found = world.app.providers["webhook"]
    assert isinstance(found, Stub)
    return found


def ends(world: World) -> list[str | None]:
    return [row.reason for row in world.rows("SELECT reason FROM enrollment ORDER BY id")]


def test_it_is_told_who_where_and_what_the_author_adds_and_the_way_waits_for_the_answer(make: MakeWorld) -> None:
    world = make()
    world.order(*world.people(1))
    world.tick()
    (told,) = stub(world).handed
    assert isinstance(told.content, Webhook)
    assert (told.content.to, told.content.type) == ("crm", "journey.step")
    data = json.loads(told.content.data)
    assert data.pop("entered_at").startswith("2026-11-24T09:00:00")
    assert data == {
        **{"person": "p0000", "journey": "tells", "step": "webhook-crm"},
        "with": {"order": "p0000-1", "reason": "bought again"},
    }
    world.tick()
    assert ends(world) == ["told"]


def refused(_: Outgoing) -> Answer:
    return Rejected("410", reason=FailureReason.policy)


def busy(_: Outgoing) -> Answer:
    return Unavailable("503")


def silent(_: Outgoing) -> Answer:
    return Uncertain("no answer")


@pytest.mark.parametrize("says", [refused, busy, silent])
def test_what_was_surely_not_or_perhaps_heard_goes_on_by_failed(
    make: MakeWorld, says: Callable[[Outgoing], Answer]
) -> None:
    world = make(says=says)
    world.order(*world.people(1))
    for _ in range(30):
        world.tick(HOUR)
    assert ends(world) == ["not_told"]
    assert world.rows("SELECT count(*) FROM message") == [(1,)]


def test_after_silence_it_is_told_again_with_the_same_id_and_bytes_where_that_is_recognised(make: MakeWorld) -> None:
    world = make(says=lambda one: silent(one) if one.attempt == 1 else Sent(None), dedupe_by="key", dedupe_window=DAY)
    world.order(*world.people(1))
    for _ in range(3):
        world.tick(HOUR)
    first, second = stub(world).handed
    assert (first.key, first.content) == (second.key, second.content)
    assert ends(world) == ["told"]


def test_D1_a_death_while_it_is_told_tells_nobody_twice(make: MakeWorld) -> None:
    world = make()
    world.order(*world.people(2))

    def dies(_: Any) -> None:
        raise Died

    stub(world).during = dies
    with suppress(Died):
        world.tick()
    stub(world).during = None
    world.restart()
    recover(world.app, world.clock.now())
    world.tick()
    assert len(stub(world).handed) == len({one.key for one in stub(world).handed}) == 2
    assert ends(world) == ["not_told", "not_told"]


def test_it_asks_no_consent_fills_no_cap_and_waits_for_no_night(make: MakeWorld) -> None:
    mails = "  - {send: note, via: [email]}\n"
    world = make(TELLS.replace("    then: [{exit: told}]\n", "").replace("    otherwise: [{exit: not_told}]\n", mails))
    world.clock.move_to(world.clock.now().replace(hour=23))
    (person,) = world.people(1)
    world.order(person)
    world.tick()
    world.tick()
    assert len(stub(world).handed) == 1
    assert {row.channel: row.state for row in world.rows("SELECT channel, state FROM message")}["webhook"] == "queued"
    assert len(world.email.handed) == 1  # the cap is one a day, and the webhook is none
    (without,) = world.people(1, consent=False, first=1)
    world.order(without)
    world.tick()
    assert len(stub(world).handed) == 2


def test_who_leaves_before_it_left_is_not_told_of(make: MakeWorld) -> None:
    world = make(TELLS.replace("again:", "leave: [{event: Order Cancelled}]\nagain:"), says=busy)
    world.order(*world.people(1))
    world.tick()
    world.clock.move_to(world.clock.now() + timedelta(seconds=1))
    shops.happen(world.app, "c", "p0000", "Order Cancelled", {"order_id": "p0000-1"})
    world.tick(HOUR)
    assert len(stub(world).handed) == 1
    assert [row.kind for row in world.rows("SELECT kind FROM delivery ORDER BY id")][-1] == "cancelled"


def test_who_is_held_out_is_not_told_of(make: MakeWorld) -> None:
    world = make(TELLS.replace("topic: news", "topic: news\nholdout: 99%"))
    world.order(*world.people(20))
    world.tick()
    held = world.rows("SELECT count(*) FROM enrollment WHERE holdout")[0][0]
    assert len(stub(world).handed) == 20 - held < 20
    assert set(ends(world)) == {"told"}


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[Any]]]:
    heard: list[Any] = []

    def handle(request: Request) -> Response:
        head = request.headers
        at = datetime.fromtimestamp(int(head["webhook-timestamp"]), UTC)
        signed = Receiver(KEY).sign(head["webhook-id"], at, request.body.decode())
        if (signed, at) != (head["webhook-signature"], shops.NOW):
            return Response(401)
        heard.append(json.loads(request.body))
        return Response(200)

    with Double(handle).in_thread() as place:
        yield f"{place}/hooks", heard


def test_over_a_real_socket_a_receiver_by_the_standard_believes_it(
    make_world: MakeWorld, receiver: tuple[str, list[Any]]
) -> None:
    url, heard = receiver
    world = make_world({"tells": TELLS}, config=config(url), secrets={"CRM_SECRET": KEY})
    world.order(*world.people(3))
    world.tick()
    assert sorted(one["data"]["person"] for one in heard) == ["p0000", "p0001", "p0002"]
    assert {one["type"] for one in heard} == {"journey.step"}
    world.tick()
    assert ends(world) == ["told"] * 3
