"""What a person sees while they wait: one line on standard error that changes; nothing where nobody watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from engine.cli.context import CONTEXT

Show = Callable[[str], None]


@contextmanager
def waiting(first: str) -> Iterator[Show | None]:
    """A line that begins with these words and shows others when it is called; None where nobody watches."""
    console = Console(stderr=True)
    if CONTEXT.out.quiet or not console.is_terminal:
        yield None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(first, total=None)

        def show(told: str) -> None:
            bar.update(task, description=told)

        yield show
