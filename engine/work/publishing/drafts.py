"""Drafts: journeys and audience as they stand in the folder, everything wrong with them, and publishing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection

from engine.app import AUDIENCE, App
from engine.audience import traits
from engine.audience.book import Audience, read_audience
from engine.audience.codes import CODES as OF_AUDIENCE
from engine.audience.compare import Kind
from engine.audience.lint import faults_in
from engine.audience.terms import ALWAYS_KEPT
from engine.decide.responses import RESPONSES
from engine.errors import BadInput, Refused
from engine.journey import source
from engine.journey.catalog import Crowd, Names, load_catalog
from engine.journey.codes import CODES as OF_JOURNEYS
from engine.journey.enter import ByEvent, ByHappening, ByWave, way_of
from engine.journey.graph import Graph, Node, conditions_of
from engine.journey.lint import lint
from engine.journey.lint.others import leads_to, needs, opens, starts_of
from engine.journey.parts import WEBHOOK
from engine.journey.problems import Problem, Severity
from engine.journey.silence import Silence, Silenced, hear, in_file, in_journey
from engine.journey.steps import EmitStep, SendStep, SplitStep, StartStep, UpdateStep
from engine.message.codes import CODES as OF_TEXTS
from engine.needs import asked_nightly
from engine.store import customers, events, journeys, waves
from engine.store.names import former
from engine.work.entering.asked import asked_size, before_the_door, enters_at_once, of_its_zone
from engine.work.entering.waves import plan_current
from engine.work.incoming.pools import fill
from engine.work.incoming.respond import ANSWERED, CHANNELS, SCANNED
from engine.work.nightly import refresh_scores
from engine.work.publishing.renaming import claims, gone, renamed_from, take_over
from engine.work.publishing.trial import LOOKED_AT, Length, try_texts
from engine.work.publishing.versions import live_version, opens_otherwise, read_version

AUDIENCE_FILE = "audience.yaml"
TEXTS = "templates"
CODES = frozenset({*OF_JOURNEYS, *OF_AUDIENCE, *OF_TEXTS})
MISSING_TEXT = frozenset(
    {"unknown-message", "unknown-brief", "channel-has-no-text", "missing-default-locale", "missing-locale"}
)


@dataclass(frozen=True)
class Drafts:
    """What stands in journeys/ now."""

    audience: Audience
    audience_text: str
    audience_file: str
    graphs: Mapping[str, Graph]
    sources: Mapping[str, str]
    names: Names
    problems: tuple[Problem, ...] = field(default=())
    silenced: tuple[Silenced, ...] = field(default=())  # findings that authors allow
    sms: tuple[Length, ...] = ()  # how long each SMS is

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity is Severity.error)

    def warnings_of(self, journey: str) -> list[Problem]:
        """What may well be wrong about this journey or its texts, and keeps nothing from being published."""
        concerned = self._concerned(journey, {self._file(journey)})
        return [one for one in self.problems if one.severity is Severity.warning and concerned(one)]

    def _concerned(self, journey: str, files: Collection[str]) -> Callable[[Problem], bool]:
        graph = self.graphs.get(journey)
        texts = graph.names.messages | graph.names.briefs if graph is not None else frozenset()
        return lambda one: one.position.file in files or _text_of(one.position.file) in texts

    def _file(self, journey: str) -> str:
        return f"{Path(self.audience_file).parent / journey}.yaml"

    def problems_of(self, journey: str) -> list[Problem]:
        """Errors that keep this journey from being published: its own and the audience's."""
        concerned = self._concerned(journey, {self._file(journey), self.audience_file})
        return [one for one in self.errors if concerned(one)]


def _text_of(file: str) -> str:
    """The message whose text this file is."""
    parts = Path(file).parts
    return parts[-2] if len(parts) > 2 and parts[0] == TEXTS else ""


