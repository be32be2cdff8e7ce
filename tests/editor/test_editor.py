"""A real editor's language server on the shipped journeys: silent on them, and of one mind with `outreach check`.

It comes from npm: `python3 dev.py editor` installs it into .venv and runs these tests.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import shops
from language_server import SERVER, LanguageServer, language_server
from typed import typed

pytestmark = [
    pytest.mark.editor,
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not there"),
    pytest.mark.skipif(not SERVER.exists(), reason="yaml-language-server is not there; see: python3 dev.py editor"),
]

PLANTED = [  # file, what stands there, what is written instead
    ("golden_72_hours", "topic: care", "topic: crae"),
    ("golden_72_hours", "holdout: 5%", "holdout: 5"),
    ("golden_72_hours", "ends_after: 72h", "ends_after: 72 hours"),
    ("golden_72_hours", "ends_after: 72h", "end_after: 72h"),
    ("golden_72_hours", "enter: {event:", "enter: {evnet:"),
    ("golden_72_hours", "again: {per: order_id}", "again: once"),
    ("golden_72_hours", "- wait: 6h", "- wiat: 6h"),
    ("golden_72_hours", "- wait: 6h", "- wait: 6"),
    ("golden_72_hours", "via: [wechat, push, sms, email]", "via: [wechat, psuh, sms, email]"),
    ("golden_72_hours", "within: 48h", "wihtin: 48h"),
    ("golden_72_hours", "send: how_to_use", "send: how_to_us"),
    ("golden_72_hours", "plain: 50%", "plain: half"),
    ("golden_72_hours", "queue: care", "queue: caer"),
    ("golden_72_hours", "{at_least: 1}}\n        then", "{at_leats: 1}}\n        then"),
    ("silent_wave", "every: month", "every: moon"),
    ("silent_wave", "segment: silent", "segment: silnet"),
    ("silent_wave", "rollout: [5%, 25%, 100%]", "rollout: [5, 25%, 100%]"),
    ("silent_wave", "is: clicked", "is: clikced"),
    ("vip_concierge", "crossing: in", "crossing: into"),
    ("vip_concierge", "give: vip_pack", "give: vip_pakc"),
    ("audience", "within: 180d", "within: half a year"),
    ("audience", "count: Order Completed", "cuont: Order Completed"),
    ("audience", "segments:", "segmnets:"),
    ("audience", "value: 20 CNY", "value: 20"),
    ("audience", "segment: vip,", "segment: vpi,"),
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = shops.shipped(tmp_path_factory.mktemp("edited") / "shop")
    assert typed(folder, "schema").code == 0
    return folder


@pytest.fixture(scope="module")
def editor(shop: Path) -> Iterator[LanguageServer]:
    with language_server(shop) as server:
        yield server


def test_it_finds_nothing_in_the_journeys_that_ship(shop: Path, editor: LanguageServer) -> None:
    found = {path.name: editor.findings(path) for path in sorted((shop / "journeys").rglob("*.yaml"))}
    assert len(found) >= 4
    assert {name: told for name, told in found.items() if told} == {}


@pytest.mark.parametrize(("journey", "right", "wrong"), PLANTED)
def test_a_planted_mistake_is_one_finding_on_the_line_that_check_names(
    shop: Path, editor: LanguageServer, journey: str, right: str, wrong: str
) -> None:
    path = shop / "journeys" / f"{journey}.yaml"
    text = path.read_text(encoding="utf-8")
    assert right in text
    mistaken = text.replace(right, wrong, 1)
    line = text[: text.index(right)].count("\n") + 1
    shown = [one["range"]["start"]["line"] + 1 for one in editor.findings(path, mistaken)]
    assert shown == [line]
    try:
        path.write_text(mistaken, encoding="utf-8")
        checked = typed(shop, "--format", "json", "check", str(path))
    finally:
        path.write_text(text, encoding="utf-8")
    errors = [one for one in checked.value["problems"] if one["severity"] == "error"]
    assert [one["position"]["line"] for one in errors] == shown, errors


@pytest.mark.parametrize(
    ("before", "after", "column", "offered"),
    [
        ("topic: care", "topic: ", 7, {"care", "offers", "orders"}),
        ('  - wait: {until: "10:00"}', "  - ", 4, {"send", "wait", "wait_for", "branch", "split", "give", "exit"}),
        ("    send: how_to_use", "    send: ", 10, {"how_to_use", "order_on_its_way", "voucher"}),
        ("    via: [email, wechat]", "    via: ", 9, {"email", "push", "sms", "wechat"}),
        ("      - if: {value_tier: core}", "      - if:\n          v: core", 11, {"complaints_180d", "segment"}),
    ],
)
def test_it_completes_the_names_of_this_installation(
    shop: Path, editor: LanguageServer, before: str, after: str, column: int, offered: set[str]
) -> None:
    path = shop / "journeys" / "golden_72_hours.yaml"
    text = path.read_text(encoding="utf-8").replace("  - send: how_to_use", "  - id: how\n    send: how_to_use", 1)
    assert before in text
    line = text[: text.index(before)].count("\n") + after.count("\n")
    assert offered <= set(editor.completions(path, text.replace(before, after, 1), line, column))


def test_it_explains_a_key(shop: Path, editor: LanguageServer) -> None:
    path = shop / "journeys" / "golden_72_hours.yaml"
    text = path.read_text(encoding="utf-8")
    assert editor.findings(path, text) == []
    line = text[: text.index("ends_after")].count("\n")
    assert "No step begins later than this after entry" in editor.help(path, line, 2)
