"""The bytes of a mail, judged by the standard library's parser."""

from __future__ import annotations

import base64
import email
import email.policy
import re
from datetime import UTC, datetime, timedelta, timezone
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from channels.contract import Email
from channels.email.mime import Letterhead, address, compose, header, message_id
from channels.errors import FailureReason, Misconfigured, Rejected

SHOP = Letterhead(sender="shop@example.com", sender_name="The Shop")
INSTANT = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


def parsed(data: bytes) -> EmailMessage:
    return email.message_from_bytes(data, policy=email.policy.default)


def written(mail: Email, letterhead: Letterhead = SHOP, key: str = "k-1") -> EmailMessage:
    return parsed(compose(mail, key, INSTANT, letterhead).data)


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def shown_name(data: bytes, name: str) -> str:
    """The display name of an address header. The library's newer parser of names leaves a space between the encoded
    words of one long name (RFC 2047 says to drop it), so its older one is the judge."""
    raw = email.message_from_bytes(data, policy=email.policy.compat32)[name].replace("\r\n", "")
    return str(make_header(decode_header(parseaddr(raw)[0])))


def as_lines(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text if text.endswith("\n") else text + "\n"


# What a customer or an author may have written: anything, with the ends of lines and words of RFC 2047 made likely.
CONTROLS = "".join(map(chr, [*range(32), *range(127, 160), 0x2028, 0x2029]))
printable = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=CONTROLS))
hostile = st.lists(
    st.one_of(
        printable,
        st.sampled_from(
            ["=?utf-8?q?", "=?utf-8?b?", "?=", "=0A", "=0D=0A", "Cg==", " ", "  ", '"', "\\", "<", ">", ",", ";"]
        ),
        st.sampled_from(["Bcc: eve@example.net", "@", "(", ")", ":", "é", "谢谢", "👋🏽", "x" * 80, "a b " * 30]),
    ),
    max_size=8,
).map("".join)
anything = st.lists(st.one_of(hostile, st.sampled_from(list("\r\n\0\t\x0b\x85\u2028\x1b")))).map("".join)
bodies = st.lists(
    st.one_of(
        printable,
        st.sampled_from(
            ["\n", "\r\n", "\r", ".", "\n.\n", "\n..", "From ", "=", "=\n", " \n", "\t\n", "--=_", "\x0c", "\0"]
        ),
        st.sampled_from(["x" * 1200, "谢谢" * 400, "é", "<p>word</p>\n" * 20]),
    ),
    max_size=8,
).map("".join)


@given(subject=hostile, to_name=hostile, sender_name=hostile, extra=hostile)
@example(subject="=?utf-8?q?=41?=", to_name="=?utf-8?q?=41?=", sender_name='a"b\\', extra="=?utf-8?q?=41?=")
def test_every_header_is_read_back_as_it_was_written(subject: str, to_name: str, sender_name: str, extra: str) -> None:
    mail = Email(
        to="ann@example.com",
        to_name=to_name,
        sender="shop@example.org",
        sender_name=sender_name,
        reply_to="help@example.org",
        subject=subject,
        text="x",
        headers=(("X-Shop", extra),),
    )
    try:
        data = compose(mail, "k-1", INSTANT, SHOP).data
    except Rejected:
        assert "=?" in subject + to_name + sender_name + extra  # an encoded word that hides a control character
        return
    message = parsed(data)
    assert str(message["subject"]) == subject
    assert str(message["x-shop"]) == extra
    assert shown_name(data, "To") == to_name.strip(" ")
    assert shown_name(data, "From") == sender_name.strip(" ")
    assert [a.addr_spec for a in message["to"].addresses] == ["ann@example.com"]
    assert [a.addr_spec for a in message["from"].addresses] == ["shop@example.org"]
    assert [a.addr_spec for a in message["reply-to"].addresses] == ["help@example.org"]
    assert message["message-id"] == "<k-1@example.org>"
    assert message["date"].datetime == INSTANT


