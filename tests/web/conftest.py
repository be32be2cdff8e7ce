"""A shop with one mail to each person who orders, its web server on a real port, and a client that sends no cookies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from visits import BROWSER, Shop

from engine.web.server import WebServer


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path / "shop")
    yield made
    made.close()


@pytest.fixture
def serve(shop: Shop) -> Iterator[Callable[..., WebServer]]:
    """Start a server; `health` is what the daemon says of itself."""
    started: list[WebServer] = []

    def start(health: Callable[[], dict[str, Any]] | None = None) -> WebServer:
        server = WebServer(shop.app, health or shop.health)
        server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def server(serve: Callable[..., WebServer]) -> WebServer:
    return serve()


@pytest.fixture
def web(server: WebServer) -> Iterator[httpx.Client]:
    """Looks like a browser, and follows no redirect."""
    with httpx.Client(
        base_url=f"http://127.0.0.1:{server.port}", headers={"User-Agent": BROWSER}, timeout=10
    ) as client:
        yield client
