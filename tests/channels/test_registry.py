"""Providers are found by the name under which a package announces them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from channels import registry
from channels.errors import Misconfigured
from channels.maildir import MaildirProvider


@pytest.fixture
def announced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package as pip leaves it behind, with providers good and bad."""
    info = tmp_path / "pigeonpost-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pigeonpost\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[outreach.providers]\n"
        "pigeon = channels.maildir:MaildirProvider\n"
        "broken = pigeonpost.missing:Provider\n"
        "odd = channels.registry:find\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return tmp_path


@pytest.mark.usefixtures("announced")
class TestAnnounced:
    def test_a_provider_is_found_by_its_name(self) -> None:
        assert registry.find("pigeon") is MaildirProvider

    def test_an_unknown_name_is_answered_with_those_installed_and_the_nearest(self) -> None:
        with pytest.raises(Misconfigured, match=r"no provider pidgeon\. Installed: .*pigeon.* Did you mean pigeon\?"):
            registry.find("pidgeon")

    def test_a_package_that_cannot_be_imported_is_named(self) -> None:
        with pytest.raises(Misconfigured, match=r"broken of pigeonpost cannot be loaded .*ModuleNotFoundError"):
            registry.find("broken")

    def test_what_is_no_provider_is_refused(self) -> None:
        with pytest.raises(Misconfigured, match="odd of pigeonpost is no Provider class"):
            registry.find("odd")

    def test_all_names_are_listed_in_order(self) -> None:
        names = registry.installed()
        assert {"pigeon", "broken", "odd"} <= set(names)
        assert list(names) == sorted(names)


def test_with_nothing_installed_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(Misconfigured, match="install the project"):
        registry.find("smtp")
