"""`outreach channels`: what is installed, configured, healthy. `outreach send --test`: a real message to oneself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import typer

from channels import registry
from channels.contract import (
    TO_PEOPLE,
    Answer,
    Content,
    Email,
    Inbox,
    Outgoing,
    Provider,
    Push,
    Sent,
    Sms,
    WeChat,
)
from channels.errors import FailureReason, Misconfigured, Rejected, SendError, Unavailable, Uncertain
from engine.app import App
from engine.cli.context import CONTEXT
from engine.cli.installation import unknown, with_mistakes, without_texts
from engine.cli.rehearse import text_for
from engine.cli.words import _
from engine.clock import fresh_token
from engine.errors import OutreachError, Refused
from engine.store import lanes

Health = Literal["healthy", "stopped", "waiting", "failing", "unfit", "not asked"]
WITHIN = 20.0  # seconds a service may take to answer that it is there
TIMEOUT = 60.0  # seconds the test message may take


# --- channels --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    """One lane: who it leads to, and how it is."""

    lane: str
    provider: str
    where: str
    health: Health
    told: str


def channels_command(
    probe: Annotated[bool, typer.Option("--probe/--no-probe", help=_("ask each service whether it is there"))] = True,
) -> int:
    """What is installed, what of it is configured, and how it is. Nothing is sent."""
    out = CONTEXT.out
    installed = registry.listed()
    with with_mistakes() as app:
        standing = _standing(app, probe)
    out.say(_("Installed"), "bold")
    rows = [(one.name, ", ".join(one.channels) or one.problem, one.package) for one in installed]
    out.table([_("provider"), _("channels"), _("package")], rows)
    out.say()
    out.say(_("Configured"), "bold")
    shown = [(one.lane, one.provider, HEALTH[one.health], one.told or one.where) for one in standing]
    out.table([_("lane"), _("provider"), _("health"), ""], shown)
    out.value({"installed": installed, "configured": standing})
    return 0 if all(one.health in ("healthy", "not asked") for one in standing) else 1


HEALTH: dict[Health, str] = {
    "healthy": _("healthy"),
    "stopped": _("stopped"),
    "waiting": _("waiting"),
    "failing": _("failing"),
    "unfit": _("cannot be made"),
    "not asked": _("not asked"),
}


def _standing(app: App, probe: bool) -> list[Standing]:
    now: datetime = app.clock.now()
    with app.database.reading() as connection:
        known = lanes.lanes(connection)
    found, asked = [], {}
    for lane, configured in app.settings.lanes.items():
        try:
            asked[lane] = app.provider(lane)
        except OutreachError as error:
            found.append(Standing(lane, configured.provider, "", "unfit", str(error)))
    said = app.run(_probed(asked)) if probe else {}
    for lane, provider in asked.items():
        state = known.get(lane)
        answer = said.get(lane)
        health, told = _health(state, answer, probe, now)
        found.append(Standing(lane, provider.name, provider.describe(), health, told))
    order = list(app.settings.lanes)
    return sorted(found, key=lambda one: order.index(one.lane))


def _health(state: Any | None, answer: str | None, probed: bool, now: datetime) -> tuple[Health, str]:
    if state is not None and state.stopped:
        return "stopped", _("{why}; mend it, then: outreach resume --lane {lane}").format(
            why=state.stopped, lane=state.name
        )
    if answer is not None:
        return "failing", answer
    if state is not None and state.paused_until is not None and state.paused_until > now:
        return "waiting", _("until {instant} UTC").format(instant=f"{state.paused_until:%Y-%m-%d %H:%M:%S}")
    return ("healthy" if probed else "not asked"), ""


async def _probed(providers: dict[str, Provider]) -> dict[str, str | None]:
    """lane -> what is wrong, None where nothing is. All are asked side by side."""

    async def ask(provider: Provider) -> str | None:
        try:
            async with asyncio.timeout(WITHIN):
                await provider.probe()
        except TimeoutError:
            return _("it did not answer within {seconds} seconds").format(seconds=round(WITHIN))
        except (SendError, OSError) as error:
            return str(error)
        finally:
            await provider.close()
        return None

    said = await asyncio.gather(*map(ask, providers.values()))
    return dict(zip(providers, said, strict=True))


# --- send --test -----------------------------------------------------------------------------------------------------


def send_command(
    to: Annotated[str, typer.Option("--to", metavar="ADDRESS", help=_("your own address on this channel"))],
    channel: Annotated[str, typer.Option("--channel", metavar="LANE", help=_("the channel, or one of its lanes"))],
    test: Annotated[bool, typer.Option("--test", help=_("say that one real message is to leave"))] = False,
    journey: Annotated[
        str | None, typer.Option("--journey", metavar="JOURNEY", help=_("a text of this journey instead of a sample"))
    ] = None,
    message: Annotated[str | None, typer.Option("--message", metavar="NAME", help=_("which of its texts"))] = None,
    person: Annotated[
        str | None, typer.Option("--person", metavar="PERSON", help=_("whose data the text is filled with"))
    ] = None,
    locale: Annotated[str | None, typer.Option("--locale", help=_("in which language"))] = None,
) -> int:
    """Send one real message to yourself, by the way that customers' messages take, and say what came back.

    It is not written down anywhere, no journey knows of it, and its links do nothing.
    """
    if not test:
        raise Refused(_("this sends one real message; say that you want it: outreach send --test --to … --channel …"))
    if (journey is None) != (message is None):
        raise Refused(_("a text is named by its journey and its name: --journey JOURNEY --message NAME"))
    with without_texts() if journey is None else with_mistakes() as app:
        ways = app.settings.ways.get(channel, ())
        channel = ways[0].name if ways else channel
        if channel not in app.settings.lanes:
            raise unknown(_("there is no channel {channel}").format(channel=channel), channel, app.settings.lanes)
        provider = app.provider(channel)
        if journey is None or message is None:
            content = _sample(app, channel, to)
        else:
            content = text_for(app, journey, message, channel.partition("/")[0], person, locale, to)
        CONTEXT.out.tell(f"{channel}: {provider.name}, {provider.describe()}")
        now = app.clock.now()
        (answer,) = app.run(_handed(provider, Outgoing(0, f"test-{fresh_token()}", content, now, timeout=TIMEOUT)))
    return _tell(answer)


def _sample(app: App, channel: str, to: str) -> Content:
    """A few plain words, where the channel takes any."""
    title = _("A test of {shop}").format(shop=app.settings.shop.name)
    text = _("This is a test message. If you can read it, the channel works.")
    match channel.partition("/")[0]:
        case "email":
            return Email(to=to, subject=title, text=text, html=f"<p>{text}</p>")
        case "sms":
            return Sms(to=to, text=f"{app.settings.sms.signature or ''}{text}")
        case "push":
            return Push(to=to, title=title, text=text)
        case "inbox":
            return Inbox(to=to, title=title, text=text)
        case "wechat":
            return WeChat(to=to, text=text)
        case other:
            raise Refused(
                _("no message to a person leaves by {channel}; try one of {channels}").format(
                    channel=other, channels=", ".join(sorted(TO_PEOPLE))
                )
            )


async def _handed(provider: Provider, outgoing: Outgoing) -> Sequence[Answer]:
    try:
        await provider.open()
        return await provider.send([outgoing])
    except SendError as error:
        return [error]
    finally:
        await provider.close()


def _tell(answer: Answer) -> int:
    """What came back, in words and for programs."""
    out = CONTEXT.out
    told: dict[str, Any] = {"sentence": "" if isinstance(answer, Sent) else str(answer)}
    match answer:
        case Sent(provider_id=known, note=note):
            out.say(_("accepted") + (f" ({known})" if known else "") + (f": {note}" if note else ""), "green")
            told |= {"answer": "accepted", "provider_id": known}
        case Rejected(reason=reason):
            out.tell(_("refused: {why}").format(why=answer), "red")
            cure = CURES.get(reason)
            if cure:
                out.tell(f"    {cure}", "cyan")
            told |= {"answer": "rejected", "reason": reason.value}
        case Misconfigured():
            out.tell(_("refused by our own fault: {why}").format(why=answer), "red")
            told |= {"answer": "misconfigured"}
        case Unavailable():
            out.tell(_("not now: {why}").format(why=answer), "yellow")
            told |= {"answer": "unavailable", "retry_after": answer.retry_after}
        case Uncertain():
            out.tell(_("nobody knows: {why} Look whether it arrived.").format(why=answer), "yellow")
            told |= {"answer": "uncertain"}
    out.value(told)
    return 0 if isinstance(answer, Sent) else 1


CURES = {
    FailureReason.content: _(
        "this service wants an approved template; name a text that has one: --journey JOURNEY --message NAME"
    ),
    FailureReason.address_invalid: _("write the address as the service knows it, a number like +8613900000001"),
}
