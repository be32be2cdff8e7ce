"""Damaged files, one after the other, through everything that reads them: a long proof.

    python3 dev.py fuzz [--minutes=5] [--seed=1] [--keep=FOLDER]

Files that ship (config, journeys, audience, texts, tables, stories) are damaged in bytes, lines, words and values, and
read by the code of `check`, `import`, `test` and `simulate`. Nothing may end in a traceback, take more than 3 seconds,
or bring the process above 300 MiB; every complaint has its place. What breaks this is kept in FOLDER. Exit code 1 then.
"""

from __future__ import annotations

import argparse
import gzip
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from engine.app import build_app
from engine.audience.book import read_audience
from engine.cli.findings import findings
from engine.cli.shipped import copy_shipped
from engine.errors import BadInput
from engine.imports.files import read_events, read_people
from engine.imports.mapping import read_mapping
from engine.journey.catalog import load_catalog
from engine.journey.lint import lint
from engine.journey.problems import Problem
from engine.message.templates import load_texts
from engine.settings import Settings, load_settings
from engine.simulate.answers import load_answers
from engine.simulate.scenario import read_scenarios
from engine.work.publishing.drafts import load_drafts

WHOLE = 0.02  # of the rounds read the whole installation
LONGEST = 3.0  # seconds of the processor: how busy the machine is does not count
MOST = 300  # MiB
JOURNEYS = ("golden_72_hours", "silent_wave", "vip_concierge")
TEXTS = ("_layout", "thank_you", "how_to_use", "voucher", "personal_call")  # a few, so that a round is quick

TEXT_ENDINGS = (".mjml", ".txt", ".yaml", ".md")

PEOPLE = """id,email,phone,country,locale,zone,created_at,consent.email.care,consent.source,tier,points
mei,mei@example.com,+8613900000001,CN,zh-CN,Asia/Shanghai,2026-01-05T10:00+08:00,yes,shop,gold,12
ann,ann@example.com,,DE,de,Europe/Berlin,2026-02-05,no,,,3.5
"""
EVENTS = """{"id": "e1", "person": "mei", "name": "Ordered", "at": "2026-11-02T10:00+08:00", "payload": {"n": 2}}
{"id": "e2", "person": "ann", "name": "Page Viewed", "at": "2026-11-03T10:00Z", "payload": {"n": [1, {"a": null}]}}
"""
ANSWERS = """messages: {opened: 30%, clicked: 8%, after: 3h}
events:
  - {name: Parcel Delivered, follows: Order Completed, share: 95%, after: 2d, copy: [order_id]}
tasks: {care_call: {after: 3h, satisfied: 70%}}
approvals: {outcome: approved, after: 1h}
"""
MAPPING = """people:
  id: CustomerID
  email: "c{CustomerID}@example.com"
  country: {column: Country, map: {EIRE: IE}, otherwise: GB}
events:
  id: "order-{InvoiceNo}"
  person: CustomerID
  name: Order Completed
  at: {column: InvoiceDate, zone: Europe/London}
  where: {Quantity: {above: 0}}
  group: InvoiceNo
  payload: {order_id: InvoiceNo, total: {sum: Quantity, times: UnitPrice}, items: {list: {sku: StockCode}}}
"""
VALUES = (
    *("", "~", "null", "NO", "true", "0", "-1", "1e999", "NaN", ".inf", "0x1F", "99999999999999999999", "010010", "5%"),
    *("120%", "-5%", "6h", "999999d", "0m", "6 hours", "200 CNY", "-3 USD", "5 QQQ", '"25:61"', '"20:00"', '"24:00"'),
    *("21:00-08:00", "2026-02-30", "2026-11-22", "{ago: 30d}", "{}", "[]", "[[]]", "{a: {b: {c: {}}}}", "&a x", "*a"),
    *(
        "!!python/object:os.system x",
        "!x y",
        "|\n  a\n  b",
        ">-\n x",
        "'",
        '"',
        "`",
        "@",
        "%",
        "{{ person.name }}",
        "{% for",
    ),
    *("../../etc/passwd", "Asia/Shanghai", "Mars/Base", "mon-fri", "fri-mon", "person", "rfm.r", "now.hour", "event.x"),
    *(
        "message.x",
        "segment",
        "$ref",
        "\u202eabc",
        "\ufeff",
        "\x00",
        "\x1b[31m",
        "😀" * 50,
        "x" * 5_000,
        "ａ：ｂ",
        "、",
        "　",
    ),
    *("{% set x = ''.__class__ %}", "{{ range(10**9) | list }}", "<mj-text>", "</mj-text>", "<script>", "javascript:x"),
)
WORDS = (
    *(
        "send",
        "wait",
        "wait_for",
        "branch",
        "split",
        "give",
        "task",
        "exit",
        "repeat",
        "update",
        "emit",
        "start",
        "stop",
    ),
    *("approve", "steps", "then", "otherwise", "outcomes", "variants", "share", "if", "id", "via", "within", "until"),
    *(
        "days",
        "minus",
        "where",
        "any",
        "all",
        "not",
        "segment",
        "enter",
        "again",
        "leave",
        "goal",
        "holdout",
        "rollout",
    ),
    *("topic", "title", "every", "on", "at", "zone", "cron", "dates", "date", "before", "after", "absence_of", "for"),
    *(
        "traits",
        "segments",
        "lists",
        "pools",
        "count",
        "sum",
        "median_gap",
        "last",
        "caps",
        "quiet_hours",
        "per",
        "message",
    ),
)


