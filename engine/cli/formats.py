"""What `check` found, in the words of the programs that read it: GitHub's workflows, SARIF 2.1.0, JUnit's XML."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

from engine.cli.explained import codes, sections
from engine.cli.findings import Findings, place_of
from engine.journey.problems import Problem, Severity

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def shown(file: Path) -> str:
    """A file as those programs name it: from the folder one stands in, which is where a repository is checked."""
    whole, here = file.absolute(), Path.cwd()
    return (whole.relative_to(here) if whole.is_relative_to(here) else whole).as_posix()


def _told(problem: Problem) -> str:
    return f"{problem.sentence}\n{problem.hint}" if problem.hint else problem.sentence


# --- GitHub: one command a line, which becomes a note beside the line of the file


def github(found: Findings, home: Path) -> str:
    """Workflow commands, as GitHub's runners read them from standard output."""
    lines = []
    for one in found.problems:
        at = {"file": shown(place_of(one, home)), "line": one.position.line, "col": one.position.column}
        marks = ",".join(f"{name}={_property(str(value))}" for name, value in {**at, "title": one.code}.items())
        lines.append(f"::{one.severity.value} {marks}::{_message(_told(one))}\n")
    return "".join(lines)


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


# --- SARIF


def sarif(found: Findings, home: Path) -> str:
    """One run of SARIF 2.1.0, with a rule for each code; what is allowed stands in it as suppressed."""
    every = [*((one, None) for one in found.problems), *((one.problem, one.reason) for one in found.silenced)]
    rules = {code: number for number, code in enumerate(dict.fromkeys(one.code for one, _ in every))}
    driver = {"name": "outreach", "version": version("outreach"), "rules": [_rule(one) for one in rules]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(one, reason, rules, home) for one, reason in every],
    }
    whole = {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(whole, ensure_ascii=False, indent=2) + "\n"


def _rule(code: str) -> dict[str, Any]:
    sentence = codes().get(code, code)
    text = sections().get(code, sentence)
    return {
        "id": code,
        "shortDescription": {"text": sentence},
        "help": {"text": text, "markdown": text},
        "defaultConfiguration": {"level": "error" if text.startswith("An error") else "warning"},
    }


def _result(one: Problem, reason: str | None, rules: Mapping[str, int], home: Path) -> dict[str, Any]:
    place = shown(place_of(one, home))
    region = {"startLine": one.position.line, "startColumn": one.position.column}
    address = Path(place).as_uri() if Path(place).is_absolute() else quote(place)
    allowed = {"suppressions": [{"kind": "inSource", "justification": reason}]} if reason is not None else {}
    return {
        "ruleId": one.code,
        "ruleIndex": rules[one.code],
        "level": one.severity.value,
        "message": {"text": _told(one)},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": address}, "region": region}}],
        **allowed,
    }


# --- JUnit


def junit(found: Findings, home: Path) -> str:
    """One test case for each file that was checked; errors make it fail, warnings are what it printed."""
    by_file: dict[str, list[Problem]] = {shown(file): [] for file in found.files}
    for one in found.problems:
        by_file.setdefault(shown(place_of(one, home)), []).append(one)
    failed = sum(any(map(_is_error, problems)) for problems in by_file.values())
    counts = {"tests": str(len(by_file)), "failures": str(failed), "errors": "0", "skipped": "0"}
    suites = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(suites, "testsuite", {"name": "outreach check", **counts})
    for file, problems in by_file.items():
        case = ElementTree.SubElement(suite, "testcase", {"classname": "outreach.check", "name": _clean(file)})
        _part(case, "failure", [one for one in problems if _is_error(one)])
        _part(case, "system-out", [one for one in problems if not _is_error(one)])
    ElementTree.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"


def _is_error(one: Problem) -> bool:
    return one.severity is Severity.error


def _part(case: ElementTree.Element, name: str, problems: Sequence[Problem]) -> None:
    if problems:
        first = {"message": _clean(problems[0].sentence), "type": problems[0].code} if name == "failure" else {}
        part = ElementTree.SubElement(case, name, first)
        part.text = _clean("\n".join(map(_line, problems)))


def _line(one: Problem) -> str:
    return f"{one.position}: {one.severity.value}: {_told(one)} [{one.code}]"


def _clean(text: str) -> str:
    """Without what XML cannot hold."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


WRITERS: Mapping[str, Callable[[Findings, Path], str]] = {"github": github, "sarif": sarif, "junit": junit}
