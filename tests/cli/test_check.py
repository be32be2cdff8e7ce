"""`outreach check`: what it tells of each file, and how."""

from __future__ import annotations

from pathlib import Path

from typed import typed

JOURNEY = "journeys/after_purchase.yaml"
UNREACHABLE = "\n  - exit: done\n  - {id: never, send: thank_you, via: email}\n"


def write(shop: Path, more: str, file: str = JOURNEY) -> None:
    """Add something to the end of a file."""
    with (shop / file).open("a", encoding="utf-8") as out:
        out.write(more)


# --- codes ------------------------------------------------------------------------------------------------------------


def test_a_code_is_explained_with_an_example_and_its_cure(shop: Path) -> None:
    told = typed(shop, "check", "--explain", "unreachable-step")

    assert told.code == 0
    assert told.out.startswith("unreachable-step\n")
    assert "- exit: done" in told.out
    assert "Move the step up" in told.out


def test_a_code_without_a_page_of_its_own_is_explained_in_a_sentence(shop: Path) -> None:
    assert typed(shop, "check", "--explain", "bad-share").out == (
        "bad-share\n\nA share that is not a percentage between 0% and 100%.\n"
    )


def test_a_code_that_does_not_exist_is_bad_input_with_the_nearest_that_does(shop: Path) -> None:
    told = typed(shop, "check", "--explain", "unreachable-stp")

    assert told.code == 2
    assert "there is no code unreachable-stp; did you mean `unreachable-step`?" in told.err


def test_the_first_finding_of_a_code_says_where_to_read_more(shop: Path) -> None:
    write(shop, UNREACHABLE)

    told = typed(shop, "check")

    assert told.code == 2
    assert told.err.count("more: outreach check --explain unreachable-step") == 1


# --- what is allowed --------------------------------------------------------------------------------------------------

ASKED = """
  - branch: [{if: {any: [{tier: gold}, {tier: {is: plain, is_not: plain}}]}, then: []}]
"""
ALLOWED = "    allow: {impossible-condition: we shall see}\n"


def test_a_warning_with_a_reason_is_counted_and_shown_on_demand(shop: Path) -> None:
    write(shop, ASKED)
    assert typed(shop, "check").code == 1
    write(shop, "allow: {impossible-condition: we shall see}\n")

    told, every = typed(shop, "check"), typed(shop, "check", "--all")

    assert (told.code, every.code) == (0, 0)
    assert "0 errors, 0 warnings, 1 allowed" in told.out
    assert "impossible-condition" not in told.said
    assert "allowed: `tier` cannot be" in every.err
    assert "we shall see" in every.err


def test_a_program_is_told_what_is_allowed(shop: Path) -> None:
    write(shop, ASKED + ALLOWED)

    told = typed(shop, "check", "--format", "json").value

    assert (told["warnings"], told["problems"]) == (0, [])
    assert [(one["problem"]["code"], one["reason"]) for one in told["silenced"]] == [
        ("impossible-condition", "we shall see")
    ]


def test_config_allows_for_the_whole_shop(shop: Path) -> None:
    write(shop, ASKED)
    write(shop, "\nallow: {impossible-condition: as ever, no-such-code: never}\n", "config.yaml")

    told = typed(shop, "check", "--format", "json").value

    assert [one["code"] for one in told["problems"]] == ["unknown-code"]
    assert told["problems"][0]["position"]["file"].endswith("config.yaml")
    assert len(told["silenced"]) == 1


def test_audience_allows_for_itself_and_says_what_is_wrong_about_it(shop: Path) -> None:
    write(shop, "\nallow: {unknown-trait: never}\n", "journeys/audience.yaml")
    assert [one["code"] for one in typed(shop, "check", "--format", "json").value["problems"]] == ["unused-silence"]

    write(shop, "\nallow: [unknown-trait]\n", "journeys/audience.yaml")
    assert typed(shop, "check").code == 2


def test_publishing_tells_no_warning_that_is_allowed(shop: Path) -> None:
    write(shop, ASKED + ALLOWED)

    assert "impossible-condition" not in typed(shop, "publish", "--yes").said


def test_one_file_is_checked_alone_config_too_from_wherever_one_stands(shop: Path) -> None:
    write(shop, UNREACHABLE)
    write(shop, "\nallow: {no-such-code: never}\n", "config.yaml")
    elsewhere = shop.parent

    words = ("check", "--format", "json", "--config", f"{shop.name}/config.yaml")
    own = typed(elsewhere, *words, f"{shop.name}/{JOURNEY}")
    config = typed(elsewhere, *words, f"{shop.name}/config.yaml")

    assert [one["code"] for one in own.value["problems"]] == ["unreachable-step"]
    assert [one["code"] for one in config.value["problems"]] == ["unknown-code"]
