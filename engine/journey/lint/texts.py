"""The texts of what a journey sends: each channel that is wished for needs one, in the languages of the shop."""

from __future__ import annotations

from collections.abc import Iterator

from engine.journey.catalog import Names
from engine.journey.graph import Node, StepPath
from engine.journey.lint.subject import Subject
from engine.journey.problems import Problem
from engine.journey.steps import SendStep


def written(subject: Subject) -> Iterator[Problem]:
    """Each channel that is wished for needs a text, and each text the languages of the shop."""
    for node in subject.graph.nodes.values():
        if isinstance(node.step, SendStep):
            yield from _of_send(subject, node, node.step)


def _of_send(subject: Subject, node: Node, step: SendStep) -> Iterator[Problem]:
    names = subject.names
    there = names.messages.get(step.send)
    if there is None:
        return
    for index, channel in enumerate(step.via):
        path = (*node.path, "via", index)
        if channel in there:
            yield from _locales(subject, path, step.send, channel)
        elif channel in names.channels:
            sentence = f"`{step.send}` has no text for {channel}"
            file = f"templates/{step.send}/{channel}.{names.default_locale or 'en'}.*"
            hint = f"write {file}, or leave {channel} out of `via`"
            yield subject.error(path, "channel-has-no-text", sentence, hint)


def _locales(subject: Subject, path: StepPath, message: str, channel: str) -> Iterator[Problem]:
    names = subject.names
    present = names.locales.get((message, channel))
    if present is None:
        return
    languages = {_language(locale) for locale in present}
    where = f"templates/{message}/{channel}"
    if names.default_locale and _language(names.default_locale) not in languages:
        sentence = f"`{message}` has no text in {names.default_locale}, the shop's own language, for {channel}"
        yield subject.error(path, "missing-default-locale", sentence, f"write {where}.{names.default_locale}.*")
    for locale in sorted(_wanted_locales(names)):
        if _language(locale) not in languages and _language(locale) != _language(names.default_locale):
            sentence = f"`{message}` has no text in {locale} for {channel}; its readers get another language"
            yield subject.warning(path, "missing-locale", sentence, f"write {where}.{locale}.*")


def _wanted_locales(names: Names) -> frozenset[str]:
    """The languages of the shop: those that are named, or all that any text is written in; each once."""
    every = names.shop_locales or frozenset(one for present in names.locales.values() for one in present)
    return frozenset({_language(locale): locale for locale in sorted(every, reverse=True)}.values())


def _language(locale: str) -> str:
    return locale.partition("-")[0].lower()
