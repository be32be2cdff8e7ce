"""May this be said to this person, and when: reach, suppression, consent, lateness, quiet hours, the least gap, caps.

`judge` answers for one wish of one touch. It looks at the instant at which the message would really go: a closed window
or a gap is waited for first, and the caps are asked as of that instant. Nothing but `max_lateness`, the deadline, the
list of suppressed addresses and an opt-out concerns transactional messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from msgspec import Struct

from engine.decide.caps import Place, Places, binding, counted, filled, full, used
from engine.decide.decision import Rule, Want
from engine.decide.quiet import closings
from engine.decide.route import serves, whither
from engine.decide.split import held_out_of_all
from engine.decide.state import Consented, CustomerState, Enrolled, Rules
from engine.decide.timing import FAR, Closing, first_open, later, local, opening
from engine.journey.graph import Graph
from engine.journey.parts import CALL, SMS
from engine.settings import Cap, Policy, Purpose
from engine.values import replace

ALL_TOPICS = "*"
_NO_GAP = timedelta(0)


class Lost(NamedTuple):
    """A place that is given up, and what had no room for both."""

    place: Place
    cap: str


class Allowed(Struct, frozen=True):
    """It may go now."""

    due_at: datetime  # the plan's instant: the first at which it was allowed to go
    displaces: tuple[Lost, ...] = ()  # messages that go after it and give up their place


class Deferred(Struct, frozen=True):
    """It may go later, and in time."""

    until: datetime
    sentence: str


class Forbidden(Struct, frozen=True):
    """It may not go at all."""

    rule: Rule
    sentence: str
    at: datetime  # the plan's instant of the refusal
    detail: Mapping[str, Any] = {}


Verdict = Allowed | Deferred | Forbidden


def judge(want: Want, state: CustomerState, rules: Rules, now: datetime, already: Places) -> Verdict:
    """May this wish go now, later, or not? `want.due_at` is when the plan first asks for it."""
    refused = unreachable(want, state, rules) or objection(want.channel, want.topic, want.marketing, state)
    if refused is not None:
        return Forbidden(*refused, at=want.due_at)
    held_out = want.marketing and is_held_out(want.enrollment, state, rules)  # who is takes nobody's place
    others = [] if held_out else already.beside(want)
    return _in_time(_Case(want, state.person.zone, limits_of(want, rules, state.person.country), others, now))


def is_held_out(way: Enrolled, state: CustomerState, rules: Rules) -> bool:
    """Does no marketing of this way reach the person? What a journey of another purpose advertises does neither."""
    if way.holdout or rules.policy.is_marketing(rules.graphs[way.version_id].head.topic):
        return way.holdout  # of a marketing journey it was settled at entry
    return held_out_of_all(state.person.external_id, rules.policy.holdout)


# --- reach and consent -----------------------------------------------------------------------------------------------


def unreachable(want: Want, state: CustomerState, rules: Rules) -> tuple[Rule, str] | None:
    """Why this channel cannot reach the person at all, if so."""
    if want.channel == CALL:
        return None if state.person.address(CALL) else (Rule.unreachable, "no telephone number")
    if want.channel not in rules.texts.get(want.message, frozenset()):
        return Rule.unreachable, f"{want.message} is not written for {want.channel}"
    if want.channel not in rules.policy.channels:
        return Rule.unreachable, f"{want.channel} has no provider"
    address = state.person.address(want.channel)
    if not address:
        return Rule.unreachable, "no address"
    return unserved(want.channel, address, state.person.country, rules.policy)


def unserved(channel: str, address: str, country: str | None, policy: Policy) -> tuple[Rule, str] | None:
    """Why no provider of the channel carries anything to that address, if so."""
    if channel not in policy.choosy:
        return None
    to = whither(channel, address, country, policy.home)
    if any(serves(lane, to) for lane in policy.choosy[channel]):
        return None
    return Rule.unreachable, f"no provider of {channel} serves {to.country}"


def objection(channel: str, topic: str, marketing: bool, state: CustomerState) -> tuple[Rule, str] | None:
    """Why the person must not be written to on this channel, if so: suppressed, or without consent, or opted out."""
    if channel in state.suppressed or (channel == CALL and SMS in state.suppressed):
        return Rule.suppressed, f"the address for {channel} is on the suppression list"
    word = last_word(state.consents, channel, topic)
    if word is not None and not word.granted:
        about = "everything" if word.topic == ALL_TOPICS else word.topic
        return Rule.no_consent, f"opted out of {about} by {channel} on {_day(word, state)} ({word.source})"
    if word is None and marketing:
        return Rule.no_consent, f"no consent to {topic} by {channel}"
    if word is not None and marketing and word.purpose == Purpose.transactional:
        return Rule.no_consent, f"the yes to {topic} by {channel} of {_day(word, state)} was to no marketing"
    return None


def _day(word: Consented, state: CustomerState) -> str:
    """The day on which it was said, where the person lives."""
    return f"{word.at.astimezone(state.person.zone):%Y-%m-%d}"


def last_word(consents: Iterable[Consented], channel: str, topic: str) -> Consented | None:
    """The word that decides about a topic on a channel: a no to the topic stays until a yes to that very topic;
    a no to everything stays until a later yes."""
    own = general = None
    for one in consents:
        if one.channel == channel:
            if one.topic == topic:
                own = _later(own, one)
            if one.topic == ALL_TOPICS:
                general = _later(general, one)
    if own is None or (general is not None and own.granted and not general.granted and general.at >= own.at):
        return general
    return own


def _later(one: Consented | None, other: Consented) -> Consented:
    """At one instant the no holds."""
    return other if one is None or (other.at, not other.granted) > (one.at, not one.granted) else one


# --- in time ---------------------------------------------------------------------------------------------------------


class Limits(Struct, frozen=True):
    """What holds for one wish: config.yaml, made stricter by its journey."""

    closings: tuple[Closing, ...]
    gaps: Policy | None  # None: no gap is asked for
    caps: tuple[Cap, ...]
    patience: timedelta

    def gap(self, place: Place, channel: str) -> timedelta:
        """How far a message of this channel has to be from one that counts."""
        if self.gaps is None or not place.marketing:
            return _NO_GAP
        return self.gaps.gap_between(place.channel, channel)


def limits_of(want: Want, rules: Rules, country: str | None) -> Limits:
    """The limits of a wish. Those of its journey are the live version's: they hold for everyone inside at once."""
    way = want.enrollment
    like = way.journey, way.version_id, want.channel, want.topic, want.marketing, want.tags, country
    known: Limits | None = rules.limits.get(like)
    if known is None:
        known = rules.limits[like] = _limits_of(want, rules, country)
    return known


