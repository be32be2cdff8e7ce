"""`outreach held` and `doctor --after-restore` as they are typed."""

from __future__ import annotations

from pathlib import Path

import pytest
import shops
from stubs import CONFIG, World
from typed import typed


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shop whose database is an older copy: three people were due."""
    monkeypatch.setenv("OUTREACH_SECRET", shops.SECRET)
    world = World(tmp_path / "shop", config=CONFIG + "test_clock: clock\n")
    world.order(*world.people(3))
    world.close()
    (world.app.home / "clock").write_text(shops.NOW.isoformat())
    return world.app.home


def test_after_a_restore_it_asks_holds_and_says_what_to_do_next(copied: Path) -> None:
    no = typed(copied, "doctor", "--after-restore", "--by", "mei", answer="n\n")
    assert no.code == 0
    assert "people whose message or next step is in doubt: 3" in no.out
    assert "nothing was changed" in no.out
    assert typed(copied, "held", "list").out == "nothing is held\n"
    nobody = typed(copied, "doctor", "--after-restore", "--by", "mei")
    assert (nobody.code, "write --yes" in nobody.err) == (2, True)

    yes = typed(copied, "doctor", "--after-restore", "--by", "mei", answer="y\n")

    assert yes.code == 0
    assert "outreach held list" in yes.out
    assert "outreach unknown list" in yes.out
    told = typed(copied, "held", "list", "--people", "--format", "json").value
    assert (told["journeys"], len(told["people"]), told["waves"]) == ({"note": 3}, 3, [])
    assert typed(copied, "held", "list").out.splitlines()[1].split()[:2] == ["note", "3"]
    assert "held since mei brought the database back" in typed(copied, "explain", "p0000").out
    assert "nobody is set aside" in typed(copied, "set-aside", "list").out
    number = str(told["people"][0]["id"])
    aside = typed(copied, "set-aside", "retry", number)
    assert (aside.code, "see: outreach held list" in aside.out) == (1, True)


def test_a_persons_word_is_asked_about_and_kept(copied: Path) -> None:
    typed(copied, "doctor", "--after-restore", "--yes", "--by", "mei")
    (one, *_) = typed(copied, "held", "list", "--people", "--format", "json").value["people"]
    assert typed(copied, "held", "release", str(one["id"]), "--by", "mei", "--reason", "never came").code == 0
    assert "mei lets it go on: never came" in typed(copied, "explain", one["person"]).out
    no = typed(copied, "held", "drop", "--all", "--reason", "they had it", answer="n\n")
    assert "people: 2, waves: 0; end them where they stood?" in no.err
    assert typed(copied, "held", "drop", "--all", "--reason", "they had it", "--yes").code == 0
    assert typed(copied, "held", "list").out == "nothing is held\n"
    gone = typed(copied, "held", "release", str(one["id"]))
    assert (gone.code, gone.out) == (1, "nothing of that is held\n")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("held release", "name numbers of people, or --journey NAME, or --all"),
        ("held release 1 --all", "name numbers of people, or --journey NAME, or --all"),
        ("held drop --all", "--reason is missing"),
        ("held drop --all --reason=", "--reason is empty"),
        ("held", "name a command"),
    ],
)
def test_a_slip_of_the_fingers_decides_nothing(copied: Path, words: str, sentence: str) -> None:
    told = typed(copied, *words.split())
    assert told.code == 2
    assert sentence in told.err
