"""Mail over SMTP without a product around it: frames built by hand over 16 connections, pipelined, the usual way."""

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
from itertools import count as count_from
from pathlib import Path
from typing import Any

from aiosmtplib import SMTP

from bench import sink
from bench.measure import Stopwatch, report
from bench.people import NOW
from bench.raw_plan import outbox

CHUNK, FEW = 500, 32
CONNECTIONS = 16
STREAMS = 4
SENDER = "hello@shop.example.com"
HEAD = (
    f"Date: {format_datetime(NOW)}\r\nFrom: Lumen <{SENDER}>\r\nTo: {{to}}\r\nSubject: =?utf-8?b?{{subject}}?=\r\n"
    "Message-ID: <{key}@shop.example.com>\r\nList-Unsubscribe: <{unsubscribe}>\r\n"
    "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nMIME-Version: 1.0\r\n"
    'Content-Type: multipart/alternative; boundary="=_{key}"\r\n\r\n'
)
PART = b"--=_%b\r\nContent-Type: text/%b; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n%b\r\n"
OUTBOX = """
SELECT message.id, key, content FROM message JOIN body ON message_id = message.id WHERE message.id > {0}
ORDER BY message.id LIMIT {0}
"""


def main(way: str, count: int, database: str = "sqlite") -> None:
    def measure(folder: Path, watch: Stopwatch) -> int:
        with outbox(database, count, folder, watch) as store, sink.running(pipelining="streams" in way) as place:
            with watch.running():
                WAYS[way](store, place.port)
            return place.taken()

    report(measure)


def chunks(store: Any, size: int = CHUNK) -> Any:
    """The outbox, so many at a time, unpacked."""
    last, question = 0, OUTBOX.format(store.mark)
    while rows := store.execute(question, (last, size)).fetchall():
        last = rows[-1][0]
        yield [(number, key, json.loads(zlib.decompress(packed))) for number, key, packed in rows]


_numbers = count_from(1)


def settle(store: Any, numbers: Sequence[int], kind: str) -> None:
    at = int(NOW.timestamp())
    store.write({"delivery": [(next(_numbers), number, kind, at, None) for number in numbers]})


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


# --- pipelined -------------------------------------------------------------------------------------------------------


def streams(connection: Any, port: int) -> None:
    asyncio.run(_streams(connection, port, CHUNK))


def few_streams(connection: Any, port: int) -> None:
    """What has to be known after a death is written before and after every 32."""
    asyncio.run(_streams(connection, port, FEW))


async def _streams(connection: Any, port: int, size: int) -> None:
    """Each connection a stream: the envelope of a message leaves with the text of the one before it."""
    ends = [await asyncio.open_connection("127.0.0.1", port) for _ in range(STREAMS)]
    for reader, writer in ends:
        await reader.readline()
        writer.write(b"EHLO client.example.com\r\n")
        while (await reader.readline())[3:4] == b"-":
            pass
    for chunk in chunks(connection, size):
        settle(connection, [number for number, _, _ in chunk], "begun")
        share = len(chunk) // STREAMS + 1
        shares = [chunk[start : start + share] for start in range(0, len(chunk), share)]
        await asyncio.gather(*(_stream(*end, part) for end, part in zip(ends, shares, strict=False)))
        settle(connection, [number for number, _, _ in chunk], "accepted")
    for _, writer in ends:
        writer.close()


async def _stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, part: Sequence[Any]) -> None:
    envelopes = [f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{mail['to']}>\r\nDATA\r\n".encode() for _, _, mail in part]
    writer.write(envelopes[0])
    for (_, key, mail), following in zip(part, [*envelopes[1:], b""], strict=True):
        while not (await reader.readline()).startswith(b"354"):
            pass
        writer.write(frame(key, mail).replace(b"\r\n.", b"\r\n..") + b".\r\n" + following)
    await reader.readline()


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


WAYS = {"fast": fast, "streams": streams, "few_streams": few_streams, "usual": usual}

if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
