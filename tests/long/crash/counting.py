"""The figures of the crash ledger: what a sink wrote down, held to what was asked for and to what the product says.

Nothing here asks the product how to count. A message is known by its mark, the words that its text bears: the kind, the
person, the order. Who may be written to how often, and when, is reckoned from people's zones and the sink's own times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

MARKETING = ("note", "thanks")  # the others belong to a contract: no cap and no quiet hours hold them back
WAITING = ("queued", "begun", "retry", "repeat", "held")  # nothing of these may be left when all has come to rest
WENT = ("accepted", "unknown", "dead")  # a message that a sink accepted is told as one of these
GRACE = timedelta(seconds=15)  # between the judgement of a message and its accept: one that began in time is in time
AT_ONCE = 0.5  # seconds after a blow in which what was on its way before may still be accepted


@dataclass(frozen=True)
class Line:
    """One line of the sink."""

    kind: str  # accepted, or repeated where the sink knew the key
    at: float  # seconds of the monotonic clock
    key: str
    digest: str
    mark: str  # note_p17_o4


@dataclass(frozen=True)
class Told:
    """One message as the product tells of it."""

    key: str
    mark: str
    state: str
    person: str
    created_at: float  # seconds of the monotonic clock
    held_back: str = ""  # cap, quiet: why it never began


@dataclass(frozen=True)
class Rules:
    """What the shop promises its people."""

    cap: int  # marketing messages a day, on the person's own clock
    quiet: tuple[time, time]  # no marketing from, to: over midnight
    zones: Mapping[str, str]  # by person
    started: datetime  # the instant at which the monotonic clock stood at `clock`
    clock: float

    def local(self, person: str, at: float) -> datetime:
        instant = self.started.astimezone(UTC) + timedelta(seconds=at - self.clock)
        return instant.astimezone(ZoneInfo(self.zones[person]))

    def is_quiet(self, local: datetime) -> bool:
        return local.time() >= self.quiet[0] or local.time() < self.quiet[1]


@dataclass(frozen=True)
class Held:
    """What a process held when it was hit, and had not begun to hand over: a batch or people it was deciding about."""

    keys: frozenset[str] = frozenset()
    people: frozenset[str] = frozenset()


@dataclass
class Blow:
    """Something that was done, and what it met."""

    kind: str
    of: str  # worker, process (alone on its database), database, command
    at: float
    over: float | None = None  # from when on work can go on: a database is back; unset: at once
    held: Sequence[Held] = ()
    open: int = 0  # messages that had begun to leave and were not settled


@dataclass
class Figures:
    """What stands in the ledger of one run."""

    messages: int = 0
    accepts: int = 0
    duplicates: int = 0
    second_keys: int = 0
    changed_bytes: int = 0
    repeats_recognised: int = 0
    passed_on: int = 0
    lost: int = 0
    asked_without_message: int = 0
    never_settled: int = 0
    accepted_by_word_only: int = 0
    accepts_without_row: int = 0
    accepts_told_otherwise: int = 0
    second_rows: int = 0
    unknown: int = 0
    unknown_that_arrived: int = 0
    open_at_blows: int = 0
    dead: int = 0
    set_aside: int = 0
    held_back_by_caps: int = 0
    late_for_quiet_hours: int = 0
    caps_broken: int = 0
    quiet_hours_broken: int = 0
    wrong_rows_after_imports: int = 0
    migrations_unfinished: int = 0
    recovery: dict[str, tuple[str, list[float]]] = field(default_factory=dict)  # by kind: whom it hit, seconds


def count(
    lines: Sequence[Line],
    told: Sequence[Told],
    asked: Collection[str],
    aside: Collection[str],
    rules: Rules,
    blows: Sequence[Blow],
) -> Figures:
    """All of it. `asked`: the marks of every message that had to come about; `aside`: those whose way was set aside."""
    accepted = [line for line in lines if line.kind == "accepted"]
    keys = {line.key for line in accepted}
    known = {one.key: one for one in told}
    unknown = [one.key for one in told if one.state == "unknown"]
    figures = Figures(messages=len(told), accepts=len(accepted), unknown=len(unknown))
    figures.duplicates = doubled(accepted)
    figures.second_keys = more_than_one((line.mark, line.key) for line in lines)
    figures.changed_bytes = more_than_one((line.key, line.digest) for line in lines)
    figures.repeats_recognised = len(lines) - len(accepted)
    marks = Counter(one.mark for one in told)
    figures.second_rows = sum(times - 1 for times in marks.values())
    figures.asked_without_message = len(set(asked) - marks.keys() - set(aside))
    figures.never_settled = sum(one.state in WAITING for one in told)
    figures.accepted_by_word_only = sum(one.state == "accepted" and one.key not in keys for one in told)
    figures.lost = figures.asked_without_message + figures.never_settled + figures.accepted_by_word_only
    figures.accepts_without_row = len(keys - known.keys())
    figures.accepts_told_otherwise = sum(known[key].state not in WENT for key in keys & known.keys())
    figures.unknown_that_arrived = sum(key in keys for key in unknown)
    figures.open_at_blows = sum(blow.open for blow in blows if blow.of in ("worker", "process"))
    figures.dead = sum(one.state == "dead" for one in told)
    figures.set_aside = len(aside)
    figures.held_back_by_caps = sum(one.held_back == "cap" for one in told)
    figures.late_for_quiet_hours = sum(one.held_back == "quiet" for one in told)
    figures.caps_broken = caps_broken(accepted, rules)
    figures.quiet_hours_broken = quiet_hours_broken(accepted, rules)
    figures.recovery = recovery(blows, accepted, told)
    return figures


def doubled(accepted: Iterable[Line]) -> int:
    """Accepts beyond the first, of one key or of one mark: whichever tells of more."""
    by_key, by_mark = Counter[str](), Counter[str]()
    for line in accepted:
        by_key[line.key] += 1
        by_mark[line.mark] += 1
    return max(sum(times - 1 for times in one.values()) for one in (by_key, by_mark))


def more_than_one(pairs: Iterable[tuple[str, str]]) -> int:
    """How many of the first go with more than one of the second."""
    found: dict[str, set[str]] = {}
    for one, other in pairs:
        found.setdefault(one, set()).add(other)
    return sum(len(others) > 1 for others in found.values())


def caps_broken(accepted: Iterable[Line], rules: Rules) -> int:
    """Days of people with more marketing than the cap. What is accepted right after midnight may be of the day before:
    it is left out."""
    days: Counter[tuple[str, object]] = Counter()
    for person, local in _marketing(accepted, rules):
        if (local - GRACE).date() == local.date():
            days[person, local.date()] += 1
    return sum(times > rules.cap for times in days.values())


def quiet_hours_broken(accepted: Iterable[Line], rules: Rules) -> int:
    """Marketing accepted in quiet hours; what had begun just before them is in time."""
    return sum(rules.is_quiet(local) and rules.is_quiet(local - GRACE) for _, local in _marketing(accepted, rules))


def _marketing(accepted: Iterable[Line], rules: Rules) -> Iterable[tuple[str, datetime]]:
    for line in accepted:
        kind, _, rest = line.mark.partition("_")
        if kind in MARKETING:
            person = rest.partition("_")[0]
            yield person, rules.local(person, line.at)


def recovery(
    blows: Iterable[Blow], accepted: Sequence[Line], told: Sequence[Told]
) -> dict[str, tuple[str, list[float]]]:
    """By kind of blow: whom it hit, and the seconds until work went on.

    Of a worker: until the first accept of what it held. Of a process that is alone, until the next accept of what was
    not on its way before; so of a database, from the instant it is back. Where another blow fell before the end, it
    measures both of them and neither: it is left out.
    """
    blows = list(blows)
    begun = sorted(blow.at for blow in blows if blow.of != "command")
    first: dict[str, float] = {}
    for line in accepted:
        first.setdefault(line.key, line.at)
    of_person: dict[str, list[Told]] = {}
    for one in told:
        if one.key in first:
            of_person.setdefault(one.person, []).append(one)
    times = sorted(line.at for line in accepted)
    found: dict[tuple[str, str], list[float]] = {}
    for blow in blows:
        if blow.of == "command":
            continue
        begin = blow.at if blow.over is None else blow.over
        if blow.of == "worker":
            ends = [_first_of(held, begin, first, of_person) for held in blow.held]
        else:
            ends = [min((at for at in times if at > max(begin, blow.at + AT_ONCE)), default=None)]
        measured = [end for end in ends if end is not None]
        if measured and not any(blow.at < at < min(measured) for at in begun):
            found.setdefault((blow.kind, blow.of), []).append(min(measured) - begin)
    return {kind: (of, [round(one, 1) for one in seconds]) for (kind, of), seconds in sorted(found.items())}


def taken_up(blow: Blow, accepted: Iterable[Line]) -> bool:
    """Does work go on, as far as the sink can tell?"""
    begin = max(blow.at + AT_ONCE, blow.over or 0.0)
    keys = {line.key for line in accepted if line.at > begin}
    held = {key for one in blow.held for key in one.keys}
    return bool(keys if blow.of != "worker" else keys & held or not held)


def _first_of(
    held: Held, begin: float, first: Mapping[str, float], of_person: Mapping[str, Sequence[Told]]
) -> float | None:
    """When the first of it left. None: none of it did, for no rule let it."""
    ends = [first[key] for key in held.keys if key in first and first[key] > begin]
    for person in held.people:
        ends += [first[one.key] for one in of_person.get(person, ()) if one.created_at > begin]
    return min(ends, default=None)


# --- what is accepted ------------------------------------------------------------------------------------------------

ZERO = (
    *("duplicates", "changed_bytes", "second_keys", "lost", "second_rows", "accepts_without_row"),
    *("accepts_told_otherwise", "caps_broken", "quiet_hours_broken", "wrong_rows_after_imports"),
    "migrations_unfinished",
)
BOUND = ("held_back_by_caps", "late_for_quiet_hours")  # rules that never bind prove nothing
DEATHS = 3  # of a message or a way, then it is set aside for a person
WITHIN = {"worker": 20.0, "process": 20.0, "database": 60.0}  # seconds


def wrong(figures: Figures, blows: Sequence[Blow]) -> list[str]:
    """What is not as it must be, in words."""
    found = [f"{name}: {getattr(figures, name)}" for name in ZERO if getattr(figures, name)]
    found += [f"{name}: 0, so the rule was never asked" for name in BOUND if not getattr(figures, name)]
    if figures.unknown > figures.open_at_blows:
        found.append(f"unknown: {figures.unknown}, and only {figures.open_at_blows} were open")
    if figures.dead > len(blows) // DEATHS:
        found.append(
            f"dead: {figures.dead}, and {len(blows)} blows can be the third for {len(blows) // DEATHS} at most"
        )
    if not figures.accepts:
        found.append("accepts: 0, so nothing was proved")
    for kind, (of, seconds) in figures.recovery.items():
        if max(seconds) > WITHIN[of]:
            found.append(f"recovery from {kind}: {max(seconds)} s")
    return found
