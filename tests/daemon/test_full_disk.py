"""S2: with a full or read-only disk no attempt begins, and sending resumes unaided when room returns.

The limit of the system on the size of files stands for a disk that takes no byte more: it can be set and lifted from
outside while the daemon runs, by anybody. Where a small file system can be mounted, a real one is filled as well.

Broken by hand: with a first commit whose failure is passed over, mails leave while nothing can be written; with answers
that are not kept when the second commit fails, what was on its way stays so for ever.
"""

from __future__ import annotations

import json
import resource
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import shops
from daemons import PATIENCE, Books, Nursery, Post, Running, most, set_clock
from stubs import CONFIG, World

PEOPLE = 90  # more than leave at once
LOOKS = 40  # times that nothing may have begun


def ready(folder: Path, office: Post, people: int = PEOPLE) -> Path:
    """A shop whose people have just ordered."""
    smtp = f"provider: smtp, host: 127.0.0.1, port: {office.port}, mode: plain"
    config = CONFIG.replace("provider: maildir, folder: outbox", smtp) + "test_clock: clock.txt\n"
    world = World(folder, config=config)
    world.order(*world.people(people))
    world.close()
    set_clock(folder, shops.NOW)
    return folder


def full(running: Running) -> None:
    """From now on no file takes a byte more from this process."""
    resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


def room(running: Running) -> None:
    resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def health(running: Running) -> dict[str, Any]:
    port = running.told.partition("web on port ")[2].partition(";")[0]
    try:
        with urlopen(f"http://127.0.0.1:{port}/health") as answer:
            return dict(json.loads(answer.read()))
    except HTTPError as error:
        with error:
            return dict(json.loads(error.read()))


def nothing_begins(running: Running, office: Post) -> None:
    """Beat after beat fails, and no mail is handed over."""
    running.until(lambda: "disk" in str(health(running)["problem"]))
    tried = len(office.tries)
    for _ in range(LOOKS):
        assert "disk" in str(health(running)["problem"])
    assert len(office.tries) == tried


def all_arrive_once(running: Running, office: Post, folder: Path, people: int = PEOPLE) -> None:
    books = Books(folder)
    running.until(lambda: books.one("SELECT count(*) FROM delivery WHERE kind = 'accepted'") == people)
    books.close()
    assert sorted(set(office.taken)) == sorted(office.taken)
    assert (len(office.taken), most(office.tries)) == (people, 1)
    running.until(lambda: health(running)["ok"])


def test_S2_on_a_disk_that_is_full_no_attempt_begins_and_all_go_when_there_is_room(
    tmp_path: Path, born: Nursery, office: Post
) -> None:
    folder = ready(tmp_path / "shop", office, people=0)
    running = born.daemon(folder)
    full(running)
    world = shops.opened(folder)
    names = [f"p{number}" for number in range(PEOPLE)]
    shops.add_people(world, [{"external_id": name} for name in names])
    for name in names:
        shops.happen(world, f"o-{name}", name, "Order Completed", {"order_id": name})
    world.close()

    nothing_begins(running, office)
    assert office.tries == []
    room(running)

    all_arrive_once(running, office, folder)
    running.kill()


def test_S2_a_disk_that_fills_up_under_a_mail_ends_the_sending_and_what_was_answered_is_kept(
    tmp_path: Path, born: Nursery, office: Post
) -> None:
    folder = ready(tmp_path / "shop", office)
    reached, gate = threading.Event(), threading.Event()

    def wait(_: str) -> None:
        if len(office.taken) == 3:
            reached.set()
            assert gate.wait(PATIENCE)

    office.before = wait
    running = born.daemon(folder)
    assert reached.wait(PATIENCE)
    full(running)
    gate.set()

    nothing_begins(running, office)
    assert 3 < len(office.taken) < PEOPLE, "those that had begun, and no more"
    room(running)

    all_arrive_once(running, office, folder)
    running.kill()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Callable[..., None]]:
    """A file system of 24 MiB in `tmp_path/disk`; called, it is mounted anew with other options."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)], capture_output=True, text=True
    )
    if made.returncode:
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")

    def again(options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True)

    try:
        yield again
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(folder: Path) -> Path:
    """Take what is left of the disk, as a ballast or a log would."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65_536, 4_096, 512, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue
    return filler


def test_S2_a_real_file_system_that_is_full_and_has_room_again(
    tmp_path: Path, born: Nursery, office: Post, small: Callable[..., None]
) -> None:
    folder = ready(tmp_path / "disk" / "shop", office)
    reached, gate = threading.Event(), threading.Event()

    def wait(_: str) -> None:
        if len(office.taken) == 3:
            reached.set()
            assert gate.wait(PATIENCE)

    office.before = wait
    running = born.daemon(folder)
    assert reached.wait(PATIENCE)
    filler = fill(folder)
    gate.set()

    nothing_begins(running, office)
    assert "make room on the disk" in str(health(running)["problem"])
    filler.unlink()

    all_arrive_once(running, office, folder)
    running.kill()
    running.wait()


def test_S2_on_a_file_system_that_is_read_only_no_daemon_begins_and_one_does_when_it_can_be_written_to(
    tmp_path: Path, born: Nursery, office: Post, small: Callable[..., None]
) -> None:
    folder = ready(tmp_path / "disk" / "shop", office)
    small("ro")
    refused = born.start(folder, "daemon")
    assert refused.wait() == 3
    assert "look at the rights of the file and its folder" in refused.told
    assert office.tries == []
    small("rw")
    running = born.daemon(folder)
    all_arrive_once(running, office, folder)
    running.kill()
    running.wait()
