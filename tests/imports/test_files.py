"""Import files: good rows in normal form, bad rows as Problems at their place, whatever the file is like."""

from __future__ import annotations

import ast
import gzip
import json
import lzma
import time
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from engine.imports import lines
from engine.imports.codes import CODES
from engine.imports.files import read_events, read_people
from engine.imports.mapping import read_mapping
from engine.imports.rows import ConsentWord, EventRow, PersonRow
from engine.journey.problems import Problem, Severity
from engine.settings import Settings
from engine.simulate.shop import make_shop, more_events

SETTINGS = Settings.model_validate(
    {
        "shop": {
            "name": "Lumen",
            "url": "https://lumen.example",
            "zone": "Asia/Shanghai",
            "country": "CN",
            "locale": "zh-CN",
            "currency": "CNY",
        },
        "topics": {
            "care": {"title": "Care", "purpose": "transactional"},
            "offers": {"title": "Offers", "purpose": "marketing"},
        },
        "channels": {},
    }
)
Read = tuple[list[Any], list[Problem]]


def people(tmp_path: Path, text: str | bytes, name: str = "people.csv", mapping: str | None = None) -> Read:
    found = _sorted(read_people(_written(tmp_path, text, name), _mapping(tmp_path, mapping), SETTINGS))
    assert all(isinstance(row, PersonRow) for row in found[0])
    return found


def events(tmp_path: Path, text: str | bytes, name: str = "events.csv", mapping: str | None = None) -> Read:
    found = _sorted(read_events(_written(tmp_path, text, name), _mapping(tmp_path, mapping), SETTINGS))
    assert all(isinstance(row, EventRow) for row in found[0])
    return found


def _written(tmp_path: Path, text: str | bytes, name: str) -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def _mapping(tmp_path: Path, text: str | None) -> Any:
    if text is None:
        return None
    path = tmp_path / "map.yaml"
    path.write_text(text, encoding="utf-8")
    mapping, problems = read_mapping(path)
    assert problems == []
    return mapping


def _sorted(items: Any) -> Read:
    items = list(items)
    return [item for item in items if not isinstance(item, Problem)], [
        item for item in items if isinstance(item, Problem)
    ]


def told(problems: list[Problem]) -> list[tuple[str, int, int]]:
    return [(problem.code, problem.position.line, problem.position.column) for problem in problems]


# ── good rows ──


def test_a_person_comes_in_normal_form(tmp_path: Path) -> None:
    text = (
        "id,email,phone,first_name,country,locale,zone,created_at,tier,points,member_no,consent.email.care,consent.source\n"
        "7,Anna@EXAMPLE.com,030 23125-123,Anna,de,de_at,,2026-01-02T10:00+01:00, gold ,12.50,0042,yes,checkout\n"
    )
    rows, problems = people(tmp_path, text)
    assert problems == []
    (row,) = rows
    assert (row.id, row.country, row.locale, row.zone) == ("7", "DE", "de-AT", "Europe/Berlin")
    assert row.addresses == {"email": "Anna@example.com", "sms": "+493023125123"}
    assert row.created_at == datetime(2026, 1, 2, 9, tzinfo=UTC)
    assert row.attributes == {"first_name": "Anna", "tier": "gold", "points": 12.5, "member_no": "0042"}
    assert row.consents == (ConsentWord("email", "care", True, "checkout"),)
    assert (row.position.line, row.position.column) == (2, 1)


def test_what_a_person_does_not_say_is_taken_from_the_shop(tmp_path: Path) -> None:
    (row,), _ = people(tmp_path, "id,zone,locale,country\np1,,,\n")
    assert (row.zone, row.locale, row.country) == ("Asia/Shanghai", "zh-CN", None)


def test_each_consent_may_have_its_own_source_and_instant(tmp_path: Path) -> None:
    text = (
        "id,consent.sms.offers,consent.sms.offers.source,consent.sms.offers.at,consent.email.*,consent.push.care,consent.at\n"
        "1,no,call,2026-05-01T00:00Z,yes,,2026-06-01T00:00Z\n"
    )
    (row,), problems = people(tmp_path, text)
    assert problems == []
    assert row.consents == (
        ConsentWord("sms", "offers", False, "call", datetime(2026, 5, 1, tzinfo=UTC)),
        ConsentWord("email", "*", True, "import", datetime(2026, 6, 1, tzinfo=UTC)),
    )


