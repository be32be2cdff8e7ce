"""Renames: `was` names one journey that is called otherwise now, and nobody's file disappears unheard."""

from __future__ import annotations

from collections.abc import Iterator

from engine.journey.lint.subject import Subject
from engine.journey.problems import Problem


def was_one_journey(subject: Subject) -> Iterator[Problem]:
    """Each name of before belongs to this journey alone, and to nothing that still has it."""
    mine, names, was = subject.graph.journey, subject.names, subject.graph.head.was
    for index, name in enumerate(was):
        place = ("was", index)
        if name == mine:
            sentence = f"`{name}` is what the journey is called now"
            yield subject.error(place, "was-itself", sentence, "name what it was called before, or leave `was` out")
        elif name in names.files:
            sentence = f"`{name}` is still a file of journeys/, so nothing was renamed"
            yield subject.error(place, "was-still-there", sentence, f"take {name}.yaml away, or leave `was` out")
        elif others := [one for one in names.claims.get(name, ()) if one != mine]:
            sentence = f"`{others[0]}` says that it was `{name}`, too"
            yield subject.error(place, "was-claimed-twice", sentence, "one of them is its successor; leave it out here")
        elif (now := names.former.get(name, mine)) not in (mine, *was):
            sentence = f"`{name}` has been renamed already: it is `{now}` now"
            hint = f"if this is what `{now}` became, write `was: [{name}, {now}]`; if not, leave it out"
            yield subject.error(place, "was-claimed-twice", sentence, hint)


def was_published_once(subject: Subject) -> Iterator[Problem]:
    """Of all its names, one is known to the database: that is the journey which goes on."""
    mine, was, published = subject.graph.journey, subject.graph.head.was, subject.names.published
    if not was or published is None:
        return
    known = [name for name in (*was, mine) if name in published]
    if len(known) > 1:
        sentence = f"`{known[0]}` and `{known[1]}` were both published: two journeys cannot become one"
        hint = f"leave `{known[0]}` out, and end it when its time has come: outreach retire {known[0]}"
        yield subject.error(("was", was.index(known[0])), "was-two-journeys", sentence, hint)
    elif not known and not any(name in subject.names.former for name in was):
        sentence = f"nothing was ever published by the name `{was[-1]}`"
        hint = "leave `was` out, unless it is another installation that knows it"
        yield subject.warning(("was", len(was) - 1), "was-never-published", sentence, hint)


def renamed_openly(subject: Subject) -> Iterator[Problem]:
    """A file that was given another name, without a word about it."""
    graph, names = subject.graph, subject.names
    if names.published is None or graph.journey in names.published or graph.head.was or not graph.whole:
        return
    now = names.former.get(graph.journey)
    if now is not None and now in names.gone.values():
        sentence = f"`{graph.journey}` has been called `{now}`, whose file is gone: everyone could enter once more"
        yield subject.error((), "name-of-before", sentence, f"to call it so again, write `was: {now}`")
    elif (old := names.gone.get(graph.fingerprint)) is not None:
        sentence = f"this is what `{old}` says, whose file is gone and which runs on: people would enter both"
        hint = f"if it was renamed, write `was: {old}`; if not, end the other: outreach retire {old}"
        yield subject.warning((), "renamed-without-was", sentence, hint)
