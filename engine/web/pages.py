"""The few pages people see who follow a link in a message. Plain HTML in their language, readable without script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from html import escape
from pathlib import Path

from engine.decide.policy import last_word
from engine.decide.state import Consented
from engine.settings import Purpose, Settings
from engine.web.words import Words, words_for
from engine.work.incoming.confirming import Asked, Standing
from engine.work.incoming.respond import Visitor

STYLE = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
STYLE_HASH = "sha256-" + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()  # for the page's policy

_QUESTION = '<circle cx="23" cy="23" r="21"/><circle class="full" cx="23" cy="23" r="5"/>'
_DONE = '<circle cx="23" cy="23" r="21"/><path d="M14.5 23.8l6 6 11.5-12.6"/>'
_LOST = (
    '<circle cx="23" cy="23" r="21"/><path d="M20 26l6-6M21 17l2-2a5 5 0 0 1 8 8l-2 2M25 29l-2 2a5 5 0 0 1-8-8l2-2"/>'
)
_LIST = '<circle cx="23" cy="23" r="21"/><path d="M15 18h16M15 23h16M15 28h10"/>'
_WAIT = '<circle cx="23" cy="23" r="21"/><path d="M23 12v11l7 5"/>'


def unsubscribe(settings: Settings, topic: str, who: Visitor) -> str:
    """Asks once more, if there is still something to end; the button posts to the same address."""
    if who.has_ended(topic, settings.channels):
        return unsubscribed(settings, topic, who)
    say = words_for(who.locale, settings.shop.locale)
    title = say.ask.format(topic=_title(settings, topic, who.locale))
    return _page(settings, say, _QUESTION, title, _p(say.ask_text) + _button(say.ask_button))


def unsubscribed(settings: Settings, topic: str, who: Visitor) -> str:
    say = words_for(who.locale, settings.shop.locale)
    told = say.ended_text.format(topic=_title(settings, topic, who.locale))
    found = settings.topics.get(topic)
    needed = _p(say.needed) if found is None or found.purpose is Purpose.marketing else ""
    return _page(settings, say, _DONE, say.ended, _p(told) + needed + _to_shop(settings, say))


def confirm(settings: Settings, topic: str, asked: Asked) -> str:
    """Shows the words one agrees to; the button posts to the same address. Or that it is done, or too late."""
    say, title = words_for(asked.locale, settings.shop.locale), _title(settings, topic, asked.locale)
    match asked.standing:
        case Standing.open:
            body = _p(wording(settings, topic, asked)) + _button(say.confirm_button)
            return _page(settings, say, _QUESTION, say.confirm.format(topic=title), body)
        case Standing.done:
            text = _p(say.confirmed_text.format(topic=title))
            return _page(settings, say, _DONE, say.confirmed, text + _to_shop(settings, say))
        case Standing.over:
            return _page(settings, say, _LOST, say.too_late, _p(say.too_late_text) + _to_shop(settings, say))


def wording(settings: Settings, topic: str, asked: Asked) -> str:
    """What one agrees to: the topic's own words, else a plain sentence."""
    say, found = words_for(asked.locale, settings.shop.locale), settings.topics.get(topic)
    own = _in_language(settings, found.wording, asked.locale) if found is not None else None
    title, channel = _title(settings, topic, asked.locale), say.channels.get(asked.channel, asked.channel)
    return own or say.agree.format(shop=settings.shop.name, topic=title, channel=channel)


def answer(settings: Settings, said: str | None, who: Visitor) -> str:
    """Shows the answer as the message put it, when that is known."""
    say = words_for(who.locale, settings.shop.locale)
    shown = f'<p class="said">{escape(said)}</p>' if said else ""
    return _page(settings, say, _QUESTION, say.answer, shown + _p(say.answer_text) + _button(say.answer_button))


def thanks(settings: Settings, who: Visitor, first: bool = True) -> str:
    """`first`: this answer counts; otherwise another one came before it."""
    say = words_for(who.locale, settings.shop.locale)
    title, text = (say.thanks, say.thanks_text) if first else (say.answered, say.answered_text)
    return _page(settings, say, _DONE, title, _p(text) + _to_shop(settings, say))


def preferences(settings: Settings, who: Visitor) -> str:
    """What holds for a person, per topic and channel. Changes nothing and shows no address."""
    say = words_for(who.locale, settings.shop.locale)
    topics = "".join(_topic(settings, say, topic, who) for topic in settings.topics)
    return _page(settings, say, _LIST, say.choices, _p(say.choices_text) + f"<dl>{topics}</dl>")


def _topic(settings: Settings, say: Words, topic: str, who: Visitor) -> str:
    choices = "".join(_choice(settings, say, topic, channel, who.words) for channel in settings.channels)
    return f"<dt>{escape(_title(settings, topic, who.locale))}</dt><dd><ul>{choices}</ul></dd>"


def _choice(settings: Settings, say: Words, topic: str, channel: str, words: Iterable[Consented]) -> str:
    word = last_word(words, channel, topic)
    needed = settings.topics[topic].purpose is Purpose.transactional
    comes = word.granted if word is not None else needed
    answer = f'<span class="yes">{say.yes}</span>' if comes else f"<span>{say.no}</span>"
    return f"<li>{escape(say.channels.get(channel, channel))} {answer}</li>"


def of_task(settings: Settings, lang: str, title: str, body: str) -> str:
    """The page of a task, for colleagues; `body` is HTML."""
    return _page(settings, words_for(lang, lang), _LIST, title, body)


def bad_link(settings: Settings, say: Words) -> str:
    return _page(settings, say, _LOST, say.bad_link, _p(say.bad_link_text))


def busy(settings: Settings, say: Words) -> str:
    return _page(settings, say, _WAIT, say.busy, _p(say.busy_text))


def broken(settings: Settings, say: Words) -> str:
    return _page(settings, say, _WAIT, say.busy, _p(say.broken))


# --- what all pages share --------------------------------------------------------------------------------------------


def _title(settings: Settings, topic: str, locale: str) -> str:
    found = settings.topics.get(topic)
    if found is None:
        return topic
    return _in_language(settings, found.title, locale) or topic


def _in_language(settings: Settings, text: str | dict[str, str], locale: str) -> str | None:
    """A text of config.yaml, in the language nearest to a person's own."""
    if isinstance(text, str):
        return text
    language = locale.partition("-")[0]
    kin = (name for name in text if name.partition("-")[0] == language)
    chain = (locale, language, *kin, words_for(locale, settings.shop.locale).lang, settings.shop.locale, *text)
    return next((text[name] for name in chain if name in text), None)


def _p(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _button(text: str) -> str:
    return f'<form method="post"><button>{escape(text)}</button></form>'


def _to_shop(settings: Settings, say: Words) -> str:
    if not settings.shop.url.startswith(("https://", "http://")):
        return ""
    return f'<p class="away"><a href="{escape(settings.shop.url)}" rel="noreferrer">{escape(say.to_shop)}</a></p>'


def _page(settings: Settings, say: Words, mark: str, title: str, body: str) -> str:
    """`body` is HTML, `title` is not."""
    shop, told = escape(settings.shop.name), escape(title)
    foot = escape(settings.shop.address or settings.shop.name)
    return (
        f'<!doctype html><html lang="{say.lang}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{told} · {shop}</title>'
        f"<style>{STYLE}</style></head><body><header>{shop}</header><main>"
        f'<div class="head"><svg class="mark" viewBox="0 0 46 46" aria-hidden="true">{mark}</svg><h1>{told}</h1></div>'
        f'<div class="body">{body}</div></main><footer>{foot}</footer></body></html>'
    )
