"""The demo: a made-up shop, the journeys that ship, 14 days in about a minute. Mail goes into a folder."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from channels import registry
from channels.contract import Provider
from engine.app import App, build_app
from engine.cli.shipped import command as called
from engine.cli.shipped import copy_shipped
from engine.cli.show import Output
from engine.cli.summary import show_summary
from engine.cli.words import _
from engine.clock import ManualClock
from engine.errors import Refused
from engine.imports.files import read_events
from engine.imports.rows import EventRow
from engine.simulate.answers import Answers, ApprovalAnswers, Follows, MessageAnswers, Responder, TaskAnswers, feed
from engine.simulate.run import run
from engine.simulate.shop import make_shop, more_events
from engine.simulate.summary import Summary, summarize
from engine.work.incoming.importing import import_events, import_people
from engine.work.incoming.intake import NewEvent
from engine.work.publishing.drafts import load_drafts, publish

START = datetime(2026, 11, 24, tzinfo=UTC)  # so that the 1st of a month, the day of the wave, lies in the 14 days
DAYS = 14
BEAT = timedelta(hours=1)
MARKER = ".outreach-demo"
ASKED_BY_NOBODY = "double_opt_in"  # in the made-up shop nobody requests a subscription: it stays a draft
SECRET = "a secret of the demo: good for nothing"  # links of the demo lead nowhere
ANSWERS = Answers(
    messages=MessageAnswers.model_validate({"opened": "35%", "clicked": "9%", "after": "2h"}),
    events=(Follows.model_validate({"name": "Page Viewed", "follows": "Message Clicked", "after": "1m"}),),
    tasks={
        "care_call": TaskAnswers.model_validate(
            {"after": "3h", "satisfied": "60%", "unhappy": "25%", "reached": "60%", "no_answer": "25%"}
        ),
        "personal_call": TaskAnswers.model_validate({"after": "5h", "reached": "55%", "no_answer": "30%"}),
        "close_case": TaskAnswers.model_validate({"after": "1d", "noted": "80%"}),
    },
    approvals=ApprovalAnswers.model_validate({"outcome": "approved", "after": "1h"}),
)


def run_demo(out: Output, folder: Path, seed: int, people: int) -> int:
    """Make the shop, run the journeys, show what came of it."""
    _fresh(folder)
    copy_shipped(folder)
    _stop_clock(folder)
    app = build_app(folder / "config.yaml", clock=ManualClock(START), env={"OUTREACH_SECRET": SECRET}, durable=False)
    app.providers["email"] = quick_mailbox(app)
    try:
        summary = _fortnight(out, app, folder, seed, people)
    finally:
        app.close()
    _show(out, app, folder, summary)
    return 0


def _stop_clock(folder: Path) -> None:
    """Commands that follow look at the demo as of its last instant."""
    (folder / "now.txt").write_text((START + timedelta(days=DAYS)).isoformat())
    with (folder / "config.yaml").open("a", encoding="utf-8") as config:
        config.write("\n# The demo's clock stands still at its last instant; without this line the real time holds.\n")
        config.write("test_clock: now.txt\n")


def quick_mailbox(app: App) -> Provider:
    """The mailbox of config.yaml, not waiting for the disk: a demo can be made again."""
    options = {**app.settings.channels["email"].options, "sync": False}
    return registry.find("maildir")("email", options, {}, app.home)


def _fresh(folder: Path) -> None:
    """An empty folder. Only one that an earlier demo made is removed."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARKER).exists():
            raise Refused(
                _("{folder} is not empty and no demo made it; name another with --folder").format(folder=folder)
            )
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).write_text("made by: outreach demo\n")


def _fortnight(out: Output, app: App, folder: Path, seed: int, people: int) -> Summary:
    data = folder / "data"
    data.mkdir()
    out.say(_("making a shop: {people} people, 90 days of events (seed {seed})").format(people=people, seed=seed))
    shop = make_shop(data, people=people, seed=seed, end=START)
    future = more_events(data, people=people, seed=seed, end=START)
    known = import_people(app, shop.people)
    happened = import_events(app, shop.events)
    out.say(_("imported {people} people and {events} events").format(people=known.new, events=happened.new))
    drafts = load_drafts(app)
    names = sorted(drafts.graphs.keys() - {ASKED_BY_NOBODY})
    publish(app, drafts, names)
    out.say(_("published {journeys}").format(journeys=", ".join(names)))
    responder = Responder(ANSWERS, seed)
    _plan_future(responder, app, future)
    out.say(_("running {days} days from {start} ...").format(days=DAYS, start=f"{START:%Y-%m-%d}"))
    run(app, START + timedelta(days=DAYS), responder, every=BEAT)
    return summarize(app, names, START)


def _plan_future(responder: Responder, app: App, file: Path) -> None:
    """What people do unasked in these days, told to the engine an hour at a time."""
    slots: dict[datetime, list[NewEvent]] = {}
    for row in read_events(file, None, app.settings):
        if isinstance(row, EventRow):
            late = (row.at - START) % BEAT
            slot = row.at + (BEAT - late if late else timedelta(0))
            slots.setdefault(slot, []).append(NewEvent(row.id, row.person, row.name, row.at, row.payload))
    for slot, events in sorted(slots.items()):
        responder.plan(slot, partial(feed, incoming=events))


def _show(out: Output, app: App, folder: Path, summary: Summary) -> None:
    show_summary(out, summary)
    mails = app.provider("email").describe() if "email" in app.settings.channels else ""
    config = folder / "config.yaml"
    person = next((row["person"] for row in summary.ledger if row["state"] == "accepted"), "p00001")
    out.say()
    out.say(_("Look at the mails:"), "bold")
    out.say(f"  {mails}")
    out.say(_("Try next:"), "bold")
    for command in (
        f"explain {person}",
        "messages --state suppressed",
        "report golden_72_hours",
        f"preview golden_72_hours --sample 2 --out {folder / 'gallery'}",
        "tasks list",
        "simulate silent_wave --to 2027-01-08",
    ):
        out.say(f"  {called()} {command} --config {config}")
    out.value({"folder": str(folder), "mails": mails, **summary.as_json()})