class TooSlow(Exception):
    """A reader took longer than anybody waits."""


@contextmanager
def in_time(seconds: float) -> Iterator[None]:
    def ring(_: int, __: FrameType | None) -> None:
        raise TooSlow(f"more than {seconds:g} s")

    before = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


# --- damage ----------------------------------------------------------------------------------------------------------


def damaged(text: str, other: str, chance: random.Random) -> str:
    """The same text with one to four things wrong with it."""
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 4))):
        text = chance.choice(DAMAGES)(text, other, chance)
    return text


def _lines(text: str, other: str, chance: random.Random) -> str:
    """A line goes, comes twice, changes its place or its depth."""
    lines = text.splitlines() or [""]
    at = chance.randrange(len(lines))
    kind = chance.randrange(5)
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines[at:at] = lines[at : at + chance.randint(1, 5)]
    elif kind == 2:
        lines.insert(chance.randrange(len(lines) + 1), lines.pop(at))
    elif kind == 3:
        lines[at] = " " * chance.randint(0, 8) + lines[at].lstrip()
    else:
        more = other.splitlines() or [""]
        start = chance.randrange(len(more))
        lines[at:at] = more[start : start + chance.randint(1, 12)]
    return "\n".join(lines) + "\n"


def _value(text: str, _: str, chance: random.Random) -> str:
    """What stands behind a colon or a dash becomes something else."""
    places = [index for index, sign in enumerate(text) if sign in ":-,[" and text[index + 1 : index + 2] in (" ", "")]
    if not places:
        return text
    start = chance.choice(places) + 1
    end = start
    while end < len(text) and text[end] not in "\n,}]":
        end += 1
    return f"{text[:start]} {chance.choice(VALUES)}{text[end:]}"


def _word(text: str, _: str, chance: random.Random) -> str:
    """One word of the language stands where another was."""
    known = [word for word in WORDS if word in text]
    return text.replace(chance.choice(known), chance.choice(WORDS), 1) if known else text


def _signs(text: str, _: str, chance: random.Random) -> str:
    """Signs go, come or change."""
    start = chance.randrange(len(text) + 1)
    put = "".join(chance.choice("{}[]:,-#&*!|>'\"%@` \n\t\x00\u2028é€😀0a") for _ in range(chance.randint(0, 4)))
    return text[:start] + put + text[start + chance.randint(0, 3) :]


