"""What came of a journey: who entered, what was sent and held back, and whether it helped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from math import sqrt
from statistics import NormalDist
from typing import Any

from sqlalchemy import Connection

from engine.app import App
from engine.audience.compare import Kind, Written
from engine.audience.conditions import holds
from engine.audience.numbers import decimal_of
from engine.audience.view import View
from engine.decide.outcome import WENT
from engine.decide.split import held_out_of_all
from engine.decide.state import Rules
from engine.errors import Refused
from engine.journey.graph import Graph
from engine.journey.head import Goal
from engine.journey.quantities import parse_money
from engine.journey.steps import SplitStep
from engine.store import customers, reports
from engine.work.incoming import pools
from engine.work.publishing.standing import Standing, standings
from engine.work.trimming import kept


@dataclass(frozen=True)
class Arm:
    """People who walked the journey, or who were held out of it."""

    people: int = 0
    reached: int = 0
    value: Decimal = Decimal(0)
    currency: str = ""  # of the value; empty when it is no money

    @property
    def worth(self) -> str:
        """The value as people read it."""
        return f"{self.value:,.2f} {self.currency}" if self.currency else f"{self.value.normalize():,f}"

    @property
    def rate(self) -> float:
        return self.reached / self.people if self.people else 0.0


@dataclass(frozen=True)
class Difference:
    """Rate of the treated minus rate of the held out, with its 95 % interval (Newcombe 1998, method 10)."""

    points: float
    low: float
    high: float

    @property
    def sure(self) -> bool:
        """Does the interval leave out zero?"""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Vouchers:
    """Codes of one pool: given, named by an order since, and what those have cost."""

    given: int = 0
    redeemed: int = 0
    cost: Mapping[str, Decimal] = field(default_factory=dict)  # currency -> amount
    left: int = 0
    runs_low: bool = False


@dataclass(frozen=True)
class Split:
    """An experiment of the live version: who of its people reached the goal, variant by variant."""

    variants: Mapping[str, Arm]  # in the order of the file; without those held out
    differences: Mapping[str, Difference]  # variant -> beside the first one
    at_least: int = 0  # people of each variant, before one judges

    @property
    def too_few(self) -> bool:
        """Is it too early to judge?"""
        return any(arm.people < self.at_least for arm in self.variants.values())


@dataclass(frozen=True)
class Report:
    """All figures of one journey. Counts are enrollments or messages, never estimates."""

    journey: str
    entered: int
    inside: int
    ended: Mapping[str, int]  # reason -> enrollments
    sent: Mapping[str, int]  # channel -> messages accepted or unknown
    states: Mapping[str, int]  # state of a message -> messages
    unsent: Mapping[str, int]  # rule -> messages not sent
    steps: Mapping[str, Mapping[str, int]]  # step -> state -> messages
    tasks: Mapping[str, Mapping[str, int]]  # brief -> outcome -> tasks
    approvals: Mapping[str, Mapping[str, int]]  # step -> outcome -> questions
    vouchers: Mapping[str, Vouchers]  # pool -> its codes, as far as this journey gave them
    treated: Arm = Arm()
    held_out: Arm = Arm()
    difference: Difference | None = None
    held_out_of_all: int = 0  # of the held out, those whom no marketing reaches
    taken_by: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # channel -> provider -> of those sent
    splits: Mapping[str, Split] = field(default_factory=dict)
    cost: Mapping[str, Decimal] = field(default_factory=dict)  # currency -> what that cost which was sent
    cost_by_channel: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)  # channel -> currency -> cost
    standing: Standing | None = None  # its live version, and what its file says today
    started_by: Mapping[str, int] = field(default_factory=dict)  # step of another journey -> enrollments it led to
    kept_since: datetime | None = None  # what ended before this is not there any more, and is not counted
    goal_since: datetime | None = None  # of who entered before this it is not known whether they reached the goal


def report(app: App, journey: str) -> Report:
    """The report of one journey that was ever published. `Refused` for an unknown name."""
    now = app.clock.now()
    with app.database.reading() as connection:
        rules = app.rules(connection)
        if journey not in rules.heads:
            known = ", ".join(sorted(rules.heads)) or "none is published yet"
            raise Refused(f"there is no published journey {journey}; published: {known}")
        enrolled = reports.enrollment_counts(connection, journey)
        said = reports.message_counts(connection, journey)
        sent = _sum((row.channel, row.count) for row in said if row.state in WENT)
        cost = reports.costs(connection, journey)
        graph = rules.graphs[rules.heads[journey]]
        goal = graph.head.goal
        there = kept(connection)
        goal_since = there.events.get(goal.event) if goal else None
        tally = tallied(connection, rules, journey, goal, now, goal_since) if goal else Tally()
        treated, held_out = tally.arms[False], tally.arms[True]
        return Report(
            journey=journey,
            entered=sum(row.count for row in enrolled),
            inside=sum(row.count for row in enrolled if row.active),
            ended=_sum((row.reason or "", row.count) for row in enrolled if not row.active),
            sent=sent,
            states=_sum((row.state, row.count) for row in said),
            unsent=_sum((row.rule, row.count) for row in said if row.state not in WENT and row.rule),
            steps={
                step: _sum((row.state, row.count) for row in said if row.step == step)
                for step in dict.fromkeys(row.step for row in said)
            },
            tasks=_by_outcome((row.brief, row) for row in reports.task_counts(connection, journey)),
            approvals=_by_outcome((row.step, row) for row in reports.approval_counts(connection, journey)),
            vouchers=_vouchers(connection, rules, journey, graph),
            treated=treated,
            held_out=held_out,
            difference=newcombe(treated, held_out) if treated.people and held_out.people else None,
            held_out_of_all=_held_out_of_all(connection, rules, journey),
            splits={
                node.step.split: _split(node.step, tally)
                for node in graph.nodes.values()
                if isinstance(node.step, SplitStep)
            },
            standing=standings(app, connection)[journey],
            started_by=reports.started_by(connection, journey),
            kept_since=there.ways,
            goal_since=goal_since,
            cost=added(cost),
            cost_by_channel=cost,
            taken_by=_taken_by(app, connection, journey),
        )


def _taken_by(app: App, connection: Connection, journey: str) -> dict[str, dict[str, int]]:
    """Who carried the messages of channels that have several providers."""
    several = [channel for channel, ways in app.settings.ways.items() if len(ways) > 1]
    return reports.taken_by(connection, journey, several) if several else {}


def _held_out_of_all(connection: Connection, rules: Rules, journey: str) -> int:
    """Enrollments of people whom no marketing reaches."""
    share = rules.policy.holdout
    if not share:
        return 0
    return sum(held_out_of_all(name, share) for page in reports.held_out(connection, journey) for name in page)


@dataclass(frozen=True)
class Marketing:
    """What all marketing together did: orders of the people it may reach, beside those whom none reaches."""

    since: datetime
    until: datetime
    treated: Arm
    held_out: Arm
    difference: Difference | None


def report_marketing(app: App, within: timedelta) -> Marketing:
    """Who ordered in the last days, of all people known since before. `Refused` where nobody is held out of all."""
    until = app.clock.now()
    since = until - within
    share = app.policy.holdout
    if not share:
        raise Refused("nobody is held out of all marketing; write `holdout: 2%` in config.yaml, or name a journey")
    with app.database.reading() as connection:
        rules = app.rules(connection)
        scores = rules.audience.scores
        since = max(since, kept(connection).events.get(scores.order, since))
        goal = Goal(event=scores.order, within=within, value=scores.order_total)
        arms_ = {held: Arm(currency=rules.audience.currency) for held in (False, True)}
        last = 0
        while page := customers.first_ids(connection, reports.PAGE, last):
            last = page[-1]
            ordered = reports.events_of(connection, page, scores.order, until)
            for number, (person, _) in customers.people(connection, page).items():
                if person.created_at <= since:
                    hits = [one for one in ordered.get(number, ()) if one.at > since]
                    worth = sum((_worth(goal, one.payload, rules) for one in hits), Decimal(0))
                    held = held_out_of_all(person.external_id, share)
                    arms_[held] = _with(arms_[held], bool(hits), worth)
    treated, held_out = arms_[False], arms_[True]
    difference = newcombe(treated, held_out) if treated.people and held_out.people else None
    return Marketing(since, until, treated, held_out, difference)


def _sum(pairs: Any) -> dict[str, int]:
    total: dict[str, int] = {}
    for name, count in pairs:
        total[name] = total.get(name, 0) + count
    return total


def _by_outcome(rows: Iterable[tuple[str, Any]]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for name, row in rows:
        found.setdefault(name, {})[row.outcome or "open"] = row.count
    return found


def _vouchers(connection: Connection, rules: Rules, journey: str, graph: Graph) -> dict[str, Vouchers]:
    """The pools a journey gives from, or has given from."""
    stocks = {one.pool: one for one in pools.stocks(connection, rules.audience)}
    rows = reports.voucher_counts(connection, journey)
    found = {}
    for name in sorted({*graph.names.pools, *(row.pool for row in rows)}):
        mine = [row for row in rows if row.pool == name]
        cost: dict[str, Decimal] = {}
        for row in mine:
            worth = parse_money(row.value)
            cost[worth.currency] = cost.get(worth.currency, Decimal(0)) + worth.amount * int(row.redeemed)
        stock = stocks[name] if name in stocks else pools.Stock(name, 0, 0, 0, 0, 0)
        given, redeemed = sum(row.count for row in mine), sum(int(row.redeemed) for row in mine)
        found[name] = Vouchers(given, redeemed, cost, stock.left, stock.runs_low)
    return found


def added(costs: Mapping[str, Mapping[str, Decimal]]) -> dict[str, Decimal]:
    """Currency -> the sum over all channels."""
    total: dict[str, Decimal] = {}
    for amounts in costs.values():
        for currency, amount in amounts.items():
            total[currency] = total.get(currency, Decimal(0)) + amount
    return total


def arms(
    connection: Connection, rules: Rules, journey: str, goal: Goal, now: datetime, since: datetime | None = None
) -> tuple[Arm, Arm]:
    """(treated, held out): who reached the goal, and what it was worth."""
    tally = tallied(connection, rules, journey, goal, now, since)
    return tally.arms[False], tally.arms[True]


@dataclass
class Tally:
    """Who reached the goal: treated (False) and held out (True), and by (split, variant) of those treated."""

    currency: str = ""
    arms: dict[bool, Arm] = field(default_factory=lambda: {False: Arm(), True: Arm()})
    variants: dict[tuple[str, str], Arm] = field(default_factory=dict)

    def variant(self, split: str, name: str) -> Arm:
        return self.variants.get((split, name), Arm(currency=self.currency))


def tallied(
    connection: Connection, rules: Rules, journey: str, goal: Goal, now: datetime, since: datetime | None = None
) -> Tally:
    """Who reached the goal strictly after entry and in its time, and what it was worth.

    An enrollment counts when the goal was reached at least once; its value is the sum of all that reached it. Money is
    added up in the shop's currency; without a rate it is unknown and counts nothing.
    """
    currency = rules.audience.currency if goal.value in rules.audience.scores.money else ""
    tally = Tally(currency, {False: Arm(currency=currency), True: Arm(currency=currency)})
    for page in reports.entries(connection, journey):
        ids = sorted({row.customer_id for row in page})
        happened = reports.events_of(connection, ids, goal.event, now)
        people = customers.people(connection, ids) if goal.where is not None else {}
        for row in page:
            if since is not None and row.entered_at < since:
                continue
            hits = [
                one
                for one in happened.get(row.customer_id, ())
                if row.entered_at < one.at <= row.entered_at + goal.within
                and (goal.where is None or _matches(goal, people[row.customer_id][0], one.payload, rules, now))
            ]
            worth = sum((_worth(goal, one.payload, rules) for one in hits), Decimal(0))
            tally.arms[row.holdout] = _with(tally.arms[row.holdout], bool(hits), worth)
            for key in () if row.holdout else (row.variants or {}).items():
                tally.variants[key] = _with(tally.variant(*key), bool(hits), worth)
    return tally


def _with(arm: Arm, reached: bool, worth: Decimal) -> Arm:
    return Arm(arm.people + 1, arm.reached + reached, arm.value + worth, arm.currency)


def _split(step: SplitStep, tally: Tally) -> Split:
    variants = {name: tally.variant(step.split, name) for name in step.variants}
    first, *others = variants
    differences = {
        name: newcombe(variants[name], variants[first])
        for name in others
        if variants[name].people and variants[first].people
    }
    return Split(variants, differences, step.min_per_variant)


def _matches(goal: Goal, person: Any, payload: Any, rules: Rules, now: datetime) -> bool:
    assert goal.where is not None
    return holds(goal.where, View(person, (), rules.audience, event=payload), now)


def _worth(goal: Goal, payload: Mapping[str, Any], rules: Rules) -> Decimal:
    """What one event was worth, as a trait would read it."""
    number = Written(payload, goal.value, rules.audience, is_payload=True).view(Kind.number) if goal.value else None
    return Decimal(0) if number is None else decimal_of(number)


def wilson(reached: int, people: int, level: float = 0.95) -> tuple[float, float]:
    """The score interval of a rate (Wilson 1927)."""
    z = NormalDist().inv_cdf(0.5 + level / 2)
    rate = reached / people
    middle = rate + z * z / (2 * people)
    spread = z * sqrt(rate * (1 - rate) / people + z * z / (4 * people * people))
    return (middle - spread) / (1 + z * z / people), (middle + spread) / (1 + z * z / people)


def newcombe(treated: Arm, held_out: Arm) -> Difference:
    """The difference of two rates with its 95 % interval (Newcombe 1998, Statistics in Medicine 17, method 10)."""
    (low1, high1), (low2, high2) = (wilson(arm.reached, arm.people) for arm in (treated, held_out))
    points = treated.rate - held_out.rate
    low = points - sqrt((treated.rate - low1) ** 2 + (high2 - held_out.rate) ** 2)
    high = points + sqrt((high1 - treated.rate) ** 2 + (held_out.rate - low2) ** 2)
    return Difference(points, low, high)
