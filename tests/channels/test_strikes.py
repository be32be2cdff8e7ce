"""A sink of the crash ledger hits the very process that sends to it, at the instant it was asked to."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import sink, sink_http

BY_HTTP = """
import http.client, sys
line = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
line.request("POST", "/send", b"bill p7 o9 and more", {"Idempotency-Key": "k1"})
line.getresponse().read()
"""
BY_SMTP = """
import smtplib, sys
line = smtplib.SMTP("127.0.0.1", int(sys.argv[1]))
mail = b"Message-ID: <k1@example.com>\\r\\nSubject: bill p7 o9\\r\\n\\r\\nand more"
line.sendmail("a@example.com", ["b@example.com"], mail)
"""
PATIENCE = 30.0  # seconds


@pytest.fixture(params=["http", "smtp"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    running = sink.running if request.param == "smtp" else sink_http.running
    with running(tmp_path / "ledger", mark=r"bill p\d+ \w+") as place:
        yield place


@pytest.fixture
def sender(place: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Hands over one message when it is told to, and then waits."""
    program = BY_SMTP if isinstance(place, sink.Place) else BY_HTTP
    command = [sys.executable, "-c", f"import signal\ninput()\n{program}\nsignal.pause()", str(place.port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        yield process
        process.kill()


@pytest.mark.parametrize(("when", "accepted"), [("body", False), ("before", False), ("accept", True), ("answer", True)])
def test_whoever_sends_is_killed_at_the_instant_that_was_asked_for(
    place: Any, sender: subprocess.Popen[bytes], tmp_path: Path, when: str, accepted: bool
) -> None:
    place.strike(when)
    sender.communicate(b"go\n", PATIENCE)

    assert sender.returncode == -signal.SIGKILL
    assert place.taken() == accepted
    written = (tmp_path / "ledger").read_text(encoding="ascii").split()
    assert written[2:3] == ["k1"] * accepted
    assert written[4:] == ["bill_p7_o9"] * accepted
