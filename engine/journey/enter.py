"""The ways to enter a journey: by an event, a border, a wave, a date, a silence, a request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from engine.journey.conditions import Condition, EventCondition, FieldKind, tests_of
from engine.journey.cron import CronText
from engine.journey.meant import day_meant, days_meant, hour_refused
from engine.journey.parts import HappeningName, Part, SegmentName, elsewhere
from engine.journey.quantities import (
    WEEKDAYS,
    Duration,
    LocalTime,
    Text,
    Word,
    ZoneOrPerson,
    parse_days,
    parse_duration,
)
from engine.journey.source import fault, nearest

OnDay = int | str  # 1 to 31 or `last`; `mon`; `12-24`
WholeDays = Annotated[
    timedelta,
    BeforeValidator(lambda value: _whole_days(value)),
    WithJsonSchema({"type": "string", "pattern": r"^\d{1,6}\s?[dw]$"}),
]


class ByEvent(Part):
    """An event with a matching payload; it is `event` in conditions and texts."""

    example: ClassVar[str] = "{event: Order Completed}"
    called: ClassVar[Mapping[str, str]] = elsewhere({"where": "if filter when with condition"})

    event: Text = Field(description="The name of the event: Order Completed.")
    where: EventCondition | None = Field(default=None, description="Only events with such a payload.")


class BySegment(Part):
    """Crossing the border of a segment; who has crossed it already does not enter, unless they are included."""

    called: ClassVar[Mapping[str, str]] = elsewhere({"crossing": "direction on when"})

    segment: SegmentName = Field(description="A segment of audience.yaml.")
    crossing: Literal["in", "out"] = Field(description="in or out")
    include_current: bool = Field(
        default=False, description="true: who is inside already (with `out`: outside) enters when it is published."
    )


class Planned(Part):
    """A calendar: planned by `every`, `cron` or `dates`, one of them, at local times."""

    called: ClassVar[Mapping[str, str]] = elsewhere(
        {"at": "time", "zone": "timezone tz", "segment": "audience who to", "on": "day days"}
    )

    every: Literal["day", "week", "month", "year"] | None = Field(default=None, description="day, week, month or year")
    cron: CronText | None = Field(
        default=None, description='Minute, hour, day, month, weekday by name: "0 10 * * mon-fri".'
    )
    dates: Annotated[
        tuple[str, ...],
        BeforeValidator(lambda value: _dates(value)),
        WithJsonSchema({"type": "array", "items": {"type": "string"}, "minItems": 1}),
    ] = Field(default=(), description='Days for `at`, or days with their time: ["2026-11-11", "2026-12-12 20:00"].')
    on: Annotated[
        tuple[OnDay, ...],
        BeforeValidator(lambda value, info: _on(value, info)),
        WithJsonSchema({"type": ["string", "integer", "array"], "items": {"type": ["string", "integer"]}}),
    ] = Field(
        default=(),
        description="Days, one or a list: of a month 1-31 (a shorter month: its last) or last; of a week mon, tue, "
        'mon-fri; of a year "12-24".',
    )
    at: LocalTime | None = Field(default=None, description='The time of day: "10:00".')
    zone: ZoneOrPerson = Field(default="person", description="person, or one zone for all: Asia/Shanghai.")

    @property
    def walls(self) -> tuple[datetime, ...]:
        """Of `dates`: what the clock on the wall shows, in order."""
        return tuple(sorted(self._wall(one) for one in self.dates))

    @property
    def times(self) -> frozenset[time]:
        """The times of day at which anything is planned."""
        if self.cron is not None:
            return frozenset(self.cron.times)
        return frozenset(wall.time() for wall in self.walls) if self.dates else frozenset({self.at or time()})

    def _wall(self, written: str) -> datetime:
        wall = datetime.fromisoformat(written)
        return wall if "T" in written else datetime.combine(wall, self.at or time())

    @model_validator(mode="after")
    def _one_plan(self) -> Self:
        plans = [name for name in PLANS if getattr(self, name)]
        if not plans:
            raise fault("missing-key", "`every` is missing", "write `every: month`, `cron: ...` or `dates: [...]`")
        if len(plans) > 1:
            sentence = f"`{plans[0]}` and `{plans[1]}` are two plans; a wave has one"
            raise fault("bad-combination", sentence, "write two journeys", (plans[1],), True)
        return self

    @model_validator(mode="after")
    def _day_fits(self) -> Self:
        if self.on and self.every in (None, "day"):
            sentence = f"a wave {'of every day' if self.every else f'by `{_plan(self)}`'} has no `on`"
            raise fault("bad-combination", sentence, "leave it out", ("on",), True)
        if self.every not in (None, "day") and not self.on:
            example = {"month": "on: 1", "week": "on: mon", "year": 'on: "12-24"'}[str(self.every)]
            raise fault("missing-key", f"`on` is missing: on which day of the {self.every}?", f"write `{example}`")
        return self

    @model_validator(mode="after")
    def _time_fits(self) -> Self:
        if self.cron is not None and self.at is not None:
            raise fault("bad-combination", "`cron` tells the time itself", "leave `at` out", ("at",), True)
        days = [one for one in self.dates if "T" not in one]
        if self.at is not None and self.dates and not days:
            sentence = "every one of `dates` has a time of its own"
            raise fault("bad-combination", sentence, "leave `at` out, or write days alone", ("at",), True)
        if self.at is None and (self.every is not None or days):
            raise fault("missing-key", "`at` is missing", "write `at:`")
        if len(set(self.walls)) < len(self.walls):
            raise fault("bad-date", "`dates` names the same time twice", "leave one out", ("dates",))
        return self


class ByWave(Planned):
    """Once per planned local instant, whatever happens."""

    segment: SegmentName = Field(description="A segment of audience.yaml: who is asked for at that instant.")


PLANS = ("every", "cron", "dates")
_DAY_FIRST = re.compile(r"\d{4}-\d\d-\d\d($|[T ]\d\d:\d\d)", re.ASCII)


def _plan(wave: Planned) -> str:
    return next(name for name in PLANS if getattr(wave, name))


class ByDate(Part):
    """A date kept about the person, or some days before or after it; each date once."""

    called: ClassVar[Mapping[str, str]] = elsewhere({"date": "attribute field", "zone": "timezone tz", "at": "time"})

    date: Word = Field(description="An attribute that holds a date, or created_at: membership_expires_at.")
    before: WholeDays | None = Field(default=None, description="So many days before it: 14d.")
    after: WholeDays | None = Field(default=None, description="So many days after it: 3d.")
    yearly: bool = Field(
        default=False, description="true: on its day of every year; 29 February is the 28th in others."
    )
    at: LocalTime = Field(default=time(10), description='The time of day; unwritten "10:00".')
    zone: ZoneOrPerson = Field(default="person", description="person, or one zone for all: Asia/Shanghai.")
    segment: SegmentName | None = Field(default=None, description="Only people who are in this segment then.")

    @model_validator(mode="after")
    def _one_side(self) -> Self:
        if self.before is not None and self.after is not None:
            raise fault("bad-combination", "`before` and `after` exclude each other", "leave one out", ("after",), True)
        return self

    @property
    def days_after(self) -> int:
        """How many days after the date one enters; negative: before."""
        return (self.after or timedelta(0)).days - (self.before or timedelta(0)).days

    @property
    def plan(self) -> Planned:
        """Every day at its time: on each, those enter whose date asks for that day."""
        return Planned(every="day", at=self.at, zone=self.zone)


class ByAbsence(Part):
    """Silence: so long after the last such event, or after one was first known if there was none. Each silence once."""

    absence_of: Text = Field(description="The name of the event that does not come: Page Viewed.")
    for_: Duration = Field(alias="for", description="How long it does not come: 30d.")
    where: EventCondition | None = Field(default=None, description="Only events with such a payload break the silence.")
    segment: SegmentName | None = Field(default=None, description="Only people who are in this segment then.")
    include_current: bool = Field(default=False, description="true: who is silent already enters when it is published.")

    @field_validator("for_")
    @classmethod
    def _some_time(cls, span: timedelta) -> timedelta:
        if span < SHORTEST_SILENCE:
            raise fault("out-of-range", "a silence of less than a minute is none", "write how long: `for: 30d`")
        return span

    @field_validator("where")
    @classmethod
    def _of_the_event(cls, where: Condition | None) -> Condition | None:
        for test in tests_of(where) if where is not None else ():
            if test.field.kind is not FieldKind.event:
                sentence = "here one can only ask for what the event itself tells"
                hint = "of people ask in a segment, and name it: `segment: ...`"
                raise fault("unknown-field", sentence, hint, test.path, True)
        return where


class ByRequest(Part):
    """Nobody enters by themselves: people are let in by `outreach enter`, or by a call."""

    api: Literal[True] = Field(description="true: only by `outreach enter`, with the number of people confirmed.")

    @field_validator("api", mode="before")
    @classmethod
    def _is_true(cls, value: object) -> object:
        if value not in (True, "true"):
            raise fault("expected-yes-no", "`api` can only be true", "write `api: true`, or another way to enter")
        return True


SHORTEST_SILENCE = timedelta(minutes=1)


def plan_of(entry: Enter) -> Planned | None:
    """The calendar of a way that is entered at planned instants."""
    match entry:
        case ByWave():
            return entry
        case ByDate():
            return entry.plan
        case _:
            return None


class ByHappening(Part):
    """Something that happens to the shop or the world, told by a person: once for each time it is told."""

    happening: HappeningName = Field(description="A happening of config.yaml: Rival Sale.")
    segment: SegmentName = Field(description="A segment of audience.yaml: who is asked for when it happens.")


# --- days as they are written


def _whole_days(value: object) -> timedelta:
    span = parse_duration(value)
    if not span or span % timedelta(days=1):
        hint = "write days or weeks: 14d, 2w; the time of day stands in `at`"
        raise fault("bad-duration", f"`{value}` is not a number of whole days", hint)
    return span


def _on(value: object, info: ValidationInfo) -> tuple[OnDay, ...]:
    """Days of the month as numbers (or `last`), weekdays by their three letters, days of the year as `12-24`."""
    every = info.data.get("every")
    if value is None or value == ():
        return ()
    items = value if isinstance(value, list | tuple) else [value]
    if every == "week":
        return tuple(WEEKDAYS[day] for day in sorted(parse_days(list(items))))
    read = {"month": _day_of_month, "year": _day_of_year}.get(str(every), str)
    found = [read(one) for one in items]
    if not found:
        raise fault("missing-key", "`on` names no day", "write one: `on: 1`")
    return tuple(sorted(set(found), key=lambda day: (isinstance(day, str), day)))


def _day_of_month(value: object) -> OnDay:
    if value == "last":
        return "last"
    if days_meant(str(value)) or str(value) in WEEKDAYS:
        hint = f"write `every: week, on: {days_meant(str(value)) or value}`"
        raise fault("out-of-range", f"`{value}` is not a day of the month", hint)
    if not str(value).isdecimal() or not 1 <= int(str(value)) <= 31:
        raise fault("out-of-range", f"`{value}` is not a day of the month", "write a number from 1 to 31, or last")
    return int(str(value))


def _day_of_year(value: object) -> OnDay:
    written = str(value).strip()
    try:
        if not re.fullmatch(r"[01]\d-[0-3]\d", written, re.ASCII):
            raise ValueError
        date.fromisoformat(f"2024-{written}")  # a leap year: 02-29 is a day
    except ValueError:
        hint = day_meant(written) or 'write month and day: `on: "12-24"`'
        raise fault("bad-date", f"`{value}` is not a day of the year", hint) from None
    return written


def _dates(value: object) -> tuple[str, ...]:
    items = value if isinstance(value, list | tuple) else [value]
    return tuple(_date(one, index) for index, one in enumerate(items))


def _date(value: object, index: int) -> str:
    """`2026-11-11`, or with a time of day: `2026-11-11 20:00`, as ISO 8601 writes them."""
    hint = 'write a day, or a day and a time: "2026-11-11", "2026-11-11 20:00"'
    written = str(value).strip()
    try:
        if not _DAY_FIRST.match(written):
            raise ValueError
        wall = datetime.fromisoformat(written)
    except ValueError:
        day, _, hour = written.replace("T", " ").partition(" ")
        hint = day_meant(day) or hour_refused(hour) or hint
        raise fault("bad-date", f"`{value}` is not a date", hint, (index,)) from None
    if wall.tzinfo is not None:
        sentence = f"`{value}` names a zone of its own; dates are local"
        raise fault("bad-date", sentence, "leave it out, and write `zone:` beside `dates`", (index,))
    if wall.second or wall.microsecond:
        raise fault("bad-date", f"`{value}` names seconds, which are not planned", hint, (index,))
    return f"{wall:%Y-%m-%dT%H:%M}" if ":" in written else written


# --- telling the ways apart

#: the key that names a way -> its model
_WAYS: dict[str, type[Part]] = {
    "event": ByEvent,
    "segment": BySegment,
    "every": ByWave,
    "cron": ByWave,
    "dates": ByWave,
    "date": ByDate,
    "absence_of": ByAbsence,
    "api": ByRequest,
    "happening": ByHappening,
}
#: beside these a segment is no way of its own: it says who is asked for
_ASKS = frozenset({"every", "cron", "dates", "date", "absence_of", "happening"})
#: what one enters by once for each: `again` need not be written
EACH_ONCE = frozenset({"date", "absence_of", "happening"})
#: keys that tell the way where its own key is missing
_TELLING: dict[str, type[Part]] = {
    "crossing": BySegment,
    "for": ByAbsence,
    "yearly": ByDate,
    "before": ByDate,
    "after": ByDate,
    "at": ByWave,
    "on": ByWave,
}
_TAGS: dict[type[Part], str] = {
    ByEvent: "<enter event>",
    BySegment: "<enter segment>",
    ByWave: "<enter wave>",
    ByDate: "<enter date>",
    ByAbsence: "<enter silence>",
    ByRequest: "<enter api>",
    ByHappening: "<enter happening>",
}
_HOW = "write `event: ...`, `segment: ...` with `crossing: in`, or `every: month` with `on`, `at`, `segment`"


def _words(value: dict[str, Any]) -> list[str]:
    """The keys that name a way, in the order of the language."""
    found = [word for word in _WAYS if word in value]
    return [word for word in found if word != "segment" or "crossing" in value or not _ASKS.intersection(found)]


def _kind_of_entry(value: object) -> str:
    if isinstance(value, Part):
        return _TAGS[type(value)]
    if not isinstance(value, dict):
        return _TAGS[ByEvent]
    kinds = [_WAYS[word] for word in _words(value)]
    told = [kind for key, kind in _TELLING.items() if key in value]
    if kinds == [BySegment] and "crossing" not in value:
        kinds = [*told, *kinds]  # `{on: 1, at: "10:00", segment: silent}` is a wave that forgot its `every`
    return _TAGS[next(iter([*kinds, *told]), ByEvent)]


def _known_entry(value: object) -> object:
    """A journey is entered in one of a few ways, told apart by their first key."""
    if not isinstance(value, dict):
        return value
    words = _words(value)
    other = next((word for word in words if _WAYS[word] is not _WAYS[words[0]]), None)
    if other is not None:
        sentence = f"`{words[0]}` and `{other}` are two ways to enter; a journey has one"
        hint = "write two journeys, or a condition: `where: {segment: ...}`"
        raise fault("bad-combination", sentence, hint, (other,), True)
    if not words and not any(key in value for key in _TELLING):
        for key in value:
            if near := nearest(key, _WAYS):
                raise fault("unknown-key", f"`{key}` is not a key here", f"did you mean `{near}`?", (key,), True)
        raise fault("bad-enter", "it is not said how one enters", _HOW)
    return value


def way_of(entry: Enter) -> str:
    """The way in one word: event, segment, wave, date, silence, api, happening."""
    return _kind_of_entry(entry).strip("<>").split()[1]


Enter = Annotated[
    Annotated[ByEvent, Tag("<enter event>")]
    | Annotated[BySegment, Tag("<enter segment>")]
    | Annotated[ByWave, Tag("<enter wave>")]
    | Annotated[ByDate, Tag("<enter date>")]
    | Annotated[ByAbsence, Tag("<enter silence>")]
    | Annotated[ByRequest, Tag("<enter api>")]
    | Annotated[ByHappening, Tag("<enter happening>")],
    Discriminator(_kind_of_entry),
    BeforeValidator(_known_entry),
]
