"""When nothing of a channel may begin for people in a country: quiet hours, Sundays, holidays, blackouts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from engine.decide.timing import FAR, Closing, Dark, Quiet, opening
from engine.journey.quantities import Window
from engine.settings import Policy

SUNDAY = 6
A_MONDAY = datetime(2024, 1, 1, tzinfo=UTC)  # of a leap year


def closings(policy: Policy, channel: str, country: str | None, own: Window | None = None) -> tuple[Closing, ...]:
    """All that holds for a channel and a country (None: the shop's), with the quiet hours of a journey besides."""
    return tuple(_closings(policy, channel, country or policy.home, own))


def _closings(policy: Policy, channel: str, country: str, own: Window | None) -> Iterator[Closing]:
    for one in policy.blackout:
        if one.concerns(channel, country):
            yield Dark(f"blackout: {one.reason}", one.from_.start, one.to.end)
    sundays = policy.span("sundays", channel, country)
    if sundays is not None:
        yield Quiet(f"Sunday, when {channel} is quiet", _window(sundays), weekday=SUNDAY)
    holidays, span = policy.holidays.get(country, ()), policy.span("on_holidays", channel, country)
    if holidays and span is not None:
        yield Quiet(f"a holiday in {country}, when {channel} is quiet", _window(span), days=holidays)
    for window in (policy.window(channel, country), own):
        if window is not None:
            yield Quiet(f"quiet hours of {channel}", window)


def never_open(policy: Policy, channels: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(channel, country) for whom somebody waits for ever, or longer than a year, at some time of the calendar."""
    countries = {policy.home, *policy.countries, *policy.holidays}
    countries |= {country for one in policy.blackout for country in one.countries}
    for channel in sorted(set(channels)):
        for country in sorted(countries):
            closed = closings(policy, channel, country)
            if any(opening(start, ZoneInfo("UTC"), closed).at >= FAR for start in _starts(closed)):
                yield channel, country


def _starts(closed: Iterable[Closing]) -> Iterator[datetime]:
    """Instants from which it may take longest until something may begin."""
    yield A_MONDAY
    for one in closed:
        if isinstance(one, Dark):
            yield one.start.replace(tzinfo=UTC)
        for day in (one.days or ()) if isinstance(one, Quiet) else ():
            yield A_MONDAY.replace(year=day.year or A_MONDAY.year, month=day.month, day=day.day)


def _window(span: Window | str) -> Window | None:
    return span if isinstance(span, Window) else None
