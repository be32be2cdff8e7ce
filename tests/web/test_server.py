"""The server itself: health, what it refuses, what it says when it cannot write, and what never reaches a log."""

from __future__ import annotations

import logging
import re
import socket
import string
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from visits import BROWSER, Shop

from engine.clock import ManualClock
from engine.store.database import Database, sqlite_module
from engine.web import desk
from engine.web import server as server_module
from engine.web.health import judged
from engine.web.server import WebServer
from engine.work.incoming import respond

HEADERS = {
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "x-robots-tag": "noindex, nofollow",
}


# --- health ----------------------------------------------------------------------------------------------------------


def test_health_is_good_while_beats_come_and_bad_when_three_have_not(
    shop: Shop, serve: Callable[..., WebServer]
) -> None:
    beat = shop.app.settings.beat
    told = {"ok": True, "last_beat": shop.clock.now().isoformat(), "problem": None}
    address = f"http://127.0.0.1:{serve(lambda: told).port}/health"
    answer = httpx.get(address)
    assert (answer.status_code, answer.json()) == (200, told)
    shop.clock.move_to(shop.clock.now() + 3 * beat)
    assert httpx.get(address).status_code == 200
    shop.clock.move_to(shop.clock.now() + timedelta(seconds=1))
    answer = httpx.get(address)
    assert answer.status_code == 503
    assert "no beat since 2026-11-24T09:00:00" in answer.json()["problem"]


def test_health_says_what_is_wrong_and_lets_a_long_beat_come_to_its_end() -> None:
    nine, beat = ManualClock(datetime(2026, 11, 24, 9, tzinfo=UTC)), timedelta(seconds=2)

    def says(ok: bool, **told: str | None) -> tuple[bool, str]:
        answer = judged({"ok": ok, **told}, nine, beat)
        return answer["ok"], str(answer["problem"])

    assert says(False, last_beat=None) == (False, "the first beat has not ended yet")
    failing = {"last_beat": "2026-11-24T08:59:59+00:00", "problem": "OperationalError, see the log"}
    assert says(False, **failing) == (False, "OperationalError, see the log")
    busy = {"last_beat": "2026-11-24T08:57:00+00:00", "beating_since": "2026-11-24T08:57:02+00:00"}
    assert says(True, **busy) == (True, "None")
    rested = {"last_beat": "2026-11-24T08:57:00+00:00", "resting_since": "2026-11-24T08:59:58+00:00"}
    assert says(True, **rested) == (True, "None")
    stuck = {"last_beat": "2026-11-24T08:50:00+00:00", "beating_since": "2026-11-24T08:50:02+00:00"}
    assert says(True, **stuck)[1].endswith("has not ended")
    assert not says(True, **stuck)[0]


# --- headers, paths, methods -----------------------------------------------------------------------------------------


def test_every_answer_forbids_what_no_page_here_needs(shop: Shop, web: httpx.Client) -> None:
    shop.person()
    links = shop.links()
    answers = [
        web.get("/health"),
        web.get("/nothing"),
        web.put("/health"),
        web.get(links["u"][0]),
        web.post(links["u"][0]),
        web.get(links["c"][0]),
        web.post(links["a"][0], content=b"x" * 20_000),
    ]
    assert [answer.status_code for answer in answers] == [200, 404, 405, 200, 200, 302, 413]
    for answer in answers:
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "server" not in answer.headers
        assert "set-cookie" not in answer.headers


def test_an_unknown_path_is_a_plain_page_without_detail(web: httpx.Client) -> None:
    unknown = ["/", "/u", "/u/", "/u//", "/health/", "/docs", "/openapi.json", "/../etc/passwd", "/u/..%2f..%2fhealth"]
    for path in unknown:
        answer = web.get(path, headers={"Accept-Language": "fr, de;q=0.8"})
        assert answer.status_code == 404, path
        assert "Dieser Link funktioniert nicht" in answer.text
        assert "location" not in answer.headers
        assert not re.search(r"passwd|detail|Traceback|fastapi", answer.text, re.IGNORECASE)


def test_a_wrong_method_is_told_the_right_ones(shop: Shop, web: httpx.Client) -> None:
    shop.person()
    links = shop.links()
    assert web.post("/health").status_code == 405
    answer = web.post(links["c"][0])
    assert answer.status_code == 405
    assert {"GET", "HEAD"} == set(answer.headers["Allow"].replace(" ", "").split(","))


# --- what is brought: how much, how slowly, how strangely ------------------------------------------------------------