def load_drafts(app: App, in_config: Sequence[Problem] = (), codes: Collection[str] = CODES) -> Drafts:
    """Read and lint everything in journeys/. Never raises for what stands in the files.

    `in_config` is what is wrong in config.yaml, `codes` are all that findings may have: they are heard together.
    """
    folder = app.journeys_folder
    path = folder / AUDIENCE_FILE
    shown = str(path.relative_to(app.home))
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    audience, problems = read_audience(text, shown, app.settings, folder)
    catalog = load_catalog(folder, audience.trait_names)
    known = {**catalog.graphs, **catalog.drafts}
    names = _told_by(names_of(app, audience), known.values())
    names = _with_names_of_before(app, names, known.values())
    crowds = _crowds(app, audience, catalog.graphs.values())
    names = replace(names, event_keys=_keys_told(app, known.values()), crowds=crowds)
    findings = [*in_config, *problems, *catalog.problems, *app.text_problems]
    for graph in known.values():
        findings += [*lint(graph, names, app.policy), *_comparisons(graph, audience)]
    tried = try_texts(app, audience, known, names.attributes)
    findings = [one for one in (*not_twice(findings), *tried.problems) if not _told_of_audience(one, audience)]
    heard = hear(_in_order(findings), _silences(app, audience, known.values()), codes, names.events is not None)
    problems = _in_order(heard.problems)
    return Drafts(
        audience=audience,
        audience_text=text,
        audience_file=shown,
        graphs=catalog.graphs,
        sources=catalog.texts,
        names=names,
        problems=tuple(problems),
        silenced=heard.silenced,
        sms=tried.sms,
    )


def _comparisons(graph: Graph, audience: Audience) -> Iterator[Problem]:
    """Conditions of a journey that compare with what a field never is, or with money that nobody has a rate for."""
    for condition, path in conditions_of(graph):
        for one in faults_in(condition, audience):
            if one.code != "unknown-trait":  # names are told already
                yield Problem(one.code, one.sentence, graph.sourced.at((*path, *one.path), one.key), one.hint)


def _silences(app: App, audience: Audience, graphs: Iterable[Graph]) -> list[Silence]:
    """What is allowed: by config.yaml in the whole shop, by each file in itself."""
    shop = in_file(source.read_file(app.config), everywhere=True) if app.settings.allow else ()
    return [*shop, *audience.allowed, *(one for graph in graphs for one in in_journey(graph))]


def not_twice(findings: Collection[Problem]) -> list[Problem]:
    """Without complaints that a text is missing which is there and has mistakes of its own."""
    broken = {_text_of(one.position.file) for one in findings if one.severity is Severity.error} - {""}
    return [one for one in findings if not (one.code in MISSING_TEXT and _first_name(one.sentence) in broken)]


_SECTION_OF = {
    **{"unknown-segment": "segments", "unknown-pool": "pools", "unknown-list": "lists"},
    **dict.fromkeys(("unknown-trait", "unknown-attribute", "undefined-name", "not-a-measure"), "traits"),
}


def _told_of_audience(one: Problem, audience: Audience) -> bool:
    """Does it only say that something is not there which stands in audience.yaml, with a mistake of its own?"""
    section = _SECTION_OF.get(one.code)
    return section is not None and audience.is_unread(section, _first_name(one.sentence))


def _first_name(sentence: str) -> str:
    """The first name between backquotes."""
    return sentence.split("`")[1] if sentence.count("`") > 1 else ""


def names_of(app: App, audience: Audience) -> Names:
    """Every name of this installation that a journey may speak of."""
    written = names_written(app, audience)
    return replace(
        written,
        journeys=written.journeys | _published(app),
        events=_events_seen(app),
        attributes=_attributes_kept(app),
        tags=_tags_kept(app),
    )


def _misspelt_channels(written: Iterable[str]) -> frozenset[str]:
    """What misspelt channels of config.yaml are meant to be: the mistake is told there, not wherever they are used."""
    found = (source.nearest(name, CHANNELS) for name in written if name not in CHANNELS)
    return frozenset(name for name in found if name)


def names_written(app: App, audience: Audience) -> Names:
    """Those of them that stand in files; what came in is not looked at."""
    return Names(
        traits=audience.trait_names,
        words=frozenset(name for name in audience.trait_names if traits.kind(name, audience) is Kind.text),
        segments=frozenset(audience.segments),
        lists=frozenset(audience.lists),
        pools=frozenset(audience.pools),
        channels=frozenset(app.settings.channels) - {WEBHOOK} | _misspelt_channels(app.settings.channels),
        topics=frozenset(app.settings.topics),
        queues=frozenset(app.settings.queues),
        webhooks=app.settings.endpoints,
        people={name: queue.people for name, queue in app.settings.queues.items()},
        happenings=frozenset(app.settings.happenings),
        messages={name: app.texts.channels(name) for name in app.texts.messages},
        locales={(n, c): app.texts.locales(n, c) for n in app.texts.messages for c in app.texts.channels(n)},
        briefs=app.texts.briefs,
        journeys=_files(app) - {AUDIENCE},
        default_locale=app.settings.shop.locale,
    )


def _files(app: App) -> frozenset[str]:
    """The names of the files of journeys/, without their ending."""
    return frozenset(one.stem for one in app.journeys_folder.glob("*.yaml"))


