"""What new users get wrong, through the real command: code, line, column and sentence of what they are told."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest
from typed import typed

from engine.cli.starter import STARTER

CONFIG = "config.yaml"
JOURNEY = "journeys/after_purchase.yaml"
AUDIENCE = "journeys/audience.yaml"
MAIL = "templates/thank_you/email.en.mjml"
PEOPLE = "people.csv"
EVENTS = "events.csv"
STEPS = "steps:" + (STARTER / JOURNEY).read_text(encoding="utf-8").partition("steps:")[2]


class Case(NamedTuple):
    """In the shop of `outreach init`, `old` became `new` in a file (no `old`: the file is new)."""

    name: str
    file: str
    old: str | None
    new: str | bytes
    code: str
    place: str  # line:column
    sentence: str  # a part of it
    exit_code: int
    command: str = "check"

    def write(self, shop: Path) -> None:
        path = shop / self.file
        if self.old is None:
            path.write_bytes(self.new if isinstance(self.new, bytes) else self.new.encode())
        else:
            text = path.read_text(encoding="utf-8")
            assert self.old in text
            path.write_text(text.replace(self.old, str(self.new), 1), encoding="utf-8")


CASES = [
    Case("a shop without a name", CONFIG, "  name: My Shop\n", "", "missing-key", "4:3", "`name` is missing", 2),
    Case(
        "a key of config spelt wrongly",
        CONFIG,
        "currency: EUR",
        "curency: EUR",
        "unknown-key",
        "9:3",
        "`curency` is not a key of `shop`",
        2,
    ),
    Case(
        "a zone that does not exist",
        CONFIG,
        "zone: Europe/Berlin",
        "zone: Berlin",
        "bad-value",
        "6:9",
        "'Berlin' is not a time zone",
        2,
    ),
    Case(
        "a country in words",
        CONFIG,
        "country: DE",
        "country: Germany",
        "bad-value",
        "7:12",
        "'Germany' is not a country",
        2,
    ),
    Case(
        "an address without https",
        CONFIG,
        "url: https://shop.example.com",
        "url: shop.example.com",
        "bad-url",
        "5:8",
        "`shop.example.com` is no address",
        2,
    ),
    Case(
        "a purpose that is none",
        CONFIG,
        "purpose: marketing",
        "purpose: ads",
        "unknown-word",
        "13:44",
        "`ads` is not a word for this",
        2,
    ),
    Case(
        "a provider that is not installed",
        CONFIG,
        "provider: maildir",
        "provider: mailgun",
        "unknown-provider",
        "17:15",
        "there is no provider mailgun",
        2,
    ),
    Case(
        "a setting the provider does not have",
        CONFIG,
        "folder: outbox",
        "foldr: outbox",
        "bad-provider-option",
        "18:5",
        "its provider has no setting `foldr`",
        2,
    ),
    Case(
        "smtp without its host",
        CONFIG,
        "provider: maildir            # writes mails into a folder to look at; for real ones: smtp\n    folder: outbox",
        "provider: smtp",
        "bad-provider-option",
        "17:5",
        "its provider needs `host`",
        2,
    ),
    Case(
        "mails without a sender",
        CONFIG,
        "    sender: hello@shop.example.com\n",
        "",
        "missing-key",
        "16:3",
        "no mail can go without `sender`",
        2,
    ),
    Case(
        "a channel that is none",
        CONFIG,
        "channels:\n  email:",
        "channels:\n  mail:",
        "no-such-channel",
        "16:3",
        "`mail` is no channel",
        2,
    ),
    Case("a cap of nothing", CONFIG, "at_most: 1", "at_most: 0", "out-of-range", "23:17", "0 is not at least 1", 2),
    Case(
        "a gap without a unit",
        CONFIG,
        "least_gap: 6h",
        "least_gap: 6",
        "bad-duration",
        "25:14",
        "'6' is not a duration",
        2,
    ),
    Case(
        "a tab in config",
        CONFIG,
        "  url: https",
        "\turl: https",
        "tab-indent",
        "5:1",
        "a tab stands where spaces belong",
        2,
    ),
    Case(
        "quiet hours in words",
        CONFIG,
        "  least_gap: 6h",
        "  least_gap: 6h\n  quiet_hours: {email: at night}",
        "bad-window",
        "26:24",
        "'at night' is not a span of the day",
        2,
    ),
    Case(
        "a cap on a channel that is none",
        CONFIG,
        "{at_most: 1, per: day}",
        "{at_most: 1, per: day, channel: fax}",
        "no-such-channel",
        "23:39",
        "`fax` is no channel",
        2,
    ),
    Case(
        "a list where keys belong",
        CONFIG,
        "topics:                          # what a person can unsubscribe from\n"
        "  care: {title: After your order, purpose: marketing}",
        "topics: [care]",
        "expected-mapping",
        "12:9",
        "keys with values should stand here",
        2,
    ),
    Case(
        "config written as JSON with a hole",
        CONFIG,
        "shop:\n",
        "shop: {\n",
        "not-yaml",
        "3:7",
        "a bracket or brace is opened here and not closed, or a",
        2,
    ),
    Case(
        "a key of config twice",
        CONFIG,
        "  country: DE",
        "  country: DE\n  country: FR",
        "duplicate-key",
        "8:3",
        "`country` is written twice",
        2,
    ),
    Case(
        "a verb that does not exist",
        JOURNEY,
        "- send: thank_you",
        "- mail: thank_you",
        "unknown-verb",
        "13:5",
        "`mail` is not a verb",
        2,
    ),
    Case(
        "a duration in words",
        JOURNEY,
        "- wait: 1m",
        "- wait: one day",
        "bad-duration",
        "11:11",
        "'one day' is not a duration",
        2,
    ),
    Case(
        "an event without its name",
        JOURNEY,
        "enter: {event: Order Completed}",
        "enter: {evnt: Order Completed}",
        "unknown-key",
        "5:9",
        "`evnt` is not a key here",
        2,
    ),
    Case(
        "a step whose colon is missing",
        JOURNEY,
        "- wait: 1m",
        "- wait 1d",
        "expected-mapping",
        "11:5",
        "a step is a verb with its object",
        2,
    ),
    Case(
        "a time without quotes and minutes",
        JOURNEY,
        "- wait: 1m",
        '- wait: {until: "10"}',
        "bad-time",
        "11:19",
        "'10' is not a time of day",
        2,
    ),
    Case(
        "a channel without a provider",
        JOURNEY,
        "via: [email]",
        "via: [email, sms]",
        "unknown-channel",
        "14:18",
        "there is no channel `sms`",
        2,
    ),
    Case(
        "a topic nobody knows",
        JOURNEY,
        "topic: care",
        "topic: news",
        "unknown-topic",
        "4:8",
        "there is no topic `news`",
        2,
    ),
    Case(
        "a message without a text",
        JOURNEY,
        "- send: thank_you",
        "- send: thank_yuo",
        "unknown-message",
        "13:11",
        "there is no message `thank_yuo`",
        2,
    ),
    Case(
        "a wait past the end",
        JOURNEY,
        "- wait: 1m",
        "- wait: 30d",
        "wait-longer-than-ends-after",
        "11:11",
        "this wait reaches past the end of the journey, 7 days after entry",
        2,
    ),
    Case(
        "a goal missing for a holdout",
        JOURNEY,
        "goal: {event: Order Completed, within: 30d, value: total}",
        "holdout: 10%",
        "holdout-without-goal",
        "9:10",
        "a holdout without a goal measures nothing",
        1,
    ),
    Case(
        "a share of more than everyone",
        JOURNEY,
        "ends_after: 7d",
        "ends_after: 7d\nholdout: 110%",
        "bad-share",
        "9:10",
        "'110%' is not a share",
        2,
    ),
    Case(
        "no steps",
        JOURNEY,
        STEPS,
        "",
        "missing-key",
        "2:1",
        "`steps` is missing",
        2,
    ),
    Case(
        "the same channel twice",
        JOURNEY,
        "via: [email]",
        "via: [email, email]",
        "duplicate-wish",
        "14:18",
        "`email` is wished for twice",
        2,
    ),
    Case(
        "a word that is not built yet",
        JOURNEY,
        "via: [email]",
        "via: best",
        "not-built-yet",
        "14:10",
        "`via: best` is not built yet",
        2,
    ),
    Case(
        "two verbs in one step",
        JOURNEY,
        "- send: thank_you",
        "- send: thank_you\n    wait: 1d",
        "two-verbs",
        "14:5",
        "`send` and `wait` stand in one step; each step has one verb",
        2,
    ),
    Case(
        "a condition on a segment nobody wrote",
        JOURNEY,
        "enter: {event: Order Completed}",
        "enter: {segment: regular, crossing: in}",
        "unknown-segment",
        "5:18",
        "there is no segment `regular`",
        2,
    ),
    Case(
        "a branch whose otherwise stands first",
        JOURNEY,
        "  - wait: 1m",
        "  - branch:\n      - otherwise: []\n      - if: {country: DE}\n        then: []",
        "otherwise-not-last",
        "12:9",
        "nothing after `otherwise` is ever reached",
        2,
    ),
    Case(
        "a journey named .yml",
        "journeys/second.yml",
        None,
        "topic: care\n",
        "wrong-ending",
        "1:1",
        "second.yml is not read: files of journeys end in .yaml",
        2,
    ),
    Case("an empty journey", "journeys/empty.yaml", None, "", "empty-file", "1:1", "the file says nothing", 2),
    Case(
        "a journey that is not UTF-8",
        "journeys/latin.yaml",
        None,
        b"title: Gr\xfc\xdfe\n",
        "not-utf8",
        "1:10",
        "the file is not UTF-8 text: byte 0xfc cannot be read",
        2,
    ),
    Case(
        "a YAML tag",
        JOURNEY,
        "topic: care",
        "topic: !secret care",
        "tag-refused",
        "4:8",
        "`!secret` is a tag; values are plain text here",
        2,
    ),
    Case(
        "a trait that computes nothing",
        AUDIENCE,
        "{count: Order Completed, within: 365d}",
        "{within: 365d}",
        "missing-trait-kind",
        "4:15",
        "`orders_12m` does not say what it computes",
        2,
    ),
    Case(
        "a trait of two things",
        AUDIENCE,
        "{count: Order Completed,",
        "{count: Order Completed, last: Order Completed,",
        "two-trait-kinds",
        "4:40",
        "`count` and `last` cannot be computed at once",
        2,
    ),
    Case(
        "a segment defined by itself",
        AUDIENCE,
        "regulars: {orders_12m: {at_least: 3}}",
        "regulars: {segment: regulars}",
        "circular-segment",
        "6:3",
        "`regulars` is defined by itself: regulars -> regulars",
        2,
    ),
    Case(
        "a number compared with a text",
        AUDIENCE,
        "{at_least: 3}",
        "{is: many}",
        "wrong-kind",
        "6:31",
        "`orders_12m` is a number and is compared with a text",
        2,
    ),
    Case(
        "a list with nothing in it",
        AUDIENCE,
        "segments:",
        "lists:\n  rivals: []\nsegments:",
        "empty-list",
        "6:11",
        "the list `rivals` holds nothing",
        2,
    ),
    Case(
        "a pool whose file is not there",
        AUDIENCE,
        "segments:",
        "pools:\n  ten: {file: codes/ten.csv, value: 10 EUR}\nsegments:",
        "no-pool-file",
        "6:15",
        "there is no file `codes/ten.csv`",
        2,
    ),
    Case(
        "money in a currency without a rate",
        AUDIENCE,
        "regulars: {orders_12m: {at_least: 3}}",
        "rich: {spend: {at_least: 100 USD}}",
        "no-rate",
        "6:28",
        "nobody knows what a USD is worth in EUR",
        2,
    ),
    Case(
        "a section of audience that is none",
        AUDIENCE,
        "segments:",
        "segment:",
        "unknown-key",
        "5:1",
        "`segment` is no section",
        2,
    ),
    Case(
        "a value nobody has",
        MAIL,
        "{{ event.order_id }}\npre",
        "{{ event.oder_id }}\npre",
        "undefined-name",
        "2:30",
        "event.oder_id is not known here",
        2,
    ),
    Case(
        "a name that is not known in texts",
        MAIL,
        "Hello{%",
        "Hello {{ customer.name }}{%",
        "undefined-name",
        "11:17",
        "`customer` is not known in texts",
        2,
    ),
    Case(
        "a tag that is not closed",
        MAIL,
        "{% endif %}",
        "",
        "template-syntax",
        "11:16",
        "`if` is opened and never closed",
        2,
    ),
    Case(
        "a filter that does not exist",
        MAIL,
        "| money(event.currency)",
        "| curency(event.currency)",
        "unknown-filter",
        "12:48",
        "there is no filter `curency`",
        2,
    ),
    Case(
        "a mail without a subject",
        MAIL,
        "subject: Thank you for order {{ event.order_id }}\n",
        "",
        "missing-subject",
        "2:1",
        "a mail needs a subject",
        2,
    ),
    Case(
        "front matter that never ends",
        MAIL,
        "preheader: A word from us, nothing to do.\n---\n",
        "preheader: A word from us, nothing to do.\n",
        "bad-front-matter",
        "1:1",
        "the front matter is opened with --- and never closed",
        2,
    ),
    Case(
        "a mail without a way out",
        MAIL,
        '<a href="{{ links.unsubscribe }}" style="color: #777777">Unsubscribe</a>',
        "",
        "missing-unsubscribe",
        "5:1",
        "a marketing mail needs a way out that can be seen",
        2,
    ),
    Case(
        "a component that MJML does not have",
        MAIL,
        "<mj-button",
        "<mj-buton",
        "mjml-unknown-tag",
        "15:9",
        "<mj-buton> is not a component of MJML",
        2,
    ),
    Case(
        "a person's name everyone is believed to have",
        MAIL,
        "{% if person.first_name is defined %} {{ person.first_name }}{% endif %}",
        " {{ person.first_name }}",
        "undefined-name",
        "11:17",
        "person.first_name is not known here (for somebody without a first name)",
        1,
    ),
    Case(
        "a link with a dangerous scheme",
        MAIL,
        "{{ links.click(brand.url) }}",
        "javascript:alert(1)",
        "bad-link-scheme",
        "15:26",
        "a link begins with `javascript:`",
        2,
    ),
    Case(
        "a text for a channel that is none",
        "templates/thank_you/fax.en.txt",
        None,
        "Hello",
        "unknown-channel-file",
        "1:1",
        "`fax` is not a channel",
        2,
    ),
    Case(
        "an SMS in a file of mails",
        "templates/thank_you/sms.en.html",
        None,
        "Hello",
        "wrong-extension",
        "1:1",
        "texts for sms do not end in .html",
        2,
    ),
    Case(
        "a locale with an underscore",
        "templates/thank_you/sms.en_US.txt",
        None,
        "Hello",
        "bad-locale-name",
        "1:1",
        "`en_US` is not a locale",
        2,
    ),
    Case(
        "a brand nobody described",
        MAIL,
        "{{ brand.address }}",
        "{{ brand.adress }}",
        "undefined-name",
        "21:30",
        "`brand.adress` is not known in texts",
        2,
    ),
    Case(
        "a person without an id",
        PEOPLE,
        "c1,ada",
        "  ,ada",
        "missing-id",
        "2:1",
        "`id`: the person's id is missing",
        1,
        "import people people.csv",
    ),
    Case(
        "an address without a domain",
        PEOPLE,
        "ben@example.org",
        "ben@",
        "bad-email",
        "3:4",
        "`email`: this is not an e-mail address: there must be",
        1,
        "import people people.csv",
    ),
    Case(
        "a country nobody knows",
        PEOPLE,
        ",GB,en",
        ",XX,en",
        "bad-country",
        "2:24",
        "`country`: `XX` is not a country",
        1,
        "import people people.csv",
    ),
    Case(
        "a zone nobody knows",
        PEOPLE,
        "America/New_York",
        "New York",
        "bad-zone",
        "4:32",
        "`zone`: `New York` is not a time zone",
        1,
        "import people people.csv",
    ),
    Case(
        "a consent that is neither yes nor no",
        PEOPLE,
        "no,checkout",
        "perhaps,checkout",
        "bad-consent",
        "4:49",
        "`consent.email.care`: `perhaps` is neither yes nor no",
        1,
        "import people people.csv",
    ),
    Case(
        "a row with a cell too many",
        PEOPLE,
        "Ben,DE",
        "Ben,Franklin,DE",
        "ragged-row",
        "3:1",
        "this row has 9 cells, the first line names 8",
        1,
        "import people people.csv",
    ),
    Case(
        "the same person twice",
        PEOPLE,
        "c2,ben",
        "c1,ben",
        "duplicate-id-in-file",
        "3:1",
        "this id stands in the file before",
        1,
        "import people people.csv",
    ),
    Case(
        "people without a column of ids",
        PEOPLE,
        "id,email",
        "number,email",
        "missing-column",
        "1:1",
        "people need a column `id`",
        2,
        "import people people.csv",
    ),
    Case(
        "a quote that never ends",
        PEOPLE,
        "c1,ada@example.com",
        'c1,"ada@example.com',
        "open-quote",
        "2:1",
        "a quote is opened in this row and not closed; lines 2 to 4 are lost",
        2,
        "import people people.csv",
    ),
    Case(
        "an instant without a zone",
        EVENTS,
        "2026-11-24T06:00:00+00:00",
        "2026-11-20 10:15",
        "bad-instant",
        "2:23",
        "`at`: `2026-11-20 10:15` does not say in which zone",
        1,
        "import events events.csv",
    ),
    Case(
        "an event of nobody",
        EVENTS,
        "o1,c1",
        "o1,",
        "missing-person",
        "2:4",
        "`person`: the id of the event's person is missing",
        1,
        "import events events.csv",
    ),
    Case(
        "an event of a person nobody knows",
        EVENTS,
        "o1,c1",
        "o1,c9",
        "unknown-person",
        "2:1",
        "event o1 is about a person nobody knows",
        1,
        "import events events.csv",
    ),
    Case(
        "a file of another kind",
        "people.xlsx",
        None,
        "x",
        "unknown-file-type",
        "1:1",
        "people.xlsx is neither CSV nor JSON lines",
        2,
        "import people people.xlsx",
    ),
    Case(
        "an empty file",
        "none.csv",
        None,
        "",
        "empty-file",
        "1:1",
        "the file holds no rows",
        2,
        "import people none.csv",
    ),
    Case(
        "JSON lines with a hole",
        "p.jsonl",
        None,
        '{"id": "7"\n',
        "bad-json",
        "1:12",
        "this line is not JSON: expecting ',' delimiter",
        2,
        "import people p.jsonl",
    ),
    Case(
        "a mapping that names a column that is not there",
        "m.yaml",
        None,
        "people: {id: customer}\n",
        "unknown-column-in-map",
        "1:14",
        "the file has no column `customer`",
        2,
        "import people people.csv --map m.yaml",
    ),
    Case(
        "a mapping that speaks of something else",
        "m.yaml",
        None,
        "orders: {id: customer}\n",
        "unknown-key",
        "1:1",
        "`orders` is not a key here",
        2,
        "import people people.csv --map m.yaml",
    ),
    Case(
        "answers with a key that is none",
        "a.yaml",
        None,
        "mesages: {opened: 3%}\n",
        "unknown-key",
        "1:1",
        "`mesages` is not a key here",
        2,
        "simulate --assume a.yaml",
    ),
    Case(
        "answers with a share that is none",
        "a.yaml",
        None,
        "messages: {opened: often}\n",
        "bad-share",
        "1:20",
        "'often' is not a share",
        2,
        "simulate --assume a.yaml",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_mistake_is_told_at_its_place_with_its_line_and_the_command_ends_without_a_traceback(
    shop: Path, case: Case
) -> None:
    case.write(shop)

    told = typed(shop, *case.command.split())

    assert f"{case.file}:{case.place}: " in told.err
    assert case.sentence in told.err
    assert f"[{case.code}]" in told.err
    assert told.code == case.exit_code
    assert "Traceback" not in told.said


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_program_reads_the_same_mistake_as_json(shop: Path, case: Case) -> None:
    case.write(shop)

    told = typed(shop, *case.command.split(), "--format", "json")

    found = [
        (one["code"], "{file}:{line}:{column}".format(**one["position"]))
        for one in told.value["problems"]
        if case.sentence in one["sentence"]
    ]
    assert (case.code, f"{case.file}:{case.place}") in found
    assert told.code == case.exit_code


@pytest.mark.parametrize("name", ["a channel that is none", "a segment defined by itself"])
def test_what_follows_from_a_mistake_is_not_told_as_another(shop: Path, name: str) -> None:
    next(case for case in CASES if case.name == name).write(shop)
    journey = shop / JOURNEY
    journey.write_text(journey.read_text().replace("leave: [", "leave: [{segment: regulars}, "))

    told = typed(shop, "check", "--format", "json")

    assert len(told.value["problems"]) == 1, told.said


def test_the_cases_are_many_and_different() -> None:
    codes = Counter(case.code for case in CASES)

    assert len(CASES) >= 60
    assert len(codes) >= 40
    assert max(codes.values()) <= 5


def test_every_mistake_of_config_audience_journeys_and_texts_is_told_in_one_run(shop: Path) -> None:
    for case in CASES:
        if case.name in (
            "a cap of nothing",
            "a trait that computes nothing",
            "a duration in words",
            "a component that MJML does not have",
        ):
            case.write(shop)

    told = typed(shop, "check")

    for code in ("out-of-range", "missing-trait-kind", "bad-duration", "mjml-unknown-tag"):
        assert f"[{code}]" in told.err
    assert told.code == 2


def test_the_line_of_a_mistake_is_shown_with_a_caret_under_it_and_the_cure_below(shop: Path) -> None:
    next(case for case in CASES if case.name == "a verb that does not exist").write(shop)

    lines = typed(shop, "check").err.splitlines()

    at = next(number for number, line in enumerate(lines) if "[unknown-verb]" in line)
    assert lines[at + 1 : at + 4] == ["  - mail: thank_you", "    ^", "    did you mean `send`?"]


def test_a_text_with_mistakes_is_not_called_missing_as_well(shop: Path) -> None:
    next(case for case in CASES if case.name == "a filter that does not exist").write(shop)

    assert "there is no message" not in typed(shop, "check").err


def test_only_what_was_asked_for_is_told(shop: Path) -> None:
    for name in ("a duration in words", "a trait that computes nothing"):
        next(case for case in CASES if case.name == name).write(shop)

    told = typed(shop, "check", JOURNEY)

    assert "[bad-duration]" in told.err
    assert "[missing-trait-kind]" not in told.err
    assert typed(shop, "check", "templates").code == 0


def test_a_warning_alone_ends_with_1_and_nothing_wrong_with_0(shop: Path) -> None:
    assert typed(shop, "check").code == 0
    next(case for case in CASES if case.name == "a goal missing for a holdout").write(shop)
    assert typed(shop, "check").code == 1
