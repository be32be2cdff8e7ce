#!/usr/bin/env python3
"""The developers' one command: makes the project's environment in .venv/ from the lock, and runs things in it.

Needs Python 3.11 or later with pip, and nothing else. `python3 dev.py --help` tells the commands.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
VENV = HERE / ".venv"
PYTHON = VENV / "bin" / "python"
NOTES = VENV / "made.json"  # what .venv was made from, step by step
LOG = VENV / "pip.log"


class Stop(Exception):
    """A person has to act first: what happened, and what to do. Exit codes are those of outreach itself."""

    def __init__(self, sentence: str, code: int = 3) -> None:
        super().__init__(sentence)
        self.code = code


# --- commands --------------------------------------------------------------------------------------------------------


def demo(args: list[str]) -> None:
    """a small shop, four journeys, two weeks of virtual time: see what outreach does"""
    environment("run")
    become(VENV / "bin" / "outreach", "demo", *args)


def run(args: list[str]) -> None:
    """any command of outreach: run check, run preview NAME, run --help"""
    environment("run")
    become(VENV / "bin" / "outreach", *args, where=Path.cwd())


def test(args: list[str]) -> None:
    """the whole test suite on all cores, or what pytest is asked for: test tests/journey -k wave"""
    environment("test")
    whole = ["-n", "logical", "--dist", "loadfile", "--no-loadscope-reorder"]  # the slowest files first
    become("-m", "pytest", "-q", *(args or whole))


def lint(args: list[str]) -> None:
    """style, format, types and layers: everything that is checked without running"""
    environment("test")
    checks = ("ruff check .", "ruff format --check .", "mypy", "lint-imports --no-cache --no-logo")
    programs = [[str(VENV / "bin" / program), *options] for program, *options in map(str.split, checks)]
    codes = [subprocess.call(program, cwd=HERE) for program in programs]
    for check, code in zip(checks, codes, strict=True):
        print(f"{'failed' if code else 'passed'}: {check}", flush=True)
    sys.exit(max(codes))


def bench(args: list[str]) -> None:
    """outreach beside the raw loop it cannot beat and what people use instead, measured in one run"""
    environment("bench")
    become("-m", "bench", *args)


def uci(args: list[str]) -> None:
    """a real year of orders through the golden journey, every mail held to the CSV; takes long: uci [FOLDER]"""
    environment("test")
    become("-m", "tests.long.uci_year", *args)


def crash(args: list[str]) -> None:
    """hit workers, databases, disks and wires again and again, and count what a provider accepted: crash --kills 200"""
    environment("test")
    become("-m", "tests.long.crash", *args)


def fuzz(args: list[str]) -> None:
    """damaged files through everything that reads them: no traceback, no hang, no memory; --minutes=5 --seed=1"""
    environment("test")
    become("-m", "tests.long.fuzz", *args)


def editor(args: list[str]) -> None:
    """the journeys' schema in a real editor's language server, which npm brings"""
    environment("test")
    npm = shutil.which("npm")
    if npm is None:
        raise Stop("npm is not there: the tests in tests/editor need it to bring yaml-language-server.")
    place = VENV / "editor"
    place.mkdir(exist_ok=True)
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(HERE / "tests" / "editor" / name, place / name)
    subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=place, check=True)
    become("-m", "pytest", "-q", "tests/editor", *args)


def vendors(args: list[str]) -> None:
    """our doubles of services against the vendors' own libraries, moto, Prism over their OpenAPI, Postfix's sink"""
    environment("vendors")
    npm = shutil.which("npm")
    if npm is None:
        print("not run, for npm is not there: what is sent through Prism", flush=True)
    else:
        os.environ["OUTREACH_PRISM"] = str(install_prism(npm))
    if shutil.which("smtp-sink") is None and not Path("/usr/sbin/smtp-sink").exists():
        print("not run, for Postfix is not there: what is sent to smtp-sink", flush=True)
    become("-m", "pytest", "-q", "-rs", "-m", "vendor", "tests/vendors", *args)


def install_prism(npm: str) -> Path:
    """A server that holds every request against an OpenAPI document; the command that starts it."""
    place = VENV / "prism"
    place.mkdir(exist_ok=True)
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(HERE / "tests" / "vendors" / name, place / name)
    subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=place, check=True)
    return place / "node_modules" / ".bin" / "prism"


def meaning(args: list[str]) -> None:
    """random questions of random people, in memory, on SQLite and on PostgreSQL; meaning --cases 100000"""
    environment("test")
    become("-m", "tests.long.meaning", *args)


def promises(args: list[str]) -> None:
    """caps, consent and quiet hours in random fights of four processes over one person; promises --fights 20000"""
    environment("test")
    become("-m", "tests.long.promises", *args)


def lock(args: list[str]) -> None:
    """choose versions for what pyproject.toml asks; lock --upgrade takes the newest of everything"""
    environment("test")
    uv = VENV / "tools" / "bin" / "uv"
    pip("the lock's own tool", PYTHON, "--upgrade", "--target", uv.parents[1], "uv")
    command = [str(uv), "pip", "compile", "--quiet", "--universal", "--python-version=3.11", "--generate-hashes"]
    command += ["--custom-compile-command=python3 dev.py lock", *args]
    wishes = {
        "environment": ["--group=environment"],
        "run": ["--group=build", "pyproject.toml"],
        "test": ["--group=build", "--group=test", "--constraint=lock/run.txt", "pyproject.toml"],
        "bench": ["--group=bench", "--constraint=lock/test.txt"],
        "vendors": ["--group=vendors", "--constraint=lock/test.txt"],
    }
    for kind, wish in wishes.items():
        subprocess.run([*command, *wish, f"--output-file={locked(kind).relative_to(HERE)}"], cwd=HERE, check=True)


COMMANDS = {
    command.__name__: command
    for command in (demo, test, lint, bench, uci, crash, meaning, promises, fuzz, editor, vendors, run, lock)
}


def main(command: str = "--help", *args: str) -> None:
    if sys.version_info < (3, 11):  # noqa: UP036 - this file runs before the project can choose its Python
        raise Stop(f"outreach needs Python 3.11 or later, and this is {sys.version.split()[0]}. Try python3.11 dev.py.")
    if command in COMMANDS:
        COMMANDS[command](list(args))
    elif command in ("--help", "-h", "help"):
        lines = [f"  {name:<8}{does.__doc__}" for name, does in COMMANDS.items()]
        print("usage: python3 dev.py COMMAND [ARGUMENT...]", "", *lines, "", sep="\n")
        print("The first command makes .venv/ beside this file; later ones use it until the lock changes.")
    else:
        raise Stop(f"There is no command {command!r}; there are {', '.join(COMMANDS)}.", code=2)


def become(program: object, *args: str, where: Path = HERE) -> None:
    """Go on as a program of the environment, so that signals and exit codes are its own."""
    sys.stdout.flush()
    os.chdir(where)
    os.execv(PYTHON, [str(PYTHON), str(program), *args])


# --- the environment -------------------------------------------------------------------------------------------------


def environment(kind: str) -> None:
    """Make .venv what the lock says for `run`, `test`, `bench`, `vendors`; costs next to nothing when it is."""
    steps = steps_to(kind)
    if not missing(steps):
        return
    with alone():
        if outdated(steps):
            empty()
        for name, mark, make in missing(steps):
            note(unfinished=name)
            make()
            note(unfinished=None, **{name: mark})


class Step(NamedTuple):
    name: str
    mark: str  # of what it is made from
    make: Callable[[], None]


def steps_to(kind: str) -> list[Step]:
    """Each step on the way."""
    python = f"{HERE} {sys.base_prefix} {sys.version_info[:2]}"
    steps = [
        Step("python", digest(python.encode(), locked("environment").read_bytes()), make_python),
        Step("run", digest(locked("run").read_bytes()), lambda: install("run")),
        Step("project", digest((HERE / "pyproject.toml").read_bytes()), install_project),
    ]
    if kind != "run":
        steps.append(Step("test", digest(locked("test").read_bytes()), lambda: install("test")))
    if kind in ("bench", "vendors"):
        steps.append(Step(kind, digest(locked(kind).read_bytes()), lambda: install(kind)))
    return steps


def missing(steps: list[Step]) -> list[Step]:
    notes = read_notes() if PYTHON.exists() else {}
    return [step for step in steps if notes.get(step.name) != step.mark]


def outdated(steps: list[Step]) -> bool:
    """Whether something already made must go: a step was cut short, or was made from another lock or Python."""
    notes = read_notes()
    if "unfinished" in notes or not PYTHON.exists():
        return True
    return any(notes.get(name, mark) != mark for name, mark, _ in steps if name != "project")


def make_python() -> None:
    """A Python of our own by virtualenv: Debian's lacks what its own venv module needs."""
    tools = VENV / "tools"
    print(f"Making the environment in {VENV.name}/, once. It takes a minute or two.", flush=True)
    pip("virtualenv", sys.executable, "--target", tools, "--require-hashes", "-r", locked("environment"))
    data = ["--app-data", str(tools / "data"), "--no-periodic-update"]
    subprocess.run(
        [sys.executable, "-m", "virtualenv", "--quiet", *data, VENV],
        env={**os.environ, "PYTHONPATH": str(tools)},
        check=True,
    )
    shutil.rmtree(tools)


