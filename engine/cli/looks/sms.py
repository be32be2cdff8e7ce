"""An SMS: its bubble, the parts it is sent and paid in, and what makes it larger than it needs to be."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from engine.cli.looks.scene import Scene, avatar, figure, note, rows, safe, spoken
from engine.cli.money import cost
from engine.cli.words import _, counted
from engine.message.sms import Parts, costly_sign, large_signs, parts_of, plainly, words_for
from engine.simulate.preview import Shown

SIGNS_NAMED: Final = 6  # a text with more of them is written in another alphabet, and nothing is to be saved
CHINA: Final = "+86"
UNSEEN: Final = "ZCM"  # categories of signs that need their name to be seen


def sms(scene: Scene, shown: Shown) -> str:
    """A telephone with the message, and beside it what it is made of."""
    sender = scene.option("sms", "sender", "sender_id", "from", "from_number") or scene.settings.shop.name
    phone = (
        f'<div class="device chat" {spoken(shown.locale)}><div class="peer">{avatar(sender)}<b>{safe(sender)}</b></div>'
        f'<p class="moment"><time datetime="{scene.when.isoformat()}">{scene.when:%H:%M}</time></p>'
        f'<p class="bubble">{_bubble(scene, shown)}</p></div>'
    )
    return figure("sms", _("SMS"), shown, phone + _told(scene, shown))


def sms_length(content: Mapping[str, Any]) -> str:
    """`2 parts, GSM-7, 187 of 306`."""
    parts = parts_of(str(content["text"]), str(content["to"]))
    told = _("{parts}, {alphabet}, {used} of {room}")
    return told.format(parts=_count(parts.count), alphabet=parts.alphabet, used=parts.used, room=parts.room)


def _count(parts: int) -> str:
    return counted("{count} part", "{count} parts", parts)


# --- the bubble


def _framing(scene: Scene, shown: Shown) -> tuple[str, str]:
    """The signature and the way out that stand in this text."""
    text, settings = str(shown.content.get("text", "")), scene.settings
    to = str(shown.content.get("to", ""))
    signature, way_out = words_for(settings.sms, to, None, shown.locale, settings.shop.locale)
    own = str(signature) if signature and text.startswith(signature) else ""
    return own, way_out if way_out and text[len(own) :].endswith(way_out) else ""


def _bubble(scene: Scene, shown: Shown) -> str:
    """The text; the signature and the way out, which the text itself does not hold, are set apart."""
    text = str(shown.content.get("text", ""))
    signature, way_out = _framing(scene, shown)
    middle = text[len(signature) : len(text) - len(way_out)]
    return _set_apart(signature) + safe(middle) + _set_apart(way_out)


def _set_apart(text: str) -> str:
    return f'<span class="framing">{safe(text)}</span>' if text else ""


# --- what it is made of


def _told(scene: Scene, shown: Shown) -> str:
    text, to = str(shown.content.get("text", "")), str(shown.content.get("to", ""))
    parts = parts_of(text, to)
    signature, way_out = _framing(scene, shown)
    facts = [
        (_("sent as"), f"<b>{safe(_count(parts.count))}</b>"),
        (_("alphabet"), safe(_alphabet(parts, to))),
        (_("filled"), safe(_("{used} of {room} places").format(used=parts.used, room=parts.room))),
        (_("signature"), f"<bdi>{safe(signature)}</bdi>"),
        (_("way out"), f"<bdi>{safe(way_out)}</bdi>"),
        (_("template"), f"<code>{safe(shown.content.get('template') or '')}</code>"),
        (_("cost"), safe(cost(shown))),
    ]
    kept = [(name, value) for name, value in facts if value not in ("", "<bdi></bdi>", "<code></code>")]
    return f'<div class="told">{_bar(parts)}{rows(kept)}{_savings(text, to, parts)}</div>'


def _alphabet(parts: Parts, to: str) -> str:
    if to.startswith(CHINA):
        return _("every sign counts as a Chinese one, as in all of China (70, then 67 a part)")
    return parts.alphabet


def _bar(parts: Parts) -> str:
    """A box for each part, as full as the part is."""
    each = parts.room / parts.count
    shares = (min(100, max(0, round(100 * (parts.used - index * each) / each))) for index in range(parts.count))
    return '<div class="parts" aria-hidden="true">' + "".join(_box(share) for share in shares) + "</div>"


def _box(share: int) -> str:
    return f'<span><i style="width:{share}%"></i></span>'


def _savings(text: str, to: str, parts: Parts) -> str:
    """Which signs ask for the large alphabet, when there are few, and what the text would be without them."""
    signs = large_signs(text)
    if parts.alphabet == "GSM-7" or to.startswith(CHINA) or not 0 < len(signs) <= SIGNS_NAMED:
        return ""
    named = ", ".join(f"<b>{safe(_name(sign))}</b>" for sign in signs)
    told = safe(_("70 places a part instead of 160, because of")) + f" {named}"
    fewer = parts_of(plainly(text), to)
    if costly_sign(text) and fewer.count < parts.count:
        told += ". " + safe(_("Written plainly it would be {parts}.").format(parts=_count(fewer.count)))
    return note(told)


def _name(sign: str) -> str:
    """`’ right single quotation mark`; of a sign that cannot be seen, its name alone."""
    name = unicodedata.name(sign, f"U+{ord(sign):04X}").lower()
    return name if unicodedata.category(sign)[0] in UNSEEN else f"{sign} {name}"
