"""Wordings that a provider approved: which parameters they name, and what they say once these are filled in.

    SMS      `您的订单${order}已发出` as Aliyun writes it, `您的订单{1}已发出` as Tencent does
    WeChat   `订单编号：{{character_string1.DATA}}`

A wording stands in the text, or in config.yaml for all texts of its template. Whichever knows it, the text has to give
each of its parameters and no other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from engine.journey.problems import Position, Problem, Severity
from engine.journey.source import hint_for, nearest
from engine.message.folder import Head
from engine.message.heads import ProviderKind
from engine.settings import Approved

OF_SMS: Final = re.compile(r"\$\{([A-Za-z]\w*)\}|\{(\d{1,2})\}")
OF_WECHAT: Final = re.compile(r"\{\{\s*(\w+)\.DATA\s*\}\}")
_PLACES: Final = {"sms": OF_SMS, "wechat": OF_WECHAT}
_KEYS: Final = {"sms": "params", "wechat": "values"}


def names_in(wording: str, places: re.Pattern[str]) -> tuple[str, ...]:
    """The parameters of a wording, in their order."""
    return tuple(dict.fromkeys(next(filter(None, found.groups())) for found in places.finditer(wording)))


def filled(wording: str, places: re.Pattern[str], values: Mapping[str, str]) -> str:
    """What the provider sends."""
    return places.sub(lambda found: values.get(next(filter(None, found.groups())), ""), wording)


def approved(
    channel: str, head: Head, own: str, at: Position, known: Mapping[str, Approved]
) -> tuple[tuple[str | None, ProviderKind | None], list[Problem]]:
    """Wording and kind of the template that a text names, and what is wrong with how it uses it.

    `own` is the wording that stands in the text, at `at`; `known` are the templates of config.yaml.
    """
    template: str | None = head.value.template
    given: Mapping[str, str] = getattr(head.value, _KEYS[channel])
    if not template:
        return (None, None), list(_without_template(head, given))
    listed = known.get(template, Approved())
    wording, kind = own or listed.wording, head.value.kind or listed.kind
    problems = list(_differences(head, own, at, listed))
    if kind is None and channel == "wechat":
        hint = "write `kind: notice` (something the person set off) or `kind: promotion`"
        problems.append(
            Problem("missing-kind", f"what kind `{template}` is, is not said", head.at(("template",)), hint)
        )
    if wording:
        problems += _compared(template, names_in(wording, _PLACES[channel]), given, _KEYS[channel], head)
    else:
        sentence = f"what `{template}` says is not known here, so its parameters are not checked"
        hint = f"write the approved wording into config.yaml, under `{channel}:`, `templates:`"
        problems.append(Problem("unknown-wording", sentence, head.at(("template",)), hint, Severity.warning))
    return (wording or None, kind), problems


def _without_template(head: Head, given: Mapping[str, str]) -> Iterator[Problem]:
    if given or head.value.kind:
        key = "params" if given else "kind"
        hint = "write `template:` with the name the provider gave it, or take this out"
        yield Problem(
            "unknown-parameter", f"`{key}` belongs to a template, and none is named", head.at_key((key,)), hint
        )


def _differences(head: Head, own: str, at: Position, listed: Approved) -> Iterator[Problem]:
    template = head.value.template
    if own and listed.wording and own != listed.wording.strip():
        sentence = f"the wording of `{template}` is another one in config.yaml"
        yield Problem("wording-differs", sentence, at, "keep one of them, as the provider approved it")
    if head.value.kind and listed.kind and head.value.kind != listed.kind:
        sentence = f"`{template}` is a {listed.kind} in config.yaml, and a {head.value.kind} here"
        yield Problem("wording-differs", sentence, head.at(("kind",)), "take this line out, or correct config.yaml")


def _compared(
    template: str, wanted: tuple[str, ...], given: Mapping[str, str], key: str, head: Head
) -> Iterator[Problem]:
    """Parameters that the wording names and the text does not give, and the other way round."""
    meant = {nearest(name, wanted) for name in given if name not in wanted}
    for name in wanted:
        if name not in given and name not in meant:
            sentence = f"the wording of `{template}` has a place for `{name}`, and nothing is given for it"
            at = head.at_key((key,)) if given else head.at(("template",))
            yield Problem("missing-parameter", sentence, at, f"write `{name}:` under `{key}:`")
    for name in given:
        if name not in wanted:
            sentence = f"the wording of `{template}` has no place for `{name}`"
            hint = hint_for(name, wanted) if wanted else "take it out"
            yield Problem("unknown-parameter", sentence, head.at_key((key, name)), hint)
