"""All journeys of a folder: each file read alone, so that one mistake never silences the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from engine.journey.graph import Graph, flatten
from engine.journey.head import Journey
from engine.journey.parts import CALL, OWNER, ROUND_ROBIN
from engine.journey.problems import Position, Problem
from engine.journey.salvage import salvage
from engine.journey.source import Sourced, first_of, read, read_file, validate

AUDIENCE_FILE = "audience.yaml"


@dataclass(frozen=True)
class Crowd:
    """How many a wave is for."""

    people: int
    entered: bool  # with the last one; else they are asked for by the next


@dataclass(frozen=True)
class Names:
    """Everything that exists in an installation and that a journey may speak of."""

    traits: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()  # of these, those that are a word, which is neither more nor less
    segments: frozenset[str] = frozenset()
    lists: frozenset[str] = frozenset()
    pools: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset()  # those with a provider in config.yaml
    topics: frozenset[str] = frozenset()
    queues: frozenset[str] = frozenset()
    webhooks: frozenset[str] = frozenset()  # who is told by `webhook`
    people: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # queue -> who works there
    happenings: frozenset[str] = frozenset()
    messages: Mapping[str, frozenset[str]] = field(default_factory=dict)  # message -> channels it is written for
    locales: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)  # (message, channel) -> locales
    briefs: frozenset[str] = frozenset()  # texts for tasks
    default_locale: str = ""  # the shop's own: a text without it has no last resort
    shop_locales: frozenset[str] = frozenset()  # others a complete text should have
    events: frozenset[str] | None = None  # names seen so far; None: not known
    attributes: frozenset[str] | None = None  # what is kept about people; None: not known
    tags: frozenset[str] | None = None  # tags that people have; None: not known
    marks: frozenset[str] | None = None  # `tags` of journeys and their sends, for caps; None: not known
    journeys: frozenset[str] = frozenset()  # those of the folder, and those that are published
    started: frozenset[str] = frozenset()  # journeys that a step of any other starts
    starts: Mapping[str, frozenset[str]] = field(default_factory=dict)  # journey -> those it starts at once
    opens: Mapping[str, frozenset[str]] = field(default_factory=dict)  # event -> journeys it always lets people into
    leads_to: Mapping[str, frozenset[str]] = field(default_factory=dict)  # journey -> those it ever opens in that way
    needs: Mapping[str, frozenset[str]] = field(default_factory=dict)  # event -> those without which nobody emits it
    per: Mapping[str, str] = field(default_factory=dict)  # journey -> the key of an event it is entered once for
    crowds: Mapping[str, Crowd] = field(default_factory=dict)  # journey entered in waves -> how many by one
    files: frozenset[str] = frozenset()  # what no journey is called any more has none
    claims: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # name -> journeys that say they had it before
    published: frozenset[str] | None = None  # whatever was, by its name of today; None: not known
    former: Mapping[str, str] = field(default_factory=dict)  # name of before -> name of today
    gone: Mapping[str, str] = field(default_factory=dict)  # fingerprint -> live journey without a file
    event_keys: Mapping[str, frozenset[str]] = field(default_factory=dict)  # event -> keys the latest of them told

    @property
    def reach(self) -> frozenset[str]:
        """Ways to reach people: channels, and calls."""
        return self.channels | {CALL} if self.channels else frozenset()

    @property
    def colleagues(self) -> frozenset[str]:
        """What `assign` may say; none where a queue names nobody, since anyone may work there."""
        if not self.people or not all(self.people.values()):
            return frozenset()
        return frozenset({OWNER, ROUND_ROBIN}).union(*self.people.values())


@dataclass(frozen=True)
class Catalog:
    """What a folder of journeys holds."""

    graphs: Mapping[str, Graph]  # those without a mistake
    texts: Mapping[str, str]  # the source of each file, by the journey's name
    problems: tuple[Problem, ...]
    drafts: Mapping[str, Graph] = field(default_factory=dict)  # what is understood of the others: for lint alone


@dataclass(frozen=True)
class _Reading:
    graph: Graph | None
    draft: Graph | None
    problems: tuple[Problem, ...]


def read_journey(text: str, file: str, name: str, traits: frozenset[str]) -> tuple[Graph | None, list[Problem]]:
    """One journey from its text: its graph, or everything that is wrong with it. `traits` are all names of traits."""
    reading = _understand(read(text, file), name, traits)
    return reading.graph, list(reading.problems)


def load_catalog(folder: Path, traits: frozenset[str]) -> Catalog:
    """Read every journey of a folder (`*.yaml` but audience.yaml)."""
    graphs: dict[str, Graph] = {}
    drafts: dict[str, Graph] = {}
    texts: dict[str, str] = {}
    problems: list[Problem] = []
    for path in _files(folder, problems):
        sourced = _read_inside(folder, path)
        reading = _understand(sourced, path.stem, traits)
        texts[path.stem] = sourced.text
        problems += reading.problems
        if reading.graph is not None:
            graphs[path.stem] = reading.graph
        elif reading.draft is not None:
            drafts[path.stem] = reading.draft
    return Catalog(graphs, texts, tuple(problems), drafts)


def _understand(sourced: Sourced, name: str, traits: frozenset[str]) -> _Reading:
    context = {"traits": traits}
    problems = list(sourced.problems)
    journey, found = validate(Journey, sourced, context)
    problems += found
    if journey is None:
        rest = salvage(Journey, sourced, context, problems)
        journey, sourced = rest.model, rest.sourced or sourced
        problems = first_of(sorted([*problems, *rest.problems], key=lambda problem: problem.position))
    if journey is None:
        return _Reading(None, None, tuple(problems))
    graph, found = flatten(journey, sourced, name)
    if not problems and not found:
        return _Reading(graph, None, ())
    draft = replace(graph, whole=False) if graph is not None else None
    return _Reading(None, draft, tuple(sorted([*problems, *found], key=lambda problem: problem.position)))


def _files(folder: Path, problems: list[Problem]) -> Iterable[Path]:
    """The journeys of a folder in order of their names."""
    if not folder.is_dir():
        problems.append(Problem("unreadable-file", f"there is no folder {folder}", Position(str(folder)), "make it"))
        return
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name == AUDIENCE_FILE:
            continue
        if path.suffix == ".yaml":
            yield path
        elif path.suffix in (".yml", ".YAML", ".YML"):
            sentence = f"{path.name} is not read: files of journeys end in .yaml"
            problems.append(
                Problem("wrong-ending", sentence, Position(_shown(folder, path)), f"name it {path.stem}.yaml")
            )


def _read_inside(folder: Path, path: Path) -> Sourced:
    """Read a file of the folder; a link that leads out of it, or something that is no file, is refused."""
    shown = _shown(folder, path)
    if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
        problem = Problem(
            "unreadable-file", f"{shown} is not a file of this folder", Position(shown), "put the file here"
        )
        return Sourced(None, (problem,), "", shown)
    return read_file(path, shown)


def _shown(folder: Path, path: Path) -> str:
    return f"{folder.name}/{path.name}" if folder.name else path.name