def _pieces(text: str, _: str, chance: random.Random) -> str:
    """A piece is cut out, doubled many times, or all that follows is missing."""
    start = chance.randrange(len(text) + 1)
    end = min(len(text), start + chance.randint(1, 60))
    kind = chance.randrange(4)
    if kind == 0:
        return text[:start] + text[end:]
    if kind == 1:
        return text[:start]
    times = chance.choice((2, 3, 50, 2_000))
    return text[:start] + text[start:end] * times + text[end:]


def _nested(text: str, _: str, chance: random.Random) -> str:
    """Something very deep or very wide."""
    start = chance.randrange(len(text) + 1)
    opening, closing = chance.choice((("[", "]"), ("{a: ", "}"), ("- ", ""), ("{% if x %}", "{% endif %}"), ("(", ")")))
    depth = chance.choice((3, 45, 1_000, 20_000))
    return text[:start] + opening * depth + closing * depth + text[start:]


DAMAGES: tuple[Callable[[str, str, random.Random], str], ...] = (
    _lines,
    _value,
    _value,
    _word,
    _signs,
    _pieces,
    _nested,
)


# --- what reads ------------------------------------------------------------------------------------------------------


class Shop:
    """A small shop made of files that ship; one of them is damaged, read, and mended again."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        copy_shipped(folder)
        for path in (folder / "templates").iterdir():
            if path.name not in TEXTS:
                shutil.rmtree(path)
        self.folder = folder
        settings, problems = load_settings(folder / "config.yaml")
        assert settings is not None, problems
        self.settings: Settings = settings
        self.policy = settings.policy.model_copy(
            update={"topics": settings.topics, "channels": tuple(settings.channels)}
        )
        app = build_app(folder / "config.yaml", inert=True, database="sqlite://", strict=False)
        self.names = load_drafts(app).names
        app.close()
        journeys = [folder / "journeys" / f"{name}.yaml" for name in JOURNEYS]
        self.kinds = (
            journeys,
            [folder / "config.yaml", folder / "journeys" / "audience.yaml"],
            sorted(path for path in (folder / "templates").rglob("*") if path.suffix in TEXT_ENDINGS),
        )

    def round(self, chance: random.Random) -> tuple[str, str]:
        """Damage one file and read it. (its kind, what was read)."""
        if chance.random() < 0.5:
            return self._check(chance)
        return self._others(chance)

    def _any(self, chance: random.Random) -> Path:
        """Each kind as often as the others, however many files it has."""
        return chance.choice(chance.choice(self.kinds))

    def _check(self, chance: random.Random) -> tuple[str, str]:
        path = self._any(chance)
        kind = f"check {path.parent.name}/{path.name}" if path.parent != self.folder else "check config.yaml"
        whole = path.read_text(encoding="utf-8")
        text = damaged(whole, self._any(chance).read_text(encoding="utf-8"), chance)
        path.write_text(text, encoding="utf-8", errors="surrogatepass", newline="")
        try:
            with in_time(LONGEST):
                told = self._everything() if chance.random() < WHOLE else self._one(path, text)
        finally:
            path.write_text(whole, encoding="utf-8")
        in_place(told)
        return kind, text

    def _everything(self) -> Iterable[Problem]:
        return findings(self.folder / "config.yaml").problems

    def _one(self, path: Path, text: str) -> Iterable[Problem]:
        """By the reader of that file alone, which is many times as fast."""
        if path.name == "config.yaml":
            return load_settings(path)[1]
        if path.name == "audience.yaml":
            return read_audience(text, path.name, self.settings, path.parent)[1]
        if path.parent.name == "journeys":
            alone = self.folder / "alone"
            shutil.rmtree(alone, ignore_errors=True)
            alone.mkdir()
            shutil.copy(path, alone / path.name)
            catalog = load_catalog(alone, self.names.traits)
            graphs = [*catalog.graphs.values(), *catalog.drafts.values()]
            return [*catalog.problems, *(one for graph in graphs for one in lint(graph, self.names, self.policy))]
        return self._texts(path)

    def _texts(self, path: Path) -> Iterable[Problem]:
        alone = self.folder / "alone"
        shutil.rmtree(alone, ignore_errors=True)
        for name in {"_layout", path.parent.name}:
            shutil.copytree(self.folder / "templates" / name, alone / name)
        return load_texts(alone, self.settings)[1]

    def _others(self, chance: random.Random) -> tuple[str, str]:
        story = (self.folder / "journeys" / "tests" / "golden_72_hours.yaml").read_text(encoding="utf-8")
        name, source = chance.choice(
            (
                *(("people.csv", PEOPLE), ("events.jsonl", EVENTS), ("map.yaml", MAPPING), ("answers.yaml", ANSWERS)),
                *(("golden_72_hours.yaml", story), ("people.csv.gz", PEOPLE)),
            )
        )
        text = damaged(source, chance.choice((PEOPLE, EVENTS, MAPPING, ANSWERS, story)), chance)
        file = self.folder / name
        raw = text.encode("utf-8", "surrogatepass")
        if name.endswith(".gz"):
            packed = bytearray(gzip.compress(raw))
            for _ in range(chance.randint(0, 2)):
                packed[chance.randrange(len(packed))] = chance.randrange(256)
            raw = bytes(packed)
        file.write_bytes(raw)
        with in_time(LONGEST):
            in_place(self._read(file))
        return f"read {name}", text

    def _read(self, file: Path) -> list[Problem]:
        try:
            if file.name.startswith("people"):
                return [one for one in read_people(file, None, self.settings) if isinstance(one, Problem)]
            if file.name.startswith("events"):
                return [one for one in read_events(file, None, self.settings) if isinstance(one, Problem)]
            if file.name == "map.yaml":
                return read_mapping(file)[1]
            if file.name == "answers.yaml":
                load_answers(file)
            else:
                read_scenarios(file, file.name, JOURNEYS, self.names)
        except BadInput as error:
            return list(error.problems)
        return []


def in_place(problems: Iterable[Problem]) -> None:
    for problem in problems:
        assert problem.position.line >= 1, problem
        assert problem.position.column >= 1, problem
        assert problem.sentence, problem
        assert problem.code, problem


# --- the proof -------------------------------------------------------------------------------------------------------


def fuzz(
    folder: Path, seed: int, until: Callable[[int], bool], keep: Path | None = None
) -> tuple[Counter[str], list[str]]:
    """Rounds until `until(number)`; how many of each kind, and what broke."""
    shop = Shop(folder)
    done: Counter[str] = Counter()
    broken: list[str] = []
    number = 0
    while not until(number):
        chance = random.Random(f"{seed}-{number}")
        try:
            done[shop.round(chance)[0].partition("/")[0]] += 1
        except Exception as error:
            broken.append(f"round {number} (seed {seed}): {type(error).__name__}: {str(error)[:200]}")
            if keep is not None:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{seed}-{number}.txt").write_text(traceback.format_exc(), encoding="utf-8")
            shutil.rmtree(folder)
            shop = Shop(folder)
        number += 1
    return done, broken


def memory() -> float:
    """The most this process ever held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    wanted = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    wanted.add_argument("--minutes", type=float, default=5)
    wanted.add_argument("--seed", type=int, default=1)
    wanted.add_argument("--keep", type=Path, default=None)
    said = wanted.parse_args()
    end = time.monotonic() + said.minutes * 60
    with tempfile.TemporaryDirectory() as place:
        done, broken = fuzz(Path(place) / "shop", said.seed, lambda _: time.monotonic() > end, said.keep)
    for kind, count in sorted(done.items()):
        print(f"  {kind:<40}{count:>8,}")
    print(f"{sum(done.values()):,} damaged files read, {len(broken)} broke the reader; at most {memory():.0f} MiB")
    print("\n".join(broken))
    return 1 if broken or memory() > MOST else 0


if __name__ == "__main__":
    sys.exit(main())
