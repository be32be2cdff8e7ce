"""The few pages people see who follow a link in a message. Plain HTML in their language, readable without script."""

from __future__ import annotations

from html import escape

from engine.audience.values import Person
from engine.decide.state import Consented
from engine.settings import Settings

_WORDS = {
    "zh": {
        "unsubscribe": "不再接收“{topic}”类消息？",
        "unsubscribe_text": "点击下方按钮后，我们将立即停止发送，所有渠道均生效。",
        "unsubscribe_button": "确认退订",
        "unsubscribed": "已退订",
        "unsubscribed_text": "您不会再收到“{topic}”类消息。订单相关的必要通知不受影响。",
        "answer": "感谢您的回答",
        "answer_text": "请点击按钮，确认您的回答：{word}",
        "answer_button": "提交",
        "thanks": "谢谢您",
        "thanks_text": "我们已收到您的回答。",
        "preferences": "您的消息设置",
        "preferences_text": "以下是您目前的选择。每封邮件中都有对应类别的退订链接。",
        "yes": "接收",
        "no": "不接收",
    },
    "de": {
        "unsubscribe": "Nachrichten zu „{topic}“ abbestellen?",
        "unsubscribe_text": "Ein Klick genügt, danach schreiben wir Ihnen dazu nicht mehr, auf keinem Weg.",
        "unsubscribe_button": "Abbestellen",
        "unsubscribed": "Abbestellt",
        "unsubscribed_text": "Sie erhalten keine Nachrichten zu „{topic}“ mehr. Hinweise zu Bestellungen bleiben.",
        "answer": "Danke für Ihre Antwort",
        "answer_text": "Bitte bestätigen Sie Ihre Antwort: {word}",
        "answer_button": "Absenden",
        "thanks": "Vielen Dank",
        "thanks_text": "Ihre Antwort ist angekommen.",
        "preferences": "Ihre Einstellungen",
        "preferences_text": "Das haben Sie bisher gewählt. Jede unserer Mails enthält einen Link zum Abbestellen.",
        "yes": "ja",
        "no": "nein",
    },
    "en": {
        "unsubscribe": "Stop messages about “{topic}”?",
        "unsubscribe_text": "One press of the button and we stop at once, on every channel.",
        "unsubscribe_button": "Unsubscribe",
        "unsubscribed": "You are unsubscribed",
        "unsubscribed_text": "You will get no more messages about “{topic}”. Notes your orders need still reach you.",
        "answer": "Thank you for answering",
        "answer_text": "Please confirm your answer: {word}",
        "answer_button": "Send",
        "thanks": "Thank you",
        "thanks_text": "Your answer has arrived.",
        "preferences": "Your settings",
        "preferences_text": "This is what you have chosen so far. Every mail of ours carries a link to end its topic.",
        "yes": "yes",
        "no": "no",
    },
}

_STYLE = (
    "body{margin:0;background:#f6f4ef;color:#26231f;font:17px/1.6 system-ui,'Noto Sans CJK SC',sans-serif}"
    "main{max-width:30rem;margin:12vh auto;padding:2.5rem;background:#fff;border-radius:14px}"
    "h1{font-size:1.4rem;margin:0 0 1rem}small{color:#777}"
    "button{font:inherit;padding:.7rem 1.6rem;border:0;border-radius:8px;background:#26231f;color:#fff;cursor:pointer}"
    "td{padding:.2rem 1.2rem .2rem 0}"
    "@media(prefers-color-scheme:dark){body{background:#1b1a18;color:#eee}main{background:#262421}button{background:#eee;color:#222}}"
)


def unsubscribe(settings: Settings, topic: str, locale: str, words: list[Consented], person: Person | None) -> str:
    """Asks once more; the button posts to the same address."""
    say = _say(locale)
    told = escape(_title(settings, topic, locale))
    return _page(
        settings, locale, say["unsubscribe"].format(topic=told), say["unsubscribe_text"], say["unsubscribe_button"]
    )


def unsubscribed(settings: Settings, topic: str, locale: str, words: list[Consented], person: Person | None) -> str:
    say = _say(locale)
    told = escape(_title(settings, topic, locale))
    return _page(settings, locale, say["unsubscribed"], say["unsubscribed_text"].format(topic=told))


def answer(
    settings: Settings, word: str, topic: str, locale: str, words: list[Consented], person: Person | None
) -> str:
    say = _say(locale)
    return _page(settings, locale, say["answer"], say["answer_text"].format(word=escape(word)), say["answer_button"])


def thanks(settings: Settings, topic: str, locale: str, words: list[Consented], person: Person | None) -> str:
    say = _say(locale)
    return _page(settings, locale, say["thanks"], say["thanks_text"])


def preferences(settings: Settings, topic: str, locale: str, words: list[Consented], person: Person | None) -> str:
    """What a person has said so far, per topic and channel. Changes nothing and shows no address."""
    say = _say(locale)
    rows = "".join(
        f"<tr><td>{escape(_title(settings, one.topic, locale))}</td><td>{escape(one.channel)}</td>"
        f"<td>{say['yes'] if one.granted else say['no']}</td></tr>"
        for one in sorted(words, key=lambda one: (one.topic, one.channel))
    )
    return _page(settings, locale, say["preferences"], f"{say['preferences_text']}<table>{rows}</table>")


def bad_link() -> str:
    return (
        "<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<style>{_STYLE}</style><main><h1>This link does not work</h1><p>It may have been cut off on its way. "
        "Please open it from the message again.</p><p lang=zh>链接无效，请从消息中重新打开。</p></main>"
    )


def _say(locale: str) -> dict[str, str]:
    return _WORDS.get(locale.split("-")[0], _WORDS["en"])


def _title(settings: Settings, topic: str, locale: str) -> str:
    found = settings.topics.get(topic)
    if found is None:
        return topic
    if isinstance(found.title, str):
        return found.title
    language = locale.split("-")[0]
    chain = (locale, language, *(name for name in found.title if name.split("-")[0] == language), settings.shop.locale)
    return next((found.title[name] for name in chain if name in found.title), topic)


def _page(settings: Settings, locale: str, title: str, text: str, button: str | None = None) -> str:
    form = f"<form method=post><button>{button}</button></form>" if button else ""
    return (
        f"<!doctype html><html lang='{escape(locale)}'><meta charset=utf-8>"
        f"<meta name=viewport content='width=device-width'><title>{title}</title><style>{_STYLE}</style>"
        f"<main><h1>{title}</h1><p>{text}</p>{form}<p><small>{escape(settings.shop.name)}</small></p></main></html>"
    )
