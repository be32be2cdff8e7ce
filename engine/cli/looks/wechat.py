"""A message of WeChat: its card in the chat with the account and fields that WeChat would refuse; or its words."""

from __future__ import annotations

from collections.abc import Iterator

from channels.fields import Fault, fault_of, field_of, room_in
from engine.cli.looks.scene import Scene, avatar, figure, linked, note, rows, safe, spoken
from engine.cli.money import cost
from engine.cli.words import _
from engine.message.cards import Row, card_of
from engine.simulate.preview import Shown

MORE = {"zh-Hant": "查看詳情", "zh": "查看详情"}  # the row that leads on, as WeChat writes it
TRADITIONAL = ("zh-hant", "zh-tw", "zh-hk", "zh-mo")


def wechat(scene: Scene, shown: Shown) -> str:
    """The chat with the account, and beside it what stands in the fields."""
    account = scene.option("wechat", "account", "account_name") or scene.settings.shop.name
    chat = (
        f'<div class="device chat wechat"><div class="peer">{avatar(account)}<b dir="auto">{safe(account)}</b></div>'
        f'<p class="moment"><time datetime="{scene.when.isoformat()}">{scene.when:%H:%M}</time></p>{_card(shown)}</div>'
    )
    return figure("wechat", _("WeChat"), shown, chat + _told(scene, shown))


def _card(shown: Shown) -> str:
    content = shown.content
    if content.get("text"):
        return _words(shown)
    card = card_of(shown.approved, dict(content.get("values", ())))
    heading = card.heading or str(content.get("template") or "")
    more = f'<p class="more">{safe(_more(shown.locale))}<span aria-hidden="true">›</span></p>'
    return (
        f'<div class="card" {spoken(shown.locale)}><p class="heading">{safe(heading)}</p>'
        f"{''.join(map(_row, card.rows))}{more if content.get('page') else ''}</div>"
    )


def _words(shown: Shown) -> str:
    page = f"<br>{linked(shown.content['page'])}" if shown.content.get("page") else ""
    return f'<p class="bubble" {spoken(shown.locale)}>{safe(shown.content.get("text"))}{page}</p>'


def _row(row: Row) -> str:
    name = f"<span>{safe(row.name)}</span>" if row.name else ""
    kind = "row" if row.name else "remark"
    return f'<p class="{kind}">{name}<span>{safe(row.value)}</span></p>'


def _more(locale: str) -> str:
    tag = locale.lower()
    if tag.startswith(TRADITIONAL):
        return MORE["zh-Hant"]
    return MORE["zh"] if tag.startswith("zh") else "View details"


def _told(scene: Scene, shown: Shown) -> str:
    content = shown.content
    facts = [] if content.get("text") else [(_("template"), f"<code>{safe(content.get('template'))}</code>")]
    kinds = {"notice": _("a notice: something the person set off"), "promotion": _("a promotion")}
    if content.get("kind") and not content.get("text"):
        facts.append((_("kind"), safe(kinds.get(str(content["kind"]), content["kind"]))))
    if content.get("page"):
        facts.append((_("a tap opens"), linked(content["page"])))
    if price := cost(shown):
        facts.append((_("cost"), safe(price)))
    return f'<div class="told">{rows(facts)}{_unknown(shown)}{"".join(map(note, _faults(shown)))}</div>'


def _unknown(shown: Shown) -> str:
    if shown.content.get("text"):
        told = _("no template: only who wrote to the account in the last 48 hours gets it, or a colleague sends it on")
        return note(safe(told))
    return "" if shown.approved else note(safe(_("its approved wording is not known, so the fields stand here bare")))


# --- what WeChat would refuse


def _faults(shown: Shown) -> Iterator[str]:
    for name, value in shown.content.get("values", ()):
        fault = fault_of(str(name), str(value))
        if fault is not None:
            yield f"<code>{safe(name)}</code> {safe(_sentence(fault, str(name), str(value)))}"


def _sentence(fault: Fault, name: str, value: str) -> str:
    match fault:
        case Fault.empty:
            return _("is empty, and WeChat refuses that")
        case Fault.unseen:
            return _("holds a character that cannot be seen, and WeChat refuses that")
        case Fault.long:
            told = _("has {count} characters, and WeChat takes {room}")
            return told.format(count=len(value), room=room_in(name, value))
        case Fault.form:
            field = field_of(name)
            return _("may only hold {what}").format(what=forms().get(field.says, field.says) if field else "")


def forms() -> dict[str, str]:
    """What a type of field holds, in the language of whoever reads."""
    return {
        "digits, which may have decimals": _("digits, which may have decimals"),
        "letters A-Z": _("letters A-Z"),
        "signs that are no letters and no digits": _("signs that are no letters and no digits"),
        "letters A-Z, digits and signs": _("letters A-Z, digits and signs"),
        "a time such as 15:01 or 2026年1月31日 15:01": _("a time such as 15:01 or 2026年1月31日 15:01"),
        "a day such as 2026年1月31日 or 2026-01-31": _("a day such as 2026年1月31日 or 2026-01-31"),
        "a sign of a currency and digits without commas": _("a sign of a currency and digits without commas"),
        "digits and + ( ) -": _("digits and + ( ) -"),
        "Chinese characters": _("Chinese characters"),
    }
