"""From a model's complaints to Problems: each at its place, with a plain sentence and the nearest word."""

from __future__ import annotations

import re
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from engine.journey.nearest import THERE_ARE, hint_for, nearest
from engine.journey.problems import Position, Problem
from engine.journey.yaml_text import MAX_PROBLEMS, NOTHING, Sourced, TreePath

ABOUT_WORDS = ("extra_forbidden", "unknown-key", "unknown-verb", "unknown-outcome")
_DID_YOU_MEAN = re.compile(r"did you mean `(.+)`\?")

M = TypeVar("M", bound=BaseModel)


def fault(code: str, sentence: str, hint: str = "", path: TreePath = (), key: bool = False) -> PydanticCustomError:
    """A mistake a validator raises: with its own code, at `path` below the value it looks at (`key`: at the key)."""
    return PydanticCustomError(
        code, "{sentence}", {"sentence": sentence, "hint": hint, "path": tuple(path), "key": key}
    )


@dataclass(frozen=True)
class Fault:
    """One of several mistakes inside one value."""

    code: str
    sentence: str
    hint: str = ""
    path: tuple[str | int, ...] = ()
    key: bool = False


def faults(found: Sequence[Fault]) -> PydanticCustomError:
    """Several mistakes a validator raises at once."""
    return PydanticCustomError("several-faults", "several mistakes", {"faults": tuple(found)})


def validate(
    model: type[M], sourced: Sourced, context: Mapping[str, Any] | None = None
) -> tuple[M | None, list[Problem]]:
    """Hold what was written against a model. Every mistake becomes a Problem at its place.

    `sourced.problems` are not repeated. `context` is handed to the model's own validators.
    """
    if sourced.value is None:
        return None, []
    try:
        return model.model_validate(sourced.value, context=dict(context or {})), []
    except ValidationError as error:
        return None, first_of(problems_of(model, sourced, error.errors(include_url=False)))


def problems_of(model: type[BaseModel], sourced: Sourced, errors: Iterable[ErrorDetails]) -> list[Problem]:
    """What pydantic complains about, as Problems in the order of their places; of a place that YAML's reader has
    complained about already, nothing more."""
    told = {problem.position for problem in sourced.problems}
    own = _without_strays(list(errors))
    every = ((one, each) for one in own for each in _problems(model, sourced, one) if each.position not in told)
    found = _misspelt(_one_per_value(list(islice(every, MAX_PROBLEMS + 1))))
    return sorted(found, key=lambda problem: problem.position)


def _without_strays(errors: Sequence[ErrorDetails]) -> Iterator[ErrorDetails]:
    """A key that stands behind a dash of its own is not missing in the step above as well."""
    strays = {
        (*error["loc"][:-1], int(error["loc"][-1]) - 1, key)
        for error in errors
        if error["type"] == "no-verb" and isinstance(error["input"], dict)
        for key in error["input"]
    }
    for error in errors:
        loc = tuple(one for one in error["loc"] if not str(one).startswith("<"))
        if error["type"] != "missing" or loc not in strays:
            yield error


def first_of(problems: Iterable[Problem]) -> list[Problem]:
    """The first problems and, where there are more than anyone wants to read at once, a word about the rest."""
    found = list(islice(problems, MAX_PROBLEMS + 1))
    if len(found) > MAX_PROBLEMS:
        sentence = f"there are more than {MAX_PROBLEMS} mistakes; these are told first"
        found[-1] = Problem("too-many-problems", sentence, found[-2].position, "mend these and check again")
    return found


# --- pydantic's errors as Problems

_KINDS: dict[str, tuple[str, str]] = {
    "string_type": ("expected-text", "a single text should stand here"),
    "list_type": ("expected-list", "a list should stand here"),
    "tuple_type": ("expected-list", "a list should stand here"),
    "dict_type": ("expected-mapping", "keys with values should stand here"),
    "model_type": ("expected-mapping", "keys with values should stand here"),
    "model_attributes_type": ("expected-mapping", "keys with values should stand here"),
    "mapping_type": ("expected-mapping", "keys with values should stand here"),
    "int_type": ("expected-number", "a whole number should stand here"),
    "int_parsing": ("expected-number", "a whole number should stand here"),
    "int_from_float": ("expected-number", "a whole number should stand here"),
    "int_parsing_size": ("expected-number", "a whole number should stand here"),
    "float_type": ("expected-number", "a number should stand here"),
    "float_parsing": ("expected-number", "a number should stand here"),
    "decimal_type": ("expected-number", "a number should stand here"),
    "decimal_parsing": ("expected-number", "a number should stand here"),
    "bool_type": ("expected-yes-no", "true or false should stand here"),
    "bool_parsing": ("expected-yes-no", "true or false should stand here"),
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}


