"""A mail: its line in the list, the mail itself as wide as a phone and as a desk shows it, its text part."""

from __future__ import annotations

from engine.cli.looks.scene import Scene, avatar, figure, rows, safe, spoken
from engine.cli.money import cost
from engine.cli.words import _
from engine.message.snippet import snippet
from engine.simulate.preview import Shown

ONE_CLICK = frozenset({"list-unsubscribe", "list-unsubscribe-post"})


def mail(scene: Scene, shown: Shown) -> str:
    """The whole of it."""
    file = scene.pages.add(f"{shown.message}.{shown.locale}", str(shown.content.get("html", "")))
    body = _in_the_list(scene, shown) + _frames(scene, shown, file) + _told(shown, file)
    return figure("mail", _("Mail"), shown, body)


def _in_the_list(scene: Scene, shown: Shown) -> str:
    """The line by which a person decides whether to open it."""
    content = shown.content
    sender = str(content.get("sender") or scene.option("email", "sender"))
    name = str(content.get("sender_name") or scene.option("email", "sender_name") or sender or scene.settings.shop.name)
    first = snippet(str(content.get("html", "")))
    return (
        f'<div class="inbox" {spoken(shown.locale)}>{avatar(name)}<b class="from">{safe(name)}</b>'
        f'<time datetime="{scene.when.isoformat()}">{scene.when:%H:%M}</time>'
        f'<span class="subject">{safe(content.get("subject"))}</span><span class="snippet">{safe(first)}</span></div>'
    )


def _frames(scene: Scene, shown: Shown, file: str) -> str:
    """Side by side where there is room, else one at a time: the inputs choose which, without script."""
    group = f"w{scene.pages.count}"
    phone, desk = safe(_("phone")), safe(_("desktop"))
    return (
        f'<fieldset class="widths"><legend>{safe(_("shown as on a"))}</legend>'
        f'<input type="radio" name="{group}" id="{group}p" class="to-phone" checked>'
        f'<label for="{group}p">{phone}</label>'
        f'<input type="radio" name="{group}" id="{group}d" class="to-desk"><label for="{group}d">{desk}</label>'
        f'<div class="desk pane" tabindex="0" role="group" aria-label="{desk}">{_frame(file, shown, desk)}</div>'
        f'<div class="slim pane"><div class="device">{_frame(file, shown, phone)}</div></div></fieldset>'
    )


def _frame(file: str, shown: Shown, width: str) -> str:
    title = f"{safe(shown.content.get('subject'))} · {width}"
    return f'<iframe sandbox loading="lazy" src="{safe(file)}" title="{title}"></iframe>'


def _told(shown: Shown, file: str) -> str:
    """What no mail program shows at once: the one-click headers, where answers go, the text part."""
    content = shown.content
    facts = [(_("way out"), _one_click([str(name) for name, _value in content.get("headers", ())]))]
    if content.get("reply_to"):
        facts.append((_("answers go to"), f"<bdi>{safe(content['reply_to'])}</bdi>"))
    if price := cost(shown):
        facts.append((_("cost"), safe(price)))
    alone = f'<p class="alone"><a href="{safe(file)}">{safe(_("open it alone"))}</a></p>'
    text = f"<pre {spoken(shown.locale)}>{safe(content.get('text'))}</pre>"
    plain = f"<details><summary>{safe(_('The text part, for those who read without HTML'))}</summary>{text}</details>"
    return f'<div class="told">{rows(facts)}{alone}{plain if content.get("text") else ""}</div>'


def _one_click(headers: list[str]) -> str:
    found = [f"<code>{safe(name)}</code>" for name in headers if name.lower() in ONE_CLICK]
    if len(found) < len(ONE_CLICK):
        return safe(_("no one-click headers: not marketing, so there is nothing to leave"))
    return safe(_("one click in the mail program is enough:")) + " " + ", ".join(found)
