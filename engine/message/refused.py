"""What a phone would cut off, or a provider or a country refuse, in a message that was written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from channels.contract import Content, Email, Push, Sms, WeChat
from channels.fields import misfits, room_in
from engine.journey.problems import Problem, Severity
from engine.message.compiled import Part
from engine.message.forms import EmailForm, Form, PushForm, SmsForm, WeChatForm
from engine.settings import SmsSettings

LONGEST_TITLE: Final = 65
LONGEST_SUBJECT: Final = 150
LONGEST_PARAMETER: Final = 35  # of an approved SMS, where the account has no other agreement
_LINK: Final = re.compile(r"https?://|\bwww\.", re.IGNORECASE)
_WAY_OUT: Final = re.compile(  # in the languages that are most written to
    r"退订|退訂|拒收|\bSTOP\b|(?i:\bopt.?out\b|\bunsubscribe\b|\babmeld|\baustragen\b|désabonn|désinscri|\bbaja\b)|"
    r"(?i:\bcancelar|disiscri|\bafmeld|avregistr|отпис|配信停止|수신거부)"
)


def refusals(form: Form, written: Content, marketing: bool, sms: SmsSettings) -> Iterator[Problem]:
    """All of it, with its place in the text."""
    match form, written:
        case PushForm(), Push():
            yield from length("the title", written.title, LONGEST_TITLE, form.title)
        case EmailForm(), Email():
            yield from length("the subject", written.subject, LONGEST_SUBJECT, form.subject)
        case WeChatForm(), WeChat():
            for name, text in written.values:
                yield from length(f"`{name}`", text, room_in(name, text), form.values[name])
                yield from _misfit(name, text, form.values[name])
        case SmsForm(), Sms():
            for name, text in written.params:
                yield from _parameter(name, text, form.params[name])
            if marketing and not form.reads.way_out and not _says_how_to_stop(written.text, sms):
                yield _no_way_out(form)


def length(what: str, text: str, most: int, part: Part) -> Iterator[Problem]:
    """A text that is longer than it may be."""
    if len(text) > most:
        sentence = f"{what} has {len(text)} characters, {most} are shown"
        yield Problem("too-long", sentence, part.lines.at(1), "say it shorter, or write `| truncate(...)`")


def _misfit(name: str, text: str, part: Part) -> Iterator[Problem]:
    if not text:
        yield Problem("empty-value", f"`{name}` is empty, which WeChat refuses", part.lines.at(1), "say something")
    elif words := misfits(name, text):
        severity = Severity.error if part.fixed is not None else Severity.warning  # samples are guesses
        hint = "write it so, or choose a template with another type of field"
        yield Problem("bad-wechat-value", f"`{name}` {words}", part.lines.at(1), hint, severity)


def _parameter(name: str, text: str, part: Part) -> Iterator[Problem]:
    yield from length(f"`{name}`", text, LONGEST_PARAMETER, part)
    if _LINK.search(text):
        hint = "let the link be part of the wording that is approved"
        yield Problem("link-in-parameter", f"`{name}` holds a link, which providers refuse", part.lines.at(1), hint)


def _says_how_to_stop(text: str, sms: SmsSettings) -> bool:
    """In the words of this shop for any country, or in those that everybody knows."""
    wordings = [words.opt_out for words in (sms, *sms.countries.values()) if words.opt_out]
    ours = [one for words in wordings for one in ([words] if isinstance(words, str) else words.values())]
    return bool(_WAY_OUT.search(text)) or any(one in text for one in ours)


def _no_way_out(form: SmsForm) -> Problem:
    sentence = "this marketing SMS does not say how to stop them"
    where = "into the wording that is approved" if form.template else "under `sms:`, `opt_out:` in config.yaml"
    return Problem("missing-opt-out", sentence, form.text.lines.at(1), f"write it {where}", Severity.warning)