def install(kind: str) -> None:
    what = {"run": "what outreach stands on", "test": "what its tests need", "bench": "what people use instead"}
    what |= {"vendors": "vendors' own libraries"}
    pip(what[kind], PYTHON, "--require-hashes", "-r", locked(kind))


def install_project() -> None:
    pip("outreach itself", PYTHON, "--no-deps", "--no-build-isolation", "--editable", HERE)


def pip(what: str, python: str | Path, *args: str | Path) -> None:
    """Install with pip, which knows this machine's mirrors, proxies and certificates by its own settings."""
    command = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", *args]
    env = {**os.environ, "PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0", "PIP_PROGRESS_BAR": "off"}
    start, pipe, out = subprocess.Popen, subprocess.PIPE, subprocess.STDOUT
    said: list[str] = []
    with LOG.open("a") as log, start(command, cwd=HERE, env=env, stdout=pipe, stderr=out, text=True) as process:
        for line in process.stdout or ():
            said.append(line)
            log.write(line)
            show(f"  {what}: {sum(earlier.startswith('Collecting ') for earlier in said)} packages")
    show(f"  {what}: {'failed' if process.returncode else 'done'}", last=True)
    if process.returncode:
        raise Stop(cure("".join(said)))


def show(text: str, last: bool = False) -> None:
    if sys.stdout.isatty():
        print(f"\r{text:<60}", end="\n" if last else "", flush=True)
    elif last:
        print(text, flush=True)