def _published(app: App) -> frozenset[str]:
    """Journeys that people can enter now."""
    with app.database.reading() as connection:
        return frozenset(name for name, one in journeys.live(connection).items() if one.retired_at is None)


def _with_names_of_before(app: App, names: Names, graphs: Collection[Graph]) -> Names:
    """With what journeys were called, by what they say and by what was published."""
    claimed, files = claims(graphs), _files(app)
    with app.database.reading() as connection:
        state = journeys.live(connection)
        return replace(
            names,
            files=files,
            journeys=names.journeys - (claimed.keys() - files),
            claims=claimed,
            published=frozenset(state) if state else None,
            former=former(connection),
            gone=gone(connection, state, files | claimed.keys()),
        )


def _told_by(names: Names, graphs: Collection[Graph]) -> Names:
    """With what these journeys bring about: attributes, tags and events, and which of them start one another."""
    steps = [node.step for graph in graphs for node in graph.nodes.values()]
    changes = [step.update for step in steps if isinstance(step, UpdateStep)]
    written = {name for one in changes for name in one.set}
    added = {tag for one in changes if one.tags for tag in one.tags.add}
    emitted = {step.emit for step in steps if isinstance(step, EmitStep)}
    return replace(
        names,
        attributes=None if names.attributes is None else names.attributes | written,
        tags=None if names.tags is None else names.tags | added,
        marks=frozenset(tag for graph in graphs for tag in graph.head.tags)
        | {tag for step in steps if isinstance(step, SendStep) for tag in step.tags},
        events=None if names.events is None else names.events | emitted,
        started=frozenset(step.start for step in steps if isinstance(step, StartStep)),
        starts={graph.journey: starts_of(graph) for graph in graphs},
        opens=(opened := opens(graphs)),
        leads_to={graph.journey: leads_to(graph, opened) for graph in graphs},
        needs=needs(graphs, names.events or ()),
        per={graph.journey: graph.head.again.per for graph in graphs if graph.head.again.per},
    )


def _events_seen(app: App) -> frozenset[str] | None:
    """Names of events that came in, or that outreach tells itself; None where nothing has come in yet."""
    with app.database.reading() as connection:
        seen = events.names(connection)
    return seen | {*RESPONSES.values(), ANSWERED, SCANNED} if seen else None


def _attributes_kept(app: App) -> frozenset[str] | None:
    """Names of what is kept about people; None where nobody is known yet."""
    with app.database.reading() as connection:
        kept = customers.attribute_names(connection)
    return kept.union(ALWAYS_KEPT) if kept else None


def _tags_kept(app: App) -> frozenset[str] | None:
    """Tags that people have; None where nobody is known yet."""
    with app.database.reading() as connection:
        return customers.tags(connection) if customers.first_ids(connection, 1) else None


def _keys_told(app: App, graphs: Iterable[Graph]) -> dict[str, frozenset[str]]:
    """Of each event that opens a journey once per one of its keys: the keys that the latest of them told."""
    found = {}
    with app.database.reading() as connection:
        for event in {g.head.enter.event for g in graphs if isinstance(g.head.enter, ByEvent) and g.head.again.per}:
            if payloads := events.latest_payloads(connection, event, LOOKED_AT):
                found[event] = frozenset(key for payload in payloads for key in payload)
    return found


_ROUND_THE_EARTH = timedelta(hours=26)  # from the first zone to the last, a wave at everyone's own time is under way


def _crowds(app: App, audience: Audience, graphs: Iterable[Graph]) -> dict[str, Crowd]:
    """Of each journey in waves that compares enough people: how many the last wave was, else the next would be."""
    found, now = {}, app.clock.now()
    with app.database.reading() as connection:
        state = journeys.live(connection)
        for graph in graphs:
            entry = graph.head.enter
            if not isinstance(entry, ByWave | ByHappening) or not any(map(_wants_enough, graph.nodes.values())):
                continue
            over = now - _ROUND_THE_EARTH if of_its_zone(entry) else now
            size = waves.last_size(connection, renamed_from(state, graph) or graph.journey, over)
            if size is not None:
                found[graph.journey] = Crowd(size, entered=True)
            elif entry.segment in audience.segments and (size := asked_size(connection, entry, audience, now)):
                found[graph.journey] = Crowd(min(size, graph.head.at_most or size), entered=False)
    return found


def _wants_enough(node: Node) -> bool:
    return isinstance(node.step, SplitStep) and node.step.min_per_variant > 0


def _in_order(problems: Collection[Problem]) -> list[Problem]:
    return sorted(set(problems), key=lambda p: (p.position, p.code, p.sentence))