def _problems(model: type[BaseModel], sourced: Sourced, error: ErrorDetails) -> Iterator[Problem]:
    several = error.get("ctx", {}).get("faults")
    if several is None:
        yield _problem(model, sourced, error)
    else:
        yield from (_of_fault(sourced, tuple(error["loc"]), one) for one in several)


def _of_fault(sourced: Sourced, loc: TreePath, one: Fault) -> Problem:
    return Problem(one.code, one.sentence, sourced.at((*loc, *one.path), key=one.key), one.hint)


def _problem(model: type[BaseModel], sourced: Sourced, error: ErrorDetails) -> Problem:
    """One error of pydantic, told to the person who wrote the file."""
    loc = tuple(error["loc"])
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return _missing(sourced, loc)
    if kind == "extra_forbidden":
        return _unknown(model, sourced, loc)
    inner = context.get("path", ())
    of_a_key = loc[-1:] == ("[key]",)  # how pydantic says that the key itself is wrong
    loc = loc[:-1] if of_a_key else loc
    position = sourced.at((*loc, *inner), key=of_a_key or bool(context.get("key", False)))
    if error["input"] == "" and (kind in _KINDS or kind == "value_error"):
        return Problem("empty-value", f"{_name(loc)} has no value", position, "write one, or leave the key out")
    if kind in _KINDS:
        code, sentence = _KINDS[kind]
        return Problem(code, sentence, position, _shape_hint(code, loc, _example(model, loc), error["input"]))
    if kind in _BOUNDS:
        name, word = _BOUNDS[kind]
        bound = f"{word} {context[name]}"
        return Problem("out-of-range", f"{error['input']} is not {bound}", position, f"write a number of {bound}")
    if kind == "too_long":
        sentence = f"{context['actual_length']} stand here, where at most {context['max_length']} may"
        return Problem("out-of-range", sentence, position, "leave some out")
    if kind in ("literal_error", "enum"):
        allowed = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        return Problem(
            "unknown-word",
            f"`{error['input']}` is not a word for this",
            position,
            hint_for(str(error["input"]), allowed),
        )
    if kind == "string_pattern_mismatch":
        return Problem("bad-form", f"`{error['input']}` does not have the form {context['pattern']}", position, "")
    if kind == "value_error" and isinstance(context.get("error"), ValueError):
        sentence, _, hint = str(context["error"]).partition("; ")
        return Problem(getattr(context["error"], "code", "bad-value"), sentence, position, hint)
    if "-" in kind:  # our own
        return Problem(kind, error["msg"], position, str(context.get("hint", "")))
    return Problem("bad-value", error["msg"], position, "")


def _missing(sourced: Sourced, loc: TreePath) -> Problem:
    return Problem("missing-key", f"`{loc[-1]}` is missing", sourced.at(loc[:-1]), f"write `{loc[-1]}:`")


def _unknown(model: type[BaseModel], sourced: Sourced, loc: TreePath) -> Problem:
    word, position = str(loc[-1]), sourced.at(loc, key=True)
    owners = _models_at(model, loc[:-1])
    for owner in owners:
        if word in getattr(owner, "unbuilt", {}):
            return not_built(word, position)
    known = {name for owner in owners for name in _keys(owner)}
    elsewhere = (name for owner in owners if (name := _called(owner).get(word.lower())))
    called = next((name for name in elsewhere if name in known), None)
    hint = f"did you mean `{called}`?" if called else hint_for(word, known)
    return Problem("unknown-key", f"`{word}` is not a key {_owner(loc)}", position, hint)


def _called(owner: type[BaseModel]) -> Mapping[str, str]:
    """What keys are called elsewhere, with their names here; of a kind of step also what holds for all steps."""
    return {word: name for kind in reversed(owner.__mro__) for word, name in vars(kind).get("called", {}).items()}


def meant_instead(model: type[BaseModel], error: ErrorDetails) -> str | None:
    """The key that the misspelt one of this error was meant to be."""
    if error["type"] == "extra_forbidden":
        found = _unknown(model, NOTHING, error["loc"])
        word, code, hint = str(error["loc"][-1]), found.code, found.hint
    else:
        context = error.get("ctx", {})
        path = context.get("path") or ("",)
        word, code, hint = str(path[-1]), error["type"], str(context.get("hint", ""))
    said = _DID_YOU_MEAN.fullmatch(hint)
    if said is None or code not in ABOUT_WORDS:
        return None
    return nearest(word, [said[1]])  # `delay` may mean `wait`, and is not the same word


def _owner(loc: TreePath) -> str:
    """Whose key it should be; the tag of a union begins with that word."""
    names = [element for element in loc[:-1] if isinstance(element, str)]
    if not names:
        return "here"
    tagged = isinstance(loc[-2], str) and loc[-2].startswith("<")
    owner = names[-1] if tagged else [name for name in names if not name.startswith("<")][-1]
    return f"of `{owner.strip('<>').split(' ')[0] if owner.startswith('<') else owner}`"


