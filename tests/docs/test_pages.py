"""Nothing is without documentation: commands, verbs, keys; what pages show exists; and every link leads somewhere."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from pydantic import BaseModel

from engine.cli.commands import COMMANDS, Entry, cli
from engine.cli.main import GLOBAL_OPTIONS
from engine.errors import BadInput, Refused, Unfit
from engine.journey import changes, enter, head, steps

HERE = Path(__file__).parents[2]
PAGES = sorted([*HERE.glob("*.md"), *(HERE / "docs").rglob("*.md")])
JOURNEYS = (HERE / "docs" / "journeys.md").read_text(encoding="utf-8")
LINK = re.compile(r"!?\[[^\]\n]*\]\(([^)\s]+)\)")


def texts() -> dict[str, str]:
    return {str(page.relative_to(HERE)): page.read_text(encoding="utf-8") for page in PAGES}


def in_code(text: str) -> str:
    """What stands between backquotes."""
    return "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL))


# --- links -----------------------------------------------------------------------------------------------------------


def links() -> list[tuple[str, str]]:
    return [(name, target) for name, text in texts().items() for target in LINK.findall(_without_code(text))]


def _without_code(text: str) -> str:
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def _anchor(title: str) -> str:
    """A heading's name in a link, as GitHub makes it."""
    plain = re.sub(r"[^\w\- ]", "", title.strip().lower().replace("`", ""))
    return plain.replace(" ", "-")


@pytest.mark.parametrize(("page", "target"), [link for link in links() if "://" not in link[1]])
def test_a_link_leads_somewhere(page: str, target: str) -> None:
    path, _, anchor = target.partition("#")
    place = (HERE / page).parent / path if path else HERE / page
    assert place.exists()
    if anchor:
        headings = re.findall(r"^#+ (.+)$", _without_code(place.read_text(encoding="utf-8")), re.MULTILINE)
        assert anchor in [_anchor(title) for title in headings]


def test_every_page_can_be_found_from_the_readme() -> None:
    found = {HERE / "README.md"}
    waiting = [HERE / "README.md"]
    while waiting:
        page = waiting.pop()
        for target in LINK.findall(_without_code(page.read_text(encoding="utf-8"))):
            place = (page.parent / target.partition("#")[0]).resolve()
            inside = sorted(place.glob("*.md")) if place.is_dir() else [place]
            fresh = [one for one in inside if one.suffix == ".md" and one.exists() and one not in found]
            found.update(fresh)
            waiting += fresh
    assert [str(page.relative_to(HERE)) for page in PAGES if page not in found] == []


# --- commands --------------------------------------------------------------------------------------------------------


def commands(entries: Mapping[str, Entry] = COMMANDS, before: str = "") -> Iterator[str]:
    """Every command by its whole name, `tasks done` for one inside another."""
    for name, entry in entries.items():
        if entry.inner is not None:
            yield from commands(entry.inner, f"{before}{name} ")
        if entry.place:
            yield before + name


@pytest.mark.parametrize("name", list(commands()))
def test_every_command_is_documented(name: str) -> None:
    told = [
        page for page, text in texts().items() if page != "CHANGELOG.md" and re.search(rf"\b{name}\b", in_code(text))
    ]
    assert told


def typed() -> list[tuple[str, str]]:
    """(page, command line) of every call of outreach that a page shows."""
    found = []
    for page, text in texts().items():
        for line in re.findall(
            r"(?:^|`)(?:\$ )?(?:python3 dev\.py run|outreach) ([a-z][^`\n]*)", in_code(text), re.MULTILINE
        ):
            found.append((page, re.split(r"\s{2,}|  ", line)[0].strip()))
    return found


@pytest.mark.parametrize(("page", "line"), sorted(set(typed())))
def test_every_command_line_that_is_shown_exists_with_its_options(page: str, line: str) -> None:
    words = line.split()
    name = next((name for name in commands() if words[: len(name.split())] == name.split()), None)
    assert name is not None, f"there is no command {line}"
    command = cli()
    for word in name.split():
        command = command.get_command(None, word)
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    shown = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert shown - options - {*GLOBAL_OPTIONS, "--help"} == set()


def test_the_readmes_tell_the_commands_of_dev_py_that_exist() -> None:
    existing = set(runpy.run_path(str(HERE / "dev.py"))["COMMANDS"])
    for name in ("README.md", "README.zh-CN.md"):
        shown = set(re.findall(r"python3 dev\.py (\w+)", texts()[name]))
        assert {"demo", "test", "run"} <= shown <= existing


def test_the_exit_codes_are_told() -> None:
    text = texts()["docs/operations.md"]
    told = dict(re.findall(r"^\| (\d+) \| (.*) \|$", text, re.MULTILINE))
    assert set(told) == {"0", "1", "2", "3", "130"}
    assert "bad input" in told[str(BadInput.exit_code)]
    assert "bad input" in told[str(Refused.exit_code)]
    assert "unfit" in told[str(Unfit.exit_code)]


# --- the language ----------------------------------------------------------------------------------------------------


def parts() -> list[type[BaseModel]]:
    models = [one for room in (head, enter, changes, steps) for one in vars(room).values()]
    return sorted(
        {
            model
            for model in models
            if isinstance(model, type) and issubclass(model, steps.Part) and model is not steps.Part
        },
        key=lambda model: model.__name__,
    )


@pytest.mark.parametrize("model", parts(), ids=lambda model: model.__name__)
def test_every_key_of_the_language_is_explained(model: type[BaseModel]) -> None:
    code = in_code(JOURNEYS)
    invisible = {("Again", "word"), ("WaitFor", "duration"), ("WaitFor", "text")}
    keys = [
        field.alias or name for name, field in model.model_fields.items() if (model.__name__, name) not in invisible
    ]
    assert [key for key in keys if not re.search(rf"\b{key}\b", code)] == []


@pytest.mark.parametrize("verb", sorted(steps.VERBS))
def test_every_verb_has_a_part_with_an_example(verb: str) -> None:
    part = re.search(rf"^### `{verb}`\n(.*?)(?=^##|\Z)", JOURNEYS, re.MULTILINE | re.DOTALL)
    assert part is not None
    assert f"- {verb}:" in part[1]


def test_what_is_not_built_is_said() -> None:
    part = JOURNEYS.partition("## Not built yet")[2]
    words = {word for model in parts() for word in getattr(model, "unbuilt", ())}
    assert [word for word in sorted(words) if f"`{word}`" not in part] == []
