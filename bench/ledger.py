"""What a sink accepted, on the disk before it answers: one line for each message.

`accepted SECONDS KEY SHA256`, or the same with `repeated` where the key is known already and the sink looks at keys;
SECONDS are those of the machine's monotonic clock, the hash is that of the message's bytes. With a `mark` (a pattern) a
line ends with what of the message's bytes fits it, blanks as `_`: that tells messages apart by what they say, whatever
their keys.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path


class Ledger:
    """What was accepted, and whether a repeat is recognised."""

    def __init__(self, path: Path | None, sync: bool, window: float, mark: str = "") -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644) if path else None
        self._sync = sync
        self._window = window
        self._mark = re.compile(mark.encode()) if mark else None
        self._known = dict(_accepted(path)) if path and path.exists() else {}
        self.taken = 0

    def take(self, messages: Sequence[tuple[bytes, bytes]], keyed: bool) -> None:
        """Accept messages, on the disk when this returns."""
        if self._file is None:
            self.taken += len(messages)
            return
        now = time.monotonic()
        lines = []
        for key, body in messages:
            repeated = keyed and now - self._known.get(key, -self._window) < self._window
            if not repeated:
                self._known[key] = now
                self.taken += 1
            digest = hashlib.sha256(body).hexdigest().encode()
            words = [b"repeated" if repeated else b"accepted", b"%.6f" % now, key, digest, *self._marked(body)]
            lines.append(b" ".join(words) + b"\n")
        os.write(self._file, b"".join(lines))
        if self._sync:
            os.fsync(self._file)

    def _marked(self, body: bytes) -> list[bytes]:
        if self._mark is None:
            return []
        found = self._mark.search(body)
        return [found[0].replace(b" ", b"_") if found else b"-"]


def _accepted(path: Path) -> Iterator[tuple[bytes, float]]:
    for line in path.read_bytes().splitlines():
        kind, at, key = line.split(b" ")[:3]
        if kind == b"accepted":
            yield key, float(at)
