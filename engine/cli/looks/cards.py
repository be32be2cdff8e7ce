"""Cards for other contents: the inbox of an app, a webhook's JSON, and whatever has fields."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from engine.cli.looks.scene import Scene, avatar, figure, linked, picture, rows, safe, spoken
from engine.cli.words import _
from engine.simulate.preview import Shown

ENVELOPE = ("channel", "to")  # told above every card


def inbox(scene: Scene, shown: Shown) -> str:
    """A card in the inbox of the shop's app."""
    content, shop = shown.content, scene.settings.shop.name
    card = (
        f'<div class="device chat"><div class="peer">{avatar(shop)}<b dir="auto">{safe(shop)}</b></div>'
        f'<p class="moment"><time datetime="{scene.when.isoformat()}">{scene.when:%H:%M}</time></p>'
        f'<div class="card" {spoken(shown.locale)}>{picture(content.get("image"))}'
        f'<p class="heading">{safe(content.get("title"))}</p>'
        f'<p class="remark"><span>{safe(content.get("text"))}</span></p></div></div>'
    )
    link = content.get("link")
    told = rows([(_("a tap opens"), linked(link))]) if link else ""
    return figure("inbox-card", _("Inbox of the app"), shown, card + f'<div class="told">{told}</div>')


def webhook(scene: Scene, shown: Shown) -> str:
    """What another program is told, as JSON."""
    body = f'<pre class="json" dir="ltr" tabindex="0">{safe(_json(shown.content))}</pre>'
    return figure("webhook", _("Webhook"), shown, body)


def _json(content: Mapping[str, Any]) -> str:
    """The body as it is told; but for its instant, which no preview knows."""
    data = str(content.get("data", "{}"))
    with suppress(ValueError):
        return json.dumps({"type": content.get("type"), "data": json.loads(data)}, ensure_ascii=False, indent=2)
    return data


def named_fields(scene: Scene, shown: Shown) -> str:
    """A channel without a look of its own: each field with its name."""
    found = [(name, _value(value)) for name, value in shown.content.items() if name not in ENVELOPE and value]
    card = f'<div class="fields" {spoken(shown.locale)}>{rows(found)}</div>'
    return figure("other", shown.channel, shown, card)


def _value(value: object) -> str:
    if isinstance(value, str):
        return safe(value)
    if isinstance(value, tuple | list) and all(isinstance(one, tuple | list) and len(one) == 2 for one in value):
        return rows([(str(name), safe(inner)) for name, inner in value])
    return f"<code>{safe(json.dumps(value, ensure_ascii=False, default=str))}</code>"
