"""What is installed, configured and healthy; and one real message to oneself."""

from __future__ import annotations

from pathlib import Path

import pytest
import shops
from typed import typed

from channels.registry import installed
from engine.store import lanes


def channel(shop: Path, text: str) -> None:
    """Let the shop's file say so of its channels."""
    file = shop / "config.yaml"
    head, _, rest = file.read_text().partition("\nchannels:\n")
    lines = rest.splitlines()
    end = next(number for number, line in enumerate(lines) if line and not line.startswith((" ", "#")))
    file.write_text(head + "\nchannels:\n" + text + "\n" + "\n".join(lines[end:]) + "\n")


def standing(shop: Path, *more: str) -> dict[str, dict[str, str]]:
    told = typed(shop, "channels", *more, "--format", "json").value
    return {one["lane"]: one for one in told["configured"]}


def test_everything_installed_is_listed_with_the_package_that_brings_it(shop: Path) -> None:
    told = typed(shop, "channels", "--format", "json").value
    assert [one["name"] for one in told["installed"]] == list(installed())
    smtp = next(one for one in told["installed"] if one["name"] == "smtp")
    assert smtp["channels"] == ["email"]
    assert smtp["package"].startswith("outreach ")


def test_what_is_configured_and_answers_is_healthy(shop: Path) -> None:
    channel(shop, "  email: {provider: maildir, folder: out, sender: a@shop.example.com}\n  sms: {provider: simulated}")
    typed_ = typed(shop, "channels")
    assert typed_.code == 0, typed_.out
    assert {lane: one["health"] for lane, one in standing(shop).items()} == {"email": "healthy", "sms": "healthy"}
    assert "healthy" in typed_.out


def test_a_service_that_is_not_there_is_told_with_the_reason_unless_it_is_not_to_be_asked(shop: Path) -> None:
    channel(shop, "  email: {provider: smtp, host: localhost, port: 1, mode: plain, sender: a@shop.example.com}")
    assert standing(shop)["email"]["health"] == "failing"
    assert "localhost:1" in standing(shop)["email"]["told"]
    assert typed(shop, "channels").code == 1
    assert standing(shop, "--no-probe")["email"]["health"] == "not asked"


def test_a_secret_that_is_missing_is_named(shop: Path) -> None:
    channel(
        shop,
        "  email: {provider: smtp, host: localhost, port: 1, mode: plain, sender: a@shop.example.com,"
        " username: shop, password_env: NO_SUCH_SECRET}",
    )
    found = standing(shop)["email"]
    assert found["health"] == "unfit"
    assert "NO_SUCH_SECRET" in found["told"]


def test_a_lane_that_was_stopped_says_why_and_how_it_goes_on(shop: Path) -> None:
    channel(shop, "  sms: {provider: simulated}")
    app = shops.opened(shop)
    with app.database.writing() as connection:
        lanes.change(connection, "sms", stopped="wrong password")
    app.close()
    assert standing(shop)["sms"]["health"] == "stopped"
    assert "wrong password; mend it, then: outreach resume --lane sms" in typed(shop, "channels").out


# --- send --test -----------------------------------------------------------------------------------------------------


def test_one_real_message_leaves_by_the_shops_own_way(shop: Path) -> None:
    channel(shop, "  email: {provider: maildir, folder: out, sender: a@shop.example.com}")
    told = typed(shop, "send", "--test", "--to", "me@shop.example.com", "--channel", "email")
    assert told.code == 0, told.out
    assert "accepted" in told.out
    (mail,) = [path for path in (shop / "out").rglob("*") if path.is_file()]
    assert "me@shop.example.com" in mail.read_text()


def test_nothing_leaves_without_the_word_test(shop: Path) -> None:
    channel(shop, "  email: {provider: maildir, folder: out, sender: a@shop.example.com}")
    told = typed(shop, "send", "--to", "me@shop.example.com", "--channel", "email")
    assert told.code == 2
    assert not (shop / "out").exists()


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ("reject: 100%", "rejected"),
        ("unavailable: 100%, retry_after: 30", "unavailable"),
        ("uncertain: 100%", "uncertain"),
        ("reject: 0%", "accepted"),
    ],
)
def test_what_came_back_is_said_in_one_word_and_a_sentence(shop: Path, options: str, answer: str) -> None:
    channel(shop, f"  sms: {{provider: simulated, {options}}}")
    told = typed(shop, "send", "--test", "--to", "+12025550100", "--channel", "sms", "--format", "json")
    assert told.value["answer"] == answer
    assert told.code == (0 if answer == "accepted" else 1)


def test_a_channel_nobody_has_heard_of_is_answered_with_the_nearest(shop: Path) -> None:
    told = typed(shop, "send", "--test", "--to", "me@shop.example.com", "--channel", "emial")
    assert told.code == 2
    assert "there is no channel emial" in told.err
    assert "email" in told.err


def test_a_text_of_a_journey_is_sent_as_a_person_would_read_it(shipped: Path, tmp_path: Path) -> None:
    message = ("--journey", "golden_72_hours", "--message", "order_on_its_way")
    to = ("send", "--test", "--to", "me@shop.example.com", "--channel", "email")
    told = typed(shipped, *to, *message, "--locale", "de", "--format", "json")
    assert told.value["answer"] == "accepted", told.err
    mails = [path.read_text() for path in (shipped / "outbox").rglob("*") if path.is_file()]
    assert any("me@shop.example.com" in mail for mail in mails)

    other = typed(shipped, *to, "--journey", "golden_72_hours", "--message", "order_on_its_wy")
    assert other.code == 2
    assert "order_on_its_way" in other.err
