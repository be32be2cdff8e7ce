"""What came back: the events a rule or a step asks for, and what became of the messages of one way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from engine.audience.conditions import holds
from engine.audience.values import Happening
from engine.audience.view import View
from engine.decide.draft import Here
from engine.decide.outcome import COUNTS, WENT, MessageState
from engine.decide.state import Said
from engine.decide.timing import later
from engine.journey.conditions import Condition
from engine.journey.parts import CALL, WEBHOOK
from engine.journey.steps import Confidence

#: our own events, by the word of the language
RESPONSES = {
    "delivered": "Message Delivered",
    "opened": "Message Opened",
    "clicked": "Message Clicked",
    "replied": "Message Replied",
    "bounced": "Message Bounced",
    "complained": "Message Complained",
}
#: a link that was followed by a machine
SCANNED = "Message Scanned"
#: states that say the same as a response
_SAYS = {
    "delivered": frozenset({MessageState.delivered, MessageState.complained}),
    "bounced": frozenset({MessageState.bounced}),
    "complained": frozenset({MessageState.complained}),
}

_NO_TEXTS = CALL, WEBHOOK  # channels on which nothing is said that a person could answer


def events(
    here: Here, name: str, where: Condition | None, in_time: Callable[[datetime], bool], same_key: bool
) -> Iterator[Happening]:
    """Events of one name that match, at instants `in_time` accepts; with `same_key`, of this way's key only.

    An answer to a message of this way is about its key, unless it tells another. An event stamped a little ahead of our
    clock is known all the same, and counts.
    """
    per = here.graph.head.again.per if same_key else None
    for happening in here.state.happenings:
        if happening.name == name and in_time(happening.at):
            same = per is None or _has_key(here, per, happening.payload)
            if same and (where is None or holds(where, view(here, happening.payload), here.now)):
                yield happening


def _has_key(here: Here, per: str, payload: Mapping[str, object]) -> bool:
    if per in payload:
        return str(payload[per]) == here.enrolled.key
    way = payload.get("enrollment_id")
    return way is not None and str(way) == str(here.enrolled.id)


def leave_events(here: Here, name: str, where: Condition | None) -> Iterator[Happening]:
    """Events strictly after entry that end this way."""
    return events(here, name, where, lambda at: at > here.enrolled.entered_at, same_key=True)


def goal_events(here: Here) -> Iterator[Happening]:
    """Events that reach the goal: strictly after entry, inside its time. Another order is just what is hoped for."""
    goal = here.head.goal
    if goal is None:
        return iter(())
    entered = here.enrolled.entered_at
    end = later(entered, goal.within)
    return events(here, goal.event, goal.where, lambda at: entered < at <= end, same_key=False)


def awaited_events(here: Here, name: str, where: Condition | None, until: datetime) -> Iterator[Happening]:
    """Events that answer the step stood on: from arrival to the end of waiting, whenever they were recorded."""
    return events(here, name, where, lambda at: here.arrived <= at <= until, same_key=True)


def response_at(here: Here, message: str, word: str, confidence: Confidence = "likely") -> datetime | None:
    """When this became of a message of this way first, as far as one is so sure of it; None: not yet.

    A text that was sent more than once is asked about its latest sending; inside a repeat, of this round.
    """
    sent = [one for one in _written(here, message) if one.state in COUNTS]
    if not sent:
        return None
    latest = sent[-1]
    if word == "sent":
        return settled(latest) if latest.state in WENT else None
    instants = [one.at for one in _about(here, message, word, confidence) if one.at >= latest.at]
    if latest.state in _SAYS.get(word, ()):
        instants.append(settled(latest))
    return min(instants, default=None)


def hopeless_since(here: Here, message: str) -> datetime | None:
    """Since when it is certain that this message will not be answered: it was never sent. None: it may still be."""
    about = _written(here, message)
    if any(one.state in COUNTS for one in about):
        return None
    return max([here.arrived, *(settled(one) for one in about)])


def _written(here: Here, message: str) -> list[Said]:
    """A text as often as it was written to the person; calls are about a brief, which may have the same name."""
    return [one for one in here.said_this_round if one.message == message and one.channel not in _NO_TEXTS]


def settled(said: Said) -> datetime:
    """When the state of a message was reached, as far as is known."""
    return said.settled_at or said.at


def view(here: Here, event: Mapping[str, object] | None = None) -> View:
    """The person as conditions see them here: `event` is the one at hand, else the one that opened this way."""
    return View(
        here.state.person,
        here.state.happenings,
        here.rules.audience,
        event=here.enrolled.event if event is None else event,
        messages=_words(here),
    )


def _words(here: Here) -> dict[str, set[str]]:
    """What became of each message of this way that went out."""
    found: dict[str, set[str]] = {}
    for name in dict.fromkeys(one.message for one in here.said if one.channel not in _NO_TEXTS):
        words = {word for word in ("sent", *RESPONSES) if response_at(here, name, word) is not None}
        if words:
            found[name] = words
    return found


def _about(here: Here, message: str, word: str, confidence: Confidence) -> Iterator[Happening]:
    """Responses of this way to one message. What a machine did answers nothing, unless one asks for it."""
    names = {RESPONSES[word], SCANNED} if (word, confidence) == ("clicked", "possible") else {RESPONSES[word]}
    for one in here.state.happenings:
        payload = one.payload
        if one.name in names and payload.get("message") == message and _is_sure(payload, confidence):
            way = payload.get("enrollment_id")
            if way is None:
                told = here.rules.called(str(payload.get("journey")))
                mine = told == here.enrolled.journey and one.at > here.enrolled.entered_at
            else:
                mine = str(way) == str(here.enrolled.id)
            if mine:
                yield one


def _is_sure(payload: Mapping[str, object], confidence: Confidence) -> bool:
    """Was it a person? Unless somebody says more, what no machine is known to have done is likely a person's doing."""
    told = "possible" if payload.get("machine") else payload.get("confidence", "likely")
    match confidence:
        case "possible":
            return True
        case "likely":
            return told != "possible"
        case "certain":
            return told == "certain"