@dataclass(frozen=True)
class Plan:
    """What publishing would change."""

    journey: str
    is_new: bool
    changed: bool  # another meaning than the live version
    inside: int  # people inside the live version, who stay on it
    audience: int | None  # people who stand before its door now; None where they come one by one
    again: int | None = None  # an older version says just this: it would be live again
    opens: bool = False  # it is retired: people would enter again
    at_once: bool = False  # they enter because it is published
    way: str = "event"  # event, segment, wave, date, silence, api
    at_most: int | None = None  # of its audience, so many enter at most
    was: str | None = None  # it goes on with the journey that has this name until now


def plan_publish(app: App, drafts: Drafts, names: Collection[str]) -> list[Plan]:
    """What publishing these journeys would change. `Refused` for unknown names, BadInput when one has errors."""
    unknown = sorted(
        set(names) - set(drafts.graphs) - {p for p in names if (app.journeys_folder / f"{p}.yaml").exists()}
    )
    if unknown:
        raise Refused(f"there is no journey {', '.join(unknown)} in {app.journeys_folder.name}/")
    wrong = {problem for name in names for problem in drafts.problems_of(name)}
    if wrong:
        raise BadInput("nothing was published: the journeys have errors", _in_order(wrong))
    asked = asked_nightly(drafts.audience, [drafts.graphs[name] for name in names], app.texts)
    refresh_scores(app, drafts.audience, asked, app.clock.now())
    with app.database.reading() as connection:
        state = journeys.live(connection)
        versions = {v.id: v for v in journeys.versions(connection)}
        inside = journeys.inside(connection)
        now = app.clock.now()
        plans = []
        for name in sorted(names):
            graph = drafts.graphs[name]
            was = renamed_from(state, graph)
            held = state.get(was or name)
            live = versions.get(held.version_id) if held else None
            before = read_version(live, drafts.audience) if live else None
            mine = [v for v in versions.values() if v.journey == (was or name)]
            again = next((v.number for v in mine if v.fingerprint == graph.fingerprint and v != live), None)
            plans.append(
                Plan(
                    name,
                    is_new=live is None,
                    changed=live is None or live.fingerprint != graph.fingerprint,
                    inside=sum(inside.get(v.id, 0) for v in mine),
                    audience=before_the_door(connection, graph.head.enter, drafts.audience, now),
                    again=again,
                    opens=held is not None and held.retired_at is not None,
                    at_once=_at_once(before, graph, held),
                    way=way_of(graph.head.enter),
                    at_most=graph.head.at_most,
                    was=was,
                )
            )
    return plans


def publish(app: App, drafts: Drafts, names: Collection[str], by: str = "") -> list[journeys.Version]:
    """Make these drafts the live versions, with the audience and its voucher codes, in one transaction."""
    now = app.clock.now()
    with app.database.writing() as connection:
        text, file = drafts.audience_text, drafts.audience_file
        journeys.publish(connection, AUDIENCE, fingerprint(text), file, text, now, by)
        fill(connection, drafts.audience.pools, app.journeys_folder)
        published = [_publish(connection, drafts, name, now, by) for name in sorted(names)]
    asked = asked_nightly(drafts.audience, [drafts.graphs[name] for name in names], app.texts)
    refresh_scores(app, drafts.audience, asked, now)
    return published


def _publish(connection: Connection, drafts: Drafts, name: str, now: datetime, by: str) -> journeys.Version:
    graph, text = drafts.graphs[name], drafts.sources[name]
    take_over(connection, graph, now, by)
    version = live_version(connection, name)
    before = read_version(version, drafts.audience) if version else None
    state = journeys.live(connection).get(name)
    anew = version is not None and opens_otherwise(before, graph)
    published = journeys.publish(connection, name, graph.fingerprint, graph.file, text, now, by, anew, graph.hashed_as)
    if _at_once(before, graph, state):
        plan_current(connection, name, published.id, now)
    return published


def _at_once(before: Graph | None, graph: Graph, state: journeys.Live | None) -> bool:
    """Do people enter because this is published? Once for each entry that says so, not at every later version."""
    entry = graph.head.enter
    if before is None or state is None or state.retired_at is not None:
        return enters_at_once(entry)
    return enters_at_once(entry) and before.head.enter != entry


def fingerprint(text: str) -> str:
    """By which it is known whether an audience is the published one."""
    return hashlib.sha256(text.encode()).hexdigest()


def nobody(app: App) -> bool:
    """Is there no customer yet?"""
    with app.database.reading() as connection:
        return customers.count(connection) == 0
