"""What is said to WeCom: notices as Markdown, tasks for a colleague, and what of either WeCom would refuse."""

from __future__ import annotations

import hashlib
import re
from typing import Any
from urllib.parse import quote

from channels import plain
from channels.contract import Content, Notice, WeChat
from channels.errors import FailureReason
from channels.wechat.weixin import Flaw, is_plain

_MEMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")  # neither @all nor one|another
_CUSTOMER = re.compile(r"[A-Za-z0-9_-]{1,128}")


def flaw_of_notice(notice: Notice, *, needs_name: bool) -> Flaw | None:
    """What is wrong with a notice, its length apart."""
    if notice.to and not _MEMBER.fullmatch(notice.to):
        return FailureReason.address_invalid, "its address is no member id"
    if needs_name and not notice.to:
        return FailureReason.content, "it names no colleague, and no party is configured for such"
    if not is_plain(notice.title + notice.text) or (notice.link and not _is_address(notice.link)):
        return FailureReason.content, "it holds a control character, or its link is no address"
    return None


def flaw_of_message(content: Content) -> Flaw | None:
    """What is wrong with a message to a customer, its length apart."""
    if not isinstance(content, WeChat) or content.template or content.values:
        return FailureReason.content, "a colleague sends a text, and it is a template"
    if not _CUSTOMER.fullmatch(content.to):
        return FailureReason.address_invalid, "its address is no external user id"
    if not is_plain(content.text) or (content.page and not _is_address(content.page)):
        return FailureReason.content, "it holds a control character, or its page is no address"
    return None


def markdown(notice: Notice, link_title: str, *, calls: bool = False, mark: str = "") -> str:
    """A notice in WeCom's Markdown. It has no list of names to call beside it: `calls` names the colleague inside."""
    parts = [
        f"**{plain.one_line(notice.title)}**" if notice.title else "",
        notice.text,
        f"[{link_title}]({_in_brackets(notice.link)})" if notice.link else "",
        f"<@{notice.to}>" if calls and notice.to else "",
        f'<font color="comment">#{mark}</font>' if mark else "",
    ]
    return "\n".join(filter(None, parts))


def mark(key: str) -> str:
    """Makes of every notice one of its own: WeCom knows a repeat by its content, and two notices may say the same."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def task(content: Content, sender: str, link_title: str) -> dict[str, Any]:
    """A message to one customer, for one colleague to confirm."""
    said: dict[str, Any] = {
        "chat_type": "single",
        "external_userid": [content.to],
        "sender": sender,
        "text": {"content": plain.text(content)},
    }
    if isinstance(content, WeChat) and content.page:
        link = {"title": link_title, "url": content.page, "desc": "", "picurl": ""}
        said["attachments"] = [{"msgtype": "link", "link": link}]
    return said


def _is_address(text: str) -> bool:
    return text.lower().startswith(("https://", "http://")) and plain.one_line(text) == text


def _in_brackets(address: str) -> str:
    """An address where brackets and spaces would end it."""
    return quote(address, safe="!#$%&'*+,/:;=?@[]~")
