"""Prism, a mock server that checks each request against a vendor's own OpenAPI document: a bad one is answered 4xx."""

from __future__ import annotations

import lzma
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_LISTENING = re.compile(r"listening on (http://[\w.:]+)")


@contextmanager
def prism_over(document: Path) -> Iterator[str]:
    """Prism's address, as long as the block lasts. The document may be packed (.xz); what it calls its base path is not
    part of the address. Skips the test where there is no Prism: `prism` on PATH, or what OUTREACH_PRISM names."""
    with tempfile.TemporaryDirectory() as folder:
        plain = _unpacked(document, Path(folder))
        command = [_executable(), "mock", "--host", "127.0.0.1", "--port", "0", str(plain)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            try:
                yield _address(process).replace("127.0.0.1", "localhost")
            finally:
                process.terminate()


def _executable() -> str:
    found = os.environ.get("OUTREACH_PRISM") or shutil.which("prism")
    if not found:
        pytest.skip("there is no prism on PATH, and OUTREACH_PRISM names none (npm install @stoplight/prism-cli)")
    return found


def _unpacked(document: Path, folder: Path) -> Path:
    if document.suffix != ".xz":
        return document
    plain = folder / document.stem
    plain.write_bytes(lzma.decompress(document.read_bytes()))
    return plain


def _address(process: subprocess.Popen[str]) -> str:
    """What it says where it listens; what it says afterwards is read so that it never waits for us."""
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        found = _LISTENING.search(line)
        if found:
            threading.Thread(target=process.stdout.read, daemon=True).start()
            return found[1]
    raise AssertionError("Prism does not start: " + "".join(said[-20:]))
