"""Rollback: an older version becomes the one that people enter. Who is inside stays where they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from engine.app import AUDIENCE, App
from engine.audience.book import Audience
from engine.errors import BadInput, Refused
from engine.journey.catalog import read_journey
from engine.journey.differences import Difference, differences
from engine.journey.graph import Graph
from engine.journey.lint import lint
from engine.journey.problems import Severity
from engine.store import journeys, waves
from engine.work.entering.asked import before_the_door
from engine.work.publishing.drafts import names_of, not_twice
from engine.work.publishing.standing import Standing, standings
from engine.work.publishing.versions import (
    opens_otherwise,
    read_version,
    still_live,
    version_numbered,
    versions_of,
)


@dataclass(frozen=True)
class Rollback:
    """What rolling back would do."""

    journey: str
    number: int  # of the version that becomes live
    live: int  # of the one that is
    changes: tuple[Difference, ...] | None  # what holds otherwise then; None: one of the two can no longer be read
    inside: int  # people who stay on the version that is live now
    audience: int | None  # people the entry segment holds now; None for entry by an event
    waves_on: int  # waves under way whose next people follow the older version
    waves_ended: int  # waves under way that end, since the older version is entered in another way


def plan_rollback(app: App, journey: str, to: int | None = None) -> Rollback:
    """What would follow. `Refused` when there is nothing to go back to, BadInput when the version fits no longer."""
    if journey == AUDIENCE:
        told = f"print an older one into its file and publish it: outreach versions {AUDIENCE} --show NUMBER"
        raise Refused(f"traits and segments are not rolled back by themselves; {told}")
    with app.database.reading() as connection:
        versions = versions_of(connection, journey)
        live = still_live(connection, journey)
        target = _target(connection, versions, live, to)
        audience = app.rules(connection).audience
        graph = fitting(app, target, audience)
        before = read_version(live, audience)
        on, ended = _runs(connection, target, graph, audience)
        return Rollback(
            journey=journey,
            number=target.number,
            live=live.number,
            changes=None if before is None else tuple(differences(before, graph)),
            inside=journeys.inside(connection).get(live.id, 0),
            audience=before_the_door(connection, graph.head.enter, audience, app.clock.now()),
            waves_on=waves.count_of(on),
            waves_ended=waves.count_of(ended),
        )


def roll_back(app: App, plan: Rollback, by: str, note: str = "") -> Standing:
    """Do it, and tell how the file in journeys/ stands to what runs then."""
    now = app.clock.now()
    with app.database.writing() as connection:
        live = still_live(connection, plan.journey)
        if live.number != plan.live:
            raise Refused(f"version {live.number} of {plan.journey} became live meanwhile; look again")
        target = next(one for one in versions_of(connection, plan.journey) if one.number == plan.number)
        audience = app.rules(connection).audience
        before, graph = read_version(live, audience), fitting(app, target, audience)
        on, ended = _runs(connection, target, graph, audience)
        for run in on:
            waves.change_run(connection, run.id, version_id=target.id)
        for run in ended:
            reason = f"{by} rolled back to version {target.number}, which is entered in another way"
            waves.change_run(connection, run.id, state="refused", reason=reason)
        anew = opens_otherwise(before, graph)
        journeys.make_live(connection, target, now, by, journeys.ROLLED_BACK, note, waves_anew=anew)
        return standings(app, connection)[plan.journey]


def _target(
    connection: Connection, versions: Sequence[journeys.Version], live: journeys.Version, to: int | None
) -> journeys.Version:
    """The version asked for, or the one that was live before the one that is."""
    if to is not None:
        if to == live.number and journeys.live(connection)[live.journey].retired_at is None:
            raise Refused(f"version {to} of {live.journey} is the live one already")
        return version_numbered(connection, live.journey, to)
    numbers = {one.id: one.number for one in versions}
    entered = (journeys.PUBLISHED, journeys.ROLLED_BACK)
    lived = [numbers[row.version_id] for row in journeys.journal_of(connection, live.journey) if row.deed in entered]
    before = [number for number in lived if number != live.number]
    if not before:
        raise Refused(f"{live.journey} has had one version only; there is none to go back to")
    return version_numbered(connection, live.journey, before[-1])


def fitting(app: App, version: journeys.Version, audience: Audience) -> Graph:
    """The plan of a version that may run today. BadInput when it speaks of what is there no longer."""
    name = f"version {version.number} of {version.file}"  # its lines are not those of the file
    graph, problems = read_journey(version.source, name, version.journey, audience.trait_names)
    if graph is not None:
        problems = not_twice([*app.text_problems, *lint(graph, names_of(app, audience), app.policy)])
    errors = [one for one in problems if one.severity is Severity.error and one.position.file == name]
    if errors or graph is None:
        raise BadInput(f"version {version.number} of {version.journey} can no longer run", errors)
    return graph


def _runs(
    connection: Connection, target: journeys.Version, graph: Graph, audience: Audience
) -> tuple[list[Any], list[Any]]:
    """Waves under way of other versions: those that go on with this one, and those that cannot."""
    mine = (one for one in waves.open_runs(connection) if one.journey == target.journey)
    runs = [one for one in mine if one.version_id != target.id]
    versions = journeys.versions(connection, {one.version_id for one in runs})
    others = {one.id: read_version(one, audience) for one in versions}
    same = {number for number, other in others.items() if other is not None and _door(other) == _door(graph)}
    return [one for one in runs if one.version_id in same], [one for one in runs if one.version_id not in same]


def _door(graph: Graph) -> Any:
    """Who is asked in when, as far as a wave under way has settled it."""
    return graph.head.enter, graph.head.rollout, graph.head.approve


# --- the file --------------------------------------------------------------------------------------------------------


def refuse_to_overwrite(app: App, journey: str) -> None:
    """`Refused` where the file of a journey holds what was never published: writing over it would lose it."""
    path = app.journeys_folder / f"{journey}.yaml"
    if not path.resolve().is_relative_to(app.journeys_folder.resolve()):
        raise Refused(f"{path.name} leads out of {app.journeys_folder.name}/")
    if not path.exists():
        return
    with app.database.reading() as connection:
        versions = versions_of(connection, journey)
    here = path.read_bytes().decode("utf-8-sig", errors="replace").splitlines()
    if all(here != one.source.splitlines() for one in versions):
        told = f"{app.journeys_folder.name}/{path.name} holds edits that were never published"
        raise Refused(f"{told}; keep them elsewhere first, or leave out --write")


def write_file(app: App, journey: str, number: int) -> Standing:
    """Write the text of a version into its file."""
    refuse_to_overwrite(app, journey)
    path = app.journeys_folder / f"{journey}.yaml"
    beside = path.with_name(f".{path.name}.new")
    with app.database.reading() as connection:
        text = version_numbered(connection, journey, number).source
        beside.write_text(text, encoding="utf-8", newline="")
        beside.replace(path)
        return standings(app, connection)[journey]
