"""What became of a message, and how sure one must be that it was a person's doing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from engine.decide.customer import decide
from engine.decide.outcome import MessageState
from tests.decide.world import START, World, journey, rules_for, said, state, way

ASKED = START + timedelta(hours=1)


def waiting(word: str, became: MessageState = MessageState.accepted, sure: str = "likely") -> World:
    """Someone who waits for what becomes of a message that went out."""
    graph = journey(
        "steps: [{send: hello, via: [email]},"
        f" {{id: w, wait_for: {{message: hello, is: {word}}}, within: 9d, confidence: {sure}, then: [{{exit: came}}]}}]"
    )
    sent = said(enrollment_id=7, journey="plan", settled_at=START, state=became)
    return World(state(way(graph, step="w"), said=(sent,)), rules_for(graph), START)


@pytest.mark.parametrize(
    ("word", "event"),
    [
        ("delivered", "Message Delivered"),
        ("opened", "Message Opened"),
        ("clicked", "Message Clicked"),
        ("replied", "Message Replied"),
        ("bounced", "Message Bounced"),
        ("complained", "Message Complained"),
    ],
)
def test_each_word_has_its_event(word: str, event: str) -> None:
    world = waiting(word)
    assert world.step().moves[0].active
    world.now = ASKED
    world.event(event, message="hello", enrollment_id=7)
    (move,) = world.step().moves
    assert (move.reason, move.ended_at) == ("came", ASKED)


@pytest.mark.parametrize(
    ("word", "became", "comes"),
    [
        ("bounced", MessageState.bounced, True),
        ("bounced", MessageState.accepted, False),
        ("complained", MessageState.complained, True),
        ("delivered", MessageState.complained, True),
        ("delivered", MessageState.bounced, False),
        ("replied", MessageState.delivered, False),
    ],
)
def test_what_a_provider_reports_is_an_answer_too(word: str, became: MessageState, comes: bool) -> None:
    (move,) = waiting(word, became).step().moves
    assert (move.reason == "came") is comes


@pytest.mark.parametrize(
    ("sure", "told", "comes"),
    [
        ("possible", {"machine": True}, True),
        ("possible", {}, True),
        ("likely", {"machine": True}, False),
        ("likely", {"confidence": "possible"}, False),
        ("likely", {}, True),
        ("likely", {"confidence": "certain"}, True),
        ("certain", {}, False),
        ("certain", {"confidence": "likely"}, False),
        ("certain", {"confidence": "certain"}, True),
        ("certain", {"confidence": "certain", "machine": True}, False),
    ],
)
@pytest.mark.parametrize("word", ["clicked", "opened"])
def test_an_answer_must_be_as_sure_as_is_asked_for(word: str, sure: str, told: dict[str, Any], comes: bool) -> None:
    world = waiting(word, sure=sure)
    world.now = ASKED
    world.event(f"Message {word.title()}", message="hello", enrollment_id=7, **told)
    (move,) = world.step().moves
    assert (move.reason == "came") is comes


@pytest.mark.parametrize(("sure", "comes"), [("possible", True), ("likely", False)])
def test_a_link_that_a_machine_followed_counts_where_that_is_asked_for(sure: str, comes: bool) -> None:
    world = waiting("clicked", sure=sure)
    world.now = ASKED
    world.event("Message Scanned", message="hello", enrollment_id=7, machine=True)
    assert (world.step().moves[0].reason == "came") is comes


def test_conditions_ask_for_what_is_likely() -> None:
    graph = journey(
        "steps: [{branch: [{if: {message.hello: replied}, then: [{exit: yes}]}, {otherwise: [{exit: no}]}]}]"
    )
    sent = said(enrollment_id=7, journey="plan")
    for machine, reason in ((False, "yes"), (True, "no")):
        world = World(state(way(graph), said=(sent,)), rules_for(graph), START)
        world.event("Message Replied", message="hello", enrollment_id=7, machine=machine)
        assert decide(world.state, world.rules, START).moves[0].reason == reason


def test_one_item_of_a_list_may_ask_for_more_or_less() -> None:
    graph = journey(
        "steps: [{id: w, wait_for: [{message: hello, is: opened, confidence: possible}, {message: hello, is: clicked}],"
        " within: 9d, confidence: certain, then: [{exit: came}]}]"
    )
    for name, comes in (("Message Opened", True), ("Message Clicked", False)):
        world = World(
            state(way(graph, step="w"), said=(said(enrollment_id=7, journey="plan"),)), rules_for(graph), START
        )
        world.event(name, message="hello", enrollment_id=7)
        assert (world.step().moves[0].reason == "came") is comes