@given(values=st.tuples(anything, anything, anything, anything, anything), text=bodies, html=bodies)
def test_X4_no_value_adds_a_header_a_recipient_or_a_second_message(
    values: tuple[str, str, str, str, str], text: str, html: str
) -> None:
    subject, to_name, sender_name, extra, link = values
    mail = Email(
        to="ann@example.com",
        to_name=to_name,
        sender_name=sender_name,
        subject=subject,
        text=text,
        html=html,
        headers=(("X-Shop", extra), ("List-Unsubscribe", link)),
    )
    try:
        data = compose(mail, "k-1", INSTANT, SHOP).data
    except Rejected:
        return
    message = parsed(data)
    expected = "Date From To Subject Message-ID X-Shop List-Unsubscribe Auto-Submitted MIME-Version Content-Type"
    assert [name for name in message if name != "Content-Transfer-Encoding"] == expected.split()
    assert len(message["to"].addresses) == len(message["from"].addresses) == 1
    assert sum(1 for part in message.walk() if not part.is_multipart()) == bool(text.strip()) + bool(html.strip())


@given(text=bodies, html=bodies)
@example(text="trailing \n", html="=\n")
@example(text="no end of line", html="\n\n")
def test_text_and_html_are_read_back_as_they_were_written(text: str, html: str) -> None:
    mail = Email(to="ann@example.com", text="t" + text, html="h" + html)
    message = written(mail)
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert body(message, "plain") == as_lines("t" + text)
    assert body(message, "html") == as_lines("h" + html)


@pytest.mark.parametrize(
    ("kind", "words", "encoding"),
    [
        pytest.param("plain", "Dear Ann,\nthank you.\n", "7bit", id="a plain text goes as it is"),
        pytest.param("html", "<p>Thank you, Ann.</p>\n", "7bit", id="plain html too"),
        pytest.param("plain", "x" * 997 + "\n", "7bit", id="a line as long as a line may be"),
        pytest.param("plain", "x" * 998 + "\n", "quoted-printable", id="a plain text with a longer one"),
        pytest.param("html", "x" * 998 + "\n", "base64", id="plain html with a longer one"),
        pytest.param("plain", "Chère Ann,\nmerci de votre visite.\n", "quoted-printable", id="a few far characters"),
        pytest.param("html", "<p>Chère Ann, merci de votre visite.</p>\n", "base64", id="a few in html"),
        pytest.param("plain", "é" * 10 + "x" * 80, "quoted-printable", id="as many as people may read past"),
        pytest.param("plain", "é" * 10 + "x" * 79, "base64", id="a share more"),
        pytest.param("plain", "谢谢您的惠顾。\n" * 9, "base64", id="a far script"),
        pytest.param("html", "<p>谢谢您的惠顾。</p>\n" * 9, "base64", id="html in a far script"),
    ],
)
def test_a_part_goes_in_the_encoding_that_suits_it_and_is_read_back(kind: str, words: str, encoding: str) -> None:
    part = written(Email(to="ann@example.com", **{"text" if kind == "plain" else kind: words}))

    assert (part.get_content_type(), part["content-transfer-encoding"]) == (f"text/{kind}", encoding)
    assert body(part, kind) == as_lines(words)


@given(subject=hostile, to_name=hostile, text=bodies, html=bodies)
def test_every_line_is_short_enough_plain_ascii_and_ends_in_crlf(
    subject: str, to_name: str, text: str, html: str
) -> None:
    mail = Email(to="ann@example.com", to_name=to_name, subject=subject, text="t" + text, html="h" + html)
    try:
        data = compose(mail, "k-1", INSTANT, SHOP).data
    except Rejected:
        return
    assert data.isascii()
    assert data.endswith(b"\r\n")
    lines = data.split(b"\r\n")
    assert not any(b"\r" in line or b"\n" in line for line in lines)
    assert max(map(len, lines)) <= 998
    assert all(len(line) <= 76 for line in lines if b"=?utf-8?" in line)


@given(value=hostile)
def test_every_encoded_word_holds_whole_characters(value: str) -> None:
    try:
        line = header("X-Shop", value + "é")
    except Rejected:
        return
    for word in re.findall(rb"=\?utf-8\?b\?([^?]*)\?=", line):
        base64.b64decode(word, validate=True).decode()


@pytest.mark.parametrize("control", ["\n", "\r", "\r\n", "\0", "\t", "\x1b", "\x7f", "\x85", "\u2028", "\ud800"])
@pytest.mark.parametrize("field", ["subject", "to_name", "sender_name", "to", "reply_to", "sender"])
def test_a_control_character_in_a_header_is_rejected(field: str, control: str) -> None:
    fields: dict[str, Any] = {"to": "ann@example.com", "text": "x", field: f"ann{control}Bcc: eve@example.net"}
    with pytest.raises(Rejected):
        compose(Email(**fields), "k-1", INSTANT, SHOP)


