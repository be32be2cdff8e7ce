"""A message written for one person: the same text and values give the same bytes, in preview as in live sending."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from email.errors import HeaderParseError
from email.header import decode_header
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from channels.contract import Content, Email, Inbox, Push, Sms, WeChat
from engine.audience.values import Person
from engine.journey.parts import INBOX
from engine.message.approved import OF_SMS, filled
from engine.message.compiled import Part, RenderError
from engine.message.forms import BriefForm, EmailForm, Form, PushForm, SmsForm, WeChatForm
from engine.message.links import BadLink, Links, MessageLinks, bad_scheme, safe_link
from engine.message.locale import Formats, direction, formats, same_language
from engine.message.sms import framed, parts_of, words_for
from engine.message.values import Fields

if TYPE_CHECKING:
    from engine.message.templates import Texts

__all__ = ["Brief", "RenderError", "Values", "render", "render_brief"]

FAMILY_FIRST = re.compile("[\u3400-\u9fff\uac00-\ud7a3\U00020000-\U0003ffff]+")  # Chinese signs and Hangul


class Voucher(Protocol):
    """A voucher code as texts see it."""

    @property
    def code(self) -> str: ...

    @property
    def value(self) -> str: ...

    @property
    def expires_at(self) -> datetime | None: ...


class Values(Struct, frozen=True):
    """What one text may speak of. `traits` is asked only for what the text reads."""

    person: Person
    links: Links
    now: datetime
    event: Mapping[str, Any] = {}
    traits: Callable[[str], Any] | Mapping[str, Any] = {}
    voucher: Voucher | None = None
    journey: str = ""
    step: str = ""
    topic: str = ""
    marketing: bool = True
    enrollment_id: int | None = None
    message_id: int = 0
    extra: Mapping[str, Any] = {}  # `with:` of the step


@dataclass(frozen=True)
class Brief:
    """What a colleague reads who takes up a task: Markdown."""

    title: str
    text: str


class Traits(Mapping[str, Any]):
    """Traits computed when they are read, each once. A name that is none, or whose value is unknown, is not there."""

    __slots__ = ("_ask", "_known")
    label = "traits"

    def __init__(self, ask: Callable[[str], Any]) -> None:
        self._ask = ask
        self._known: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._known:
            self._known[name] = self._ask(name)
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


def render(texts: Texts, message: str, channel: str, locale: str, values: Values) -> Content:
    """Write one message. RenderError says where its text cannot be written; it is about this message alone."""
    form, desk = _desk(texts, message, channel, locale, values)
    match form:
        case EmailForm():
            return _email(form, desk, values)
        case SmsForm():
            return _sms(form, desk, values, texts)
        case PushForm():
            return (_inbox if channel == INBOX else _push)(form, desk, values)
        case WeChatForm():
            return _wechat(form, desk, values)
        case BriefForm():
            raise LookupError(f"{message} is a brief for a task; it is not sent")


def render_brief(texts: Texts, brief: str, locale: str, values: Values) -> Brief:
    """Write what a colleague is told about a task."""
    form, desk = _desk(texts, brief, "task", locale, values)
    if not isinstance(form, BriefForm):
        raise LookupError(f"{brief} is no brief for a task")
    return Brief(desk.line(form.title) or brief.replace("_", " "), desk.write(form.text))


class _Desk(Struct, frozen=True):
    """Everything one rendering writes with."""

    names: dict[str, Any]
    formats: Formats
    zone: tzinfo
    now: datetime
    links: MessageLinks

    def write(self, part: Part) -> str:
        return part.render(self.names, self.formats, self.zone, self.now)

    def line(self, part: Part) -> str:
        """A text of one line, for a header or a title: control characters are refused, whoever they came from."""
        text = self.write(part).strip()
        if _has_control(text):
            sentence = "a line break or another character that cannot be seen would end up in a header"
            raise RenderError(part.lines.at(1), sentence, "control-character", "look at the values it is made of")
        return text

    def address(self, part: Part | None) -> str | None:
        """A link, with one of the four safe schemes."""
        if part is None:
            return None
        text = self.line(part)
        try:
            return safe_link(text) if text else None
        except BadLink as error:
            raise RenderError(part.lines.at(1), str(error), "bad-link-scheme") from None

    def tagged(self, url: str | None) -> str | None:
        """A link with what tells it apart in statistics."""
        return self.links.tags.url(url) if url and self.links.tags else url


def _desk(texts: Texts, message: str, channel: str, locale: str, values: Values) -> tuple[Form, _Desk]:
    written_in = texts.choose(message, channel, locale)
    habits = locale if same_language(locale, written_in) else written_in
    named = {"journey": values.journey, "step": values.step, "topic": values.topic}
    named |= {"channel": channel, "message": message, "locale": written_in}
    tags = texts.tags(channel, values.links.beginnings, named)
    links = values.links.of(
        customer_id=values.person.id,
        topic=values.topic,
        message_id=values.message_id,
        journey=values.journey,
        enrollment_id=values.enrollment_id,
        tags=tags,
    )
    zone = values.person.zone
    now = values.now.astimezone(zone)
    desk = _Desk(_names(values, links, now, written_in), formats(habits, texts.currency), zone, now, links)
    return texts.form(message, channel, written_in), desk


def _names(values: Values, links: MessageLinks, now: datetime, locale: str) -> dict[str, Any]:
    traits = values.traits
    return {
        "person": _person(values.person),
        "event": Fields("event", values.event),
        "traits": Traits(traits.get if isinstance(traits, Mapping) else traits),
        "voucher": _voucher(values.voucher),
        "journey": values.journey,
        "step": values.step,
        "links": links,
        "now": now,
        "extra": Fields("extra", values.extra),
        "locale": locale,
        "dir": direction(locale),
    }


def _person(person: Person) -> Fields:
    fields = Fields("person", {name: value for name, value in person.attributes.items() if _says_something(value)})
    if not fields.get("name"):
        fields["name"] = _whole_name(str(fields.get("first_name") or ""), str(fields.get("last_name") or "")) or None
    fields["locale"], fields["country"], fields["zone"] = person.locale, person.country, person.zone.key
    return fields


def _says_something(value: object) -> bool:
    """An empty text counts as a missing one: nobody shall read "Hello ,"."""
    return value is not None and not (isinstance(value, str) and not value.strip())


def _whole_name(first: str, last: str) -> str:
    """Both names as their owner writes them: 孙伟, and Ann Lee."""
    return last + first if FAMILY_FIRST.fullmatch(last + first) else f"{first} {last}".strip()


def _voucher(voucher: Voucher | None) -> Fields:
    if voucher is None:
        return Fields("voucher", {})
    return Fields("voucher", {"code": voucher.code, "value": voucher.value, "expires_at": voucher.expires_at})


# --- one function per channel


def _email(form: EmailForm, desk: _Desk, values: Values) -> Email:
    subject = desk.names["subject"] = desk.line(form.subject)
    desk.names["preheader"] = desk.line(form.preheader)
    html, text = desk.write(form.html), desk.write(form.text).strip()
    if (tags := desk.links.tags) is not None:
        html, text = tags.in_html(html), tags.in_text(text)
    return Email(
        to=values.person.addresses.get("email", ""),
        to_name=_to_name(desk.names["person"].get("name")),
        sender_name=desk.line(form.sender_name),
        reply_to=desk.line(form.reply_to),
        subject=subject,
        html=html,
        text=text,
        headers=_one_click(desk.links.unsubscribe) if values.marketing else (),
    )


def _one_click(url: str) -> tuple[tuple[str, str], ...]:
    """RFC 8058: exactly one address, and the word that makes one POST to it enough."""
    return (("List-Unsubscribe", f"<{url}>"), ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))


def _to_name(name: object) -> str:
    """The name beside an address; one that could end a header is left out."""
    text = str(name or "").strip()
    return "" if _has_control(text) or len(text) > 100 else text


def _sms(form: SmsForm, desk: _Desk, values: Values, texts: Texts) -> Sms:
    to, locale = values.person.addresses.get("sms", ""), desk.names["locale"]
    params = tuple((name, desk.line(part)) for name, part in form.params.items())
    written = filled(form.wording, OF_SMS, dict(params)) if form.wording else desk.write(form.text)
    text = written.strip().translate(_PLAIN_SPACES)
    if desk.links.tags is not None and not form.template:
        text = desk.links.tags.in_text(text)
    signature, way_out = words_for(texts.sms, to, values.person.country, locale, texts.default_locale)
    if form.template or not values.marketing:
        way_out = ""  # an approved wording has its own
    text = framed(text, signature, way_out) if text else text
    if (count := parts_of(text, to).count) > texts.sms.most_parts:
        sentence = f"this SMS is sent in {count} parts, and `most_parts` is {texts.sms.most_parts}"
        raise RenderError(form.text.lines.at(1), sentence, "too-long", "say it shorter")
    return Sms(to, text, form.template, params)


def _push(form: PushForm, desk: _Desk, values: Values) -> Push:
    return Push(
        to=values.person.addresses.get("push", ""),
        title=desk.line(form.title),
        text=desk.write(form.text).strip(),
        image=desk.address(form.image),
        link=desk.tagged(desk.address(form.link)),
    )


def _inbox(form: PushForm, desk: _Desk, values: Values) -> Inbox:
    """As a notification says it, with room for more."""
    said = _push(form, desk, values)
    return Inbox(values.person.address(INBOX), said.title, said.text, said.image, said.link)


def _wechat(form: WeChatForm, desk: _Desk, values: Values) -> WeChat:
    page = desk.line(form.page) if form.page else None
    if form.page and page and bad_scheme(page):
        raise RenderError(form.page.lines.at(1), "the page is not a safe address", "bad-link-scheme")
    pairs = tuple((name, desk.line(part)) for name, part in form.values.items())
    page = desk.tagged(page) or None
    text = desk.write(form.text).strip() if form.text else ""
    if desk.links.tags is not None:
        text = desk.links.tags.in_text(text)
    return WeChat(values.person.addresses.get("wechat", ""), form.template, form.kind or "notice", page, pairs, text)


# --- what must never reach a header

# German and other locales put these into amounts; in an SMS each of them would double the price (UCS-2, not GSM-7)
_PLAIN_SPACES = {0x00A0: " ", 0x202F: " ", 0x2009: " "}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def _has_control(text: str) -> bool:
    """True for a line break in any disguise: also one hidden in an encoded word, which mail programs decode."""
    if _CONTROL.search(text):
        return True
    if "=?" not in text:
        return False
    try:
        parts = decode_header(text)
    except (HeaderParseError, ValueError, LookupError):
        return True
    decoded = (part if isinstance(part, str) else part.decode("latin-1") for part, _ in parts)
    return any(_CONTROL.search(part) and re.search(r"[\x00-\x1f\x7f]", part) for part in decoded)
