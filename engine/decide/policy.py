"""May this be said to this person, and when: reach, suppression, consent, lateness, quiet hours, the least gap, caps.

`judge` answers for one wish of one touch. It looks at the instant at which the message would really go: a closed window
or a gap is waited for first, and the caps are asked as of that instant. Nothing but `max_lateness`, the deadline, the
list of suppressed addresses and an opt-out concerns transactional messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from engine.audience.values import Person
from engine.decide.decision import Rule, Want
from engine.decide.outcome import COUNTS, MessageState
from engine.decide.state import Consented, CustomerState, Rules, Said
from engine.decide.timing import day_of, first_open, later, local, week_of
from engine.journey.graph import Graph
from engine.journey.quantities import Window
from engine.settings import Cap, Policy

ALL_TOPICS = "*"
Touch = tuple[int | None, str, int]  # enrollment, step, visit: its wishes count once


@dataclass(frozen=True)
class Allowed:
    """It may go now."""

    due_at: datetime  # the plan's instant: the first at which it was allowed to go
    displaces: tuple[Place, ...] = ()  # messages of lower priority that give up their place


@dataclass(frozen=True)
class Deferred:
    """It may go later, and in time."""

    until: datetime
    sentence: str


@dataclass(frozen=True)
class Forbidden:
    """It may not go at all."""

    rule: Rule
    sentence: str
    at: datetime  # the plan's instant of the refusal
    detail: Mapping[str, Any] = field(default_factory=dict)


Verdict = Allowed | Deferred | Forbidden


@dataclass(frozen=True, slots=True)
class Place:
    """One marketing message that counts against caps: on the books, or wanted a moment ago in this very decision."""

    touch: Touch
    message_id: int | None  # None: wanted in this decision
    at: datetime
    journey: str
    step: str
    channel: str
    message: str
    priority: int
    state: str
    free: bool  # nothing has begun: one of higher priority may take the place
    theirs: bool = False

    @property
    def told(self) -> dict[str, Any]:
        """How a reason names it."""
        return {
            "message_id": self.message_id,
            "enrollment_id": self.touch[0],
            "journey": self.journey,
            "step": self.step,
            "message": self.message,
            "channel": self.channel,
            "priority": self.priority,
            "state": self.state,
        }


class Places:
    """What counts while one decision is made: what is recorded, what this decision adds, without what it takes back."""

    def __init__(self, said: Iterable[Said] = ()) -> None:
        self._all = _places(said)

    def beside(self, want: Want) -> list[Place]:
        """What counts for a wish: all of this person's, and on its channel those of people who share the address."""
        touch = touch_of(want)
        return [one for one in self._all if one.touch != touch and (not one.theirs or one.channel == want.channel)]

    def take(self, want: Want, now: datetime) -> None:
        """A message decided just now counts for those judged after it."""
        if want.marketing:
            self._all.append(
                Place(
                    touch=touch_of(want),
                    message_id=None,
                    at=now,
                    journey=want.enrollment.journey,
                    step=want.step,
                    channel=want.channel,
                    message=want.message,
                    priority=want.priority,
                    state=MessageState.queued,
                    free=False,
                )
            )

    def give_up(self, message_ids: Iterable[int | None]) -> None:
        """Messages taken back in this decision count no longer."""
        gone = set(message_ids) - {None}
        self._all = [one for one in self._all if one.message_id not in gone]


def touch_of(want: Want) -> Touch:
    """The touch a wish belongs to."""
    return want.enrollment.id, want.step, want.visit


def judge(want: Want, state: CustomerState, rules: Rules, now: datetime, already: Places) -> Verdict:
    """May this wish go now, later, or not? `want.due_at` is when the plan first asks for it."""
    refused = unreachable(want, state, rules) or objection(want.channel, want.topic, want.marketing, state)
    if refused is not None:
        return Forbidden(*refused, at=want.due_at)
    counts = want.marketing and not want.enrollment.holdout  # who is held out takes nobody's place
    others = already.beside(want) if counts else []
    return _in_time(_Case(want, state.person.zone, limits_of(want, rules), others, now))


# --- reach and consent -----------------------------------------------------------------------------------------------


def unreachable(want: Want, state: CustomerState, rules: Rules) -> tuple[Rule, str] | None:
    """Why this channel cannot reach the person at all, if so."""
    if want.channel not in rules.texts.get(want.message, frozenset()):
        return Rule.unreachable, f"{want.message} is not written for {want.channel}"
    if want.channel not in rules.policy.channels:
        return Rule.unreachable, f"{want.channel} has no provider"
    if not state.person.addresses.get(want.channel):
        return Rule.unreachable, "no address"
    return None


