"""audience.yaml, read: from the text a person wrote to an Audience, and everything that is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from pydantic import BaseModel

from engine.audience.audience import Audience, Gathered, names_of
from engine.audience.lint import faults_in
from engine.audience.terms import ALWAYS_KEPT, BUILT_IN, Pool, Trait, TraitKind
from engine.journey.allow import KEY, Allow
from engine.journey.conditions import (
    Condition,
    ConditionError,
    FieldKind,
    Scope,
    Test,
    Word,
    parse_condition,
    tests_of,
)
from engine.journey.possible import impossible
from engine.journey.problems import Problem, Severity
from engine.journey.quantities import Misread, parse_duration, parse_money
from engine.journey.silence import in_file
from engine.journey.source import Fault, Sourced, hint_for, nearest, read, validate
from engine.settings import Settings

__all__ = ["BUILT_IN", "Audience", "Gathered", "Pool", "Trait", "TraitKind", "read_audience"]

T = TypeVar("T")
Keys = tuple[str | int, ...]

_SECTIONS = ("lists", "pools", "traits", "segments", KEY)
_KINDS = tuple(kind.value for kind in TraitKind)
_NEEDS_KEY = frozenset(
    {
        *(TraitKind.distinct, TraitKind.sum, TraitKind.average),
        *(TraitKind.largest, TraitKind.smallest, TraitKind.most_common),
    }
)
_TAKES_KEY = _NEEDS_KEY | {TraitKind.first, TraitKind.last}
_POOL_CALLED = {  # what the keys of a pool are called elsewhere
    **dict.fromkeys(("path", "csv", "codes"), "file"),
    **dict.fromkeys(("worth", "amount", "price"), "value"),
    **dict.fromkeys(("valid", "valid_for", "expiry", "within"), "expires"),
}
LONGEST_PATH = 200  # bytes; a name that no disk takes is refused before it is looked for
_REFINEMENTS = ("within", "where", "unless_after")
_RESERVED = frozenset({"any", "all", "not", "segment", "event", "message", "now", "person"})
_NAME = re.compile(r"[^\W\d][\w-]{0,63}")


def read_audience(
    text: str, file: str, settings: Settings, folder: Path | None = None
) -> tuple[Audience, list[Problem]]:
    """What audience.yaml says, and its problems. What is wrong is left out, so the rest can be judged all the same.

    With `folder` (that of the journeys) the files of pools must be there. An empty text is an empty audience.
    """
    if not text.strip():
        return _audience(settings), []
    sourced = read(text, file)
    reader = _Reader(sourced, settings, folder)
    audience = reader.audience()
    problems = dict.fromkeys((*sourced.problems, *reader.problems))
    return audience, sorted(problems, key=lambda problem: (problem.position, problem.code))


def _audience(settings: Settings, **parts: Any) -> Audience:
    return Audience(scores=settings.scores, rates=settings.rates, currency=settings.shop.currency, **parts)


class _Allowing(BaseModel):
    """The one section that is the same in every file."""

    allow: Allow


class _Wrong(Exception):
    """One entry cannot be used; its problem is on the list."""


class _Reader:
    """Reads the sections in the order they need each other, and gathers what is wrong."""

    def __init__(self, sourced: Sourced, settings: Settings, folder: Path | None) -> None:
        self.sourced, self.settings, self.folder = sourced, settings, folder
        self.problems: list[Problem] = []
        self.tree = self._top()

    def audience(self) -> Audience:
        lists = self._section("lists", self._list)
        pools = self._section("pools", self._pool)
        self.lists = lists
        self.trait_names = frozenset(self._entries("traits")) | BUILT_IN
        traits = self._section("traits", self._trait)
        segments = self._section("segments", self._segment)
        allowed = tuple(in_file(self.sourced))
        self._judge_allowed()
        sections: dict[str, Mapping[str, Any]] = {
            "lists": lists,
            "pools": pools,
            "traits": traits,
            "segments": segments,
        }
        unread = frozenset(self._unread(sections))
        found = _audience(self.settings, **sections, allowed=allowed, unread=unread)
        self._judge_names(found)
        circular = self._judge_circles(segments)
        found = replace(found, unread=found.unread | {("segments", name) for name in circular})
        self._judge_comparisons(found)
        return found

    def _unread(self, sections: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
        """What is written and cannot be used: whole sections (with no name), and what they hold."""
        for section, found in sections.items():
            written = self.tree.get(section, "")
            if self.unreadable or not (isinstance(written, dict) or written == ""):
                yield section, ""
            yield from ((section, name) for name in self._entries(section) if name not in found)

    # the frame

    def _top(self) -> Mapping[str, Any]:
        value = self.sourced.value
        self.unreadable = not isinstance(value, dict)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self._note("expected-mapping", "audience.yaml holds sections", (), "write `segments:` and so on")
            return {}
        for key in value:
            if key not in _SECTIONS:
                hint = hint_for(key, _SECTIONS)
                self._note("unknown-key", f"`{key}` is no section", (key,), hint, key=True)
                meant = nearest(key, _SECTIONS)
                if meant is not None and meant not in value:
                    self.sourced = self.sourced.renamed((key,), meant)
                    value = {**value, meant: value[key]}
        return value

    def _entries(self, section: str) -> Mapping[str, Any]:
        value = self.tree.get(section)
        return value if isinstance(value, dict) else {}

    def _section(self, section: str, parse: Callable[[str, Any, Keys], T]) -> dict[str, T]:
        value = self.tree.get(section)
        if value is not None and value != "" and not isinstance(value, dict):
            self._note(
                "expected-mapping", f"`{section}` holds names with what they mean", (section,), "write `name: ...`"
            )
        found: dict[str, T] = {}
        for name, inner in self._entries(section).items():
            try:
                found[name] = parse(self._name(name, (section, name)), inner, (section, name))
            except _Wrong:
                continue
        return found

    def _name(self, name: str, path: Keys) -> str:
        if not _NAME.fullmatch(name):
            hint = "use letters, digits, _ and -, beginning with a letter: spend_12m"
            if name in BUILT_IN:
                hint = "that name belongs to a built-in score"
            raise self._wrong("bad-name", f"`{name}` is not a name", path, hint, key=True)
        return name

    def _note(self, code: str, sentence: str, path: Keys, hint: str = "", key: bool = False) -> None:
        self.problems.append(Problem(code, sentence, self.sourced.at(path, key), hint))

    def _wrong(self, code: str, sentence: str, path: Keys, hint: str = "", key: bool = False) -> _Wrong:
        self._note(code, sentence, path, hint, key)
        return _Wrong()

    def _fault(self, fault: Fault, path: Keys) -> None:
        self._note(fault.code, fault.sentence, (*path, *fault.path), fault.hint, fault.key)

    def _judge_allowed(self) -> None:
        """Codes with reasons, as everywhere; what they allow is taken out by whoever shows the problems."""
        if KEY in self.tree:
            _, problems = validate(_Allowing, self.sourced)
            self.problems += [one for one in problems if one.code != "unknown-key"]

    # values

    def _mapping(self, value: Any, path: Keys, example: str) -> dict[str, Any]:
        if not isinstance(value, dict) or not value:
            raise self._wrong("expected-mapping", f"`{path[-1]}` takes keys with values", path, f"write `{example}`")
        return value

    def _text(self, value: Any, path: Keys) -> str:
        if not isinstance(value, str):
            raise self._wrong("expected-text", "a single text should stand here", path, "write one value")
        if not value.strip():
            raise self._wrong("empty-value", f"`{path[-1]}` has no value", path, "write one, or leave the key out")
        return value

    def _quantity(self, parse: Callable[[object], T], value: Any, path: Keys) -> T:
        try:
            return parse(self._text(value, path))
        except Misread as error:
            sentence, _, hint = str(error).partition("; ")
            raise self._wrong(error.code, sentence, path, hint) from None

    def _span(self, value: Any, path: Keys) -> timedelta:
        span = self._quantity(parse_duration, value, path)
        if span <= timedelta(0):
            raise self._wrong("bad-duration", "this is no time at all", path, "write a longer one: 90m, 6h, 3d, 2w")
        return span

    def _texts(self, value: Any, path: Keys) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise self._wrong("expected-list", "a list of texts should stand here", path, "write `[one, another]`")
        return tuple(self._text(item, (*path, index)) for index, item in enumerate(value))

    def _condition(self, value: Any, path: Keys, scope: Scope) -> Condition:
        try:
            return parse_condition(value, scope, self.trait_names)
        except ConditionError as error:
            for fault in error.faults:
                self._fault(fault, path)
            raise _Wrong from None

    # lists and pools

    def _list(self, name: str, value: Any, path: Keys) -> tuple[str, ...]:
        words = self._texts(value, path)
        if not words:
            raise self._wrong("empty-list", f"the list `{name}` holds nothing", path, "write `[one, another]`")
        return words

    def _pool(self, name: str, value: Any, path: Keys) -> Pool:
        example = f"{name}: {{file: codes/{name}.csv, value: 20 CNY, expires: 14d}}"
        entry = self._mapping(value, path, example)
        called = self._only(entry, ("file", "value", "expires", "low"), path, _POOL_CALLED)
        for key in ("file", "value"):
            if key not in entry and key not in called:
                self._note("missing-key", f"`{key}` is missing", path, f"write `{example}`")
        if "file" not in entry or "value" not in entry:
            raise _Wrong
        worth = self._quantity(parse_money, entry["value"], (*path, "value"))
        expires = self._span(entry["expires"], (*path, "expires")) if "expires" in entry else None
        low = self._whole(entry["low"], (*path, "low")) if "low" in entry else 0
        return Pool(self._pool_file(entry["file"], (*path, "file")), worth, expires, low)

    def _whole(self, value: Any, path: Keys) -> int:
        text = self._text(value, path)
        if not re.fullmatch(r"[0-9]{1,9}", text):
            raise self._wrong("expected-number", f"`{text}` is not a whole number", path, "write one: 100")
        return int(text)

    def _pool_file(self, value: Any, path: Keys) -> str:
        """Inside the folder of the journeys, also when links are followed."""
        file = self._text(value, path)
        inner = PurePosixPath(file)
        if (
            "\\" in file
            or inner.is_absolute()
            or ".." in inner.parts
            or inner.suffix != ".csv"
            or not file.isprintable()
            or len(file.encode()) > LONGEST_PATH
        ):
            hint = "write a path inside the journeys' folder that ends in .csv: codes/second_order.csv"
            raise self._wrong("bad-pool-file", f"`{file}` is no file of codes of this project", path, hint)
        if self.folder is not None:
            whole = (self.folder / inner).resolve()
            if not whole.is_relative_to(self.folder.resolve()):
                raise self._wrong("bad-pool-file", f"`{file}` leads out of the project", path, "copy the file here")
            if not whole.is_file():
                self._note("no-pool-file", f"there is no file `{file}`", path, "put it there, with the header `code`")
            elif not _has_header(whole):
                hint = "write `code` in its first line, and one code in each line below it"
                self._note("bad-pool-file", f"the first line of `{file}` is not its header", path, hint)
            elif not _has_codes(whole):
                sentence = f"there is no code in `{file}`, so nobody would be given one"
                hint = "write the header `code` in its first line, and one code in each line below it"
                at = self.sourced.at(path)
                self.problems.append(Problem("empty-pool", sentence, at, hint, Severity.warning))
        return file

    def _only(
        self, entry: Mapping[str, Any], known: Iterable[str], path: Keys, called: Mapping[str, str]
    ) -> frozenset[str]:
        """Complain of every other key; those that were meant by them."""
        strange = {key: called.get(key) or nearest(key, known) for key in entry if key not in known}
        for key, meant in strange.items():
            hint = f"did you mean `{meant}`?" if meant else hint_for(key, known)
            self._note("unknown-key", f"`{key}` is not a key here", (*path, key), hint, key=True)
        return frozenset(meant for meant in strange.values() if meant)

    # traits

    def _trait(self, name: str, value: Any, path: Keys) -> Trait:
        self._judge_trait_name(name, path)
        entry = self._mapping(value, path, f"{name}: {{count: Order Completed, within: 365d}}")
        kind = self._kind(entry, path)
        event, key = self._looked_at(kind, entry[kind.value], (*path, kind.value))
        return Trait(
            kind,
            event,
            key,
            within=self._span(entry["within"], (*path, "within")) if "within" in entry else None,
            where=self._where(entry["where"], (*path, "where")) if "where" in entry else None,
            unless_after=self._events(entry["unless_after"], (*path, "unless_after"))
            if "unless_after" in entry
            else (),
        )

    def _judge_trait_name(self, name: str, path: Keys) -> None:
        if name in BUILT_IN:
            hint = "choose another name; its thresholds are in config.yaml under scores"
            raise self._wrong("trait-shadows-built-in", f"`{name}` is built in", path, hint, key=True)
        if name in ALWAYS_KEPT or name in _RESERVED:
            sentence = f"`{name}` means something else in conditions already"
            raise self._wrong("trait-shadows-attribute", sentence, path, "choose another name", key=True)

    def _kind(self, entry: Mapping[str, Any], path: Keys) -> TraitKind:
        kinds = [key for key in entry if key in _KINDS]
        strange = [key for key in entry if key not in _KINDS and key not in _REFINEMENTS]
        for key in strange:
            known = _REFINEMENTS if kinds else (*_KINDS, *_REFINEMENTS)
            sentence = f"`{key}` is nothing a trait can compute or be refined by"
            self._note("unknown-trait-kind", sentence, (*path, key), hint_for(key, known), key=True)
        if not kinds and not strange:
            hint = "there are: " + ", ".join(_KINDS)
            self._note("missing-trait-kind", f"`{path[-1]}` does not say what it computes", path, hint)
        if len(kinds) > 1:
            sentence = f"`{kinds[0]}` and `{kinds[1]}` cannot be computed at once"
            self._note("two-trait-kinds", sentence, (*path, kinds[1]), "make two traits of it", key=True)
        if len(kinds) != 1 or strange:
            raise _Wrong
        return TraitKind(kinds[0])

    def _looked_at(self, kind: TraitKind, value: Any, path: Keys) -> tuple[str, str | None]:
        """`Order Completed.total` -> the event and its key; the last dot divides them where a key makes sense."""
        written = self._text(value, path)
        event, dot, key = written.rpartition(".")
        if kind in _TAKES_KEY and dot and event and key:
            return event, key
        if kind in _NEEDS_KEY:
            hint = f"write the event and its key: {written}.total"
            raise self._wrong("missing-trait-key", f"`{kind.value}` needs a key of the event", path, hint)
        return written, None

    def _events(self, value: Any, path: Keys) -> tuple[str, ...]:
        return self._texts(value, path) if isinstance(value, list) else (self._text(value, path),)

    def _where(self, value: Any, path: Keys) -> Condition:
        where = self._condition(value, path, "event")
        strange = [test for test in tests_of(where) if test.field.kind is not FieldKind.event]
        for test in strange:
            sentence = f"`{test.path[-1]}` is no key of the event"
            self._note("not-of-the-event", sentence, (*path, *test.path), "ask for it in a segment instead", key=True)
        if strange:
            raise _Wrong
        return where

    # segments

    def _segment(self, name: str, value: Any, path: Keys) -> Condition:
        condition = self._condition(value, path, "person")
        strange = [test for test in tests_of(condition) if test.field.kind in _AT_HAND]
        for test in strange:
            sentence = f"`{test.path[-1]}` is known for one person at one moment only"
            hint = "ask for it in a journey's branch instead"
            self._note("not-for-everyone", sentence, (*path, *test.path), hint, key=True)
        if strange:
            raise _Wrong
        return condition

    # what can be judged when everything is read

    def _judge_names(self, found: Audience) -> None:
        written = self._entries("segments")
        lists = self._entries("lists")
        for test, path in _tests(found):
            if test.field.kind is FieldKind.segment:
                for name in names_of(test):
                    if name not in written and not found.is_unread("segments", name):
                        hint = hint_for(name, written)
                        self._note("unknown-segment", f"there is no segment `{name}`", (*path, *test.path), hint)
            elif test.word in (Word.one_of, Word.none_of) and isinstance(test.value, str) and test.value not in lists:
                if found.is_unread("lists", test.value):
                    continue
                place = (*path, *test.path, test.word.value)
                hint = hint_for(test.value, lists) or "write its words in brackets, or define it under lists"
                self._note("unknown-list", f"there is no list `{test.value}`", place, hint)

    def _judge_circles(self, segments: dict[str, Condition]) -> list[str]:
        """Segments that lead back to themselves are left out; of each circle the first one is named."""
        leads_to = {name: _segments_in(condition) for name, condition in segments.items()}
        circular = [name for name in segments if name in _reached(name, leads_to)]
        told: list[str] = []
        for name in circular:
            reached = _reached(name, leads_to)
            if any(one in reached and name in _reached(one, leads_to) for one in told):
                continue
            told.append(name)
            way = " -> ".join(_way_back(name, leads_to))
            hint = "take one of them out of the circle"
            self._note("circular-segment", f"`{name}` is defined by itself: {way}", ("segments", name), hint, key=True)
        for name in circular:
            del segments[name]
        return circular

    def _judge_comparisons(self, found: Audience) -> None:
        for path, condition in _conditions(found):
            for fault in faults_in(condition, found):
                self._fault(fault, path)
            for one in impossible(condition):
                at = self.sourced.at((*path, *one.test.path, one.test.word.value))
                severity = Severity.error if one.whole else Severity.warning
                hint = "take one of the two out"
                self.problems.append(Problem("impossible-condition", one.sentence, at, hint, severity))


_AT_HAND = frozenset({FieldKind.event, FieldKind.message, FieldKind.now})


def _conditions(audience: Audience) -> Iterator[tuple[Keys, Condition]]:
    """Every condition of the file, and where it stands."""
    for name, trait in audience.traits.items():
        if trait.where is not None:
            yield ("traits", name, "where"), trait.where
    for name, condition in audience.segments.items():
        yield ("segments", name), condition


def _tests(audience: Audience) -> Iterator[tuple[Test, Keys]]:
    for path, condition in _conditions(audience):
        for test in tests_of(condition):
            yield test, path


def _segments_in(condition: Condition) -> tuple[str, ...]:
    return tuple(
        name for test in tests_of(condition) if test.field.kind is FieldKind.segment for name in names_of(test)
    )


def _reached(start: str, leads_to: Mapping[str, tuple[str, ...]]) -> set[str]:
    """Every name that `start` leads to, over any number of steps."""
    found: set[str] = set()
    waiting = list(leads_to[start])
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(leads_to.get(name, ()))
    return found


def _way_back(start: str, leads_to: Mapping[str, tuple[str, ...]]) -> list[str]:
    """One way from a name back to itself, the shortest."""
    ways, seen = [[start]], {start}
    for way in ways:
        for name in leads_to.get(way[-1], ()):
            if name == start:
                return [*way, name]
            if name not in seen:
                seen.add(name)
                ways.append([*way, name])
    return [start, start]


def _has_header(file: Path) -> bool:
    """The first line is never given to anybody, so it may be no code; an empty file is an empty pool."""
    with file.open(encoding="utf-8-sig", errors="replace") as lines:
        return lines.readline().strip().strip('"').lower() in ("", "code")


def _has_codes(file: Path) -> bool:
    """Does anything stand below the header?"""
    with file.open(encoding="utf-8-sig", errors="replace") as lines:
        lines.readline()
        return any(line.strip().strip('"') for line in lines)