def cure(said: str) -> str:
    """What went wrong with pip, and what to do about it."""
    again = f"Then run the same command again. pip's own words are in {LOG.relative_to(HERE)}."
    if "No module named pip" in said:
        return f"This Python has no pip. Install it (on Debian and Ubuntu: apt-get install python3-pip). {again}"
    if "Retrying (Retry(" in said:
        return (
            "The package index could not be reached. Look at the network and at pip's settings "
            f"(pip config list, PIP_INDEX_URL, HTTPS_PROXY). {again}"
        )
    errors = re.findall(r"^ERROR: (.*)", said, re.MULTILINE) or said.splitlines()[-1:]
    return f"pip could not install: {' '.join(errors)} {again}"


# --- notes about the environment -------------------------------------------------------------------------------------


def locked(kind: str) -> Path:
    return HERE / "lock" / f"{kind}.txt"


def digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def read_notes() -> dict[str, str]:
    try:
        notes: dict[str, str] = json.loads(NOTES.read_text())
        return notes
    except FileNotFoundError:
        return {}
    except ValueError:  # the machine went down while it was written
        return {"unfinished": "notes"}


def note(**news: str | None) -> None:
    notes = {name: mark for name, mark in {**read_notes(), **news}.items() if mark is not None}
    fresh = NOTES.with_suffix(".new")
    fresh.write_text(json.dumps(notes, indent=1))
    fresh.replace(NOTES)


def empty() -> None:
    """Clear .venv away for a new one, but never one that somebody else made."""
    if VENV.exists() and any(VENV.iterdir()) and not NOTES.exists():
        raise Stop(f"{VENV} was not made by dev.py. Move it away, then run the same command again.")
    VENV.mkdir(exist_ok=True)
    NOTES.write_text('{"unfinished": "python"}')
    for path in VENV.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path != NOTES:
            path.unlink()


@contextmanager
def alone() -> Iterator[None]:
    """One dev.py at a time makes the environment; a second one waits."""
    with Path(__file__).open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another dev.py is making the environment; waiting for it.", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Stop as stop:
        print(stop, file=sys.stderr)
        sys.exit(stop.code)
    except PermissionError as error:
        print(f"{error}. dev.py must be able to write here; take a copy of the project that is yours.", file=sys.stderr)
        sys.exit(3)
    except KeyboardInterrupt:
        sys.exit(130)
