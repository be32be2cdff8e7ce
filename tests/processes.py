"""Processes that run a few lines of Python for a test; cheap, since they are forked from one that has all loaded.

What a child reports comes through a pipe, so a test waits for it without asking again and again.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

HERE = Path(__file__).parents[1]
OF_STORE = (
    *("pysqlite3", "sqlalchemy.dialects.sqlite.pysqlite"),
    *("alembic.command", "alembic.config", "alembic.ddl.sqlite", "engine.store.database"),
)
_MOTHER = """
import importlib, json, os, signal, sys
sys.path[0] = os.getcwd()
for name in sys.argv[1:]:
    importlib.import_module(name)
for line in sys.stdin:
    order = json.loads(line)
    if "wait" in order:
        print(os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1]), flush=True)
        continue
    child = os.fork()
    if not child:
        pipe = open(order["pipe"], "w", buffering=1)
        def tell(word):
            print(word, file=pipe, flush=True)
        try:
            exec(compile(order["code"], "child", "exec"), {"tell": tell, **order["values"]})
        except BaseException as error:
            tell(f"{type(error).__name__}: {error}")
            os._exit(getattr(error, "exit_code", 1))
        os._exit(0)
    print(child, flush=True)
"""


class Child:
    """One process. Iterating over what it tells waits for it, and ends when it does."""

    def __init__(self, mother: Mother, pid: int, pipe: IO[str]) -> None:
        self.pid = pid
        self.told = pipe
        self._mother = mother
        self._code: int | None = None

    def hear(self) -> str:
        """The next thing it tells; empty when it has ended."""
        return self.told.readline().strip()

    def heard_within(self, milliseconds: float) -> bool:
        """Does it tell something, or end, within so long?"""
        return bool(select.select([self.told], [], [], milliseconds / 1000)[0])

    def kill(self) -> None:
        if self._code is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Its exit code; minus the signal's number when one killed it."""
        if self._code is None:
            self._code = self._mother.ask({"wait": self.pid})
            self.told.close()
        return self._code


class Mother:
    """Where children come from."""

    def __init__(self, folder: Path, *modules: str) -> None:
        self._folder = folder
        self._children: list[Child] = []
        self._process = subprocess.Popen(
            [sys.executable, "-c", _MOTHER, *modules],
            cwd=HERE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, code: str, **values: Any) -> Child:
        """Run these lines in a process of their own. They know `values`, and `tell(word)`."""
        pipe = self._folder / f"pipe-{len(self._children)}"
        os.mkfifo(pipe)
        pid = self.ask({"code": textwrap.dedent(code), "values": values, "pipe": str(pipe)})
        self._children.append(Child(self, pid, pipe.open()))
        return self._children[-1]

    def ask(self, order: dict[str, Any]) -> int:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        for child in self._children:
            with suppress(ProcessLookupError):
                child.kill()
            child.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            pipe.close()
        self._process.wait()


@contextmanager
def mother(folder: Path, *modules: str) -> Iterator[Mother]:
    """`modules` are loaded before any child is born."""
    made = Mother(folder, *(modules or OF_STORE))
    try:
        yield made
    finally:
        made.close()
