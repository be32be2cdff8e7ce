"""Slips of somebody who knows the language: each is told once, where it is, with what was meant; nothing else is."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
import shops

from engine.cli.findings import findings

CONFIG = "config.yaml"
AUDIENCE = "journeys/audience.yaml"
GOLDEN = "journeys/golden_72_hours.yaml"
WAVE = "journeys/silent_wave.yaml"
CONCIERGE = "journeys/vip_concierge.yaml"
MAIL = "templates/how_to_use/email.zh-CN.mjml"
SMS = "templates/voucher/sms.zh-CN.txt"
WECHAT = "templates/how_to_use/wechat.zh-CN.yaml"


class Slip(NamedTuple):
    """In the shop that ships, `old` became `new` in a file: what is told, where, how it begins, and the cure."""

    file: str
    old: str
    new: str
    code: str
    place: str  # line:column, the line with a + counted from that of the change
    sentence: str
    cure: str


SLIPS = [
    Slip(
        *(AUDIENCE, "pools:  ", "pools  "),
        *("not-yaml", "6:1", "a colon is missing after this key", "write `key: value`"),
    ),
    Slip(
        *(AUDIENCE, "segments:\n", "segmnts:\n"),
        *("unknown-key", "23:1", "`segmnts` is no section", "did you mean `segments`?"),
    ),
    Slip(
        *(AUDIENCE, "value: 20 CNY", "value: 20 RMB"),
        *("unknown-currency", "7:55", "`RMB` is not a currency", "did you mean `CNY`?"),
    ),
    Slip(
        *(AUDIENCE, "silent: {churn_stage: lost}", "silent: {overdue_days: {min: 3}}"),
        *("bad-word", "24:27", "`min` is not a word of comparison", "did you mean `at_least`?"),
    ),
    Slip(
        *(AUDIENCE, "lists:\n  rivals: [", "lists:\n  - rivals: ["),
        *("expected-mapping", "4:3", "`lists` holds names with what they mean", "write `name: ...`"),
    ),
    Slip(
        *(AUDIENCE, "complaints_180d: {count:", "complaints_180d: {number:"),
        *("unknown-trait-kind", "16:21", "`number` is nothing a trait can compute", "there are: average, count,"),
    ),
    Slip(
        *(CONFIG, "zone: Asia/Shanghai", "zone: Asia/Shangai"),
        *("bad-value", "+0:9", "'Asia/Shangai' is not a time zone", "did you mean `Asia/Shanghai`?"),
    ),
    Slip(
        *(CONFIG, "country: CN", "country: China"),
        *("bad-value", "+0:12", "'China' is not a country", "did you mean `CN`?"),
    ),
    Slip(
        *(CONFIG, "Rival Sale: {expected: []}", "Rival Sale: {expcted: []}"),
        *("unknown-key", "+0:16", "`expcted` is not a key of `Rival Sale`", "did you mean `expected`?"),
    ),
    Slip(
        *(CONCIERGE, "assign: owner", "assign: ownr"),
        *("unknown-colleague", "17:13", "there is no `ownr` among the people", "did you mean `owner`?"),
    ),
    Slip(
        *(GOLDEN, "leave: [{event: Order Refunded}, {event: Order Cancelled}]", "leave: Order Refunded"),
        *("expected-list", "7:8", "a list should stand here", "write `leave: [Order Refunded]`"),
    ),
    Slip(
        *(GOLDEN, "leave: [{event: Order Refunded}, {event: Order Cancelled}]", "leave: {event: Order Refunded}"),
        *("expected-list", "7:8", "a list should stand here", "write `leave: [{...}]`"),
    ),
    Slip(
        *(GOLDEN, "leave: [{event: Order Refunded}, {event: Order Cancelled}]", "exit_on: [{event: Order Refunded}]"),
        *("unknown-key", "7:1", "`exit_on` is not a key here", "did you mean `leave`?"),
    ),
    Slip(
        *(GOLDEN, "enter: {event: Order Completed, where: {total: {at_least: 1}}}", "enter: Order Completed"),
        *("expected-mapping", "5:8", "keys with values should stand here", "write `enter: {event: Order Completed}`"),
    ),
    Slip(
        *(
            GOLDEN,
            "enter: {event: Order Completed, where: {total: {at_least: 1}}}",
            "trigger: {event: Order Completed}",
        ),
        *("unknown-key", "5:1", "`trigger` is not a key here", "did you mean `enter`?"),
    ),
    Slip(
        *(
            GOLDEN,
            "enter: {event: Order Completed, where: {total: {at_least: 1}}}",
            "enter: {events: [Order Completed, Order Paid]}",
        ),
        *("unknown-key", "5:9", "`events` is not a key here", "did you mean `event`?"),
    ),
    Slip(
        *(
            GOLDEN,
            "enter: {event: Order Completed, where: {total: {at_least: 1}}}",
            "enter: {event: [Order Completed, Order Paid]}",
        ),
        *("expected-text", "5:16", "a single text should stand here", "write one: Order Completed"),
    ),
    Slip(
        *(
            GOLDEN,
            "enter: {event: Order Completed, where: {total: {at_least: 1}}}",
            "enter: {event: Order Completed, if: {total: {at_least: 1}}}",
        ),
        *("unknown-key", "5:33", "`if` is not a key of `enter`", "did you mean `where`?"),
    ),
    Slip(
        *(GOLDEN, "  - wait: 6h ", "  - wait: {for: 6h} "),
        *("unknown-key", "12:12", "`for` is not a key of `wait`", "write `wait: 6h`"),
    ),
    Slip(
        *(GOLDEN, "  - wait: 6h ", "  - wait: 6 "),
        *("bad-duration", "12:11", "'6' is not a duration", "write a number and a unit: 90m, 6h, 3d, 2w"),
    ),
    Slip(
        *(GOLDEN, "  - wait: 6h ", "  - wait: {until: monday} "),
        *("bad-time", "12:19", "`monday` is no time of day", 'write `{until: "10:00", days: [mon]}`'),
    ),
    Slip(
        *(GOLDEN, "    via: [wechat, push, sms, email]\n", "    channel: sms\n"),
        *("unknown-key", "14:5", "`channel` is not a key of `send`", "did you mean `via`?"),
    ),
    Slip(
        *(GOLDEN, "    via: [wechat, push, sms, email]\n", "    via: [WeChat, push]\n"),
        *("unknown-channel", "14:11", "there is no channel `WeChat`", "did you mean `wechat`?"),
    ),
    Slip(
        *(GOLDEN, "    via: [wechat, push, sms, email]\n", "    via: wechat, push\n"),
        *("bad-name", "14:10", "`wechat, push` are several channels", "write `via: [wechat, push]`"),
    ),
    Slip(
        *(GOLDEN, "  - send: order_on_its_way\n    via", "  - send: order_on_its_way\n  - via"),
        *("no-verb", "14:5", "this step has no verb", "begin it with one of: send, wait, wait_for, branch, split,"),
    ),
    Slip(
        *(GOLDEN, "  - send: order_on_its_way\n", "  - send: Order on its way\n"),
        *("bad-name", "13:11", "'Order on its way' is not a name", "use letters, digits, _, - and . without spaces:"),
    ),
    Slip(
        *(GOLDEN, "  - send: order_on_its_way\n", "  - send_email: order_on_its_way\n"),
        *("unknown-verb", "13:5", "`send_email` is not a verb", "did you mean `send`?"),
    ),
    Slip(
        *(GOLDEN, "    within: 48h\n", "    timeout: 48h\n"),
        *("unknown-key", "17:5", "`timeout` is not a key of `wait_for`", "did you mean `within`?"),
    ),
    Slip(
        *(GOLDEN, "    otherwise:\n", "    else:\n"),
        *("unknown-key", "18:5", "`else` is not a key of `wait_for`", "did you mean `otherwise`?"),
    ),
    Slip(
        *(GOLDEN, "      - exit: not_delivered_yet ", "      - exit "),
        *("expected-mapping", "22:9", "a step is a verb with its object", "write `- exit: ...`"),
    ),
    Slip(
        *(GOLDEN, "      - exit: not_delivered_yet ", "      - exit: not delivered yet "),
        *("bad-name", "22:15", "'not delivered yet' is not a name", "use letters, digits, _, - and . without spaces:"),
    ),
    Slip(
        *(GOLDEN, "      - exit: not_delivered_yet ", "      - stop: not_delivered_yet "),
        *(
            "unknown-journey",
            "22:15",
            "there is no journey `not_delivered_yet`",
            "to end this way here write `exit: not_delivered_yet`; there",
        ),
    ),
    Slip(
        *(GOLDEN, "plain: 50%", "plain: 50"),
        *("bad-share", "44:22", "'50' is not a share", "did you mean `50%`?"),
    ),
    Slip(
        *(GOLDEN, "variants:", "groups:"),
        *("unknown-key", "43:13", "`groups` is not a key of `split`", "did you mean `variants`?"),
    ),
    Slip(
        *(
            GOLDEN,
            "      - if: {complaints_180d: {at_least: 1}}\n        then:",
            "      - if: complaints_180d > 0\n        then:",
        ),
        *(
            "expected-mapping",
            "28:13",
            "a condition should stand here",
            "did you mean `{complaints_180d: {above: 0}}`?",
        ),
    ),
    Slip(
        *(
            GOLDEN,
            "      - if: {complaints_180d: {at_least: 1}}\n        then:",
            "      - when: {complaints_180d: {at_least: 1}}\n        then:",
        ),
        *("unknown-key", "28:9", "`when` is not a key of `branch`", "did you mean `if`?"),
    ),
    Slip(
        *(GOLDEN, "      - if: {value_tier: core}", "      - if: {value_tier == core}"),
        *("bad-name", "36:14", "`value_tier == core` is no name of a field", "did you mean `{value_tier: core}`?"),
    ),
    Slip(
        *(GOLDEN, "      - if: {value_tier: core}", "      - if: {segments: vip}"),
        *(
            "unknown-field",
            "36:14",
            "`segments` is no field of a condition",
            "did you mean `segment`? An attribute of that name is",
        ),
    ),
    Slip(
        *(GOLDEN, "      - if: {value_tier: core}", "      - if: {or: [{value_tier: core}, {tier: gold}]}"),
        *("unknown-field", "36:14", "`or` does not join conditions here", "did you mean `any`?"),
    ),
    Slip(
        *(GOLDEN, "      - if: {value_tier: core}", "      - if: {and: [{value_tier: core}, {tier: gold}]}"),
        *("unknown-field", "36:14", "`and` does not join conditions here", "did you mean `all`?"),
    ),
    Slip(
        *(GOLDEN, "      - if: {value_tier: core}", "      - if: {person.country: China}"),
        *("unknown-value", "36:30", "`country` is never `China`", "did you mean `CN`?"),
    ),
    Slip(
        *(GOLDEN, "      - otherwise:", "      - else:"),
        *("unknown-key", "40:9", "`else` is not a key of `branch`", "did you mean `otherwise`?"),
    ),
    Slip(
        *(GOLDEN, "queue: care", "queue: Customer care"),
        *("bad-name", "31:20", "'Customer care' is not a name", "use letters, digits, _, - and . without spaces:"),
    ),
    Slip(
        *(GOLDEN, "{give: second_order}", "{give: 20 CNY}"),
        *("bad-name", "45:52", "'20 CNY' is not a name", "use letters, digits, _, - and . without spaces: vip_pack"),
    ),
    Slip(
        *(GOLDEN, "again: {per: order_id}", "again: {per: order id}"),
        *("bad-name", "6:14", "'order id' is not a name", "use letters, digits, _, - and . without spaces: order_id"),
    ),
    Slip(
        *(GOLDEN, "again: {per: order_id}", "again: [per: order_id]"),
        *("expected-mapping", "6:8", "keys with values should stand here", "write `again: {after: 30d}`"),
    ),
    Slip(
        *(WAVE, "every: month, on: 1,", "every: monthly, on: 1,"),
        *("unknown-word", "5:16", "`monthly` is not a word for this", "did you mean `month`?"),
    ),
    Slip(
        *(WAVE, "every: month, on: 1,", "every: month, on: monday,"),
        *("out-of-range", "5:27", "`monday` is not a day of the month", "write `every: week, on: mon`"),
    ),
    Slip(
        *(WAVE, "every: month, on: 1,", "every: week, on: Montag,"),
        *("bad-weekday", "5:26", "'Montag' is not a weekday", "did you mean `mon`?"),
    ),
    Slip(
        *(WAVE, "zone: person", "zone: local"),
        *("bad-zone", "5:49", "'local' is not a time zone", "did you mean `person`?"),
    ),
    Slip(
        *(WAVE, "zone: person", "zone: customer"),
        *("bad-zone", "5:49", "'customer' is not a time zone", "did you mean `person`?"),
    ),
    Slip(
        *(WAVE, "segment: silent}", "segments: [silent]}"),
        *("unknown-key", "5:57", "`segments` is not a key of `enter`", "did you mean `segment`?"),
    ),
    Slip(
        *(WAVE, "segment: silent}", "segment: [silent, vip]}"),
        *("expected-text", "5:66", "a single name should stand here", "write one word: vip_pack"),
    ),
    Slip(
        *(WAVE, "rollout: [5%, 25%, 100%]", "rollout: 5%, 25%, 100%"),
        *("expected-list", "8:10", "a list should stand here", "write `rollout: [5%, 25%, 100%]`"),
    ),
    Slip(
        *(WAVE, "approve: {by: retention_lead, within: 24h}", "approve: retention_lead"),
        *(
            "expected-mapping",
            "7:10",
            "keys with values should stand here",
            "write `approve: {by: retention_lead, within: 24h}`",
        ),
    ),
    Slip(
        *(WAVE, "now.weekday: [sat, sun]", "now.weekday: [saturday, sunday]"),
        *("bad-weekday", "15:28", "'saturday' is not a weekday", "did you mean `sat`?"),
    ),
    Slip(
        *(WAVE, "now.weekday: [sat, sun]", "weekday: [sat, sun]"),
        *(
            "unknown-field",
            "15:14",
            "`weekday` is no field of a condition",
            "did you mean `now.weekday`? An attribute of that name is",
        ),
    ),
    Slip(
        *(WAVE, "now.weekday: [sat, sun]", "now.hour: 20:00"),
        *("out-of-range", "15:24", "`20:00` is no hour of the day", "write a number from 0 to 23: 20"),
    ),
    Slip(
        *(WAVE, "message: miss_you, is: clicked", "message: miss_you, is: click"),
        *("unknown-word", "19:62", "`click` is not a word for this", "did you mean `clicked`?"),
    ),
    Slip(
        *(CONCIERGE, "escalate: {after: 8h, to: concierge_lead}", "escalate: concierge_lead"),
        *("expected-mapping", "19:15", "keys with values should stand here", "write `escalate: {after: 4h, to: care}`"),
    ),
    Slip(
        *(CONCIERGE, "escalate: {after: 8h, to: concierge_lead}", "escalate: {after: 8h, queue: concierge_lead}"),
        *("unknown-key", "19:27", "`queue` is not a key of `escalate`", "did you mean `to`?"),
    ),
    Slip(
        *(AUDIENCE, "{sum: Order Completed.total,", "{sum: total, event: Order Completed,"),
        *(
            "unknown-trait-kind",
            "15:27",
            "`event` is nothing a trait can compute or be refined by",
            "there are: unless_after, where, within",
        ),
    ),
    Slip(
        *(AUDIENCE, "rivals: [othershop, bargainhut] ", "rivals: othershop, bargainhut "),
        *("expected-list", "4:11", "a list of texts should stand here", "write `[one, another]`"),
    ),
    Slip(
        *(AUDIENCE, "{file: codes/second_order.csv", "{path: codes/second_order.csv"),
        *("unknown-key", "7:18", "`path` is not a key here", "did you mean `file`?"),
    ),
    Slip(
        *(AUDIENCE, "value: 20 CNY", "worth: 20 CNY"),
        *("unknown-key", "7:48", "`worth` is not a key here", "did you mean `value`?"),
    ),
    Slip(
        *(AUDIENCE, "  silent: {churn_stage: lost}", "  silent: churn_stage = lost"),
        *("expected-mapping", "24:11", "a condition should stand here", "did you mean `{churn_stage: lost}`?"),
    ),
    Slip(
        *(AUDIENCE, "  silent: {churn_stage: lost}", "  silent: {country: Germany}"),
        *("unknown-value", "24:21", "`country` is never `Germany`", "did you mean `DE`?"),
    ),
    Slip(
        *(AUDIENCE, "  silent: {churn_stage: lost}", "  silent: {spend_12m: {at_least: 2,000 CNY}}"),
        *(
            "bad-word",
            "24:36",
            "`000 CNY` is not a word of comparison",
            "there are: above, after, at_least, at_most, before, below,",
        ),
    ),
    Slip(
        *(CONFIG, "locale: zh-CN", "locale: zh_CN"),
        *("bad-value", "+0:11", "'zh_CN' is not a locale", "did you mean `zh-CN`?"),
    ),
    Slip(
        *(CONFIG, "{at_most: 2, per: day}", "{max: 2, per: day}"),
        *("unknown-key", "+0:8", "`max` is not a key of `caps`", "did you mean `at_most`?"),
    ),
    Slip(
        *(CONFIG, "{at_most: 2, per: day}", "{at_most: two, per: day}"),
        *("expected-number", "+0:17", "a whole number should stand here", "write `at_most: 50`"),
    ),
    Slip(
        *(CONFIG, "{at_most: 2, per: day}", "{at_most: 2, every: day}"),
        *("unknown-key", "+0:20", "`every` is not a key of `caps`", "did you mean `per`?"),
    ),
    Slip(
        *(CONFIG, 'sms: "21:00-08:00"', "sms: [21:00, 08:00]"),
        *(
            "bad-window",
            "+0:10",
            "['21:00', '08:00'] is not a span of the day",
            'write two times with a dash: "21:00-08:00", or one of: none',
        ),
    ),
    Slip(
        *(CONFIG, 'sms: "21:00-08:00"', 'sms: {from: "21:00", to: "08:00"}'),
        *(
            "bad-window",
            "+0:10",
            "{'from': '21:00', 'to': '08:00'} is not a span of the day",
            'write two times with a dash: "21:00-08:00", or one of: none',
        ),
    ),
    Slip(
        *(CONFIG, "least_gap: 2h", "min_gap: 2h"),
        *("unknown-key", "+0:3", "`min_gap` is not a key of `policy`", "did you mean `least_gap`?"),
    ),
    Slip(
        *(CONFIG, "days: [mon-sat]", "days: [Monday-Saturday]"),
        *(
            "bad-weekday",
            "+0:11",
            "'Monday-Saturday' is not a weekday",
            "write mon, tue, wed, thu, fri, sat, sun or a span: mon-fri",
        ),
    ),
    Slip(
        *(CONFIG, "days: [mon-sat]", "days: mon to sat"),
        *(
            "bad-weekday",
            "+0:11",
            "'mon to sat' is not a weekday",
            "write mon, tue, wed, thu, fri, sat, sun or a span: mon-fri",
        ),
    ),
    Slip(
        *(CONFIG, "people: [lin, emma]", "people: lin, emma"),
        *("expected-list", "+0:13", "a list should stand here", "write `people: [lin, emma]`"),
    ),
    Slip(
        *(CONFIG, "people: [lin, emma]", "agents: [lin, emma]"),
        *("unknown-key", "+0:5", "`agents` is not a key of `care`", "did you mean `people`?"),
    ),
    Slip(
        *(CONFIG, "price: 0.05 CNY", "price: 0.05"),
        *("bad-money", "+0:12", "'0.05' is not an amount of money", "write a number and a currency: 200 CNY"),
    ),
    Slip(
        *(CONFIG, '  USD: "7.10"', "  USD: 7,10"),
        *("expected-number", "+0:8", "a number should stand here", "write `USD: 50`"),
    ),
    Slip(
        *(CONFIG, '  USD: "7.10"', '  dollar: "7.10"'),
        *("bad-value", "+0:3", "'dollar' is not a currency", "did you mean `USD`?"),
    ),
    Slip(
        *(CONFIG, "  max_lateness: 12h", "  max_lateness: 12h\n  holidays: {China: [10-01]}"),
        *("bad-value", "+1:14", "'China' is not a country", "did you mean `CN`?"),
    ),
    Slip(
        *(
            CONFIG,
            "  max_lateness: 12h",
            "  max_lateness: 12h\n  blackout: [{from: 2026-11-12, to: 2026-11-11, reason: x}]",
        ),
        *("bad-value", "+1:14", "a blackout ends after it begins", "write `to` later than `from`"),
    ),
    Slip(
        *(MAIL, "subject: ", "Subject: "),
        *("unknown-key", "3:1", "`Subject` is not a key here", "did you mean `subject`?"),
    ),
    Slip(
        *(MAIL, "{{ person.first_name }}", "{{ first_name }}"),
        *("undefined-name", "11:84", "`first_name` is not known in texts", "write person.first_name"),
    ),
    Slip(
        *(MAIL, "{{ person.first_name }}", "{{ customer.first_name }}"),
        *("undefined-name", "11:84", "`customer` is not known in texts", "the person is `person`"),
    ),
    Slip(
        *(SMS, "voucher.value | money", "voucher.value | currency"),
        *("unknown-filter", "1:14", "there is no filter `currency`", "write `money`"),
    ),
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shop that ships, in its own language only, which is read three times as fast."""
    folder = shops.shipped(tmp_path_factory.mktemp("slips") / "shop")
    for text in (folder / "templates").glob("[!_]*/*.*.*"):
        if ".zh-CN." not in text.name:
            text.unlink()
    assert findings(folder / CONFIG).problems == ()
    return folder


@pytest.mark.parametrize("slip", SLIPS, ids=[f"{one.file}: {one.new.strip()}" for one in SLIPS])
def test_a_slip_is_told_once_where_it_is_with_what_was_meant(shop: Path, slip: Slip) -> None:
    path = shop / slip.file
    right = path.read_text(encoding="utf-8")
    assert slip.old in right
    try:
        path.write_text(right.replace(slip.old, slip.new, 1), encoding="utf-8")
        told = findings(shop / CONFIG).problems
    finally:
        path.write_text(right, encoding="utf-8")

    assert [one.code for one in told] == [slip.code], told
    assert told[0].position.file.endswith(slip.file)
    changed = right[: right.index(slip.old)].count("\n") + 1 if slip.place.startswith("+") else 0
    line, column = slip.place.split(":")
    assert (told[0].position.line, told[0].position.column) == (changed + int(line), int(column))
    assert told[0].sentence.startswith(slip.sentence)
    assert told[0].hint.startswith(slip.cure)
