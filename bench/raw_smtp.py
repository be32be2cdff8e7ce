"""Mail over SMTP without a product around it: the ceiling (frames built by hand, 16 connections) and the usual way."""

from __future__ import annotations

import asyncio
import binascii
import json
import smtplib
import sys
import zlib
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from aiosmtplib import SMTP

from bench import sink
from bench.measure import Stopwatch, report
from bench.people import LOCALES, NOW
from bench.raw_plan import plan, prepare
from bench.raw_texts import load

CHUNK = 500
CONNECTIONS = 16
SENDER = "hello@shop.example.com"
HEAD = (
    f"Date: {format_datetime(NOW)}\r\nFrom: Lumen <{SENDER}>\r\nTo: {{to}}\r\nSubject: =?utf-8?b?{{subject}}?=\r\n"
    "Message-ID: <{key}@shop.example.com>\r\nList-Unsubscribe: <{unsubscribe}>\r\n"
    "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nMIME-Version: 1.0\r\n"
    'Content-Type: multipart/alternative; boundary="=_{key}"\r\n\r\n'
)
PART = b"--=_%b\r\nContent-Type: text/%b; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n%b\r\n"
OUTBOX = """
SELECT message.id, key, content FROM message JOIN body ON message_id = message.id WHERE message.id > ?
ORDER BY message.id LIMIT ?
"""


def main(way: str, count: int) -> None:
    def measure(folder: Path, watch: Stopwatch) -> int:
        connection = prepare(count, folder)
        plan(connection, {locale: load(locale) for locale, _, _ in LOCALES})
        with sink.running() as place:
            with watch.running():
                WAYS[way](connection, place.port)
            return place.taken()

    report(measure)


def chunks(connection: Any) -> Any:
    """The outbox, 500 at a time, unpacked."""
    last = 0
    while rows := connection.execute(OUTBOX, (last, CHUNK)).fetchall():
        last = rows[-1][0]
        yield [(number, key, json.loads(zlib.decompress(packed))) for number, key, packed in rows]


def settle(connection: Any, numbers: Sequence[int], kind: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    rows = [(number, kind, int(NOW.timestamp())) for number in numbers]
    connection.executemany("INSERT INTO delivery (message_id, kind, at) VALUES (?, ?, ?)", rows)
    connection.execute("COMMIT")


# --- the ceiling -----------------------------------------------------------------------------------------------------


def fast(connection: Any, port: int) -> None:
    asyncio.run(_fast(connection, port))


async def _fast(connection: Any, port: int) -> None:
    clients = [SMTP(hostname="127.0.0.1", port=port, use_tls=False, start_tls=False) for _ in range(CONNECTIONS)]
    await asyncio.gather(*(client.connect() for client in clients))
    for chunk in chunks(connection):
        settle(connection, [number for number, _, _ in chunk], "begun")
        waiting = iter(chunk)
        await asyncio.gather(*(_worker(client, waiting) for client in clients))
        settle(connection, [number for number, _, _ in chunk], "accepted")
    await asyncio.gather(*(client.quit() for client in clients))


async def _worker(client: SMTP, waiting: Any) -> None:
    for _, key, mail in waiting:
        await client.sendmail(SENDER, [mail["to"]], frame(key, mail))


def frame(key: str, mail: dict[str, str]) -> bytes:
    subject = binascii.b2a_base64(mail["subject"].encode(), newline=False).decode()
    out = f"http://127.0.0.1:8025/u/{key}"
    head = HEAD.format(to=mail["to"], subject=subject, key=key, unsubscribe=out).encode()
    mark = key.encode()
    text, html = (_part(mark, kind, mail[name]) for kind, name in ((b"plain", "text"), (b"html", "html")))
    return head + text + html + b"--=_%b--\r\n" % mark


def _part(mark: bytes, kind: bytes, text: str) -> bytes:
    data = binascii.b2a_base64(text.encode(), newline=False)
    return PART % (mark, kind, b"\r\n".join([data[start : start + 76] for start in range(0, len(data), 76)]))


# --- the usual way ---------------------------------------------------------------------------------------------------


def usual(connection: Any, port: int) -> None:
    """The standard library alone: EmailMessage and smtplib, one connection."""
    with smtplib.SMTP("127.0.0.1", port) as client:
        for chunk in chunks(connection):
            settle(connection, [number for number, _, _ in chunk], "begun")
            for _, key, mail in chunk:
                client.send_message(_message(key, mail))
            settle(connection, [number for number, _, _ in chunk], "accepted")


def _message(key: str, mail: dict[str, str]) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = f"Lumen <{SENDER}>", mail["to"], mail["subject"]
    message["Date"], message["Message-ID"] = format_datetime(NOW), f"<{key}@shop.example.com>"
    message["List-Unsubscribe"] = f"<http://127.0.0.1:8025/u/{key}>"
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(mail["text"])
    message.add_alternative(mail["html"], subtype="html")
    return message


WAYS = {"fast": fast, "usual": usual}

if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
