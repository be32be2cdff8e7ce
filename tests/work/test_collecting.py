"""Reports that come in by mail: let go only once they are kept, and put aside when nothing follows from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from stubs import Died, Stub, World

from channels.contract import Callback, FailureReason, Heard, Receipt, ReceiptType
from channels.errors import InvalidReceipt, Unavailable
from engine.work.incoming import collecting
from engine.work.incoming.collecting import collect, take_mail


@dataclass
class Box:
    """Mails that wait; what was said of each."""

    waiting: list[bytes]
    done_with: list[bytes] = field(default_factory=list)
    put_aside: list[bytes] = field(default_factory=list)
    closed: int = 0

    async def fetch(self) -> Sequence[bytes]:
        return [mail for mail in self.waiting if mail not in self.done_with + self.put_aside][:2]

    async def done(self, mail: bytes) -> None:
        self.done_with.append(mail)

    async def aside(self, mail: bytes) -> None:
        self.put_aside.append(mail)

    async def close(self) -> None:
        self.closed += 1


class Mailed(bytes):
    @property
    def data(self) -> bytes:
        return bytes(self)


class ByMail(Stub):
    """Hears `KEY bounced` and trusts nothing else."""

    async def receipts(self, callback: Callback) -> Heard:
        key, _, word = callback.body.decode().partition(" ")
        if word == "lost":
            raise Unavailable("its mailbox is away")
        if word not in ("bounced", "nothing"):
            raise InvalidReceipt("no token of ours")
        bounced = Receipt(ReceiptType.bounced, callback.at, f"{key} {word}", key, reason=FailureReason.address_unknown)
        return Heard((bounced,) if word == "bounced" else ())


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.email = made.app.providers["email"] = ByMail("email", receipts=True)
    made.people(1)
    made.order("p0000")
    made.tick()
    yield made
    made.close()


def mailed(world: World, *words: str) -> tuple[Box, list[Mailed]]:
    mails = [Mailed(f"{world.email.handed[0].key} {word}".encode()) for word in words]
    box = Box(list(mails))
    world.email.letterbox = box
    return box, mails


def test_what_came_back_is_kept_let_go_and_what_is_forged_put_aside(world: World) -> None:
    box, mails = mailed(world, "forged", "bounced", "nothing", "bounced again")
    done = world.app.run(collect(world.app, "email", world.email))
    assert (done.read, done.new, done.aside) == (4, 1, 2)
    assert box.done_with == [mails[1], mails[2]]
    assert box.put_aside == [mails[0], mails[3]]
    assert box.closed == 1
    assert world.states()["p0000", "email"] == "bounced"
    assert world.app.run(collect(world.app, "email", world.email)).read == 0


def test_a_mail_is_read_again_when_the_process_died_before_it_was_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    box, _ = mailed(world, "bounced")

    def dies(*_: object) -> None:
        raise Died

    monkeypatch.setattr(collecting, "take_receipts", dies)
    with pytest.raises(Died):
        world.app.run(collect(world.app, "email", world.email))
    monkeypatch.undo()
    assert box.done_with == []
    assert world.app.run(collect(world.app, "email", world.email)).new == 1


def test_a_mail_by_the_pipe_is_kept_and_one_to_be_trusted_by_nobody_is_not(world: World) -> None:
    key = world.email.handed[0].key
    assert world.app.run(take_mail(world.app, "email", world.email, f"{key} bounced".encode())) == 1
    assert world.app.run(take_mail(world.app, "email", world.email, f"{key} bounced".encode())) == 0
    assert world.app.run(take_mail(world.app, "email", world.email, b"hello")) is None
