"""What the pages say, in the languages they speak.

A person whose language is not among them reads the shop's, as in their messages; else English.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """One language."""

    lang: str
    ask: str
    ask_text: str
    ask_button: str
    ended: str
    ended_text: str
    needed: str  # after `ended_text`, when it was not about their orders
    answer: str
    answer_text: str
    answer_button: str
    thanks: str
    thanks_text: str
    answered: str
    answered_text: str
    confirm: str
    confirm_button: str
    agree: str  # what is agreed to, where the topic has no words of its own
    confirmed: str
    confirmed_text: str
    too_late: str
    too_late_text: str
    choices: str
    choices_text: str
    yes: str
    no: str
    to_shop: str
    bad_link: str
    bad_link_text: str
    busy: str
    busy_text: str
    broken: str
    channels: Mapping[str, str]


ENGLISH = Words(
    lang="en",
    ask="Stop messages about “{topic}”?",
    ask_text="Press the button, and we stop at once: by mail and on every other way.",
    ask_button="Unsubscribe",
    ended="You are unsubscribed",
    ended_text="You will get no more messages about “{topic}”.",
    needed="What you have to know about your orders still reaches you.",
    answer="Is this your answer?",
    answer_text="Press the button, and it is on its way to us.",
    answer_button="Send my answer",
    thanks="Thank you",
    thanks_text="Your answer has arrived. It helps us.",
    answered="We have your answer",
    answered_text="You have answered this question before. That answer stays.",
    confirm="Would you like “{topic}”?",
    confirm_button="Yes, please",
    agree="Yes, {shop} may send me “{topic}” by {channel}. I can end this at any time.",
    confirmed="Thank you, it is confirmed",
    confirmed_text="You will hear from us about “{topic}”. Every message shows how to end it.",
    too_late="This link is too old",
    too_late_text="Nothing has changed. If you would still like to hear from us, please sign up once more in the shop.",
    choices="What we send you",
    choices_text="To end one of these, follow “Unsubscribe” in any message about it.",
    yes="yes",
    no="no",
    to_shop="To the shop",
    bad_link="This link does not work",
    bad_link_text="Perhaps a piece of it was lost on the way. Please open it once more from the message itself.",
    busy="One moment, please",
    busy_text="We could not write that down just now, so nothing has changed. Please try again in a minute.",
    broken="Something went wrong here. It is our fault, and we have been told.",
    channels={"email": "Mail", "sms": "SMS", "push": "Notifications", "wechat": "WeChat", "inbox": "In our app"},
)

GERMAN = Words(
    lang="de",
    ask="Keine Nachrichten mehr zu „{topic}“?",
    ask_text="Ein Klick auf den Knopf, und wir hören sofort auf: per Mail und auf allen anderen Wegen.",
    ask_button="Abbestellen",
    ended="Abbestellt",
    ended_text="Zu „{topic}“ bekommst du keine Nachrichten mehr.",
    needed="Was du zu deinen Bestellungen wissen musst, erreicht dich weiterhin.",
    answer="Ist das deine Antwort?",
    answer_text="Ein Klick auf den Knopf, und sie ist bei uns.",
    answer_button="Antwort absenden",
    thanks="Vielen Dank",
    thanks_text="Deine Antwort ist angekommen. Sie hilft uns.",
    answered="Deine Antwort haben wir schon",
    answered_text="Du hast diese Frage bereits beantwortet. Dabei bleibt es.",
    confirm="Möchtest du „{topic}“?",
    confirm_button="Ja, gern",
    agree="Ja, {shop} darf mir „{topic}“ per {channel} schicken. Ich kann das jederzeit beenden.",
    confirmed="Danke, das ist bestätigt",
    confirmed_text="Zu „{topic}“ hörst du jetzt von uns. In jeder Nachricht steht, wie du sie abbestellst.",
    too_late="Dieser Link ist zu alt",
    too_late_text="Nichts ist geändert. Möchtest du noch von uns hören, melde dich bitte im Shop noch einmal an.",
    choices="Was wir dir schicken",
    choices_text="Etwas davon beenden? In jeder Nachricht dazu steht unten „Abbestellen“.",
    yes="ja",
    no="nein",
    to_shop="Zum Shop",
    bad_link="Dieser Link funktioniert nicht",
    bad_link_text="Vielleicht ging unterwegs ein Stück verloren. Bitte öffne ihn noch einmal aus der Nachricht.",
    busy="Einen Moment bitte",
    busy_text="Das konnten wir gerade nicht festhalten, nichts ist geändert. Bitte versuche es gleich noch einmal.",
    broken="Hier ist etwas schiefgegangen. Es liegt an uns, und wir wissen Bescheid.",
    channels={"email": "E-Mail", "sms": "SMS", "push": "Mitteilungen", "wechat": "WeChat", "inbox": "In unserer App"},
)

CHINESE = Words(
    lang="zh-CN",
    ask="不再接收“{topic}”？",
    ask_text="点击按钮后立即生效，邮件、短信等所有渠道都会停止。",
    ask_button="确认退订",
    ended="已为您退订",
    ended_text="您不会再收到“{topic}”类消息。",
    needed="与您订单有关的必要通知不受影响。",
    answer="这是您的回答吗？",
    answer_text="点击按钮即可告诉我们。",
    answer_button="提交回答",
    thanks="谢谢您",
    thanks_text="我们已收到您的回答，会认真对待。",
    answered="我们已有您的回答",
    answered_text="您之前已经回答过这个问题，以那次的回答为准。",
    confirm="确认接收“{topic}”？",
    confirm_button="确认接收",
    agree="我同意{shop}通过{channel}向我发送“{topic}”，并可随时停止。",
    confirmed="已确认，谢谢您",
    confirmed_text="您将收到“{topic}”类消息，每条消息中都可以退订。",
    too_late="链接已失效",
    too_late_text="您的设置没有变化。如仍希望接收，请在商城重新申请。",
    choices="您的消息设置",
    choices_text="如需停止某一类，请点击该类消息中的“退订”。",
    yes="接收",
    no="不接收",
    to_shop="前往商城",
    bad_link="链接无法打开",
    bad_link_text="链接可能不完整，请从消息中重新打开。",
    busy="请稍候",
    busy_text="刚才没能保存您的操作，一切未变。请一分钟后再试。",
    broken="我们这边出了点问题，已经在处理。",
    channels={"email": "邮件", "sms": "短信", "push": "应用通知", "wechat": "微信", "inbox": "应用内消息"},
)

LANGUAGES: Mapping[str, Words] = {"en": ENGLISH, "de": GERMAN, "zh": CHINESE}


def words_for(*locales: str) -> Words:
    """The words of the first of these locales (`de-AT`) that the pages speak; English when there is none."""
    return next((LANGUAGES[_language(name)] for name in locales if _language(name) in LANGUAGES), ENGLISH)


def words_asked_for(accepted: str, otherwise: str) -> Words:
    """The words a browser asks for with Accept-Language, when nobody is known; else those of a locale."""
    wanted = (part.partition(";")[0].strip() for part in accepted[:200].split(","))
    return words_for(*wanted, otherwise)


def _language(locale: str) -> str:
    return locale.partition("-")[0].lower()