def _limits_of(want: Want, rules: Rules, country: str | None) -> Limits:
    graph = live_graph(rules, want.enrollment.journey, want.enrollment.version_id)
    policy, head = rules.policy, graph.head
    patience = head.max_lateness if head.max_lateness is not None else policy.max_lateness
    caps = binding((*policy.caps, *head.caps), want.channel, want.topic, want.marketing, want.tags)
    if not want.marketing:
        return Limits((), None, caps, patience)
    quiet = closings(policy, want.channel, country, head.quiet_hours.get(want.channel))
    return Limits(quiet, policy, caps, patience)


def closings_of(rules: Rules, journey: str, channel: str, country: str | None) -> tuple[Closing, ...]:
    """When a channel is closed to people in a country: the shop's rules, and those of the journey as it is now."""
    known: tuple[Closing, ...] | None = rules.limits.get((journey, channel, country))
    if known is None:
        live = rules.graphs.get(rules.heads.get(rules.called(journey), -1))
        known = closings(rules.policy, channel, country, live.head.quiet_hours.get(channel) if live else None)
        rules.limits[journey, channel, country] = known
    return known


def caps_of(rules: Rules, journey: str) -> tuple[Cap, ...]:
    """The caps that hold for a journey: the shop's, and its own as it is now."""
    live = rules.graphs.get(rules.heads.get(rules.called(journey), -1))
    return (*rules.policy.caps, *live.head.caps) if live else rules.policy.caps


def live_graph(rules: Rules, journey: str, version_id: int) -> Graph:
    """The version people enter now: leave rules, goal, caps and priority are read there. Steps stay those of entry."""
    live = rules.graphs.get(rules.heads.get(journey, version_id))
    return live if live is not None else rules.graphs[version_id]


