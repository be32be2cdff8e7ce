"""The page of one task, behind the signed link a queue's room was sent: what it is about, and buttons to act on it.

A GET shows and changes nothing. Who acts says who they are; the link is the proof that they were told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse

from engine.app import App
from engine.errors import Refused
from engine.message.links import LinkUse, Token
from engine.message.render import Brief
from engine.settings import Settings
from engine.web import pages
from engine.web.desk import Desk
from engine.work.colleagues import tasks
from engine.work.colleagues.briefs import brief_of

LONGEST_NOTE = 2_000  # characters
LONGEST_NAME = 100


@dataclass(frozen=True)
class Words:
    """What the page says, in one language."""

    lang: str
    due: str
    taken: str
    take: str
    who: str
    note: str
    done: str
    closed: str
    kept: str
    refused: str
    gone: str
    call: str


WORDS = {
    "en": Words(
        "en",
        due="until {time} ({zone})",
        taken="In the hands of {who}.",
        take="I do it",
        who="Your name",
        note="A note for colleagues",
        done="What came of it",
        closed="Closed: {outcome}, by {who}.",
        kept="It had an outcome before. Yours is kept beside it and moves nothing.",
        refused="That was not possible",
        gone="This task is no longer here.",
        call="This is a call. Press “I do it” first: then it is asked once more whether they may be called up.",
    ),
    "zh": Words(
        "zh",
        due="{time}（{zone}）之前",
        taken="已由 {who} 接手。",
        take="我来处理",
        who="您的姓名",
        note="给同事的备注",
        done="处理结果",
        closed="已关闭：{outcome}，{who}。",
        kept="此前已有结果。您的结果已一并保存，不会改变流程。",
        refused="无法完成",
        gone="此任务已不存在。",
        call="这是电话任务。请先按“我来处理”：届时会再次确认是否可以致电。",
    ),
    "de": Words(
        "de",
        due="bis {time} ({zone})",
        taken="In den Händen von {who}.",
        take="Ich übernehme",
        who="Dein Name",
        note="Eine Notiz für die anderen",
        done="Was daraus wurde",
        closed="Erledigt: {outcome}, von {who}.",
        kept="Sie hatte schon ein Ergebnis. Deins wird daneben aufgehoben und ändert nichts.",
        refused="Das ging nicht",
        gone="Diese Aufgabe gibt es nicht mehr.",
        call="Das ist ein Anruf. Drücke erst „Ich übernehme“: dann wird noch einmal gefragt, ob er erlaubt ist.",
    ),
}


def add_task_page(web: FastAPI, app: App, desk: Desk, read: Any) -> None:
    """The address of a task's page."""

    @web.api_route("/t/{text}", methods=["GET", "HEAD"])
    async def show(text: str) -> Response:
        token = read(app, text, LinkUse.task)
        return HTMLResponse(await desk.ask(partial(_page_of, app, token)))

    @web.post("/t/{text}")
    async def act(text: str, request: Request) -> Response:
        token = read(app, text, LinkUse.task)
        form = dict(parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True))
        told = await desk.ask(partial(_act, app, token, form))
        return HTMLResponse(await desk.ask(partial(_page_of, app, token, told)))


def _act(app: App, token: Token, form: Mapping[str, str]) -> str:
    """Do what was pressed; what there is to say about it."""
    say = _words(app.settings)
    who = " ".join(form.get("who", "").split())[:LONGEST_NAME]
    if not who:
        return f"{say.refused}: {say.who}?"
    try:
        if "take" in form:
            tasks.take(app, token.message_id, who)
            return ""
        first = tasks.done(app, token.message_id, form.get("outcome", ""), who, form.get("note", "")[:LONGEST_NOTE])
        return "" if first else say.kept
    except Refused as error:
        return f"{say.refused}: {error}"


def _page_of(app: App, token: Token, told: str = "") -> str:
    found = brief_of(app, token.message_id)
    say = _words(app.settings)
    if found is None or found[0].customer_id != token.customer_id:
        return pages.of_task(app.settings, say.lang, say.gone, "")
    row, brief = found
    return pages.of_task(app.settings, say.lang, brief.title, _body(app.settings, say, row, brief, told))


def _words(settings: Settings) -> Words:
    return WORDS.get(settings.shop.locale.partition("-")[0], WORDS["en"])


def _body(settings: Settings, say: Words, row: Any, brief: Brief, told: str) -> str:
    queue = settings.queues.get(row.queue)
    zone = (queue.zone if queue else None) or settings.shop.zone
    due = say.due.format(time=f"{row.due_at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}", zone=zone)
    parts = [f'<p role="status"><strong>{escape(told)}</strong></p>' if told else ""]
    parts += [f"<p>{escape(due)}</p>", f'<div class="brief">{_paragraphs(brief.text)}</div>']
    if row.closed_at is not None:
        closed = say.closed.format(outcome=row.outcome, who=row.closed_by or row.outcome)
        return "".join([*parts, f"<p>{escape(closed)}</p>"])
    if row.taken_at is not None:
        parts.append(f"<p>{escape(say.taken.format(who=row.assignee))}</p>")
    parts.append(_form(say, row, queue.people if queue else ()))
    return "".join(parts)


def _paragraphs(text: str) -> str:
    """The brief as it was written: its Markdown is readable as it stands."""
    return "".join(f"<p>{escape(part).replace(chr(10), '<br>')}</p>" for part in text.strip().split("\n\n"))


def _form(say: Words, row: Any, people: tuple[str, ...]) -> str:
    known = "".join(f'<option value="{escape(one, True)}">' for one in people)
    mine = escape(row.assignee or "", True)
    who = (
        f'<p><label for="who">{escape(say.who)}</label> <input id="who" name="who" list="people" required '
        f'maxlength="{LONGEST_NAME}" autocomplete="name" value="{mine}"><datalist id="people">{known}</datalist></p>'
    )
    take = f'<p><button name="take" value="yes">{escape(say.take)}</button></p>' if row.taken_at is None else ""
    if row.call and row.taken_at is None:
        return f'<form method="post">{who}<p>{escape(say.call)}</p>{take}</form>'
    outcomes = "".join(
        f'<button name="outcome" value="{escape(name, True)}">{escape(name.replace("_", " "))}</button> '
        for name in row.outcomes["names"]
    )
    note = (
        f'<p><label for="note">{escape(say.note)}</label><br>'
        f'<textarea id="note" name="note" rows="3" maxlength="{LONGEST_NOTE}"></textarea></p>'
    )
    return f'<form method="post">{who}{take}{note}<p>{escape(say.done)}</p><p>{outcomes}</p></form>'