def test_json_lines_may_nest_attributes_and_consents(tmp_path: Path) -> None:
    person = {
        "id": 7,
        "email": "anna@example.com",
        "attributes": {"tier": "gold", "code": "0012", "loud": True},
        "consent": {"email": {"care": True, "offers": "no"}, "source": "app"},
    }
    (row,), problems = people(tmp_path, json.dumps(person) + "\n\n", "people.jsonl")
    assert problems == []
    assert row.id == "7"
    assert row.attributes == {"tier": "gold", "code": "0012", "loud": True}
    assert row.consents == (ConsentWord("email", "care", True, "app"), ConsentWord("email", "offers", False, "app"))


@pytest.mark.parametrize(
    "told", ["vip; early bird; -newcomer", "vip, early bird ,,-newcomer", "vip|early bird|-newcomer"]
)
def test_tags_are_added_and_with_a_minus_taken_away(tmp_path: Path, told: str) -> None:
    (row,), problems = people(tmp_path, f'id,tags\n7,"{told}"\n')
    assert (row.tags, row.attributes, problems) == ({"vip": True, "early bird": True, "newcomer": False}, {}, [])


def test_tags_of_json_lines_are_a_list_and_a_mapping_may_name_their_column(tmp_path: Path) -> None:
    (row,), _ = people(tmp_path, json.dumps({"id": 7, "tags": ["vip", "-old"]}), "people.jsonl")
    assert row.tags == {"vip": True, "old": False}


def test_a_tag_with_a_quote_is_refused_at_its_cell(tmp_path: Path) -> None:
    rows, problems = people(tmp_path, 'id,tags\n7,"vip;""x"\n')
    assert rows == []
    assert told(problems) == [("bad-tag", 2, 3)]


def test_events_come_with_their_payload_at_once_or_key_by_key(tmp_path: Path) -> None:
    text = (
        "id,person,name,at,payload,payload.total,payload.order_id,payload.gift\n"
        'e1,7,Order Completed,2026-11-22T10:00Z,"{""currency"": ""CNY""}",12.50,0815,true\n'
        "e2,7,Page Viewed,2026-11-22T11:00Z,,,,\n"
    )
    rows, problems = events(tmp_path, text)
    assert problems == []
    assert [row.payload for row in rows] == [{"currency": "CNY", "total": 12.5, "order_id": "0815", "gift": True}, {}]
    assert rows[0].at == datetime(2026, 11, 22, 10, tzinfo=UTC)


def test_events_of_json_lines_keep_their_types(tmp_path: Path) -> None:
    event = {
        "id": "e1",
        "person": 7,
        "name": "Order Completed",
        "at": "2026-11-22T10:00:00+08:00",
        "payload": {"total": "12", "n": [1]},
    }
    (row,), problems = events(tmp_path, json.dumps(event), "events.ndjson")
    assert problems == []
    assert row == EventRow(
        id="e1", person="7", name="Order Completed", at=datetime(2026, 11, 22, 2, tzinfo=UTC),
        payload={"total": "12", "n": [1]}, position=row.position,
    )  # fmt: skip


def test_the_sample_shop_is_read_without_a_single_problem(tmp_path: Path) -> None:
    end = datetime(2026, 11, 22, tzinfo=UTC)
    shop = make_shop(tmp_path, people=300, end=end)
    rows, problems = _sorted(read_people(shop.people, None, SETTINGS))
    assert (len(rows), problems) == (300, [])
    for file in (shop.events, more_events(tmp_path, people=300, end=end)):
        rows, problems = _sorted(read_events(file, None, SETTINGS))
        assert rows
        assert problems == []


# ── the many shapes of a file ──


