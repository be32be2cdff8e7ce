"""`outreach consent` and `outreach suppress`: what a person agreed to, and addresses never to be written to again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from engine.cli.context import CONTEXT
from engine.cli.installation import opened, unknown, without_texts
from engine.cli.words import _
from engine.errors import Refused
from engine.imports import addresses
from engine.imports.rows import instant
from engine.journey.quantities import Misread
from engine.learn.agreements import Agreements, agreements
from engine.learn.why import minute
from engine.store import customers


def consent_command(
    person: Annotated[str, typer.Argument(metavar="PERSON", help=_("the shop's id of a person"))],
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="INSTANT", help=_("as it was then: 2026-03-01, or 2026-03-01T10:00")),
    ] = None,
) -> int:
    with without_texts() as app:
        told = agreements(app, person, None)
        if at is not None:
            told = agreements(app, person, _instant(at, ZoneInfo(told.zone)))
    _show(told)
    CONTEXT.out.value(told)
    return 0


def _instant(text: str, zone: ZoneInfo) -> datetime:
    """A day is meant as a whole, on the clock of the person."""
    try:
        return instant(f"{text}T23:59:59.999999" if len(text.strip()) == 10 else text, zone)
    except Misread as misread:
        raise Refused(f"--at: {misread}") from None


def _show(told: Agreements) -> None:
    out, zone = CONTEXT.out, ZoneInfo(told.zone)
    out.tell(
        _("{person} at {instant}, times are those of {zone}").format(
            person=told.person, instant=minute(told.at, zone), zone=told.zone
        ),
        "bold",
    )
    for one in told.suppressed:
        out.tell(f"  {_('on the suppression list')}: {one}", "red")
    columns = (_("topic"), _("channel"), _("may be written to"), _("since"), _("source"))
    out.table(
        columns,
        [
            (
                one.topic,
                one.channel,
                _("yes") if one.allowed else _("no"),
                minute(one.word.at, zone) if one.word else "",
                one.word.source if one.word else _("nothing was said"),
            )
            for one in told.holds
        ],
    )
    out.say()
    for word in told.log:
        said = _("yes") if word.granted else _("no")
        line = f"{minute(word.at, zone)}  {word.channel} {word.topic} ({word.purpose}): {said}  {word.source}"
        if word.recorded_at > word.at and minute(word.recorded_at, zone) != minute(word.at, zone):
            line += "  " + _("known since {instant}").format(instant=minute(word.recorded_at, zone))
        out.tell(line)
        if word.wording:
            out.tell(f"  “{word.wording}”", "dim")
    if not told.log:
        out.tell(_("none is recorded"))


def suppress_command(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help=_("email, sms, push or wechat"))],
    address: Annotated[list[str], typer.Argument(metavar="ADDRESS...", help=_("never to be written to again"))],
    reason: Annotated[str, typer.Option("--reason", help=_("why; it is kept"))],
) -> int:
    if channel not in _SPELLINGS:
        raise unknown(_("there is no channel {channel}").format(channel=channel), channel, list(_SPELLINGS))
    with opened(inert=False) as app:
        read = [_normal(channel, one, app.settings.shop.country) for one in address]
        now = app.clock.now()
        rows = {app.address_hash(channel, one): {"channel": channel, "reason": reason, "at": now} for one in read}
        with app.database.writing() as connection:
            known = customers.suppressed(connection, rows)
            customers.suppress(connection, rows)
    told = {"suppressed": len(rows) - len(known), "known": len(known)}
    CONTEXT.out.say(
        _("{new} put on the suppression list, {known} were on it").format(new=told["suppressed"], known=told["known"])
    )
    CONTEXT.out.value(told)
    return 0


_SPELLINGS = ("email", "sms", "push", "wechat")


def _normal(channel: str, address: str, country: str) -> str:
    try:
        if channel == "email":
            return addresses.email(address)
        return addresses.phone(address, country) if channel == "sms" else addresses.token(address, channel)
    except Misread as misread:
        raise Refused(str(misread)) from None
