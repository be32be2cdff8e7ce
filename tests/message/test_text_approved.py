"""Wordings that providers approved: a text gives every parameter of its wording, no other, and what fits into each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from channels.contract import Sms
from channels.fields import Fault, fault_of, misfits, room_in
from engine.journey.problems import Problem, Severity
from engine.message.approved import OF_SMS, OF_WECHAT, filled, names_in
from engine.message.render import render
from engine.message.templates import Texts, load_texts
from engine.settings import Approved, SmsSettings, WeChatSettings
from tests.message.conftest import SETTINGS

Make = Callable[..., Any]
Load = Callable[[Mapping[str, str]], tuple[Texts, list[Problem]]]

SMS, WECHAT = "m/sms.zh-CN.txt", "m/wechat.zh-CN.yaml"
LISTED = SETTINGS.model_copy(
    update={
        "sms": SmsSettings(
            templates={"SMS_1": Approved(wording="订单${order}已发出，${name}。回T退订", kind="notice")}
        ),
        "wechat": WeChatSettings(
            templates={"W": Approved(wording="订单 {{character_string1.DATA}} {{ thing2.DATA }}", kind="notice")}
        ),
    }
)


@pytest.fixture
def listed(tmp_path: Path) -> Load:
    """Loads texts in a shop whose config.yaml lists templates."""

    def write(files: Mapping[str, str]) -> tuple[Texts, list[Problem]]:
        for name, text in files.items():
            path = tmp_path / "templates" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return load_texts(tmp_path / "templates", LISTED)

    return write


def sms(params: str, body: str = "", template: str = "SMS_1", more: str = "") -> dict[str, str]:
    return {SMS: f"---\ntemplate: {template}\n{more}params: {params}\n---\n{body}"}


def wechat(values: str, template: str = "W", more: str = "") -> dict[str, str]:
    return {WECHAT: f"template: {template}\n{more}values: {values}\n"}


def test_the_places_of_a_wording_are_found_however_a_provider_writes_them() -> None:
    assert names_in("您的订单${order}已发出，${name}，${order}", OF_SMS) == ("order", "name")
    assert names_in("您的验证码{1}，{2}分钟内有效", OF_SMS) == ("1", "2")
    assert names_in("{{thing1.DATA}}\n{{ amount2.DATA }}", OF_WECHAT) == ("thing1", "amount2")
    assert filled("${a}${b}${a} {1}", OF_SMS, {"a": "x$", "b": "${a}", "1": "y"}) == "x$${a}x$ y"  # once, not again


@pytest.mark.parametrize(
    ("files", "where", "code", "hint"),
    [
        # held against the wording in the text itself
        (sms("{order: A}", "订单${order}给${name}", "X"), "3:1", "missing-parameter", "write `name:` under `params:`"),
        (sms("{}", "订单${order}", "X"), "2:11", "missing-parameter", "write `order:` under `params:`"),
        (sms("{order: A, when: B}", "订单${order}", "X"), "3:20", "unknown-parameter", None),
        (sms("{ordr: A}", "订单${order}", "X"), "3:10", "unknown-parameter", "did you mean `order`?"),
        (sms("{'1': A}", "验证码{1}，{2}分钟", "X"), "3:1", "missing-parameter", "write `2:` under `params:`"),
        (wechat("{thing1: A}", "X", "kind: notice\nwording: '{{thing1.DATA}}{{thing2.DATA}}'\n"), "4:1", None, None),
        # held against the one in config.yaml
        (sms("{order: A}"), "3:1", "missing-parameter", "write `name:` under `params:`"),
        (sms("{order: A}", "Hi {{ person.name }}"), "3:1", "missing-parameter", "write `name:` under `params:`"),
        (sms("{order: A, name: B, c: C}"), "3:29", "unknown-parameter", None),
        (wechat("{character_string1: A}"), "2:1", "missing-parameter", "write `thing2:` under `values:`"),
        (wechat("{character_string1: A, thing2: B, thing3: C}"), "2:43", "unknown-parameter", None),
        (wechat("{character_string1: A, thng2: B}"), "2:32", "unknown-parameter", "did you mean `thing2`?"),
        # both, and they differ
        (sms("{order: A}", "另一句${order}"), "5:1", "wording-differs", None),
        (sms("{order: A, name: B}", more="kind: promotion\n"), "3:7", "wording-differs", None),
        # nothing to hold it against
        (sms("{a: A}", "Hi {{ person.name }}", "X"), "2:11", "unknown-wording", None),
        (sms("{a: A}", "", "X"), "2:11", "unknown-wording", None),
        (wechat("{thing1: A}", "X", "kind: notice\n"), "1:11", "unknown-wording", None),
        # and the rest
        (wechat("{thing1: A}", "X", "wording: '{{thing1.DATA}}'\n"), "1:11", "missing-kind", None),
        (sms("{a: A}", "${a} {{ person.name }}", "X", "kind: notice\n"), "6:1", "mixed-wording", None),
        ({SMS: "订单${order}"}, "1:1", "mixed-wording", None),
        ({SMS: "---\nparams: {a: A}\n---\nHi"}, "2:1", "unknown-parameter", None),
        ({SMS: "---\nkind: notice\n---\nHi"}, "2:1", "unknown-parameter", None),
        ({SMS: "---\ntemplate: X\nkind: advert\n---\nHi"}, "3:7", "unknown-word", None),
    ],
)
def test_a_wording_used_otherwise_than_it_was_approved_is_named(
    listed: Load, files: Mapping[str, str], where: str, code: str | None, hint: str | None
) -> None:
    _, problems = listed(files)

    found = [p for p in problems if p.code != "unknown-wording"] or problems
    assert str(found[0].position) == f"templates/{next(iter(files))}:{where}"
    assert found[0].code == (code or "missing-parameter")
    assert len(found) == 1 or {p.code for p in found} <= {"wording-differs", "missing-parameter"}
    assert found[0].hint
    if hint:
        assert found[0].hint == hint


def test_the_wording_is_shown_and_counted_and_the_parameters_are_handed_over(listed: Load, values: Make) -> None:
    texts, problems = listed(sms('{order: "{{ event.order_id }}", name: "{{ person.first_name }}"}'))
    assert problems == []

    content = render(texts, "m", "sms", "zh-CN", values("zh-CN"))

    assert isinstance(content, Sms)
    assert (content.text, content.template) == ("订单A-1已发出，Ann。回T退订", "SMS_1")
    assert content.params == (("order", "A-1"), ("name", "Ann"))


def test_a_notice_may_not_carry_marketing_wherever_its_kind_is_written(listed: Load) -> None:
    texts, _ = listed({**sms("{order: A, name: B}"), **wechat("{character_string1: A, thing2: B}")})

    for channel in ("sms", "wechat"):
        assert [one.code for one in texts.fits("m", channel, marketing=True)] == ["kind-purpose"]
        assert texts.fits("m", channel, marketing=False) == []


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("{{ person.first_name }}", None),
        ("https://shop.example.com/{{ event.order_id }}", "link-in-parameter"),
        ("www.shop.example.com", "link-in-parameter"),
        ("x" * 36, "too-long"),
    ],
)
def test_a_parameter_that_providers_refuse_is_named(load: Load, values: Make, value: str, code: str | None) -> None:
    texts, _ = load({"m/sms.en.txt": f"---\ntemplate: Z\nparams:\n  who: '{value}'\n---\nHi ${{who}}! STOP"})

    found = [one for one in texts.check("m", "sms", "en", {"somebody": values()}) if one.code != "unknown-wording"]
    assert [(one.code, one.position.line) for one in found] == ([(code, 4)] if code else [])


@pytest.mark.parametrize(
    ("body", "marketing", "warned"),
    [
        ("Hello", True, True),
        ("Hello", False, False),
        ("Hello. Reply STOP to end", True, False),
        ("您好，回T退订", True, False),
        ("Stop here", True, True),
        ("Hello {{ links.unsubscribe }}", True, False),
    ],
)
def test_a_marketing_sms_has_to_say_how_to_stop_them(
    load: Load, values: Make, body: str, marketing: bool, warned: bool
) -> None:
    texts, _ = load({"m/sms.en.txt": body})

    found = texts.check("m", "sms", "en", {"somebody": values(marketing=marketing)})

    assert [(one.code, one.severity) for one in found] == ([("missing-opt-out", Severity.warning)] if warned else [])


# --- fields of WeChat


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("number1", ["1", "12.5", "-3"], ["1,000", "一", "1 2"]),
        ("letter2", ["ABC"], ["A1", "Ä"]),
        ("symbol3", ["*-*"], ["a", "1"]),
        ("character_string4", ["A-1 #9"], ["订单1"]),
        ("time5", ["15:01", "2026年10月1日 15:01", "10月1日", "08:00~09:30", "2026-10-01 15:01"], ["soon", "3 PM"]),
        ("date6", ["2026年10月1日", "2026-10-01", "2026/10/1 15:01", "2026-10-01~2026-10-05"], ["October 1", "15:01"]),
        ("amount7", ["¥199", "199.50元", "$12.5", "1234567890"], ["¥1,234.50", "CN¥5", "12345678901", "199,50 €"]),
        ("phone_number8", ["+86-138 0013 8000", "(021)6212"], ["call me"]),
        ("phrase9", ["已发货"], ["shipped", "已发货1"]),
        ("thing10", ["anything 123 好"], []),
        ("car_number11", ["粤A8Z888挂"], []),
        ("remark", ["anything"], []),
    ],
)
def test_a_field_holds_what_its_type_allows(name: str, good: list[str], bad: list[str]) -> None:
    assert [text for text in good if misfits(name, text)] == []
    assert [text for text in bad if not misfits(name, text)] == []


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("thing1", "二十个字" * 5, None),
        ("thing1", "二十个字" * 5 + "多", Fault.long),
        ("character_string2", "A" * 32, None),
        ("character_string2", "A" * 33, Fault.long),
        ("character_string2", "订单1", Fault.form),
        ("phrase3", "已经发货了", None),
        ("phrase3", "已经发货了吗", Fault.long),
        ("name4", "欧阳娜娜欧阳娜娜欧阳", None),
        ("name4", "欧阳娜娜欧阳娜娜欧阳娜", Fault.long),
        ("name4", "Maximilian Mustermann", Fault.long),
        ("number5", "1" * 32, None),
        ("number5", "1" * 33, Fault.long),
        ("amount6", "¥1,234.00", Fault.form),
        ("thing7", "", Fault.empty),
        ("thing7", " ", Fault.empty),
        ("thing7", "two\nlines", Fault.unseen),
        ("anything", "of a name that is no field", None),
    ],
)
def test_what_wechat_refuses_a_field_for(name: str, text: str, fault: Fault | None) -> None:
    assert fault_of(name, text) is fault


def test_a_name_has_less_room_in_chinese() -> None:
    assert room_in("name1", "Maximilian Mustermann") == 20
    assert room_in("name1", "欧阳娜娜") == 10
    assert room_in("thing1", "欧阳娜娜") == 20


def test_what_is_written_out_is_an_error_and_what_samples_make_of_it_a_warning(listed: Load, values: Make) -> None:
    head = "template: X\nkind: notice\nwording: '{{amount1.DATA}}{{phrase2.DATA}}'\n"
    texts, problems = listed({WECHAT: head + 'values: {amount1: "{{ event.total | money }}", phrase2: sent}'})
    assert problems == []

    found = {
        one.sentence.split("`")[1]: one for one in texts.check("m", "wechat", "zh-CN", {"somebody": values("zh-CN")})
    }

    assert {name: (one.code, one.severity) for name, one in found.items()} == {
        "amount1": ("bad-wechat-value", Severity.warning),
        "phrase2": ("bad-wechat-value", Severity.error),
    }
