"""Which look belongs to which channel. A new channel has its line here; without one its fields are shown by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from engine.cli.looks.cards import inbox, named_fields, webhook
from engine.cli.looks.mail import mail
from engine.cli.looks.push import push
from engine.cli.looks.scene import Scene, safe
from engine.cli.looks.sms import sms
from engine.cli.looks.wechat import wechat
from engine.cli.words import _
from engine.simulate.preview import Shown

LOOKS: Final[Mapping[str, Callable[[Scene, Shown], str]]] = {
    "email": mail,
    "sms": sms,
    "push": push,
    "wechat": wechat,
    "inbox": inbox,
    "webhook": webhook,
}


def look(scene: Scene, shown: Shown) -> str:
    """A message as the person sees it, or why it cannot be written."""
    if shown.error:
        told = f"<b>{safe(_('cannot be written'))}</b> <small>{safe(shown.locale)}</small> {safe(shown.error)}"
        return f'<p class="unwritten">{told}</p>'
    return LOOKS.get(shown.channel, named_fields)(scene, shown)