@pytest.mark.parametrize(
    "value",
    [
        "=?utf-8?q?x=0D=0ABcc:_eve@example.net?=",
        "=?utf-8?b?eA0KQmNjOiBldmVAZXhhbXBsZS5uZXQ=?=",
        "=?UTF-8?Q?=0a?=",
        "before =?latin-1?q?=85?= after",
        "=?no-such-charset?q?=0A?=",
        "=?utf-8?q?a?= =?utf-8?q?=00?=",
    ],
)
def test_a_control_character_hidden_in_an_encoded_word_is_rejected(value: str) -> None:
    for mail in (
        Email(to="ann@example.com", text="x", subject=value),
        Email(to="ann@example.com", text="x", to_name=value),
        Email(to="ann@example.com", text="x", headers=(("X-Shop", value),)),
    ):
        with pytest.raises(Rejected, match="control character") as caught:
            compose(mail, "k-1", INSTANT, SHOP)
        assert caught.value.reason is FailureReason.content


def test_an_encoded_word_a_customer_wrote_is_shown_to_them_as_written() -> None:
    message = written(Email(to="ann@example.com", text="x", subject="=?utf-8?q?Gr=C3=BC=C3=9Fe?="))
    assert message["subject"] == "=?utf-8?q?Gr=C3=BC=C3=9Fe?="


@pytest.mark.parametrize(
    "name", ["Bcc", "bcc", "Subject", "Content-Type", "X Y", "X:", "", "X\r\nBcc", "Ünsub", "Resent-To"]
)
def test_a_header_that_is_not_for_others_to_write_is_rejected(name: str) -> None:
    with pytest.raises(Rejected):
        compose(Email(to="ann@example.com", text="x", headers=((name, "eve@example.net"),)), "k-1", INSTANT, SHOP)