def not_built(word: str, position: Position) -> Problem:
    """A word of the language that is understood and not carried out yet: refused by name, never ignored."""
    return Problem(
        "not-built-yet", f"`{word}` is a word of the language that is not built yet", position, "leave it out for now"
    )


def _name(loc: TreePath) -> str:
    names = [str(element) for element in loc if isinstance(element, str) and not element.startswith("<")]
    return f"`{names[-1]}`" if names else "this"


_OF_WORDS = ("leave", "rollout", "people", "tags", "channels", "countries")  # lists of what may stand there alone


def _example(model: type[BaseModel], loc: TreePath) -> str:
    return next((one for kind in _models_at(model, loc) if (one := getattr(kind, "example", ""))), "")


def _shape_hint(code: str, loc: TreePath, example: str, written: object) -> str:
    name = _name(loc).strip("`")
    if name == "this":
        return "write `key: value` lines"
    inside = written if name in _OF_WORDS and isinstance(written, str) and len(written) < 60 else "..., ..."
    if isinstance(written, dict):
        inside = "{...}"
    return {
        "expected-list": f"write `{name}: [{inside}]`",
        "expected-mapping": f"write `{name}: {example or '{key: value}'}`",
        "expected-text": f"write `{name}: text`",
        "expected-number": f"write `{name}: 50`",
        "expected-yes-no": f"write `{name}: true`",
    }[code]


_ABOUT_KEYS = ("missing", "extra_forbidden", "several-faults")


def _one_per_value(found: Sequence[tuple[ErrorDetails, Problem]]) -> list[Problem]:
    """A value that fits none of several kinds fails each of them; the most telling complaint is enough."""
    best: dict[Position, Problem] = {}
    rest: list[Problem] = []
    for error, problem in found:
        if error["type"] in _ABOUT_KEYS:
            rest.append(problem)
        else:
            other = best.get(problem.position)
            best[problem.position] = problem if other is None else _more_telling(other, problem)
    return list(dict.fromkeys([*rest, *best.values()]))


def _misspelt(found: Sequence[Problem]) -> list[Problem]:
    """A misspelt key is one mistake: the key it was meant to be is not missing as well."""
    meant = {
        problem.hint.removeprefix("did you mean ").rstrip("?") for problem in found if problem.code == "unknown-key"
    }
    return [one for one in found if not (one.code == "missing-key" and one.sentence.split(" ")[0] in meant)]


def _more_telling(one: Problem, other: Problem) -> Problem:
    """Of two complaints about one value the more precise; a closed set of words stays as another way to write it."""
    first, second = sorted((one, other), key=_weight)
    if first.code == "unknown-word" and second.hint and first.hint.startswith(THERE_ARE):
        return replace(second, hint=f"{second.hint}, or one of: {first.hint.removeprefix(THERE_ARE)}")
    return second


def _weight(problem: Problem) -> int:
    return 0 if problem.code.startswith("expected-") else 1 if problem.code == "unknown-word" else 2


# --- which keys a model knows at a place of the tree (for the nearest word)


def _keys(model: type[BaseModel]) -> list[str]:
    """As they are written."""
    unwritten: frozenset[str] = getattr(model, "unwritten", frozenset())
    return [info.alias or name for name, info in model.model_fields.items() if name not in unwritten]


def _models_at(model: type[BaseModel], loc: TreePath) -> list[type[BaseModel]]:
    """The models that may stand at a path of pydantic's, found by walking the annotations along it."""
    here: list[Any] = [model]
    for element in loc:
        here = [inner for kind in here for inner in _step(kind, element)] or here
    return [kind for kind in here if isinstance(kind, type) and issubclass(kind, BaseModel)]


def _step(kind: Any, element: str | int) -> list[Any]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        kind.model_rebuild()  # one that was only read inside of another may have annotations that are but names
        for name, info in kind.model_fields.items():
            if element in (info.alias or name, name):
                return _options(info.annotation, info.metadata)
        return []
    if isinstance(kind, _Tagged):
        return _options(kind.kind, ()) if kind.tag == element else []
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (list, tuple, frozenset, set, Sequence) and isinstance(element, int):
        return _options(arguments[0], ())
    if origin in (dict, Mapping, types.MappingProxyType) and len(arguments) == 2:
        return _options(arguments[1], ())
    return []


@dataclass(frozen=True)
class _Tagged:
    """One member of a union told apart by a tag."""

    tag: str
    kind: Any


def _options(kind: Any, metadata: Sequence[Any]) -> list[Any]:
    """The kinds an annotation allows, tags kept."""
    if get_origin(kind) is Annotated:
        inner, *notes = get_args(kind)
        return _options(inner, notes)
    for note in metadata:
        if isinstance(note, Tag):
            return [_Tagged(note.tag, kind)]
    if get_origin(kind) in (Union, types.UnionType):
        return [option for member in get_args(kind) for option in _options(member, ())]
    return [] if kind is type(None) else [kind]
