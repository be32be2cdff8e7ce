"""`outreach check`: what it tells of each file, and how."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from jsonschema import Draft202012Validator
from typed import typed

from engine.cli.watch import saved

HERE = Path(__file__).parents[2]
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


# --- conditions against the shop --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("{event.total: {at_least: 200 CHF}}", "no-rate"),
        ("{churn_stage: gone}", "unknown-value"),
        ("{created_at: 5}", "wrong-kind"),
        ("{event.total: {at_least: 200 RMB}}", "unknown-currency"),
        ("{orders: {at_least: 5, below: 3}}", "impossible-condition"),
    ],
)
def test_a_branch_is_held_against_what_its_fields_are(shop: Path, written: str, code: str) -> None:
    write(shop, f"\n  - branch: [{{if: {written}, then: []}}]\n")

    told = typed(shop, "check", "--format", "json")

    assert [(one["code"], one["position"]["file"]) for one in told.value["problems"]] == [(code, JOURNEY)]
    assert told.code == 2


def test_a_segment_that_nobody_can_be_in_is_told(shop: Path) -> None:
    write(shop, "  nobody: {tier: gold, not: {tier: [gold, black]}}\n", "journeys/audience.yaml")

    told = typed(shop, "check", "--format", "json").value["problems"]

    assert [(one["code"], one["sentence"]) for one in told] == [("impossible-condition", "this can never hold")]


# --- several journeys -------------------------------------------------------------------------------------------------


def journey(shop: Path, name: str, enter: str, steps: str, again: str = "always") -> None:
    head = f"topic: care\nenter: {{event: {enter}}}\nagain: {again}\nsteps:\n"
    (shop / "journeys" / f"{name}.yaml").write_text(head + steps, encoding="utf-8")


def codes_of(shop: Path) -> list[tuple[str, str, str]]:
    """Code, severity and file of everything that is told."""
    problems = typed(shop, "check", "--format", "json").value["problems"]
    return [(one["code"], one["severity"], one["position"]["file"]) for one in problems]


def test_a_journey_that_emits_what_opens_it_at_once_is_an_error(shop: Path) -> None:
    journey(shop, "a", "Page Viewed", "  - emit: Page Viewed\n")

    assert codes_of(shop) == [("circular-emit", "error", "journeys/a.yaml")]


def test_two_journeys_that_open_each_other_are_asked_about(shop: Path) -> None:
    journey(shop, "a", "First", "  - wait: 2d\n  - emit: Second\n")
    journey(shop, "b", "Second", "  - emit: First\n")

    assert codes_of(shop) == [("circular-emit", "warning", f"journeys/{name}.yaml") for name in "ab"]


@pytest.mark.parametrize("again", ["never", "{after: 30d}"])
def test_one_who_may_not_come_back_ends_the_circle(shop: Path, again: str) -> None:
    journey(shop, "a", "First", "  - emit: Second\n", again)
    journey(shop, "b", "Second", "  - emit: First\n")

    assert codes_of(shop) == []


def test_two_journeys_that_wait_for_each_other_are_asked_about(shop: Path) -> None:
    journey(shop, "a", "X", "  - {wait_for: Packed, within: 3d, otherwise: [{exit: no}]}\n  - emit: Paid\n", "never")
    journey(shop, "b", "X", "  - {wait_for: Paid, within: 3d, otherwise: [{exit: no}]}\n  - emit: Packed\n", "never")

    assert codes_of(shop) == [("waits-for-each-other", "warning", f"journeys/{name}.yaml") for name in "ab"]


@pytest.mark.parametrize(
    ("first", "third"),
    [
        ("", "  - wait: 1d\n"),  # whoever waited in vain goes on all the same
        (", otherwise: [{exit: no}]", "  - emit: Packed\n"),  # another journey emits it without waiting
    ],
)
def test_a_way_that_waits_for_nothing_ends_the_waiting(shop: Path, first: str, third: str) -> None:
    journey(shop, "a", "X", f"  - {{wait_for: Packed, within: 3d{first}}}\n  - emit: Paid\n", "never")
    journey(shop, "b", "X", "  - {wait_for: Paid, within: 3d, otherwise: [{exit: no}]}\n  - emit: Packed\n", "never")
    journey(shop, "c", "X", third, "never")

    assert codes_of(shop) == []


# --- texts ------------------------------------------------------------------------------------------------------------

MAIL = "templates/thank_you/email.en.mjml"


def change(shop: Path, old: str, new: str, file: str = MAIL) -> None:
    path = shop / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def found(shop: Path) -> list[tuple[str, str, int]]:
    """Code, file and line of everything that is told."""
    problems = typed(shop, "check", "--format", "json").value["problems"]
    return [(one["code"], one["position"]["file"], one["position"]["line"]) for one in problems]


def test_a_misspelt_attribute_behind_a_default_is_told_at_its_place(shop: Path) -> None:
    change(shop, "Hello{%", "Hello {{ person.frist_name | default('') }}{%")

    assert found(shop) == [("unknown-attribute", MAIL, 11)]
    assert "did you mean `first_name`?" in typed(shop, "check").err


def test_an_attribute_of_any_other_name_may_well_exist_as_long_as_nobody_is_known(shop: Path) -> None:
    change(shop, "Hello{%", "Hello {{ person.shoe_size | default('') }}{%")

    assert found(shop) == []


def test_publishing_tells_of_names_in_texts_that_nobody_has(shop: Path) -> None:
    change(shop, "Hello{%", "Hello {{ person.shoe_size | default('') }} {{ event.ttl | default('') }}{%")
    assert typed(shop, "import", "people", "people.csv").code == 0
    assert typed(shop, "import", "events", "events.csv").code == 0

    told = typed(shop, "publish", "--yes")

    assert told.code == 0
    assert f"{MAIL}:11:57: warning: none of the latest events `Order Completed` told a `ttl`" in told.err
    assert "warning: nobody has an attribute `shoe_size` so far [unknown-attribute]" in told.err


def test_a_name_of_the_event_that_people_have_too_is_an_error_until_it_is_written_out(shop: Path) -> None:
    (shop / "people.csv").write_text("id,email,total\nanna,anna@example.com,3\n")
    assert typed(shop, "import", "people", "people.csv").code == 0
    change(shop, "{event: Order Completed}", "{event: Order Completed, where: {total: {at_least: 1}}}", JOURNEY)

    told = typed(shop, "publish", "--yes")

    assert told.code == 2
    assert "`total` is an attribute of the person and could be a key of the event as well [ambiguous-name]" in told.err
    assert "write `event.total` for the event's, `person.total` for the person's" in told.err
    change(shop, "{total: {at", "{event.total: {at", JOURNEY)
    assert "ambiguous-name" not in typed(shop, "publish", "--yes").err


def by_sms(shop: Path, text: str) -> None:
    (shop / "templates" / "thank_you" / "sms.en.txt").write_text(text, encoding="utf-8")
    change(shop, "via: [email]", "via: [sms]", JOURNEY)
    write(shop, "\n", "config.yaml")
    change(shop, "channels:\n", "channels:\n  sms: {provider: simulated}\n", "config.yaml")


def test_an_sms_for_marketing_needs_a_way_out(shop: Path) -> None:
    by_sms(shop, "Thank you! Something new: {{ brand.url }}")

    assert found(shop) == [("missing-opt-out", "templates/thank_you/sms.en.txt", 1)]


@pytest.mark.parametrize(
    "text",
    ["Thank you! Reply STOP to opt out", "谢谢！回T退订", "Danke! Abmelden: 1", "Thanks! {{ links.unsubscribe }}"],
)
def test_a_word_or_a_link_is_a_way_out(shop: Path, text: str) -> None:
    by_sms(shop, text)

    assert found(shop) == []


def test_a_way_out_in_config_is_one_for_all(shop: Path) -> None:
    by_sms(shop, "Thank you!")
    write(shop, "\nsms: {opt_out: Reply STOP}\n", "config.yaml")

    assert found(shop) == []


# --- for programs -----------------------------------------------------------------------------------------------------


def test_github_reads_a_command_for_each_finding(shop: Path) -> None:
    write(shop, ASKED + ALLOWED + UNREACHABLE)
    path = shop / "journeys" / "a,b:50%.yaml"
    path.write_text("topic: care\nenter: {event: Order Completed}\nsteps:\n  - mail: x\n", encoding="utf-8")

    told = typed(shop, "check", "--format", "github")

    assert told.code == 2
    assert told.err == ""
    first, second = sorted(told.out.splitlines())[0], told.out.splitlines()[-1]
    assert first.startswith("::error file=journeys/a%2Cb%3A50%25.yaml,line=")
    assert re.fullmatch(
        rf"::error file={JOURNEY},line=\d+,col=\d+,title=unreachable-step::nobody can come to `never`: "
        r"every way before it ends%0Amove it up, or delete it",
        second,
    )


def test_files_are_named_from_the_folder_one_stands_in(shop: Path) -> None:
    write(shop, UNREACHABLE)

    told = typed(shop.parent, "check", "--format=github", "--config", f"{shop.name}/config.yaml")

    assert told.out.startswith(f"::error file={shop.name}/{JOURNEY},")


def test_sarif_holds_a_rule_for_each_code_and_what_is_allowed_as_suppressed(shop: Path) -> None:
    write(shop, ASKED + ALLOWED + UNREACHABLE)

    told = typed(shop, "check", "--format", "sarif")

    assert told.code == 2
    Draft202012Validator(SARIF).validate(told.value)
    (run,) = told.value["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules == ["unreachable-step", "impossible-condition"]
    assert all(rules[one["ruleIndex"]] == one["ruleId"] for one in run["results"])
    wrong, allowed = run["results"]
    assert (wrong["level"], allowed["level"]) == ("error", "warning")
    assert wrong["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == JOURNEY
    assert "suppressions" not in wrong
    assert allowed["suppressions"] == [{"kind": "inSource", "justification": "we shall see"}]
    assert "- exit: done" in run["tool"]["driver"]["rules"][0]["help"]["markdown"]


def test_sarif_of_a_shop_without_findings_is_a_run_without_results(shop: Path) -> None:
    told = typed(shop, "check", "--format", "sarif")

    assert told.code == 0
    Draft202012Validator(SARIF).validate(told.value)
    assert told.value["runs"][0]["results"] == []


def test_sarif_names_a_file_with_strange_signs_as_an_address(shop: Path) -> None:
    path = shop / "journeys" / "老 客户%.yaml"
    path.write_text("topic: care\n", encoding="utf-8")

    (first, *_) = typed(shop, "check", "--format", "sarif").value["runs"][0]["results"]

    uri = first["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert (uri.isascii(), unquote(uri)) == (True, "journeys/老 客户%.yaml")


#: the rules of the published schema that our files can break
SARIF: dict[str, Any] = {
    "type": "object",
    "required": ["version", "runs"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tool"],
                "additionalProperties": False,
                "properties": {
                    "tool": {
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "required": ["name"],
                                "additionalProperties": False,
                                "properties": {
                                    "name": {"type": "string"},
                                    "version": {"type": "string"},
                                    "rules": {"type": "array", "uniqueItems": True, "items": {"$ref": "#/$defs/rule"}},
                                },
                            }
                        },
                    },
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "results": {"type": "array", "items": {"$ref": "#/$defs/result"}},
                },
            },
        },
    },
    "$defs": {
        "text": {
            "type": "object",
            "required": ["text"],
            "additionalProperties": False,
            "properties": {"text": {"type": "string"}, "markdown": {"type": "string"}},
        },
        "level": {"enum": ["none", "note", "warning", "error"]},
        "rule": {
            "type": "object",
            "required": ["id"],
            "additionalProperties": False,
            "properties": {
                "id": {"type": "string"},
                "shortDescription": {"$ref": "#/$defs/text"},
                "help": {"$ref": "#/$defs/text"},
                "defaultConfiguration": {"properties": {"level": {"$ref": "#/$defs/level"}}},
            },
        },
        "result": {
            "type": "object",
            "required": ["message"],
            "additionalProperties": False,
            "properties": {
                "ruleId": {"type": "string"},
                "ruleIndex": {"type": "integer", "minimum": -1},
                "level": {"$ref": "#/$defs/level"},
                "message": {"$ref": "#/$defs/text"},
                "locations": {"type": "array", "items": {"$ref": "#/$defs/location"}},
                "suppressions": {
                    "type": "array",
                    "uniqueItems": True,
                    "items": {
                        "required": ["kind"],
                        "additionalProperties": False,
                        "properties": {
                            "kind": {"enum": ["inSource", "external"]},
                            "justification": {"type": "string"},
                        },
                    },
                },
            },
        },
        "location": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "physicalLocation": {
                    "required": ["artifactLocation"],
                    "additionalProperties": False,
                    "properties": {
                        "artifactLocation": {"properties": {"uri": {"type": "string", "pattern": "^[!-~]+$"}}},
                        "region": {
                            "additionalProperties": False,
                            "properties": {
                                "startLine": {"type": "integer", "minimum": 1},
                                "startColumn": {"type": "integer", "minimum": 1},
                            },
                        },
                    },
                }
            },
        },
    },
}


def test_junit_has_a_case_for_each_file_and_fails_those_with_errors(shop: Path) -> None:
    write(shop, ASKED)
    (shop / "journeys" / "other.yaml").write_text("topic: care\ntitle: \x0b\n", encoding="utf-8")

    told = typed(shop, "check", "--format", "junit")

    assert told.code == 2
    root = ElementTree.fromstring(told.out)
    (suite,) = root
    cases = {case.get("name"): case for case in suite}
    assert root.tag == "testsuites"
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == (str(len(cases)), "1", "0")
    assert {"config.yaml", "journeys/audience.yaml", "templates/thank_you/email.en.mjml"} <= cases.keys()
    assert len(cases["config.yaml"]) == 0
    assert [part.tag for part in cases["journeys/other.yaml"]] == ["failure"]
    assert "[control-character]" in str(cases["journeys/other.yaml"][0].text)
    assert [part.tag for part in cases[JOURNEY]] == ["system-out"]
    assert "warning: `tier` cannot be" in str(cases[JOURNEY][0].text)


def test_other_commands_know_no_such_formats(shop: Path) -> None:
    told = typed(shop, "doctor", "--format", "sarif")

    assert (told.code, told.out) == (2, "")
    assert "--format is text or json, not sarif" in told.err


def test_what_a_program_reads_is_empty_where_nothing_can_be_checked(shop: Path) -> None:
    told = typed(shop, "check", "--format", "sarif", "nowhere.yaml")

    assert (told.code, told.out) == (2, "")
    assert "there is no file nowhere.yaml" in told.err


# --- again after each save --------------------------------------------------------------------------------------------


def test_it_checks_again_after_a_save_and_ends_cleanly_on_ctrl_c(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([lambda: write(shop, UNREACHABLE), lambda: None, lambda: None])

    def wait(_: object, seconds: float) -> None:
        next(looks, _stop)()

    monkeypatch.setattr("threading.Event.wait", wait)

    told = typed(shop, "check", "--watch")

    assert told.code == 0
    assert told.out.count("waiting for the next save") == 2
    assert f"saved: {JOURNEY}" in told.out
    assert told.err.count("[unreachable-step]") == 1
    assert told.out.rstrip().endswith("stopped")


def _stop() -> None:
    raise KeyboardInterrupt


def test_nobody_watches_for_a_program(shop: Path) -> None:
    assert typed(shop, "check", "--watch", "--format", "json").code == 2


def test_what_an_editor_saves_in_several_steps_is_told_once_it_rests(tmp_path: Path) -> None:
    file, other = tmp_path / "a.yaml", tmp_path / "b.yaml"
    file.write_text("1", encoding="utf-8")
    steps = iter(
        [lambda: None, lambda: file.write_text("22"), file.unlink, lambda: file.write_text("333"), lambda: None]
    )
    told = saved([tmp_path], lambda _: next(steps, lambda: other.write_text("1"))())

    assert next(told) == frozenset()
    assert next(told) == {file}
    assert next(told) == {other}


def test_what_is_saved_while_it_is_checked_is_checked_again(tmp_path: Path) -> None:
    told = saved([tmp_path], lambda _: None)
    next(told)
    (tmp_path / "a.yaml").write_text("saved while the first check ran", encoding="utf-8")

    assert next(told) == {tmp_path / "a.yaml"}


def test_what_never_rests_is_told_all_the_same_and_what_editors_leave_beside_files_is_not(tmp_path: Path) -> None:
    numbers = iter(range(1000))

    def write_on(_: float) -> None:
        for name in ("a.yaml", ".a.yaml.swp", "a.yaml~", "#a.yaml#"):
            (tmp_path / name).write_text("x" * next(numbers), encoding="utf-8")

    told = saved([tmp_path], write_on)
    next(told)

    assert next(told) == {tmp_path / "a.yaml"}


def test_a_watching_process_ends_on_ctrl_c(shop: Path, request: pytest.FixtureRequest) -> None:
    here = signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts behind it ignores ctrl-c
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, here))
    command = [sys.executable, "-m", "engine.cli.main", "check", "--watch"]
    env = {**os.environ, "LANGUAGE": "en", "PYTHONPATH": str(HERE)}
    with subprocess.Popen(
        command, cwd=shop, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as born:
        assert born.stdout is not None
        for line in born.stdout:
            if "waiting for the next save" in line:
                born.send_signal(signal.SIGINT)
        _, errors = born.communicate(timeout=60)

    assert (born.returncode, errors) == (0, "")