def test_the_headers_of_one_click_unsubscribe_pass_through_untouched() -> None:
    link = "<https://shop.example.com/u/" + "t" * 300 + ">, <mailto:out@example.com?subject=out>"
    headers = (("List-Unsubscribe", link), ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
    data = compose(Email(to="ann@example.com", text="x", headers=headers), "k-1", INSTANT, SHOP).data
    assert b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in data
    assert b"<https://shop.example.com/u/" + b"t" * 300 + b">,\r\n <mailto:" in data
    assert parsed(data)["list-unsubscribe"] == link


@pytest.mark.parametrize(
    "link", ["<https://example.com/ü>", "<https://example.com/" + "t" * 1000 + ">", "=?utf-8?q?a?="]
)
def test_an_unsubscribe_link_that_would_have_to_be_encoded_is_rejected(link: str) -> None:
    with pytest.raises(Rejected, match="List-Unsubscribe"):
        compose(Email(to="ann@example.com", text="x", headers=(("List-Unsubscribe", link),)), "k-1", INSTANT, SHOP)


def test_mail_says_that_a_machine_wrote_it() -> None:
    assert written(Email(to="ann@example.com", text="x"))["auto-submitted"] == "auto-generated"


def test_the_same_key_makes_the_same_bytes_and_another_key_another_message_id() -> None:
    mail = Email(to="ann@example.com", subject="谢谢", text="x", html="<p>é</p>")
    assert compose(mail, "k-1", INSTANT, SHOP) == compose(mail, "k-1", INSTANT, SHOP)
    assert written(mail, key="k-1")["message-id"] != written(mail, key="k-2")["message-id"]


@given(st.text(), st.text())
def test_a_message_id_is_safe_and_names_one_key_only(one: str, other: str) -> None:
    assert header("X", message_id(one)) == f"X: {message_id(one)}\r\n".encode()
    assert (message_id(one) == message_id(other)) == (one == other)


def test_the_domain_of_the_message_id_can_be_chosen() -> None:
    letterhead = Letterhead(sender="shop@example.com", message_id_domain="mail.example.org")
    assert written(Email(to="ann@example.com", text="x"), letterhead)["message-id"] == "<k-1@mail.example.org>"


def test_the_date_is_the_instant_of_rendering_whatever_its_zone() -> None:
    mail = Email(to="ann@example.com", text="x")
    elsewhere = INSTANT.astimezone(timezone(timedelta(hours=8)))
    assert compose(mail, "k", elsewhere, SHOP) == compose(mail, "k", INSTANT, SHOP)
    assert b"Date: Sun, 29 Mar 2026 01:30:00 +0000\r\n" in compose(mail, "k", INSTANT, SHOP).data


def test_a_sender_of_the_mail_goes_before_that_of_the_shop() -> None:
    mail = Email(to="ann@example.com", text="x", sender="vip@example.com", reply_to="vip-help@example.com")
    letterhead = Letterhead(
        sender="shop@example.com",
        sender_name="The Shop",
        reply_to="help@example.com",
        return_path="bounces@example.com",
    )
    message, letter = written(mail, letterhead), compose(mail, "k", INSTANT, letterhead)
    assert (message["from"], message["reply-to"]) == ("vip@example.com", "vip-help@example.com")
    assert (letter.sender, letter.to) == ("bounces@example.com", "ann@example.com")


def test_a_mail_without_any_sender_is_a_fault_of_the_settings() -> None:
    with pytest.raises(Misconfigured, match="sender"):
        compose(Email(to="ann@example.com", text="x"), "k", INSTANT, Letterhead())


@pytest.mark.parametrize("part", ["text", "html"])
def test_a_mail_with_one_part_is_not_multipart(part: str) -> None:
    fields: dict[str, Any] = {"to": "ann@example.com", part: "<p>x</p>"}
    message = written(Email(**fields))
    assert message.get_content_type() == ("text/plain" if part == "text" else "text/html")


def test_a_mail_without_words_is_rejected() -> None:
    with pytest.raises(Rejected, match="neither") as caught:
        compose(Email(to="ann@example.com", subject="x", text=" \n"), "k", INSTANT, SHOP)
    assert caught.value.reason is FailureReason.content


def test_half_a_character_in_a_body_is_rejected() -> None:
    with pytest.raises(Rejected, match="surrogate"):
        compose(Email(to="ann@example.com", text="x\ud800"), "k", INSTANT, SHOP)


def test_a_text_that_holds_the_boundary_does_not_end_its_part() -> None:
    first = compose(Email(to="ann@example.com", text="x", html="y"), "k", INSTANT, SHOP).data
    boundary = parsed(first).get_boundary()
    text = f"x\n--{boundary}--\nevil\n"
    assert body(written(Email(to="ann@example.com", text=text, html="y"), key="k"), "plain") == text


@pytest.mark.parametrize(
    ("text", "on_the_wire"),
    [
        ("ann@example.com", "ann@example.com"),
        ("o'hara+tag@mail.example.co.uk", "o'hara+tag@mail.example.co.uk"),
        ("shop@localhost", "shop@localhost"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("张三@例子.example", "张三@xn--fsqu00a.example"),
    ],
)
def test_a_domain_goes_out_in_ascii_and_the_local_part_as_it_is(text: str, on_the_wire: str) -> None:
    assert address(text) == on_the_wire


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ann",
        "@example.com",
        "ann@",
        "ann@exa mple.com",
        "ann@b@example.com",
        "<ann@example.com>",
        "a..b@example.com",
        "ann@example.com, eve@example.net",
        "ann@example.com\r\nRCPT TO:<eve@example.net>",
        "ann @example.com",
        "ann@-example.com",
        "ann@example..com",
        "a" * 65 + "@example.com",
        "ann@" + "example." * 40 + "com",
        "é\n@example.com",
        "ann\u2028@example.com",
        '"ann"@example.com',
        "é" * 40 + "@example.com",
        "ann@exam\ud800ple.com",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        address(text)
    with pytest.raises(Rejected) as caught:
        compose(Email(to=text, text="x"), "k", INSTANT, SHOP)
    assert caught.value.reason is FailureReason.address_invalid
    assert "ann" not in str(caught.value)


def test_a_local_part_beyond_ascii_asks_for_smtputf8_and_is_read_back() -> None:
    letter = compose(Email(to="张三@example.com", to_name="张三", text="x"), "k", INSTANT, SHOP)
    assert letter.utf8
    assert "<张三@example.com>\r\n".encode() in letter.data
    assert not compose(Email(to="ann@bücher.example", to_name="张三", text="x"), "k", INSTANT, SHOP).utf8