def raw(server: WebServer, *parts: bytes) -> bytes:
    """Say these bytes, and hear everything that is answered until the server hangs up."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
        for part in parts:
            try:
                line.sendall(part)
            except OSError:  # it has hung up already
                break
        heard = b""
        try:
            while more := line.recv(65536):
                heard += more
        except ConnectionResetError:
            pass
        return heard


def test_a_long_body_is_refused_whether_its_length_is_told_or_not(shop: Shop, server: WebServer) -> None:
    shop.person()
    path = shop.links()["u"][0].encode()
    before = shop.everything()
    head = b"POST " + path + b" HTTP/1.1\r\nHost: x\r\n"
    chunk = b"1000\r\n" + b"x" * 0x1000 + b"\r\n"
    assert b" 413 " in raw(server, head + b"Content-Length: 10000000\r\n\r\n")[:20]
    assert b" 413 " in raw(server, head + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 200)[:20]
    assert b" 400 " in raw(server, head + b"Content-Length: -1\r\n\r\n")[:20]
    assert b" 400 " in raw(server, head + b"X: " + b"y" * 200_000)[:20]
    assert shop.everything() == before


def test_a_body_that_does_not_come_is_not_waited_for_and_changes_nothing(
    shop: Shop, server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.person()
    path = shop.links()["u"][0].encode()
    before = shop.everything()
    monkeypatch.setattr("engine.web.guard.BODY_WITHIN", 0.1)
    heard = raw(server, b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 26\r\n\r\nList-Unsub")
    assert b" 408 " in heard[:20]
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
        line.sendall(b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 26\r\n\r\nList-Unsub")
    assert httpx.get(f"http://127.0.0.1:{server.port}/health").status_code == 200
    assert shop.everything() == before


def test_who_says_nothing_is_hung_up_on_and_keeps_nobody_else_waiting(
    shop: Shop, serve: Callable[..., WebServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.person()
    path = shop.links()["u"][0]
    monkeypatch.setattr(server_module, "WHOLE_WITHIN", 0.5)
    server = serve()
    idle = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(100)]
    try:
        for line in idle[:50]:
            line.sendall(b"POST " + path.encode() + b" HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        assert httpx.post(f"http://127.0.0.1:{server.port}{path}").status_code == 200
        for line in idle:
            assert line.recv(100) == b""
    finally:
        for line in idle:
            line.close()


_SIGNS = st.text(alphabet=string.ascii_letters + string.digits + "/%.-_~!$&'()*+,;=:@?#[]{}|\\^\"<> ", max_size=60)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[WebServer, Shop]]:
    shop = Shop(tmp_path_factory.mktemp("fuzz") / "shop")
    shop.person()
    server = WebServer(shop.app, shop.health)
    server.start()
    yield server, shop
    server.stop()
    shop.close()


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(
    method=st.sampled_from([b"GET", b"POST", b"HEAD", b"OPTIONS", b"BREW"]),
    start=st.sampled_from(["/", "/u/", "/c/", "/a/", "/p/", "/health", ""]),
    rest=_SIGNS,
    headers=st.lists(st.binary(max_size=30), max_size=3),
    body=st.binary(max_size=200),
)
def test_whatever_is_sent_is_answered_with_no_fault_of_ours(
    fuzzed: tuple[WebServer, Shop], method: bytes, start: str, rest: str, headers: list[bytes], body: bytes
) -> None:
    server, shop = fuzzed
    before = shop.everything()
    lines = [method + b" " + (start + rest).encode() + b" HTTP/1.1", b"Host: x", b"Connection: close", *headers]
    lines.append(b"Content-Length: " + str(len(body)).encode())
    heard = raw(server, b"\r\n".join(lines) + b"\r\n\r\n" + body)
    status = re.match(rb"HTTP/1\.1 (\d{3}) ", heard)
    assert status is not None, heard
    assert int(status[1]) < 500
    assert b"Traceback" not in heard
    assert shop.everything() == before


def test_no_log_holds_a_token_or_an_address(
    shop: Shop, server: WebServer, web: httpx.Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.person()
    links = shop.links()
    caplog.set_level(logging.DEBUG)
    # a program that sets up its own logging in this process may have switched ours off
    monkeypatch.setattr(logging.getLogger("outreach.web"), "disabled", False)
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for kind in "ucap":
        for method in ("GET", "HEAD", "POST"):
            web.request(method, links[kind][0])

    private = f"anna@example.com {links['u'][0]}"

    def fails(*_: object) -> None:
        raise ValueError(private)

    monkeypatch.setattr("engine.work.incoming.respond.unsubscribe", fails)
    answer = web.post(links["u"][0])
    assert answer.status_code == 500
    assert "anna" not in answer.text
    assert "Traceback" not in answer.text
    server.stop()
    for _ in range(1_000):  # the page is answered before the failure is told
        if "a page failed" in caplog.text:
            break
        threading.Event().wait(0.01)
    told = caplog.text
    assert "a page failed: ValueError" in told
    for secret in ("anna", *(path[3:] for paths in links.values() for path in paths)):
        assert secret not in told


# --- when the database will not --------------------------------------------------------------------------------------


@pytest.fixture
def stranger(shop: Shop) -> Iterator[Any]:
    """Another process that can hold the database."""
    assert shop.app.database.path
    connection = sqlite_module().connect(shop.app.database.path, isolation_level=None, check_same_thread=False)
    yield connection
    connection.close()


def test_what_cannot_be_written_is_not_acknowledged_and_a_click_still_arrives(
    shop: Shop, web: httpx.Client, stranger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.person()
    links = shop.links()
    before = shop.everything()
    monkeypatch.setattr(respond, "PATIENCE", 0.05)
    stranger.execute("BEGIN IMMEDIATE")
    for address in (links["u"][0], links["a"][0]):
        answer = web.post(address)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert "nothing has changed" in answer.text
    assert web.get(links["c"][0]).headers["location"] == "https://shop.example.com/tea?x=1"
    assert web.get("/health").status_code == 200
    stranger.execute("ROLLBACK")
    assert shop.everything() == before
    assert web.post(links["u"][0]).status_code == 200
    assert shop.everything() != before


def test_with_a_full_disk_nothing_is_half_done(shop: Shop, web: httpx.Client) -> None:
    shop.person()
    links = shop.links()
    before = shop.everything()
    (pages,) = shop.rows("PRAGMA page_count")[0]
    with shop.app.database.engine.connect() as connection:  # the pool hands the same one out again
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    full = 0
    for number in range(60):
        answer = web.post(links["a"][0]) if number == 0 else web.post(links["u"][0])
        assert answer.status_code in (200, 503)
        full += answer.status_code == 503
        if answer.status_code == 503:
            assert "Retry-After" in answer.headers
    consents = shop.rows("SELECT channel FROM consent WHERE NOT granted")
    assert len(consents) in (0, 6), "all channels and calls, or none"
    assert full or shop.everything() != before


def test_a_database_that_fails_as_it_commits_acknowledges_nothing(
    shop: Shop, web: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.person()
    links = shop.links()
    before = shop.everything()

    def full(_: object) -> None:
        raise OperationalError("COMMIT", None, Exception("database or disk is full"))

    event.listen(shop.app.database.engine, "commit", full)
    answers = [web.post(links["u"][0]), web.post(links["a"][0])]
    event.remove(shop.app.database.engine, "commit", full)
    assert [answer.status_code for answer in answers] == [503, 503]
    assert shop.everything() == before


def test_an_unsubscribe_is_answered_as_soon_as_a_long_transaction_ends(
    shop: Shop, web: httpx.Client, stranger: Any
) -> None:
    shop.person()
    address = shop.links()["header"][0]
    stranger.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(web.post, address)
        assert httpx.get(web.base_url.join("/health")).status_code == 200  # nobody else waits with it
        assert not answer.done()
        stranger.execute("COMMIT")
        assert answer.result(10).status_code == 200


def test_an_unsubscribe_gets_its_turn_between_the_short_writes_of_a_long_beat(shop: Shop, web: httpx.Client) -> None:
    """A thread that writes without a pause must not shut the others out: each waits for one turn, not for its end."""
    shop.person()
    address = shop.links()["header"][0]
    database, stop, turns = shop.app.database, threading.Event(), []

    def beat() -> None:
        while not stop.is_set():
            with database.writing() as connection:
                connection.exec_driver_sql("UPDATE counter SET next = next + 1")
            turns.append(1)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        assert web.post(address).status_code == 200
        before = len(turns)
        with database.writing():
            waited = len(turns) - before
    finally:
        stop.set()
        thread.join()
    assert waited <= 2
    assert shop.rows("SELECT channel FROM consent WHERE NOT granted")


def test_who_writes_goes_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    order: list[int] = []
    threads = []

    def write(number: int) -> None:
        with database.writing():
            order.append(number)

    line = database._turns._line
    with database.writing():
        for number in range(5):
            threads.append(threading.Thread(target=write, args=(number,)))
            threads[-1].start()
            while len(line) < number + 2:
                threads[-1].join(0.001)
    for thread in threads:
        thread.join()
    database.close()
    assert order == [0, 1, 2, 3, 4]


def test_a_long_line_before_the_database_is_told_to_come_back(
    shop: Shop, web: httpx.Client, stranger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.person()
    address = shop.links()["header"][0]
    monkeypatch.setattr(desk, "LONGEST_LINE", 0)
    answer = web.post(address)
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers


def test_many_at_once_are_all_answered(shop: Shop, server: WebServer) -> None:
    shop.person()
    links = shop.links()
    address = f"http://127.0.0.1:{server.port}"
    with httpx.Client(base_url=address, headers={"User-Agent": BROWSER}) as client, ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda number: client.post(links["ua"[number % 2]][0]), range(60)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(shop.events("Question Answered")) == 1