@dataclass(slots=True)
class _Case:
    """One wish before its judge, with everything that is held against it."""

    want: Want
    zone: ZoneInfo
    limits: Limits
    others: Sequence[Place]
    now: datetime
    planned: datetime = field(init=False)  # the plan's instant: the first at which it could have gone, whoever looked
    opens: datetime = field(init=False)  # the first instant from now on at which nothing is closed
    closed: tuple[str, ...] = field(init=False)  # what is waited for until then
    goes: datetime = field(init=False)  # the first of those that is far enough from every other touch

    def __post_init__(self) -> None:
        known = [one for one in self.others if one.at <= self.now]
        self.planned = self._chance(self.want.due_at, known, looking_back=True)
        self.opens, self.closed = opening(max(self.now, self.want.due_at), self.zone, self.limits.closings)
        self.goes = self._chance(self.opens, self.others)

    @property
    def refused_at(self) -> datetime:
        """The plan's instant of a refusal."""
        return self.planned if self.planned <= min(self.now, self.want.send_by) else self.want.due_at

    def _chance(self, start: datetime, others: Sequence[Place], looking_back: bool = False) -> datetime:
        """The first open instant with a gap to others. Looking back, they matter to what came after them only."""
        at = first_open(start, self.zone, *self.limits.closings)
        for other, gap in sorted((one.at, self.limits.gap(one, self.want.channel)) for one in others):
            after = later(other, gap)
            if at < after and (other <= at if looking_back else other - gap < at):
                at = first_open(after, self.zone, *self.limits.closings)
        return at

    def refuse(self, rule: Rule, sentence: str, detail: Mapping[str, Any] | None = None) -> Forbidden:
        return Forbidden(rule, sentence, self.refused_at, detail or {})

    def gap(self, place: Place) -> timedelta:
        return self.limits.gap(place, self.want.channel)

    def clock(self, at: datetime) -> str:
        return clock(at, self.zone)


def _in_time(case: _Case) -> Verdict:
    """Deadline, quiet hours, gap, lateness; then the caps as of the instant it would go."""
    want, limits = case.want, case.limits
    if case.now > want.send_by:
        return case.refuse(Rule.late, f"it had to go by {case.clock(want.send_by)}")
    if case.opens > want.send_by:
        until = "for ever" if case.opens >= FAR else f"until {case.clock(case.opens)}"
        return case.refuse(Rule.late, f"{closed(case.closed)} {until}, and it has to go by {case.clock(want.send_by)}")
    if case.goes > later(case.planned, limits.patience):
        late = f"it was due at {case.clock(case.planned)}, more than {span(limits.patience)} before it could go"
        return case.refuse(Rule.late, late)
    return _under_caps(case) if case.goes <= want.send_by else _out_of_gap(case)


def _out_of_gap(case: _Case) -> Verdict:
    """The gap to other touches is not over in time: those of lower priority that have not begun give way."""
    near = [one for one in case.others if abs(one.at - case.opens) < case.gap(one)]
    weaker = [one for one in near if one.gives_way_to(case.want)]
    freed = replace(case, others=[one for one in case.others if one not in weaker])
    blocking = [one for one in near if one not in weaker] or near
    gap = span(max(case.gap(one) for one in blocking))
    if weaker and freed.goes <= case.want.send_by:
        return _under_caps(freed, tuple(Lost(one, f"least gap {gap}") for one in weaker))
    sentence = f"less than {gap} from another message, and it has to go by {case.clock(case.want.send_by)}"
    return case.refuse(Rule.capped, sentence, filled(f"least gap {gap}", blocking))


def _under_caps(case: _Case, displaced: tuple[Lost, ...] = ()) -> Verdict:
    """Every cap as of the instant it goes; a place held by something weaker that has not begun is taken over."""
    for cap in case.limits.caps:
        gone = {one.place.message_id for one in displaced}
        beside = [one for one in case.others if not (one.free and one.message_id in gone)]
        counting = counted(cap, beside, case.goes, case.now, case.zone)
        over = used(cap, counting) - cap.at_most + 1
        weaker = sorted((one for one in counting if one.gives_way_to(case.want)), key=_weakest_first)
        if len(weaker) < over:
            reason = full(cap, counting)
            return case.refuse(Rule.capped, reason.sentence, reason.detail)
        displaced += tuple(Lost(one, cap.name) for one in weaker[: max(over, 0)])
    if case.goes > case.now:
        return Deferred(case.goes, _why_later(case))
    return Allowed(min(case.planned, case.now), displaced)


def _weakest_first(place: Place) -> tuple[int, float, float, int]:
    return place.priority, -place.send_by.timestamp(), -place.at.timestamp(), -(place.message_id or 0)


# --- sentences -------------------------------------------------------------------------------------------------------


def clock(at: datetime, zone: ZoneInfo) -> str:
    """An instant as people where the person is read it."""
    return f"{local(at, zone).isoformat(' ')[:16]} {zone.key}"


def span(length: timedelta) -> str:
    """A duration as authors write it: 90m, 6h, 3d."""
    seconds = int(length.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds % size == 0 and seconds:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def closed(names: Iterable[str]) -> str:
    """What keeps a channel closed, in the order in which it is waited for."""
    return ", then ".join(names)


def _why_later(case: _Case) -> str:
    held = f"held until {case.clock(case.goes)}"
    if case.opens >= case.goes:
        return f"{held}: {closed(case.closed)}"
    also = f" and {closed(case.closed)}" if case.opens > case.now else ""
    gap = max(case.gap(one) for one in case.others)
    return f"{held}: {span(gap)} between two messages{also}"
