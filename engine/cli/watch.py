"""Files that are looked at a few times a second, until some of them were saved."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

PAUSE = 0.4  # seconds between two looks
MOST_LOOKS = 10  # at files that go on changing, before they are taken as they are

Stamps = Mapping[Path, tuple[int, int]]


def saved(roots: Sequence[Path], wait: Callable[[float], object]) -> Iterator[frozenset[Path]]:
    """What was saved, each time something was: at once with nothing, then whenever files came, went or changed.

    An editor saves in several small steps, so what changes is looked at until it rests. `wait` is told for how long.
    """
    known = stamps(roots)
    yield frozenset()
    while True:
        wait(PAUSE)
        seen = stamps(roots)
        if seen != known:
            seen = _at_rest(roots, seen, wait)
            changed = {path for path in {*known, *seen} if known.get(path) != seen.get(path)}
            known = seen
            if changed:
                yield frozenset(changed)


def _at_rest(roots: Sequence[Path], seen: Stamps, wait: Callable[[float], object]) -> Stamps:
    for _ in range(MOST_LOOKS):
        wait(PAUSE)
        again = stamps(roots)
        if again == seen:
            break
        seen = again
    return seen


def stamps(roots: Sequence[Path]) -> Stamps:
    """When each file was written, and its size; files that editors make beside others are left out."""
    found: dict[Path, tuple[int, int]] = {}
    for root in roots:
        for path in _files(root):
            try:
                status = path.stat()
            except OSError:  # gone in the meantime
                continue
            found[path] = (status.st_mtime_ns, status.st_size)
    return found


def _files(root: Path) -> Iterator[Path]:
    if not root.is_dir():
        yield root
        return
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith((".", "__"))]
        yield from (Path(folder, name) for name in names if not name.startswith((".", "#")) and not name.endswith("~"))