@pytest.mark.parametrize("name", ["p.csv", "p.csv.gz", "p.csv.xz", "p.txt"])
def test_packed_files_are_read_as_they_are(tmp_path: Path, name: str) -> None:
    raw = b"id,tier\n1,gold\n"
    packed = gzip.compress(raw, mtime=0) if name.endswith("gz") else lzma.compress(raw) if name.endswith("xz") else raw
    (row,), problems = people(tmp_path, packed, name)
    assert (row.attributes, problems) == ({"tier": "gold"}, [])


@pytest.mark.parametrize(("sign", "word"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_another_separator_is_found_and_told(tmp_path: Path, sign: str, word: str) -> None:
    (row,), (problem,) = people(tmp_path, f'id{sign}"a,b"{sign}tier\n1{sign}x,y,z{sign}gold\n')
    assert row.attributes == {"a,b": "x,y,z", "tier": "gold"}
    assert (problem.code, problem.severity) == ("other-separator", Severity.warning)
    assert word in problem.sentence


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_a_mark_of_order_and_blank_lines_do_not_matter(tmp_path: Path, end: str) -> None:
    rows, problems = people(tmp_path, "\ufeff" + end.join(["", "id,tier", "1,gold", "", "2,none", ""]))
    assert [(row.id, row.position.line) for row in rows] == [("1", 3), ("2", 5)]
    assert problems == []


def test_a_quoted_cell_may_hold_line_breaks_and_places_stay_right(tmp_path: Path) -> None:
    text = 'id,note,email\n1,"two\nlines, ""quoted""",anna@example.com\n2,"a\nb\nc",nobody\n3,,nobody\n'
    rows, problems = people(tmp_path, text)
    assert rows[0].attributes == {"note": 'two\nlines, "quoted"'}
    assert told(problems) == [("bad-email", 6, 4), ("bad-email", 7, 4)]


# ── what is wrong is told at its place, and the good rows go on ──

WRONG_PEOPLE = [
    ("id,email\n1,nobody\n", ("bad-email", 2, 3)),
    ("id,phone\n1,030 23125123\n", ("bad-phone", 2, 3)),
    ("id,country,phone\n1,DE,12\n", ("bad-phone", 2, 6)),
    ("id,zone\n1,Europe/Berlyn\n", ("bad-zone", 2, 3)),
    (f"id,zone\n1,{'Europe/' * 2000}\n", ("bad-zone", 2, 3)),
    ("id,country\n1,Germany\n", ("bad-country", 2, 3)),
    ("id,locale\n1,klingon\n", ("bad-locale", 2, 3)),
    ("id,created_at\n1,2026-01-02 10:00\n", ("bad-instant", 2, 3)),
    ("id,consent.email.care\n1,maybe\n", ("bad-consent", 2, 3)),
    ("id,consent.email.care,consent.at\n1,yes,soon\n", ("bad-instant", 2, 7)),
    ("id,wechat\n1,two words\n", ("bad-token", 2, 3)),
    ("id,tier\n,gold\n", ("missing-id", 2, 1)),
    ("tier,id\ngold,   \n", ("missing-id", 2, 6)),
    ("id,tier\n" + "9" * 300 + ",gold\n", ("bad-text", 2, 1)),
    ("id,tier\n1\n", ("ragged-row", 2, 1)),
    ("id,tier\n1,gold,more\n", ("ragged-row", 2, 1)),
    ('id,tier\n1,"gold" plated\n', ("bad-quotes", 2, 1)),
    (b"id,tier\n1,g\xf6ld\n", ("not-utf8", 2, 4)),
    ("id,tier\n1,go\0ld\n", ("control-character", 2, 5)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"), WRONG_PEOPLE, ids=lambda value: value[0] if isinstance(value, tuple) else ""
)
def test_a_wrong_row_is_told_and_the_next_one_read(
    tmp_path: Path, text: str | bytes, expected: tuple[str, int, int]
) -> None:
    raw = text.encode() if isinstance(text, str) else text
    width = raw.split(b"\n")[0].count(b",")
    good = (b"," * width if raw.startswith(b"id") else b"x,") if width else b""
    rows, problems = people(tmp_path, raw + (b"good" + good if raw.startswith(b"id") else b"x,good") + b"\n")
    assert told(problems) == [expected]
    assert [row.id for row in rows] == ["good"]
    assert all(problem.sentence and str(tmp_path / "people.csv") == problem.position.file for problem in problems)


def test_all_that_is_wrong_with_a_row_is_told_at_once(tmp_path: Path) -> None:
    text = "id,email,country,zone,consent.sms.care\n,nobody,Germany,Nowhere,perhaps\n"
    _, problems = people(tmp_path, text)
    assert sorted(problem.code for problem in problems) == [
        "bad-consent", "bad-country", "bad-email", "bad-zone", "missing-id",
    ]  # fmt: skip


def test_hints_say_what_was_meant(tmp_path: Path) -> None:
    _, problems = people(tmp_path, "id,country\n1,Germany\n2,UK\n")
    assert [problem.hint for problem in problems] == ["write DE", "write GB"]


def test_no_sentence_repeats_an_address_in_the_wrong_column(tmp_path: Path) -> None:
    text = "id,country,zone,email,phone\n1,anna@example.com,anna@example.com,anna.example.com,+49 30 99\n"
    _, problems = people(tmp_path, text)
    assert len(problems) == 4
    assert not any("anna" in problem.sentence + problem.hint or "30 99" in problem.sentence for problem in problems)


def test_the_first_row_of_an_id_is_taken_and_the_second_told(tmp_path: Path) -> None:
    rows, problems = people(tmp_path, "tier,id\ngold,1\nnone,1\n")
    assert [row.attributes for row in rows] == [{"tier": "gold"}]
    assert told(problems) == [("duplicate-id-in-file", 3, 6)]


def test_only_so_many_ids_are_remembered_and_the_oldest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "REMEMBERED", 3)
    seen = lines.Seen()
    assert [seen.again(id) for id in ("a", "b", "c", "a", "d", "b", "a")] == [
        False,
        False,
        False,
        True,
        False,
        True,
        False,
    ]
    assert not seen.holds("b")


def test_an_open_quote_loses_its_rows_and_says_which(tmp_path: Path) -> None:
    rows, problems = people(tmp_path, 'id,tier\n1,gold\n2,"none\n3,none\n')
    assert [row.id for row in rows] == ["1"]
    assert told(problems) == [("open-quote", 3, 1)]
    assert "lines 3 to 4" in problems[0].sentence


WRONG_EVENTS = [
    ("e1,7,Order Completed,yesterday,", ("bad-instant", 2, 22)),
    ("e1,7,Order Completed,2026-11-22 10:00,", ("bad-instant", 2, 22)),
    ("e1,7,Order Completed,,", ("missing-instant", 2, 22)),
    (",7,Order Completed,2026-11-22T10:00Z,", ("missing-id", 2, 1)),
    ("e1,,Order Completed,2026-11-22T10:00Z,", ("missing-person", 2, 4)),
    ("e1,7,,2026-11-22T10:00Z,", ("missing-name", 2, 6)),
    ("e1,7,Order Completed,2026-11-22T10:00Z,total 12", ("bad-json", 2, 40)),
    ("e1,7,Order Completed,2026-11-22T10:00Z,[12]", ("bad-json", 2, 40)),
    ("e1,7,Order Completed,2026-11-22T10:00Z,NaN", ("bad-json", 2, 40)),
]


@pytest.mark.parametrize(("line", "expected"), WRONG_EVENTS)
def test_a_wrong_event_is_told_and_the_next_one_read(tmp_path: Path, line: str, expected: tuple[str, int, int]) -> None:
    text = f"id,person,name,at,payload\n{line}\ngood,7,Page Viewed,2026-11-22T10:00Z,\n"
    rows, problems = events(tmp_path, text)
    assert told(problems) == [expected]
    assert [row.id for row in rows] == ["good"]


WRONG_JSON = [
    ('{"id": "1", "tier": }', ("bad-json", 1, 21)),
    ('["1"]', ("bad-json", 1, 1)),
    ('{"id": "1", "points": NaN}', ("bad-json", 1, 1)),
    ('{"id": "1", "points": 1e999}', ("bad-json", 1, 1)),
    ('{"id": "1", "tier": "\\ud800"}', ("bad-json", 1, 22)),
    ('{"id": "1", "tier": "a\\u0000"}', ("bad-json", 1, 23)),
    ("[" * 100_000, ("bad-json", 1, 1)),
    ('{"id": "1", "tier": ["gold"]}', ("bad-attribute", 1, 1)),
    ('{"id": "1", "email": 5}', ("bad-email", 1, 22)),
    ('{"email": "anna@example.com"}', ("missing-value", 1, 1)),
    ('{"id": "1", "consent": {"email": {"care": "maybe"}}}', ("bad-consent", 1, 43)),
]


@pytest.mark.parametrize(("line", "expected"), WRONG_JSON, ids=lambda value: str(value)[:40])
def test_a_wrong_json_line_is_told_and_the_next_one_read(
    tmp_path: Path, line: str, expected: tuple[str, int, int]
) -> None:
    rows, problems = people(tmp_path, line + '\n{"id": "good"}\n', "people.jsonl")
    assert told(problems) == [expected]
    assert [row.id for row in rows] == ["good"]


def test_half_an_emoji_written_as_a_pair_is_a_whole_one(tmp_path: Path) -> None:
    (row,), problems = people(tmp_path, '{"id": "1", "mood": "\\ud83d\\ude00"}', "people.jsonl")
    assert (row.attributes, problems) == ({"mood": "😀"}, [])


# ── files that cannot be read at all ──


def test_a_file_without_its_columns_is_refused_with_what_was_meant(tmp_path: Path) -> None:
    rows, (problem,) = people(tmp_path, "Id,tier\n1,gold\n")
    assert rows == []
    assert (problem.code, problem.position.line) == ("missing-column", 1)
    assert "did you mean `Id`?" in problem.hint
    rows, problems = events(tmp_path, "event_id,person\n1,2\n")
    assert [problem.code for problem in problems] == ["missing-column"] * 3 + ["column-not-read"]


@pytest.mark.parametrize(
    ("name", "raw", "code"),
    [
        ("p.xlsx", b"PK", "unknown-file-type"),
        ("p.json", b"[]", "unknown-file-type"),
        ("p.csv", b"", "empty-file"),
        ("p.csv", b"\n\n", "empty-file"),
        ("p.csv", b"id,tier\n", "empty-file"),
        ("p.jsonl", b"\n", "empty-file"),
        ("p.csv", "id,tier\n1,gold\n".encode("utf-16"), "not-utf8"),
        ("p.csv", b"id,t\xf6r\n1,gold\n", "not-utf8"),
        ("p.csv.gz", b"id\n1\n", "broken-archive"),
        ("p.csv.gz", gzip.compress(b"id\n1\n2\n", mtime=0)[:-9], "broken-archive"),
        ("p.csv.xz", lzma.compress(b"id\n1\n")[:-5], "broken-archive"),
        ("p.csv", b"id,tier,tier\n1,2,3\n", "duplicate-column"),
        ("p.csv", b"id" + b",a" * 3_000 + b"\n", "too-many-columns"),
        ("p.csv", b"id,tier\n1," + b"x" * 1_000_001 + b"\n", "line-too-long"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_sentence(tmp_path: Path, name: str, raw: bytes, code: str) -> None:
    rows, problems = people(tmp_path, raw, name)
    assert [problem.code for problem in problems] == [code]
    assert rows == [] or name.startswith("p.csv.")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    _, (problem,) = _sorted(read_people(tmp_path / "gone.csv", None, SETTINGS))
    assert (problem.code, problem.sentence) == (
        "unreadable-file",
        f"{tmp_path / 'gone.csv'} cannot be read: no such file or directory",
    )


def test_what_looks_like_a_slip_in_a_column_is_warned_of(tmp_path: Path) -> None:
    (row,), problems = people(tmp_path, "id,E-Mail,consent.fax.care,consent.email.carr,\n1,a@example.com,yes,yes,x\n")
    assert [(problem.code, problem.severity) for problem in problems] == [
        ("nameless-column", Severity.warning),
        ("likely-column", Severity.warning),
        ("unknown-channel", Severity.warning),
        ("unknown-topic", Severity.warning),
    ]
    assert problems[1].hint == "did you mean `email`?"
    assert problems[3].hint == "did you mean `care`?"
    assert row.addresses == {}


def test_a_key_of_an_event_that_is_not_read_is_told_once(tmp_path: Path) -> None:
    line = '{"id": "%d", "person": 7, "name": "Order Completed", "at": "2026-11-22T10:00Z", "total": 5}\n'
    rows, problems = events(tmp_path, "".join(line % number for number in range(3)), "e.jsonl")
    assert len(rows) == 3
    assert [(problem.code, problem.hint) for problem in problems] == [
        ("column-not-read", 'to keep it, write it inside the payload: "payload": {"total": ...}')
    ]


# ── mapping files ──

ORDERS = """\
events:
  id: "order-{InvoiceNo}"
  person: CustomerID
  name: Order Completed
  at: {column: InvoiceDate, zone: Europe/London}
  where: {CustomerID: {known: true}, Quantity: {above: 0}}
  group: InvoiceNo
  payload:
    order_id: InvoiceNo
    total: {sum: Quantity, times: UnitPrice}
    currency: {value: GBP}
    lines: {count: lines}
    country: {column: Country, map: {EIRE: IE}, otherwise: GB}
    items: {list: {sku: StockCode, quantity: Quantity}}
"""
INVOICES = """\
InvoiceNo,StockCode,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536365,85123A,6,2010-12-01 08:26:00,2.55,17850,EIRE
536366,71053,1,2010-12-01 08:28:00,3.39,17851,France
536365,22752,2,2010-12-01 08:26:00,7.65,17850,EIRE
536367,22752,2,2010-12-01 08:30:00,7.65,,EIRE
C536368,22752,-2,2011-07-01 08:30:00,7.65,17850,EIRE
536369,POST,1,2011-07-01 08:30:00,18,17850,EIRE
"""


def test_several_lines_make_one_event_with_its_sums(tmp_path: Path) -> None:
    rows, problems = events(tmp_path, INVOICES, mapping=ORDERS)
    assert problems == []
    first = next(row for row in rows if row.id == "order-536365")
    assert (first.person, first.name, first.at) == (
        "17850",
        "Order Completed",
        datetime(2010, 12, 1, 8, 26, tzinfo=UTC),
    )
    assert first.payload == {
        "order_id": "536365", "total": 30.6, "currency": "GBP", "lines": 2, "country": "IE",
        "items": [{"sku": "85123A", "quantity": 6}, {"sku": "22752", "quantity": 2}],
    }  # fmt: skip
    assert {row.id: row.payload["total"] for row in rows} == {
        "order-536365": 30.6,
        "order-536366": 3.39,
        "order-536369": 18,
    }
    assert {row.payload["country"] for row in rows} == {"IE", "GB"}
    assert next(row.at for row in rows if row.id == "order-536369") == datetime(2011, 7, 1, 7, 30, tzinfo=UTC)


def test_a_number_that_is_none_refuses_its_event_at_its_cell(tmp_path: Path) -> None:
    rows, problems = events(
        tmp_path, INVOICES.replace("7.65,17850,EIRE\n536367", "free,17850,EIRE\n536367"), mapping=ORDERS
    )
    assert told(problems) == [("bad-number", 4, 36)]
    assert "order-536365" not in {row.id for row in rows}


def test_lines_too_far_apart_are_told_as_the_same_id_again(tmp_path: Path) -> None:
    between = "".join(f"{number},X,1,2010-12-01 09:00:00,1,17850,EIRE\n" for number in range(1000, 1200))
    again = "536365,LATE,1,2010-12-01 08:26:00,1,17850,EIRE\n"
    rows, problems = events(tmp_path, INVOICES + between + again, mapping=ORDERS)
    assert told(problems) == [("duplicate-id-in-file", 208, 1)]
    assert len(rows) == 203


def test_people_may_stand_on_many_lines(tmp_path: Path) -> None:
    mapping = """\
people:
  id: CustomerID
  repeated: true
  email: "c{CustomerID}@example.com"
  country: {column: Country, map: {EIRE: IE, France: FR}}
  zone: {column: Country, map: {EIRE: Europe/Dublin}, otherwise: Europe/London}
  locale: {value: en-GB}
  where: {CustomerID: {known: true}}
  attributes: [Country]
  consent: {email.care: {value: "yes"}, sms.offers: {column: Country, map: {EIRE: "no"}, otherwise: ""}}
  consent_source: {value: contract}
  consent_at: {value: "2010-01-01T00:00:00Z"}
"""
    rows, problems = people(tmp_path, INVOICES, mapping=mapping)
    assert problems == []
    assert [(row.id, row.email, row.country, row.zone) for row in rows] == [
        ("17850", "c17850@example.com", "IE", "Europe/Dublin"),
        ("17851", "c17851@example.com", "FR", "Europe/London"),
    ]
    at = datetime(2010, 1, 1, tzinfo=UTC)
    assert rows[0].consents == (
        ConsentWord("email", "care", True, "contract", at),
        ConsentWord("sms", "offers", False, "contract", at),
    )
    assert rows[1].consents == (ConsentWord("email", "care", True, "contract", at),)


def test_a_value_the_map_does_not_know_is_told(tmp_path: Path) -> None:
    mapping = """\
people:
  id: CustomerID
  repeated: true
  country: {column: Country, map: {EIRE: IE}}
  where: {CustomerID: {known: true}}
"""
    rows, problems = people(tmp_path, INVOICES, mapping=mapping)
    assert [row.id for row in rows] == ["17850"]
    assert told(problems) == [("unmapped-value", 3, 47)]


def test_a_column_the_file_does_not_have_is_told_in_the_mapping_file(tmp_path: Path) -> None:
    mapping = ORDERS.replace("person: CustomerID", "person: CustomerId").replace("sku: StockCode", "sku: Stockcode")
    rows, problems = events(tmp_path, INVOICES, mapping=mapping)
    assert rows == []
    assert told(problems) == [("unknown-column-in-map", 3, 11), ("unknown-column-in-map", 14, 25)]
    assert problems[0].position.file == str(tmp_path / "map.yaml")
    assert problems[0].hint == "did you mean `CustomerID`?"


def test_a_condition_over_unknown_columns_is_told(tmp_path: Path) -> None:
    _, problems = events(tmp_path, INVOICES, mapping=ORDERS.replace("Quantity: {above", "Quantty: {above"))
    assert [(problem.code, problem.position.line) for problem in problems] == [("unknown-column-in-map", 6)]


def test_a_mapping_without_the_part_asked_for_is_told(tmp_path: Path) -> None:
    rows, (problem,) = people(tmp_path, INVOICES, mapping=ORDERS)
    assert (rows, problem.code) == ([], "no-part-in-map")
    rows, (problem,) = people(tmp_path, '{"a": 1}', "p.jsonl", mapping=ORDERS)
    assert (rows, problem.code) == ([], "no-part-in-map")


def test_a_mapping_reaches_into_json(tmp_path: Path) -> None:
    mapping = "events: {id: messageId, person: user.id, name: event, at: timestamp, payload: {total: props.total}}\n"
    line = {
        "messageId": "m1",
        "user": {"id": 5},
        "event": "Order Completed",
        "timestamp": "2026-11-22T10:00Z",
        "props": {"total": "007"},
    }
    (row,), problems = events(tmp_path, json.dumps(line), "e.jsonl", mapping)
    assert (row.id, row.person, row.name, row.payload, problems) == ("m1", "5", "Order Completed", {"total": "007"}, [])


def test_shapes_and_signs_of_numbers_may_be_said(tmp_path: Path) -> None:
    mapping = """\
events:
  id: nr
  person: kunde
  name: {value: Order Completed}
  at: {column: datum, format: "%d.%m.%Y %H:%M", zone: Europe/Berlin}
  payload:
    total: {column: betrag, as: number, decimal: ","}
    order_nr: {column: nr, as: text}
    gift: {column: geschenk, as: yes_no}
"""
    text = "nr;kunde;datum;betrag;geschenk\n12;7;01.12.2026 10:00;1.234,50;no\n13;7;01.12.2026 10:00;viel;no\n"
    (row,), problems = events(tmp_path, text, mapping=mapping)
    assert row.payload == {"total": 1234.5, "order_nr": "12", "gift": False}
    assert row.at == datetime(2026, 12, 1, 9, tzinfo=UTC)
    assert [problem.code for problem in problems] == ["other-separator", "bad-number"]


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("people: {}", "missing-key", 1),
        ("people:\n  id: a\n  mail: b", "unknown-key", 3),
        ("people:\n  id: {column: a, value: b}", "bad-source", 2),
        ("people:\n  id: {map: {a: b}}", "bad-source", 2),
        ("people:\n  id: a\n  consent:\n    care: b", "bad-consent-name", 4),
        ("events:\n  id: a\n  person: b\n  name: c\n  at: {column: d, zone: Mars}", "bad-value", 5),
        ("events:\n  id: a\n  person: b\n  name: c\n  at: d\n  payload: {n: {column: e, times: f}}", "bad-source", 6),
        ("events: [", "not-yaml", 1),
    ],
)  # fmt: skip
def test_a_wrong_mapping_file_is_told_at_its_line(tmp_path: Path, text: str, code: str, line: int) -> None:
    path = tmp_path / "map.yaml"
    path.write_text(text, encoding="utf-8")
    mapping, problems = read_mapping(path)
    assert mapping is None
    assert (problems[0].code, problems[0].position.line) == (code, line)


# ── size ──


def _many(count: int) -> str:
    person = "p{0},mail{0}@example.com,+86145{0:08d},CN,zh-CN,Asia/Shanghai,gold,yes\n"
    return "id,email,phone,country,locale,zone,tier,consent.email.care\n" + "".join(map(person.format, range(count)))


def test_a_long_file_is_read_in_flat_memory(tmp_path: Path) -> None:
    """Ten thousand more rows cost no memory but the hash kept of each id."""

    def peak(count: int) -> int:
        path = _written(tmp_path, _many(count), "p.csv")
        tracemalloc.start()
        assert sum(isinstance(row, PersonRow) for row in read_people(path, None, SETTINGS)) == count
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(10)  # patterns and tables that are read once
    assert peak(11_000) - peak(1_000) < 10_000 * 120


def test_a_line_of_many_cells_or_quotes_does_not_hang(tmp_path: Path) -> None:
    started = time.monotonic()
    people(tmp_path, "id,tier\n1," + '"' * 900_001 + "\n2,gold\n")
    people(tmp_path, "id,tier\n1" + "," * 900_000 + "\n2,gold\n")
    people(tmp_path, "id,email\n1," + "a@" * 60_000 + "\n2,\n")
    assert time.monotonic() - started < 3


# ── codes ──


def test_every_code_is_listed_with_its_sentence_and_every_listed_one_is_used() -> None:
    room = Path(__file__).parents[2] / "engine" / "imports"
    files = ("addresses", "event_lines", "lines", "mapping", "person_lines", "records", "rows")
    trees = [ast.parse((room / f"{name}.py").read_text(encoding="utf-8")) for name in files]
    texts = {node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert {code for tree in trees for code in _codes(tree)} <= set(CODES) <= texts


def _codes(tree: ast.AST) -> set[str]:
    """What stands where a code stands: the first text given to what makes a Problem."""
    makers = {"Misread", "WrongCell", "Problem", "Refusal", "_Unreadable", "fault", "_refuse"}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    named = [call.args[0] for call in calls if getattr(call.func, "id", getattr(call.func, "attr", "")) in makers]
    return {first.value for first in named if isinstance(first, ast.Constant) and isinstance(first.value, str)}