def objection(channel: str, topic: str, marketing: bool, state: CustomerState) -> tuple[Rule, str] | None:
    """Why the person must not be written to on this channel, if so: suppressed, or without consent, or opted out."""
    if channel in state.suppressed:
        return Rule.suppressed, f"the address for {channel} is on the suppression list"
    word = last_word(state.consents, channel, topic)
    if word is not None and not word.granted:
        about = "everything" if word.topic == ALL_TOPICS else word.topic
        return Rule.no_consent, f"opted out of {about} by {channel} on {word.at:%Y-%m-%d} ({word.source})"
    if word is None and marketing:
        return Rule.no_consent, f"no consent to {topic} by {channel}"
    return None


def last_word(consents: Iterable[Consented], channel: str, topic: str) -> Consented | None:
    """The word that decides about a topic on a channel: a no to the topic stays until a yes to that very topic;
    a no to everything stays until a later yes."""
    own = _latest(one for one in consents if one.channel == channel and one.topic == topic)
    general = _latest(one for one in consents if one.channel == channel and one.topic == ALL_TOPICS)
    if own is None or (general is not None and own.granted and not general.granted and general.at >= own.at):
        return general
    return own


def _latest(words: Iterable[Consented]) -> Consented | None:
    return max(words, key=lambda one: (one.at, not one.granted), default=None)


# --- in time ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds for one wish: config.yaml, made stricter by its journey."""

    windows: tuple[Window | None, ...]
    gap: timedelta
    caps: tuple[Cap, ...]
    patience: timedelta


def limits_of(want: Want, rules: Rules) -> Limits:
    """The limits of a wish. Those of its journey are the live version's: they hold for everyone inside at once."""
    graph = live_graph(rules, want.enrollment.journey, want.enrollment.version_id)
    policy, head = rules.policy, graph.head
    patience = head.max_lateness if head.max_lateness is not None else policy.max_lateness
    if not want.marketing:
        return Limits((), timedelta(0), (), patience)
    windows = (policy.window(want.channel), head.quiet_hours.get(want.channel))
    return Limits(windows, policy.least_gap, (*policy.caps, *head.caps), patience)


def quiet_windows(rules: Rules, journey: str, channel: str) -> tuple[Window | None, ...]:
    """The quiet hours of a channel: the shop's, and those of the journey as it is now."""
    live = rules.graphs.get(rules.live.get(journey, -1))
    return rules.policy.window(channel), live.head.quiet_hours.get(channel) if live else None


def live_graph(rules: Rules, journey: str, version_id: int) -> Graph:
    """The version people enter now: leave rules, goal, caps and priority are read there. Steps stay those of entry."""
    live = rules.graphs.get(rules.live.get(journey, version_id))
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
    opens: datetime = field(init=False)  # the first instant from now on outside quiet hours
    goes: datetime = field(init=False)  # the first of those that is far enough from every other touch

    def __post_init__(self) -> None:
        known = [one for one in self.others if one.at <= self.now]
        self.planned = self._chance(self.want.due_at, known, looking_back=True)
        self.opens = first_open(max(self.now, self.want.due_at), self.zone, *self.limits.windows)
        self.goes = self._chance(self.opens, self.others)

    @property
    def refused_at(self) -> datetime:
        """The plan's instant of a refusal."""
        return self.planned if self.planned <= min(self.now, self.want.send_by) else self.want.due_at

    def _chance(self, start: datetime, others: Sequence[Place], looking_back: bool = False) -> datetime:
        """The first open instant with a gap to others. Looking back, they matter to what came after them only."""
        at = first_open(start, self.zone, *self.limits.windows)
        for other in sorted(one.at for one in others):
            after = later(other, self.limits.gap)
            if at < after and (other <= at if looking_back else other - self.limits.gap < at):
                at = first_open(after, self.zone, *self.limits.windows)
        return at

    def refuse(self, rule: Rule, sentence: str, detail: Mapping[str, Any] | None = None) -> Forbidden:
        return Forbidden(rule, sentence, self.refused_at, detail or {})

    def clock(self, at: datetime) -> str:
        return clock(at, self.zone)


def _in_time(case: _Case) -> Verdict:
    """Deadline, quiet hours, gap, lateness; then the caps as of the instant it would go."""
    want, limits = case.want, case.limits
    if case.now > want.send_by:
        return case.refuse(Rule.late, f"it had to go by {case.clock(want.send_by)}")
    if case.opens > want.send_by:
        closed = f"quiet hours of {want.channel} end at {case.clock(case.opens)}"
        return case.refuse(Rule.late, f"{closed}, after it has to go by {case.clock(want.send_by)}")
    if case.goes > later(case.planned, limits.patience):
        late = f"it was due at {case.clock(case.planned)}, more than {span(limits.patience)} before it could go"
        return case.refuse(Rule.late, late)
    return _under_caps(case) if case.goes <= want.send_by else _out_of_gap(case)


