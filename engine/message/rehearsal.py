"""A rehearsal: everything leaves as it would, but for colleagues, and says so of itself.

Which colleague gets whose message is settled by its key, so that it is the same at every attempt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from msgspec import structs

from channels.contract import Content, Email, Inbox, Notice, Push, Sms, Webhook, WeChat

ROOM_OF_THING = 20  # characters of a `thing` of WeChat


def rehearsed(content: Content, colleagues: Sequence[str], key: str, person: str) -> Content:
    """The same message for one of these colleagues, marked with whom it was for."""
    to = colleagues[int.from_bytes(hashlib.sha256(key.encode()).digest()[:4]) % len(colleagues)]
    mark = f"[rehearsal for {person}]"
    match content:
        case Email():
            note = f"{mark}\n\n"
            return structs.replace(
                content,
                to=to,
                to_name="",
                subject=f"{mark} {content.subject}".strip(),
                text=note + content.text if content.text else content.text,
            )
        case Sms():
            return structs.replace(content, to=to, text=f"{mark} {content.text}".strip())
        case Push() | Inbox() | Notice():
            return structs.replace(content, to=to, title=f"{mark} {content.title}".strip())
        case WeChat():
            return structs.replace(content, to=to, values=_marked(content), text=_before(mark, content.text))
        case Webhook():
            return structs.replace(content, to=to, type=f"rehearsal.{content.type}")


def _before(mark: str, text: str) -> str:
    return f"{mark} {text}" if text else text


def _marked(content: WeChat) -> tuple[tuple[str, str], ...]:
    """An approved template has no place for a mark but its first free one, where there is room."""
    values = list(content.values)
    for number, (name, value) in enumerate(values):
        if name.startswith("thing") and len(value) + 4 <= ROOM_OF_THING:
            values[number] = (name, f"[彩排]{value}")
            break
    return tuple(values)
