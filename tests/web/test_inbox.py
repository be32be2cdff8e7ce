"""The in-app inbox: written like a notification, read by the shop's own server with its key, once each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import shops
from stubs import CONFIG, JOURNEY, World

from engine.web.server import WebServer

KEY = "the shop's own key"
INBOX = CONFIG.replace("  sms: {provider: simulated}\n", "  inbox: {provider: inbox}\n").replace(
    "web: {port: 0}", "web: {port: 0, api_key_env: SHOP_KEY}"
)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    folder = tmp_path / "templates" / "note"
    folder.mkdir(parents=True)
    (folder / "inbox.en.txt").write_text("---\ntitle: A note\nlink: https://shop.example.com/o\n---\nHello\n")
    monkeypatch.setattr("stubs.shop", _shop)
    made = World(tmp_path, {"note": JOURNEY.replace("[email, sms]", "[inbox]")}, INBOX)
    made.app.env = {**made.app.env, "SHOP_KEY": KEY}
    yield made
    made.close()


def _shop(folder: Path, journeys: dict[str, str], config: str) -> Path:
    (folder / "journeys").mkdir(parents=True)
    (folder / "config.yaml").write_text(config)
    for name, source in journeys.items():
        (folder / "journeys" / f"{name}.yaml").write_text(source)
    return folder


@pytest.fixture
def web(world: World) -> Iterator[httpx.Client]:
    server = WebServer(world.app, lambda: {"ok": True})
    server.start()
    key = {"Authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", headers=key) as client:
        yield client
    server.stop()


def wrote(world: World) -> None:
    shops.add_people(world.app, [{"external_id": "ann", "addresses": {}}])
    world.order("ann")
    world.tick()


def test_everybody_has_a_box_by_their_own_name_and_the_shop_reads_it(world: World, web: httpx.Client) -> None:
    wrote(world)
    box = web.get("/v1/inbox/ann").json()
    assert box["unread"] == 1
    (entry,) = box["entries"]
    assert (entry["title"], entry["text"], entry["link"]) == ("A note", "Hello", "https://shop.example.com/o")
    assert web.get("/v1/inbox/ben").json() == {"unread": 0, "entries": []}


def test_what_was_read_is_told_once_and_journeys_hear_of_it(world: World, web: httpx.Client) -> None:
    wrote(world)
    key = web.get("/v1/inbox/ann").json()["entries"][0]["key"]
    assert web.post("/v1/inbox/ann/read", json={"keys": [key]}).json() == {"read": 1}
    assert web.post("/v1/inbox/ann/read", json={"keys": [key]}).json() == {"read": 0}
    assert web.get("/v1/inbox/ann").json()["unread"] == 0
    assert world.states()["ann", "inbox"] == "delivered"
    assert [row.name for row in world.rows("SELECT name FROM event WHERE name LIKE 'Message%'")] == ["Message Opened"]


def test_nobody_reads_the_box_of_another(world: World, web: httpx.Client) -> None:
    wrote(world)
    key = web.get("/v1/inbox/ann").json()["entries"][0]["key"]
    assert web.post("/v1/inbox/ben/read", json={"keys": [key]}).json() == {"read": 0}
    assert web.get("/v1/inbox/ann").json()["unread"] == 1
    assert world.states()["ann", "inbox"] == "accepted"


@pytest.mark.parametrize("said", ["", "Bearer", "Bearer wrong", f"Basic {KEY}", f"Bearer {KEY}x"])
def test_who_has_not_the_key_sees_nothing(world: World, web: httpx.Client, said: str) -> None:
    wrote(world)
    assert web.get("/v1/inbox/ann", headers={"Authorization": said}).status_code == 401
    assert web.post("/v1/inbox/ann/read", json={"keys": []}, headers={"Authorization": said}).status_code == 401


@pytest.mark.parametrize("body", [b"", b"[]", b'{"keys": 7}', b'{"keys": ["a"], "x": 1}', b"\xff", b"[" * 5_000])
def test_what_cannot_be_read_is_answered_with_how_to_write_it(web: httpx.Client, body: bytes) -> None:
    said = web.post("/v1/inbox/ann/read", content=body)
    assert said.status_code == 400
    assert "keys" in said.json()["error"]


def test_an_instant_that_is_none_is_answered_with_one(web: httpx.Client) -> None:
    assert web.get("/v1/inbox/ann", params={"before": "yesterday"}).status_code == 400
    assert web.get("/v1/inbox/ann", params={"before": "2026-12-01"}).json()["entries"] == []