def _out_of_gap(case: _Case) -> Verdict:
    """The gap to other touches is not over in time: those of lower priority that have not begun give way."""
    gap = case.limits.gap
    near = [one for one in case.others if abs(one.at - case.opens) < gap]
    weaker = tuple(one for one in near if _gives_way(one, case.want))
    freed = replace(case, others=[one for one in case.others if one not in weaker])
    if weaker and freed.goes <= case.want.send_by:
        return _under_caps(freed, weaker)
    sentence = f"less than {span(gap)} from another message, and it has to go by {case.clock(case.want.send_by)}"
    blocking = [one for one in near if one not in weaker] or near
    return case.refuse(Rule.capped, sentence, _filled(f"least gap {span(gap)}", blocking))


def _under_caps(case: _Case, displaced: tuple[Place, ...] = ()) -> Verdict:
    """Every cap as of the instant it goes; a place held by something weaker that has not begun is taken over."""
    for cap in case.limits.caps:
        counted = _counted(cap, case.others, case.want.channel, case.goes, case.zone)
        counted = [one for one in counted if one not in displaced]
        over = _used(cap, counted) - cap.at_most + 1
        weaker = sorted((one for one in counted if _gives_way(one, case.want)), key=_weakest_first)
        if len(weaker) < over:
            return case.refuse(Rule.capped, _cap_sentence(cap, counted), _filled(cap.name, counted))
        displaced += tuple(weaker[: max(over, 0)])
    if case.goes > case.now:
        return Deferred(case.goes, _why_later(case))
    return Allowed(min(case.planned, case.now), displaced)


def _gives_way(place: Place, want: Want) -> bool:
    return place.free and place.priority < want.priority


def _weakest_first(place: Place) -> tuple[int, float, int]:
    return place.priority, -place.at.timestamp(), -(place.message_id or 0)


# --- caps ------------------------------------------------------------------------------------------------------------


def full_cap(
    said: Said, others: Iterable[Said], person: Person, policy: Policy, now: datetime, caps: tuple[Cap, ...] = ()
) -> str | None:
    """The cap of the policy (or of `caps`) that leaves no room for `said` among `others` at `now`, if any."""
    mine = _place(said)
    places = [
        one for one in _places(others) if one.touch != mine.touch and (not one.theirs or one.channel == said.channel)
    ]
    for cap in (*policy.caps, *caps):
        counted = _counted(cap, places, said.channel, now, person.zone)
        if _used(cap, counted) >= cap.at_most:
            return _cap_sentence(cap, counted)
    return None


def _counted(cap: Cap, places: Iterable[Place], channel: str, at: datetime, zone: ZoneInfo) -> list[Place]:
    """The places a cap counts for a message that goes at `at`."""
    if cap.channel not in (None, channel):
        return []
    return [one for one in places if cap.channel in (None, one.channel) and _same_span(cap, one.at, at, zone)]


def _same_span(cap: Cap, one: datetime, other: datetime, zone: ZoneInfo) -> bool:
    if cap.per == "day":
        return day_of(one, zone) == day_of(other, zone)
    if cap.per == "week":
        return week_of(one, zone) == week_of(other, zone)
    return abs(other - one) < cap.per


def _used(cap: Cap, counted: Sequence[Place]) -> int:
    return len(counted) if cap.channel else len({one.touch for one in counted})


def _cap_sentence(cap: Cap, counted: Sequence[Place]) -> str:
    names = ", ".join(dict.fromkeys(f"{one.message} ({one.journey})" for one in counted))
    return f"the cap {cap.name} is full: {names}"


def _filled(name: str, places: Sequence[Place]) -> dict[str, Any]:
    """What a reason says of a full cap: its name, the messages that fill it, and who they are."""
    ordered = sorted(places, key=lambda one: (one.at, one.message_id or 0, one.touch[1]))
    return {
        "cap": name,
        "filled_by": [one.message_id for one in ordered if one.message_id is not None],
        "winners": [one.told for one in ordered],
    }


def _places(said: Iterable[Said]) -> list[Place]:
    """Those that count, oldest first."""
    counting = [_place(one) for one in said if one.marketing and one.state in COUNTS]
    return sorted(counting, key=lambda one: (one.at, one.message_id or 0))


def _place(said: Said) -> Place:
    touch: Touch = (said.enrollment_id, said.step, said.visit)
    return Place(
        touch=touch if said.enrollment_id is not None else (None, str(said.touch_id), 0),
        message_id=said.id,
        at=said.counts_at,
        journey=said.journey,
        step=said.step,
        channel=said.channel,
        message=said.message,
        priority=said.priority,
        state=said.state.value,
        free=said.state is MessageState.queued and not said.begun and not said.theirs,
        theirs=said.theirs,
    )


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


def _why_later(case: _Case) -> str:
    held = f"held until {case.clock(case.goes)}"
    if case.opens >= case.goes:
        return f"{held}: quiet hours of {case.want.channel}"
    also = f" and quiet hours of {case.want.channel}" if case.opens > case.now else ""
    return f"{held}: {span(case.limits.gap)} between two messages{also}"
