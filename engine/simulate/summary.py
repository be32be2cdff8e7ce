"""What a stretch of time brought, in numbers: who entered, what was sent and held back, what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from engine.app import App
from engine.decide.outcome import COUNTS, ON_THE_WAY, WENT
from engine.learn.report import Arm, added, arms
from engine.store import reports


@dataclass(frozen=True)
class Part:
    """One journey's numbers. Every one of them is a count of rows."""

    journey: str
    entered: int
    holdout: int  # of those entered
    inside: int
    sent: Mapping[tuple[str, str], int]  # (channel, locale) -> messages that went out, or may have
    held_back: Mapping[str, int]  # rule -> messages that were not sent
    on_the_way: int
    tasks: Mapping[str, Mapping[str, int]]  # brief -> outcome -> tasks
    vouchers: Mapping[str, int]  # pool -> codes given
    treated: Arm
    held_out: Arm
    paid: Mapping[str, int]  # channel -> messages, and parts of SMS: what is paid
    cost: Mapping[str, Decimal]  # currency -> what that cost which was sent
    cost_by_channel: Mapping[str, Mapping[str, Decimal]]

    @property
    def quiet(self) -> bool:
        """Was nobody there of whom there is anything to tell?"""
        return not (self.entered or self.inside or self.sent or self.held_back or self.on_the_way or self.tasks)


@dataclass(frozen=True)
class Summary:
    """All of it."""

    since: datetime
    parts: tuple[Part, ...]
    ledger: tuple[Mapping[str, Any], ...]

    def as_json(self) -> dict[str, Any]:
        """For programs; pairs become `channel/locale`."""
        parts = []
        for part in self.parts:
            told = dict(vars(part))
            told["sent"] = {"/".join(pair): count for pair, count in part.sent.items()}
            told["goal"] = {"treated": vars(part.treated), "holdout": vars(part.held_out)}
            del told["treated"], told["held_out"]
            parts.append(told)
        return {"journeys": parts, "ledger": list(self.ledger)}


def summarize(app: App, journeys: Sequence[str], since: datetime) -> Summary:
    """Numbers of these journeys, of people who entered at or after `since` and messages decided since then."""
    now = app.clock.now()
    with app.database.reading() as connection:
        rules = app.rules(connection)
        ledger = [row for row in reports.ledger(connection, journeys) if row["at"] >= since.isoformat()]
        enrolled = reports.enrollment_counts(connection, since=since)
        tasks = reports.task_counts(connection, since=since)
        vouchers = reports.voucher_counts(connection, since=since)
        parts = []
        for name in journeys:
            goal = rules.graphs[rules.heads[name]].head.goal
            treated, held_out = arms(connection, rules, name, goal, now, since) if goal else (Arm(), Arm())
            mine = [row for row in ledger if row["journey"] == name]
            went = [row for row in mine if row["state"] in WENT]
            parts.append(
                Part(
                    journey=name,
                    entered=sum(row.count for row in enrolled if row.journey == name),
                    holdout=sum(row.count for row in enrolled if row.journey == name and row.holdout),
                    inside=sum(row.count for row in enrolled if row.journey == name and row.active),
                    sent=_count((row["channel"], row["locale"]) for row in went),
                    held_back=_count(row["rule"] or row["state"] for row in mine if _stays(row)),
                    on_the_way=sum(row["state"] in ON_THE_WAY for row in mine),
                    tasks=_nested(tasks, name),
                    vouchers=_sum((row.pool, row.count) for row in vouchers if row.journey == name),
                    treated=treated,
                    held_out=held_out,
                    paid=_sum((row["channel"], row["parts"]) for row in went),
                    cost=added(cost := _costs(went)),
                    cost_by_channel=cost,
                )
            )
    return Summary(since, tuple(parts), tuple(ledger))


def _costs(went: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Decimal]]:
    found: dict[str, dict[str, Decimal]] = {}
    for row in went:
        if cost := row["cost"]:
            of_channel, amount = found.setdefault(row["channel"], {}), Decimal(cost["amount"])
            of_channel[cost["currency"]] = of_channel.get(cost["currency"], Decimal(0)) + amount
    return {channel: dict(sorted(amounts.items())) for channel, amounts in sorted(found.items())}


def _stays(row: Mapping[str, Any]) -> bool:
    return row["state"] not in COUNTS


def _count(names: Any) -> dict[Any, int]:
    total: dict[Any, int] = {}
    for name in names:
        total[name] = total.get(name, 0) + 1
    return dict(sorted(total.items()))


def _sum(pairs: Any) -> dict[str, int]:
    total: dict[str, int] = {}
    for name, count in pairs:
        total[name] = total.get(name, 0) + count
    return total


def _nested(rows: Sequence[Any], journey: str) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        if row.journey == journey:
            found.setdefault(row.brief, {})[row.outcome or "open"] = row.count
    return found
