"""qyapi.weixin.qq.com as one company sees it: an app, tasks that a colleague confirms, and the robot of a group."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from channels.testing import Request, Response

APP = "/cgi-bin/message/send"
TASK = "/cgi-bin/externalcontact/add_msg_template"
RESULT = "/cgi-bin/externalcontact/get_groupmsg_send_result"
ROBOT = "/cgi-bin/webhook/send"
MESSAGES = frozenset({APP, TASK, ROBOT})

LIFE = timedelta(seconds=7200)
_ESCAPE = re.compile(rb"(?<!\\)(?:\\\\)*\\u[0-9a-fA-F]{4}")
_KINDS = {"text": 2048, "markdown": 2048, "textcard": 512}


def hands_over(request: Request) -> bool:
    return request.route in MESSAGES and request.body != b"{}"


def said(code: int, **more: Any) -> Response:
    words = "ok" if code == 0 else "some words, hint: [1768465800], more info at https://open.work.weixin.qq.com"
    return Response(200, json.dumps({"errcode": code, "errmsg": words, **more}, ensure_ascii=False).encode())


@dataclass
class WeComService:
    """One company with one app, one customer contact app, and one robot."""

    now: Callable[[], datetime]
    corp_id: str = "wx5823bf96d3bd56c7"
    secret: str = "the secret of the app"
    agent_id: int = 1000002
    robot: str = "the-key-of-the-robot"
    taken: list[dict[str, Any]] = field(default_factory=list)
    strangers: frozenset[str] = frozenset()  # members and customers whom nobody can reach
    scripted: list[int] = field(default_factory=list)  # codes with which the next messages are answered
    tokens: dict[str, datetime] = field(default_factory=dict)
    fetched: int = 0
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)  # by msgid; `status` is what became of it
    _said: dict[bytes, datetime] = field(default_factory=dict)
    _by_robot: list[datetime] = field(default_factory=list)

    def handle(self, request: Request) -> Response:
        if request.route == "/cgi-bin/gettoken":
            return self._token(request)
        if request.route == ROBOT:
            return self._robot(request)
        token = request.query.get("access_token")
        if not token:
            return said(41001)
        if token not in self.tokens:
            return said(40014)
        if self.tokens[token] <= self.now():
            return said(42001)
        if request.route == "/cgi-bin/getcallbackip":
            return said(0, ip_list=["127.0.0.1"])
        answers = {APP: self._message, TASK: self._task, RESULT: self._result}
        return answers[request.route](request) if request.route in answers else said(40066)

    def _token(self, request: Request) -> Response:
        if request.query.get("corpid") != self.corp_id:
            return said(40013)
        if request.query.get("corpsecret") != self.secret:
            return said(40001)
        held = [token for token, until in self.tokens.items() if until > self.now()]
        if not held:
            self.fetched += 1
            held = [f"TOKEN-{self.fetched}"]
            self.tokens[held[0]] = self.now() + LIFE
        left = int((self.tokens[held[0]] - self.now()).total_seconds())
        return said(0, access_token=held[0], expires_in=left)

    def end_tokens(self) -> None:
        self.tokens = dict.fromkeys(self.tokens, self.now())

    def _read(self, request: Request) -> dict[str, Any] | Response:
        if _ESCAPE.search(request.body):
            return said(40033)
        try:
            found = json.loads(request.body)
        except ValueError:
            return said(47001)
        if self.scripted:
            return said(self.scripted.pop(0))
        return found if isinstance(found, dict) else said(47001)

    # to colleagues

    def _message(self, request: Request) -> Response:
        message = self._read(request)
        if isinstance(message, Response):
            return message
        if message.get("agentid") != self.agent_id:
            return said(40056)
        flaw = _flaw(message, _KINDS)
        if flaw is not None:
            return flaw
        named = [one for one in message.get("touser", "").split("|") if one]
        bad = [one for one in named if one in self.strangers]
        if not named and not message.get("toparty") and not message.get("totag"):
            return said(82001)
        if bad and len(bad) == len(named):
            return said(81013)
        window = timedelta(seconds=message.get("duplicate_check_interval", 1800))
        known = self._said.get(request.body)
        if message.get("enable_duplicate_check") == 1 and known is not None and self.now() - known < window:
            return said(0, msgid="REPEAT")
        self._said[request.body] = self.now()
        self.taken.append(message)
        return said(0, invaliduser="|".join(one.lower() for one in bad), msgid=f"MSG-{len(self.taken)}")

    def _robot(self, request: Request) -> Response:
        if request.query.get("key") != self.robot:
            return said(93000)
        message = self._read(request)
        if isinstance(message, Response):
            return message
        flaw = _flaw(message, {"text": 2048, "markdown": 4096})
        if flaw is not None:
            return flaw
        self._by_robot = [at for at in self._by_robot if self.now() - at < timedelta(minutes=1)]
        if len(self._by_robot) >= 20:
            return said(45009)
        self._by_robot.append(self.now())
        self.taken.append(message)
        return said(0)

    # to customers

    def _task(self, request: Request) -> Response:
        message = self._read(request)
        if isinstance(message, Response):
            return message
        text = message.get("text", {}).get("content", "")
        if message.get("chat_type", "single") != "single" or not (text or message.get("attachments")):
            return said(40058)
        if len(text.encode()) > 4000 or len(message.get("attachments", [])) > 9:
            return said(45002)
        customers = message.get("external_userid", [])
        if not customers and not message.get("sender"):
            return said(41048)
        failed = [one for one in customers if one in self.strangers]
        number = f"msgGCAAAXtWyujaWJHDDGi0m{len(self.tasks)}"
        self.tasks[number] = {"message": message, "status": 0, "send_time": None}
        if len(failed) < len(customers):
            self.taken.append(message)
        return said(0, fail_list=failed, msgid=number)

    def _result(self, request: Request) -> Response:
        asked = self._read(request)
        if isinstance(asked, Response):
            return asked
        task = self.tasks.get(asked.get("msgid", ""))
        if task is None or asked.get("userid") != task["message"].get("sender"):
            return said(40058)
        row = {"userid": asked["userid"], "status": task["status"]}
        row |= {"send_time": task["send_time"]} if task["send_time"] else {}
        rows = [{"external_userid": one, **row} for one in task["message"]["external_userid"]]
        return said(0, send_list=rows)


def _flaw(message: dict[str, Any], kinds: dict[str, int]) -> Response | None:
    kind = message.get("msgtype")
    if kind not in kinds:
        return said(40008)
    held = message.get(kind)
    words = (held or {}).get("description" if kind == "textcard" else "content", "")
    if not words:
        return said(44004)
    return said(45002) if len(words.encode()) > kinds[kind] else None
