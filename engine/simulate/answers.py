"""Assumed answers: what people, colleagues and providers do in a simulation. Every share is a stable hash, never a die.

# answers.yaml: all keys are optional; what is not named does not happen
messages: {opened: 30%, clicked: 8%, after: 3h}     # of accepted messages
events:
  - {name: Parcel Delivered, follows: Order Completed, share: 95%, after: 2d, copy: [order_id]}
  - {name: Page Viewed, follows: Message Clicked, share: 90%, after: 5m}
tasks:
  care_call: {after: 3h, satisfied: 70%, unhappy: 30%}
approvals: {outcome: approved, after: 1h}
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from engine.app import App
from engine.decide.decision import APPROVAL
from engine.decide.policy import span
from engine.decide.split import bucket
from engine.errors import BadInput, Refused
from engine.journey import source
from engine.journey.quantities import Duration, Share, parse_duration, parse_share
from engine.store import simulated, waves
from engine.work.colleagues.tasks import NotNow, done, take
from engine.work.entering.waves import settle_approval
from engine.work.incoming.intake import NewEvent, record_events


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MessageAnswers(_Part):
    """How people respond to messages that were accepted."""

    opened: Share = Decimal(0)
    clicked: Share = Decimal(0)
    after: Duration = timedelta(hours=3)


class Follows(_Part):
    """An event that follows another one of the same person."""

    name: str
    follows: str
    share: Share = Decimal(1)
    after: Duration
    copied: tuple[str, ...] = Field(default=(), alias="copy")  # payload keys that it takes over


class TaskAnswers(_Part):
    """What humans make of a task: outcome -> share, and how long they take."""

    after: Duration = timedelta(hours=4)
    outcomes: dict[str, Share]

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, value: Any) -> Any:
        """`{after: 3h, satisfied: 70%}` is written flat."""
        if not isinstance(value, dict) or "outcomes" in value:
            return value
        outcomes = {name: parse_share(share) for name, share in value.items() if name != "after"}
        return {"outcomes": outcomes} | ({"after": parse_duration(value["after"])} if "after" in value else {})


class ApprovalAnswers(_Part):
    outcome: Literal["approved", "refused", "none"] = "approved"
    after: Duration = timedelta(0)

    def sentence(self) -> str:
        """What is assumed."""
        if self.outcome == "none":
            return "approvals: nobody answers"
        return f"approvals: {self.outcome} " + (f"after {span(self.after)}" if self.after else "at once")


class Answers(_Part):
    """The whole of an answers file."""

    messages: MessageAnswers = MessageAnswers()
    events: tuple[Follows, ...] = ()
    tasks: dict[str, TaskAnswers] = Field(default_factory=dict)
    approvals: ApprovalAnswers = ApprovalAnswers()

    def sentences(self) -> list[str]:
        """What is assumed, for the head of every output."""
        lines = [
            f"messages: {_percent(self.messages.opened)} opened, {_percent(self.messages.clicked)} clicked, "
            f"after {span(self.messages.after)}"
        ]
        if not self.events:
            lines.append("events: nothing new happens to anybody")
        lines += [
            f"events: {one.name} follows {_percent(one.share)} of {one.follows} after {span(one.after)}"
            for one in self.events
        ]
        lines += [
            f"tasks: {brief} after {span(one.after)}: "
            + ", ".join(f"{_percent(share)} {name}" for name, share in one.outcomes.items())
            for brief, one in sorted(self.tasks.items())
        ]
        if not self.tasks:
            lines.append("tasks: nobody does them")
        lines.append(self.approvals.sentence())
        return lines


def _percent(share: Decimal) -> str:
    return f"{share * 100:.4g}%"


def load_answers(path: Path | None) -> Answers:
    """Read an answers file; without one nobody answers, and waves are approved at once."""
    if path is None:
        return Answers()
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
    sourced = source.read(text, str(path))
    answers, problems = source.validate(Answers, sourced) if not sourced.problems else (None, list(sourced.problems))
    if answers is None or problems:
        raise BadInput(f"{path} cannot be used", problems)
    return answers


Action = Callable[[App], None]


@dataclass
class Responder:
    """Looks at what a beat did, and answers it at the right instants. The same answers for the same seed and plan."""

    answers: Answers
    seed: int = 1
    _due: list[tuple[datetime, int, Action]] = field(default_factory=list)
    _order: Any = field(default_factory=count)
    _last: dict[str, int] = field(default_factory=dict)  # table -> last id looked at
    _asked: set[int] = field(default_factory=set)

    def plan(self, at: datetime, action: Action) -> None:
        heapq.heappush(self._due, (at, next(self._order), action))

    def foretell(self, event: NewEvent) -> None:
        """Let this happen at its own instant."""
        self.plan(event.at, lambda app: feed(app, [event]))

    @property
    def next_due(self) -> datetime | None:
        return self._due[0][0] if self._due else None

    def act(self, app: App, now: datetime) -> int:
        """Do what is due by `now`; how much that was."""
        acted = 0
        while self._due and self._due[0][0] <= now:
            heapq.heappop(self._due)[2](app)
            acted += 1
        return acted

    def start(self, app: App) -> None:
        """What lies in the database already is not answered."""
        with app.database.reading() as connection:
            self._last = simulated.last_ids(connection)

    def look(self, app: App) -> None:
        """Plan the answers to what is new since the last look."""
        now = app.clock.now()
        with app.database.reading() as connection:
            accepted = simulated.accepted_since(connection, self._last["delivery"])
            tasks = simulated.tasks_since(connection, self._last["task"])
            happened = simulated.events_since(
                connection, self._last["event"], sorted({one.follows for one in self.answers.events})
            )
            asked = [one for one in waves.approvals(connection, open_only=True) if one.id not in self._asked]
            self._last = simulated.last_ids(connection)
        for row in accepted:
            self._answer_message(row, now)
        for row in tasks:
            self._answer_task(row, now)
        for row in happened:
            self._answer_event(row)
        for row in asked:
            self._asked.add(row.id)
            self._answer_approval(row, now)

    def _share(self, *names: str) -> Decimal:
        return bucket(str(self.seed), *names)

    def _answer_message(self, row: Any, now: datetime) -> None:
        said, place = self.answers.messages, self._share("message", row.key)
        if place >= max(said.clicked, said.opened):
            return
        payload = {name: getattr(row, name) for name in ("message", "channel", "journey", "enrollment_id")}
        if place < said.clicked:
            self.plan(now + said.after, _event(f"click-{row.key}", row.person, "Message Clicked", payload))
        if place < said.opened:
            self.plan(now + said.after, _event(f"open-{row.key}", row.person, "Message Opened", payload))

    def _answer_task(self, row: Any, now: datetime) -> None:
        if row.kind == APPROVAL:
            if self.answers.approvals.outcome != "none":
                self.plan(now + self.answers.approvals.after, self._finish(row, self.answers.approvals.outcome))
            return
        said = self.answers.tasks.get(row.brief)
        if said is None:
            return
        place = self._share("task", row.journey, row.person, row.step, str(row.entered_at))
        for outcome, share in said.outcomes.items():
            if outcome not in row.outcomes["names"]:
                continue  # tasks of one brief end in other ways in another journey
            if place < share:
                self.plan(now + said.after, self._finish(row, outcome))
                return
            place -= share

    def _finish(self, row: Any, outcome: str) -> Action:
        """A call is taken first: put off while it must not be made, left alone when it is called off."""

        def act(app: App) -> None:
            try:
                if row.call:
                    take(app, row.id, "assumed")
            except NotNow as later:
                self.plan(later.until, act)
            except Refused:
                return
            else:
                done(app, row.id, outcome, "assumed")

        return act

    def _answer_event(self, row: Any) -> None:
        for rule in self.answers.events:
            if rule.follows == row.name and self._share("event", rule.name, row.external_id) < rule.share:
                payload = {key: row.payload[key] for key in rule.copied if key in row.payload}
                name = f"{rule.name}-{row.external_id}"
                self.plan(row.at + rule.after, _event(name, row.person, rule.name, payload))

    def _answer_approval(self, row: Any, now: datetime) -> None:
        said = self.answers.approvals
        if said.outcome != "none":
            at = now + said.after
            self.plan(at, lambda app: _approve(app, row, said.outcome, at))


def _event(number: str, person: str, name: str, payload: dict[str, Any]) -> Action:
    def act(app: App) -> None:
        feed(app, [NewEvent(number, person, name, app.clock.now(), payload)])

    return act


def feed(app: App, incoming: Iterable[NewEvent]) -> None:
    """Record events as they come, starting and moving journeys."""
    with app.database.reading() as connection:
        rules = app.rules(connection)
    record_events(app, rules, app.needs(rules), list(incoming))


def _approve(app: App, row: Any, outcome: str, at: datetime) -> None:
    settle_approval(app, row, outcome, "assumed", at)
