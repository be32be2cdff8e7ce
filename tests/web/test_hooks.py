"""What services report over the web: signed or refused, answered once it is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from stubs import World

from channels.callbacks import objects_of, require_key
from channels.contract import Callback, Heard, Receipt, ReceiptType
from channels.errors import Unavailable
from engine.web.guard import MAX_REPORT
from engine.web.server import WebServer


class Service:
    """A provider whose service signs with a word in its address."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.heard: list[Callback] = []
        world.app._listeners["email"] = self  # type: ignore[assignment]

    async def receipts(self, callback: Callback) -> Heard:
        from pydantic import SecretStr

        self.heard.append(callback)
        if callback.body == b"later":
            raise Unavailable("its certificate cannot be had")
        require_key(callback, SecretStr("sesame"))
        told = tuple(
            Receipt(ReceiptType.delivered, callback.at, row["id"], provider_id=row["id"])
            for row in objects_of(callback)
        )
        return Heard(told, 202, b'{"code":0}', "application/json")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.email.features = type(made.email.features)(in_flight=8, receipts=True)
    yield made
    made.close()


@pytest.fixture
def service(world: World) -> Service:
    return Service(world)


@pytest.fixture
def place(world: World, service: Service) -> Iterator[str]:
    server = WebServer(world.app, lambda: {"ok": True})
    server.start()
    yield f"http://127.0.0.1:{server.port}"
    server.stop()


def test_a_signed_report_is_kept_before_it_is_answered(world: World, service: Service, place: str) -> None:
    world.people(1)
    world.order("p0000")
    world.tick()
    name = f"stub-{world.email.handed[0].message_id}"
    said = httpx.post(f"{place}/hooks/email?key=sesame", content=json.dumps([{"id": name}]))
    assert (said.status_code, said.content, said.headers["content-type"]) == (202, b'{"code":0}', "application/json")
    assert world.states()["p0000", "email"] == "delivered"
    assert service.heard[0].url == f"{world.app.settings.web.url}/hooks/email?key=sesame"


@pytest.mark.parametrize("query", ["", "?key=", "?key=other", "?key=sesam%C3%A9"])
def test_R3_a_forged_report_changes_nothing_and_is_answered_401(world: World, place: str, query: str) -> None:
    said = httpx.post(f"{place}/hooks/email{query}", content=b'[{"id":"x"}]')
    assert (said.status_code, said.content) == (401, b"")
    assert world.rows("SELECT * FROM report") == []


def test_R3_a_valid_repeat_is_answered_alike_and_changes_nothing(world: World, place: str) -> None:
    answers = [httpx.post(f"{place}/hooks/email?key=sesame", content=b'[{"id":"x"}]') for _ in range(3)]
    assert [one.status_code for one in answers] == [202] * 3
    assert len(world.rows("SELECT * FROM report")) == 1


def test_a_channel_nobody_has_heard_of_is_not_found(place: str) -> None:
    assert httpx.post(f"{place}/hooks/pigeon?key=sesame", content=b"[]").status_code == 404


def test_a_channel_whose_provider_reports_nothing_refuses(world: World, place: str) -> None:
    assert httpx.post(f"{place}/hooks/sms", content=b"[]").status_code == 401


def test_what_cannot_be_verified_now_is_asked_for_again(place: str) -> None:
    said = httpx.post(f"{place}/hooks/email", content=b"later")
    assert said.status_code == 503
    assert said.headers["retry-after"]


def test_a_report_larger_than_any_is_refused_before_it_is_read(service: Service, place: str) -> None:
    assert httpx.post(f"{place}/hooks/email?key=sesame", content=bytes(MAX_REPORT + 1)).status_code == 413
    assert service.heard == []


def test_S4_what_could_not_be_kept_is_not_answered_as_if_it_were(world: World, place: str) -> None:
    world.app.database.close()
    world.rows("SELECT 1")
    with world.app.database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE report RENAME TO away")
    said = httpx.post(f"{place}/hooks/email?key=sesame", content=b'[{"id":"x"}]')
    assert said.status_code == 503
    with world.app.database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO report")
