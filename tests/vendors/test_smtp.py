"""Postfix's own sink takes our mails; and what it is told to do instead, we read for what it is."""

from __future__ import annotations

import asyncio
import email
import email.policy
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from doubles.smtp import mail, plain

from channels.contract import Answer, Sent
from channels.errors import Rejected, Unavailable, Uncertain
from channels.testing import answers

pytestmark = pytest.mark.vendor

MAILS = 40
# What the sink is asked to do -> what of our mails comes out. `.` is the end of the text: after it, silence is doubt.
ENDS: dict[str, type[Answer]] = {
    "-f MAIL": Rejected,
    "-f RCPT": Rejected,
    "-f DATA": Rejected,
    "-f .": Rejected,
    "-r CONNECT": Unavailable,
    "-r MAIL": Unavailable,
    "-r RCPT": Unavailable,
    "-r DATA": Unavailable,
    "-r .": Unavailable,
    "-Q CONNECT": Unavailable,
    "-Q EHLO": Unavailable,
    "-Q MAIL": Unavailable,
    "-Q RCPT": Unavailable,
    "-Q DATA": Unavailable,
    "-Q .": Unavailable,
    "-q CONNECT": Unavailable,
    "-q EHLO": Unavailable,
    "-q MAIL": Unavailable,
    "-q RCPT": Unavailable,
    "-q DATA": Unavailable,
    "-q .": Uncertain,
}


@contextmanager
def sink(folder: Path, *flags: str) -> Iterator[int]:
    """Its port, as long as the block lasts. What it takes lies in the folder, a file each."""
    program = shutil.which("smtp-sink") or shutil.which("smtp-sink", path="/usr/sbin")
    if program is None:
        pytest.skip("there is no smtp-sink (Postfix)")
    with closing(socket.create_server(("127.0.0.1", 0))) as place:
        port = place.getsockname()[1]
    user = ["-u", "root"] if os.geteuid() == 0 else []  # it asks for one when root starts it
    command = [program, *user, *flags, "-d", f"{folder}/mail.", f"127.0.0.1:{port}", "100"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            _opens(process, port)
            yield port
        finally:
            process.terminate()


def _opens(process: subprocess.Popen[str], port: int) -> None:
    for _ in range(500):
        with closing(socket.socket()) as place:
            if place.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            break
        threading.Event().wait(0.01)
    process.terminate()
    raise AssertionError(f"smtp-sink does not start: {process.stderr.read() if process.stderr else ''}")


def sent(port: int, count: int) -> Sequence[Answer]:
    provider = plain(port)
    return asyncio.run(answers(provider, [mail(number, to=f"p{number}@example.com") for number in range(count)]))


@pytest.mark.parametrize("flag", ["", "-p", "-8", "-E", "-N", "-e", "-P"])
def test_the_sink_takes_each_mail_once_whatever_it_offers(tmp_path: Path, flag: str) -> None:
    with sink(tmp_path, *flag.split()) as port:
        told = sent(port, MAILS)
    assert [type(one) for one in told] == [Sent] * MAILS
    taken = [email.message_from_bytes(one.read_bytes(), policy=email.policy.default) for one in tmp_path.iterdir()]
    assert sorted(str(one["To"]) for one in taken) == sorted(f"p{number}@example.com" for number in range(MAILS))
    assert {str(one["X-Rcpt-Args"]).split()[0] for one in taken} == {f"<{one['To']}>" for one in taken}
    assert {one.get_content().strip() for one in taken} == {"Hello Ann"}


@pytest.mark.parametrize("does", ENDS)
def test_what_the_sink_does_instead_is_read_for_what_it_is(tmp_path: Path, does: str) -> None:
    with sink(tmp_path, *does.split()) as port:
        (told,) = sent(port, 1)
    assert type(told) is ENDS[does], told
