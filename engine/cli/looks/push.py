"""A push message on the lock screens of two kinds of phones, cut where they cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from babel.dates import format_skeleton

from engine.cli.looks.scene import Scene, avatar, figure, linked, picture, rows, safe, spoken
from engine.cli.money import cost
from engine.cli.words import _
from engine.message.locale import parse_locale
from engine.message.lockscreen import cut
from engine.simulate.preview import Shown


@dataclass(frozen=True)
class Screen:
    """How much a kind of phone shows before the message is opened."""

    kind: str
    title_columns: int
    lines: int
    columns: int


IOS: Final = Screen("ios", 32, 4, 37)
ANDROID: Final = Screen("android", 34, 2, 36)


def push(scene: Scene, shown: Shown) -> str:
    """Both screens, and beneath them where a tap leads."""
    screens = _screen(scene, shown, IOS, _("iOS style")) + _screen(scene, shown, ANDROID, _("Android style"))
    link = shown.content.get("link")
    facts = [(_("a tap opens"), linked(link))] if link else [(_("a tap opens"), safe(_("the app; no link is given")))]
    if price := cost(shown):
        facts.append((_("cost"), safe(price)))
    return figure("push", _("Push"), shown, screens + f'<div class="told">{rows(facts)}</div>')


def _screen(scene: Scene, shown: Shown, screen: Screen, name: str) -> str:
    content = shown.content
    title, title_rest = cut(str(content.get("title", "")), 1, screen.title_columns)
    text, rest = cut(str(content.get("text", "")), screen.lines, screen.columns)
    clock, day = f"{scene.when:%H:%M}", _day(scene, shown)
    app = scene.settings.shop.name
    return (
        f'<div class="lock"><div class="device {screen.kind}" {spoken(shown.locale)}>'
        f'<p class="clock"><time datetime="{scene.when.isoformat()}">{clock}</time><span>{safe(day)}</span></p>'
        f'<div class="banner"><p class="app">{avatar(app)}<span>{safe(app)}</span><span>{clock}</span></p>'
        f'<p class="title">{safe(title)}</p><p class="text">{safe(text)}</p>{picture(content.get("image"))}</div></div>'
        f'<p class="style">{safe(name)}</p>{_cut(shown, title_rest, rest)}</div>'
    )


def _cut(shown: Shown, *rests: str) -> str:
    """What a person does not read unless they open it."""
    found = " · ".join(f"<span {spoken(shown.locale)}>{safe(rest)}</span>" for rest in rests if rest)
    return f'<p class="cut"><b>{safe(_("cut on most phones:"))}</b> {found}</p>' if found else ""


def _day(scene: Scene, shown: Shown) -> str:
    return format_skeleton("MMMMEd", scene.when, locale=parse_locale(shown.locale))
