"""api.weixin.qq.com as one account sees it: tokens that end, messages that are checked, errors inside a 200."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from channels.testing import Request, Response

TEMPLATE = "/cgi-bin/message/template/send"
BIZSEND = "/cgi-bin/message/subscribe/bizsend"
SUBSCRIBE = "/cgi-bin/message/subscribe/send"
CUSTOM = "/cgi-bin/message/custom/send"
MESSAGES = frozenset({TEMPLATE, BIZSEND, SUBSCRIBE, CUSTOM})

LIFE = timedelta(seconds=7200)
OVERLAP = timedelta(minutes=5)  # before its end a token is renewed, and both hold
REMEMBERED = timedelta(minutes=10)
RID = "rid: 65f0c0de-0a1b2c3d-4e5f6071"

#: the kinds of fields, checked by hand and not as the product does
_ROOM = {"thing": 20, "letter": 32, "symbol": 5, "character_string": 32, "phone_number": 17, "car_number": 8}
_ESCAPE = re.compile(rb"(?<!\\)(?:\\\\)*\\u[0-9a-fA-F]{4}")


def hands_over(request: Request) -> bool:
    return request.route in MESSAGES


def said(code: int, text: str = "", **more: Any) -> Response:
    """An answer as the service writes it: always a 200, with a number of the support behind the words."""
    row = {"errcode": code, "errmsg": text or ("ok" if code == 0 else f"some words {RID}"), **more}
    return Response(200, json.dumps(row, ensure_ascii=False).encode(), {"content-type": "application/json"})


@dataclass(frozen=True)
class Token:
    value: str
    until: datetime
    renewed: datetime  # from then on another one is given out


@dataclass
class WeChatService:
    """One account. `kind` is official or miniprogram: each has APIs the other has not."""

    now: Callable[[], datetime]
    app_id: str = "wx1234567890abcdef"
    secret: str = "hunter2-of-wechat"
    kind: str = "official"
    next_id: int = 200228332
    taken: list[dict[str, Any]] = field(default_factory=list)  # what was accepted, each with its path
    strangers: dict[str, int] = field(default_factory=dict)  # openid: the code by which it is refused
    scripted: list[int] = field(default_factory=list)  # codes with which the next messages are answered
    tokens: list[Token] = field(default_factory=list)
    fetched: int = 0
    forced: list[datetime] = field(default_factory=list)
    _seen: dict[tuple[str, str], tuple[datetime, int]] = field(default_factory=dict)

    def handle(self, request: Request) -> Response:
        if request.route == "/cgi-bin/stable_token":
            return self._stable_token(request)
        if request.route == "/cgi-bin/token":
            return self._older_token(request)
        refusal = self._locked_out(request)
        if refusal is not None:
            return refusal
        if request.route == "/cgi-bin/getcallbackip":
            return Response(200, b'{"ip_list":["127.0.0.1"]}')
        if request.route in MESSAGES:
            return self._message(request)
        return said(40066, f"invalid url {RID}")

    # tokens

    def end_tokens(self) -> None:
        """All tokens are over, as if somebody else had forced new ones."""
        self.tokens.clear()

    def _give(self) -> Token:
        self.fetched += 1
        token = Token(f"TOKEN-{self.fetched}", self.now() + LIFE, self.now() + LIFE - OVERLAP)
        self.tokens.append(token)
        return token

    def _stable_token(self, request: Request) -> Response:
        asked = json.loads(request.body)
        if request.method != "POST" or asked.get("grant_type") != "client_credential":
            return said(40002, f"invalid grant_type {RID}")
        if asked.get("appid") != self.app_id:
            return said(40013, f"invalid appid {RID}")
        if asked.get("secret") != self.secret:
            return said(40125, f"invalid appsecret {RID}")
        if asked.get("force_refresh"):
            today = [at for at in self.forced if self.now() - at < timedelta(days=1)]
            if len(today) >= 20 or (today and self.now() - today[-1] < timedelta(seconds=30)):
                return said(45009, f"reach max api daily quota limit {RID}")
            self.forced.append(self.now())
            self.tokens.clear()
        current = [token for token in self.tokens if token.renewed > self.now()]
        token = current[-1] if current else self._give()
        left = int((token.until - self.now()).total_seconds())
        return Response(200, json.dumps({"access_token": token.value, "expires_in": left}).encode())

    def _older_token(self, request: Request) -> Response:
        if request.query.get("appid") != self.app_id or request.query.get("secret") != self.secret:
            return said(40125, f"invalid appsecret {RID}")
        return Response(200, json.dumps({"access_token": self._give().value, "expires_in": 7200}).encode())

    def _locked_out(self, request: Request) -> Response | None:
        token = request.query.get("access_token")
        if not token:
            return said(41001, f"access_token missing {RID}")
        known = [one for one in self.tokens if one.value == token]
        if not known:
            return said(40001, f"invalid credential, access_token is invalid or not latest {RID}")
        return None if known[0].until > self.now() else said(42001, f"access_token expired {RID}")

    # messages

    def _message(self, request: Request) -> Response:
        belongs = "miniprogram" if request.route == SUBSCRIBE else "official"
        if request.method != "POST" or belongs != self.kind:
            return said(48001, f"api unauthorized {RID}")
        try:
            message = json.loads(request.body)
        except ValueError:
            return said(47001, f"data format error {RID}")
        if not isinstance(message, dict) or _ESCAPE.search(request.body):
            return said(47001, f"data format error {RID}")
        if self.scripted:
            return said(self.scripted.pop(0))
        to = message.get("touser")
        if to in self.strangers:
            return said(self.strangers[to], "require subscribe hint: [abc] rid: 1")
        refusal = _custom_flaw(message) if request.route == CUSTOM else _template_flaw(message, request.route)
        return refusal or self._take(request.route, message)

    def _take(self, route: str, message: dict[str, Any]) -> Response:
        key = message["touser"], message.get("client_msg_id", "")
        if route == TEMPLATE and key[1]:
            at, number = self._seen.get(key, (None, 0))
            if at is not None and self.now() - at < REMEMBERED:
                return said(0, msgid=number)
            self._seen[key] = self.now(), self.next_id
        self.taken.append({"route": route, **message})
        number, self.next_id = self.next_id, self.next_id + 1
        return said(0, msgid=number) if route in (TEMPLATE, BIZSEND) else said(0)


def _custom_flaw(message: dict[str, Any]) -> Response | None:
    text = message.get("text")
    if message.get("msgtype") != "text" or not isinstance(text, dict) or not text.get("content"):
        return said(40008, f"invalid message type {RID}")
    return None


def _template_flaw(message: dict[str, Any], route: str) -> Response | None:
    allowed = {
        TEMPLATE: {"url", "miniprogram", "client_msg_id"},
        BIZSEND: {"page", "miniprogram"},
        SUBSCRIBE: {"page", "miniprogram_state", "lang"},
    }[route]
    if set(message) - allowed - {"touser", "template_id", "data"}:
        return said(47001, f"data format error {RID}")
    if not message.get("touser"):
        return said(40003, f"invalid openid {RID}")
    if not message.get("template_id"):
        return said(40037, f"invalid template_id {RID}")
    for name, held in message.get("data", {}).items():
        if not isinstance(held, dict) or not _fits(name, held.get("value")):
            return said(47003, f"argument invalid! data.{name}.value invalid {RID}")
    return None


def _fits(name: str, value: Any) -> bool:
    kind = name.rstrip("0123456789")
    if not isinstance(value, str) or not value.strip() or any(ord(sign) < 32 for sign in value):
        return False
    if len(value) > _ROOM.get(kind, 200):
        return False
    chinese = all("\u4e00" <= sign <= "\u9fff" for sign in value)
    match kind:
        case "phrase":
            return chinese and len(value) <= 5
        case "number":
            return value.lstrip("-").replace(".", "", 1).isdigit()
        case "letter":
            return value.isascii() and value.isalpha()
        case "time" | "date":
            return any(sign.isdigit() for sign in value)
    return True
