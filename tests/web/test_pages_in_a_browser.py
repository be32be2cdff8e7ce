"""The pages as a real browser shows them: the style passes the page's own policy, in the light and in the dark."""

from __future__ import annotations

import shutil
import subprocess
import zlib
from pathlib import Path

import pytest
from visits import Shop

from engine.web.server import WebServer

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")

QUIET = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
]
GROUND = {"light": (0xF3, 0xEC, 0xE1), "dark": (0x17, 0x14, 0x11)}


def browse(folder: Path, *args: str) -> str:
    command = [str(CHROMIUM), *QUIET, f"--user-data-dir={folder / 'profile'}", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def first_pixel(png: Path) -> tuple[int, int, int]:
    """The colour in the upper left corner: the one pixel that every filter of PNG leaves as it is."""
    raw, packed, place = png.read_bytes(), b"", 8
    while place < len(raw):
        length = int.from_bytes(raw[place : place + 4])
        if raw[place + 4 : place + 8] == b"IDAT":
            packed += raw[place + 8 : place + 8 + length]
        place += 12 + length
    red, green, blue = zlib.decompress(packed)[1:4]
    return red, green, blue


@pytest.mark.parametrize(("scheme", "number"), [("dark", 0), ("light", 1)])
def test_a_page_is_dressed_as_the_person_likes_it(
    shop: Shop, server: WebServer, tmp_path: Path, scheme: str, number: int
) -> None:
    shop.person(locale="zh-CN")
    picture = tmp_path / "page.png"
    address = f"http://127.0.0.1:{server.port}{shop.links()['u'][0]}"
    before = shop.everything()
    likes = f"--blink-settings=preferredColorScheme={number}"
    browse(tmp_path, likes, "--window-size=390,844", f"--screenshot={picture}", address)
    assert first_pixel(picture) == GROUND[scheme]
    assert shop.everything() == before


def test_a_browser_reads_the_page_as_it_was_meant(shop: Shop, server: WebServer, tmp_path: Path) -> None:
    shop.person(locale="de")
    dom = browse(tmp_path, "--dump-dom", f"http://127.0.0.1:{server.port}{shop.links()['p'][0]}")
    assert '<html lang="de">' in dom
    assert "Was wir dir schicken" in dom
    assert dom.count("<dt>") == 3
    assert "Lumen &amp; &lt;Söhne&gt;" in dom
