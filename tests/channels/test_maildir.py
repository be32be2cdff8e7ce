"""The maildir provider keeps the contract, and its folder can be read by a person and by a mail program."""

from __future__ import annotations

import asyncio
import email
import email.policy
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from channels.contract import Answer, Content, Email, Sent, Sms
from channels.email.mime import Letterhead, compose
from channels.errors import Misconfigured, Rejected, Unavailable
from channels.maildir import MaildirProvider
from channels.testing import Accepted, ProviderContract, answers, content_for, outgoing


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.*"), key=lambda path: path.stat().st_mtime_ns) if folder.exists() else []


def taken(path: Path) -> Accepted:
    """One file as a mail program or a reader takes it."""
    if path.suffix == ".eml":
        names = tuple(email.message_from_bytes(path.read_bytes(), policy=email.policy.default).keys())
    else:
        head = path.read_text().split("\n\n")[0]
        names = tuple(line.split(": ")[0] for line in head.splitlines())
    return Accepted(path.stem, path.name, names)


def put(folder: Path, content: Content, key: str = "k-1", **options: object) -> Answer:
    provider = MaildirProvider(content.channel, {"folder": folder, "sync": False, **options}, {})
    out = outgoing(content)
    (answer,) = asyncio.run(answers(provider, [type(out)(1, key, content, out.created_at)]))
    return answer


class TestMaildir(ProviderContract):
    @pytest.fixture(params=["email", "sms", "push", "wechat"])
    def channel(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def provider(self, channel: str, tmp_path: Path) -> MaildirProvider:
        return MaildirProvider(channel, {"folder": "out"}, {}, tmp_path)

    @pytest.fixture
    def accepted(self, tmp_path: Path) -> Callable[[], list[Accepted]]:
        return lambda: [taken(path) for path in files(tmp_path / "out") if path.is_file()]

    @pytest.fixture
    def writes_headers(self) -> bool:
        return True

    @pytest.fixture
    def can_reject(self, channel: str) -> bool:
        return channel == "email"

    @pytest.fixture
    def rejected_content(self) -> Content:
        return Email(to="not an address", sender="shop@example.org", text="Your order is on its way.")


def test_a_mail_is_a_file_named_by_its_key_with_the_bytes_that_smtp_would_carry(tmp_path: Path) -> None:
    content = content_for("email")
    assert isinstance(content, Email)
    assert put(tmp_path, content) == Sent("k-1.eml")
    expected = compose(content, "k-1", outgoing(content).created_at, Letterhead()).data
    assert (tmp_path / "email" / "k-1.eml").read_bytes() == expected


def test_other_channels_are_readable_text(tmp_path: Path) -> None:
    put(tmp_path, Sms(to="+12025550100", text="Hello Ann,\r\nsee you\n"))
    assert (tmp_path / "sms" / "k-1.txt").read_text() == (
        "To: +12025550100\nDate: 2026-03-29 01:30:00 UTC\n\nHello Ann,\nsee you\n"
    )


def test_the_sender_comes_from_the_options_when_the_mail_has_none(tmp_path: Path) -> None:
    put(tmp_path, Email(to="ann@example.com", text="x"), sender="shop@example.com", sender_name="The Shop")
    assert b"From: The Shop <shop@example.com>\r\n" in (tmp_path / "email" / "k-1.eml").read_bytes()


def test_a_mail_without_any_sender_is_misconfigured(tmp_path: Path) -> None:
    assert isinstance(put(tmp_path, Email(to="ann@example.com", text="x")), Misconfigured)


def test_a_repeat_leaves_the_first_file_as_it_was(tmp_path: Path) -> None:
    put(tmp_path, Sms(to="+12025550100", text="first"))
    before = (tmp_path / "sms" / "k-1.txt").stat()
    answer = put(tmp_path, Sms(to="+12025550100", text="second"))
    assert answer == Sent("k-1.txt", "was there already")
    after = (tmp_path / "sms" / "k-1.txt").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert "first" in (tmp_path / "sms" / "k-1.txt").read_text()


@pytest.mark.parametrize("key", ["../../evil", "/etc/evil", "a/b", ".hidden", "..", "", "x" * 300, "nul\0", "\ud800"])
def test_no_key_leads_out_of_the_folder(tmp_path: Path, key: str) -> None:
    answer = put(tmp_path / "out", Sms(to="+12025550100", text="x"), key)
    assert isinstance(answer, Sent)
    assert [path.parent for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "out" / "sms"]
    assert put(tmp_path / "out", Sms(to="+12025550100", text="x"), key) == Sent(answer.provider_id, "was there already")


def test_a_file_is_seen_only_when_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []

    def failing(handle: int) -> None:
        seen.append([path.name for path in files(tmp_path) if path.is_file() and not path.name.startswith(".")])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", failing)
    answer = put(tmp_path, Sms(to="+12025550100", text="x"), sync=True)
    assert isinstance(answer, Unavailable)
    assert "No space left" in str(answer)
    assert seen == [[]]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_with_sync_both_the_file_and_the_folder_are_forced_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forced: list[bool] = []
    monkeypatch.setattr(os, "fsync", lambda handle: forced.append(stat.S_ISDIR(os.fstat(handle).st_mode)))
    put(tmp_path, Sms(to="+12025550100", text="x"), sync=True)
    assert forced == [False, True]


def test_a_folder_that_is_a_file_is_misconfigured(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("in the way")
    assert isinstance(put(tmp_path / "out", Sms(to="+12025550100", text="x")), Misconfigured)


def test_a_bad_address_is_rejected_and_no_file_appears(tmp_path: Path) -> None:
    assert isinstance(put(tmp_path, Email(to="ann@", sender="shop@example.com", text="x")), Rejected)
    assert list((tmp_path / "email").iterdir()) == []
