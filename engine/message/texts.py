"""All texts of an installation, compiled: which there are, which one a person gets, what sample people find wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

from channels.contract import Sms
from engine.journey.problems import Position, Problem, Severity
from engine.message import locale as locales
from engine.message.compiled import Part
from engine.message.forms import EmailForm, Form, PushForm, Reads, WeChatForm
from engine.message.render import Brief, RenderError, Values, render, render_brief
from engine.message.sms import Parts, parts_of
from engine.settings import SmsSettings

LONGEST_TITLE: Final = 65
LONGEST_SUBJECT: Final = 150
#: WeChat's kinds of value and how many characters each may have
WECHAT_FIELDS: Final[dict[str, int]] = {
    "thing": 20,
    "short_thing": 5,
    "number": 32,
    "letter": 32,
    "symbol": 5,
    "character_string": 32,
    "time": 64,
    "date": 64,
    "amount": 13,
    "phone_number": 17,
    "car_number": 8,
    "name": 20,
    "phrase": 5,
    "const": 20,
    "keyword": 200,
}


@dataclass(frozen=True)
class Texts:
    """All texts of an installation, compiled."""

    forms: Mapping[tuple[str, str], Mapping[str, Form]]  # (message, channel) -> locale -> form
    currency: str
    default_locale: str
    problems: tuple[Problem, ...] = ()
    sms: SmsSettings = field(default_factory=SmsSettings)

    @cached_property
    def messages(self) -> frozenset[str]:
        """Texts that can be sent."""
        return frozenset(message for message, channel in self.forms if channel != "task")

    @cached_property
    def briefs(self) -> frozenset[str]:
        """Texts for tasks."""
        return frozenset(message for message, channel in self.forms if channel == "task")

    def channels(self, message: str) -> frozenset[str]:
        """The channels a message is written for."""
        return frozenset(channel for name, channel in self.forms if name == message and channel != "task")

    def locales(self, message: str, channel: str) -> frozenset[str]:
        """The locales it is written in."""
        return self._locales.get((message, channel), frozenset())

    def choose(self, message: str, channel: str, locale: str) -> str:
        """The locale it is written in for a reader of `locale`. LookupError when there is no such text at all."""
        found = locales.choose(locale, self.locales(message, channel), self.default_locale)
        if found is None:
            raise LookupError(f"there is no text {message} for {channel}")
        return found

    def form(self, message: str, channel: str, locale: str) -> Form:
        """The compiled text in exactly this locale."""
        return self.forms[message, channel][locale]

    def reads(self, message: str) -> Reads:
        """All names the texts of a message speak of, on any channel, in any locale."""
        found = Reads()
        for (name, _), forms in self.forms.items():
            if name == message:
                for form in forms.values():
                    found |= form.reads
        return found

    def fits(self, message: str, channel: str, marketing: bool) -> list[Problem]:
        """What forbids sending a text for a purpose, with the place in the text."""
        found = []
        for form in self.forms.get((message, channel), {}).values():
            at = Position(form.file)
            if isinstance(form, WeChatForm) and marketing and form.kind == "notice":
                sentence = f"`{message}` uses a notice template of WeChat for a marketing topic"
                found.append(
                    Problem("wechat-kind-purpose", sentence, at, "use a template of kind promotion, or another topic")
                )
            if isinstance(form, EmailForm) and marketing and form.purpose == "transactional":
                sentence = f"`{message}` says `purpose: transactional` and is sent for a marketing topic"
                found.append(Problem("purpose-mismatch", sentence, at, "take the line out and show links.unsubscribe"))
        return found

    def check(self, message: str, channel: str, locale: str, *samples: Values) -> list[Problem]:
        """Write the text for sample people. What fails for all of them is an error, what fails for some a warning."""
        failed: dict[Problem, int] = {}
        for values in samples:
            for problem in dict.fromkeys(self._trial(message, channel, locale, values)):
                failed[problem] = failed.get(problem, 0) + 1
        return [
            problem if count == len(samples) else _for_some(problem, count, len(samples))
            for problem, count in failed.items()
        ]

    def sms_parts(self, message: str, locale: str, values: Values) -> Parts | None:
        """The parts this person's SMS would be sent in; None when it cannot be written for them."""
        try:
            written = render(self, message, "sms", locale, values)
        except RenderError:
            return None
        return parts_of(written.text, written.to) if isinstance(written, Sms) else None

    def _trial(self, message: str, channel: str, locale: str, values: Values) -> Iterator[Problem]:
        try:
            written = (
                render_brief(self, message, locale, values)
                if channel == "task"
                else render(self, message, channel, locale, values)
            )
        except RenderError as error:
            yield Problem(error.code, error.sentence, error.position, error.hint)
            return
        if not isinstance(written, Brief):
            form = self.form(message, channel, self.choose(message, channel, locale))
            yield from _lengths(form, vars(written))

    @cached_property
    def _locales(self) -> dict[tuple[str, str], frozenset[str]]:
        return {key: frozenset(forms) for key, forms in self.forms.items()}


def _for_some(problem: Problem, count: int, total: int) -> Problem:
    sentence = f"{problem.sentence} (for {count} of {total} sample people)"
    return replace(problem, sentence=sentence, severity=Severity.warning)


def _lengths(form: Form, content: Mapping[str, Any]) -> Iterator[Problem]:
    """What a phone or a provider would cut off or refuse."""
    match form:
        case PushForm():
            yield from length("the title", content["title"], LONGEST_TITLE, form.title)
        case EmailForm():
            yield from length("the subject", content["subject"], LONGEST_SUBJECT, form.subject)
        case WeChatForm():
            for name, text in content["values"]:
                part = form.values[name]
                yield from length(f"`{name}`", text, wechat_room(name) or 200, part)
                if not text:
                    yield Problem("empty-value", f"`{name}` is empty, which WeChat refuses", part.lines.at(1), "")


def length(what: str, text: str, most: int, part: Part) -> Iterator[Problem]:
    if len(text) > most:
        sentence = f"{what} has {len(text)} characters, {most} are shown"
        yield Problem("too-long", sentence, part.lines.at(1), "say it shorter")


def wechat_room(name: str) -> int | None:
    """How many characters a field of WeChat has room for: `thing1` 20. None for what is no field."""
    if name in ("first", "remark"):
        return 200
    kind = name.rstrip("0123456789")
    return WECHAT_FIELDS.get(kind) if kind != name else None
