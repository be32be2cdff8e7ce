"""All texts of an installation, compiled: which there are, which one a person gets, what sample people find wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from channels.contract import Sms
from engine.journey.problems import Position, Problem, Severity
from engine.message import locale as locales
from engine.message.forms import EmailForm, Form, Reads, SmsForm, WeChatForm
from engine.message.refused import refusals
from engine.message.render import Brief, RenderError, Values, render, render_brief
from engine.message.sms import Parts, parts_of
from engine.message.utm import MakeTags, tags_for
from engine.settings import LinkSettings, SmsSettings


@dataclass(frozen=True)
class Texts:
    """All texts of an installation, compiled."""

    forms: Mapping[tuple[str, str], Mapping[str, Form]]  # (message, channel) -> locale -> form
    currency: str
    default_locale: str
    problems: tuple[Problem, ...] = ()
    sms: SmsSettings = field(default_factory=SmsSettings)
    links: LinkSettings = field(default_factory=LinkSettings)
    shop_url: str = ""

    @cached_property
    def messages(self) -> frozenset[str]:
        """Texts that can be sent."""
        return frozenset(message for message, channel in self.forms if channel != "task")

    @cached_property
    def tags(self) -> MakeTags:
        """What makes the parameters of a message's links."""
        return tags_for(self.links, self.shop_url)

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
            if isinstance(form, WeChatForm | SmsForm) and marketing and form.kind == "notice":
                sentence = f"`{message}` uses a template for notices and is sent for a marketing topic"
                hint = "use a template of kind promotion, or another topic"
                found.append(Problem("kind-purpose", sentence, at, hint))
            if isinstance(form, EmailForm) and marketing and form.purpose == "transactional":
                sentence = f"`{message}` says `purpose: transactional` and is sent for a marketing topic"
                found.append(Problem("purpose-mismatch", sentence, at, "take the line out and show links.unsubscribe"))
        return found

    def check(self, message: str, channel: str, locale: str, people: Mapping[str, Values]) -> list[Problem]:
        """Write the text for sample people, each told by a word or two: `somebody with a long name`.

        What fails for all of them is an error, what fails for some a warning.
        """
        failed: dict[Problem, list[str]] = {}
        for who, values in people.items():
            for problem in dict.fromkeys(self._trial(message, channel, locale, values)):
                failed.setdefault(problem, []).append(who)
        return [problem if len(who) == len(people) else _for_some(problem, who[0]) for problem, who in failed.items()]

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
            yield from refusals(form, written, values.marketing, self.sms)

    @cached_property
    def _locales(self) -> dict[tuple[str, str], frozenset[str]]:
        return {key: frozenset(forms) for key, forms in self.forms.items()}


def _for_some(problem: Problem, who: str) -> Problem:
    sentence = f"{problem.sentence} (for {who})"
    return replace(problem, sentence=sentence, severity=Severity.warning)
