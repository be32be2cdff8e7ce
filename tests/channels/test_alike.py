"""Mails that are alike are said once, and read as they were written."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from channels.contract import Email, Outgoing
from channels.email import alike
from channels.email.alike import Mail, Merged
from channels.email.mime import Writer

AT = datetime(2026, 1, 15, 8, 30, tzinfo=UTC)


def mail(nth: int, html: str = "", text: str = "", subject: str = "Hello", to: str = "", **fields: str) -> Mail:
    content = Email(
        to=to or f"person{nth}@example.com",
        subject=subject,
        html=html,
        text=text,
        **{"sender": "shop@example.org", **fields},
    )
    (found,) = alike.mails([Outgoing(nth, f"k-{nth}", content, AT)], Writer(), lambda content: None, {})
    return found


def grouped(mails: Sequence[Mail], most: int = 100) -> list[list[int]]:
    return [[int(one.outgoing.key[2:]) for one in group] for group in alike.groups(mails, most, by_subject=True)]


def merged(mails: Sequence[Mail]) -> Merged:
    return alike.merged(mails, lambda nth: f"[{nth}]")


def filled(text: str, values: dict[str, str]) -> str:
    for tag, value in values.items():
        text = text.replace(tag, value)
    return text


LETTER = '<p style="color: red">Hi {name},</p>\n<a href="https://example.org/r/{token}?a=1&amp;b=2">Your {what}</a>'


def test_what_differs_is_said_for_each_and_all_else_once() -> None:
    one = mail(0, LETTER.format(name="Ann", token="t-1", what="shoes"), "Hi Ann, go to https://example.org/r/t-1")
    two = mail(1, LETTER.format(name="Bob", token="t-2", what="shoes"), "Hi Bob, go to https://example.org/r/t-2")

    found = merged([one, two])

    assert found.html == LETTER.format(name="[0]", token="t-[1]", what="shoes")
    assert found.values[0] == {"[0]": "Ann", "[1]": "1", "[2]": "Ann, go to https://example.org/r/t-1"}
    assert found.text == "Hi [2]"


def test_the_same_difference_in_two_places_has_one_tag() -> None:
    found = merged([mail(0, "<p>Ann</p><b>Ann</b>", subject="Ann!"), mail(1, "<p>Bob</p><b>Bob</b>", subject="Bob!")])

    assert (found.html, found.subject) == ("<p>[0]</p><b>[0]</b>", "[0]!")


def test_words_are_not_cut_in_two_and_no_value_is_empty() -> None:
    found = merged([mail(0, "<p>Hi Ann</p>"), mail(1, "<p>Hi Anna</p>"), mail(2, "<p>Hi Ann and Anna</p>")])

    assert found.html == "<p>Hi [0]</p>"
    assert [values["[0]"] for values in found.values] == ["Ann", "Anna", "Ann and Anna"]


def test_mails_of_another_shape_sender_or_reply_address_are_not_together() -> None:
    mails = [
        mail(0, "<p>Ann</p>"),
        mail(1, "<p>Bob</p>"),
        mail(2, "<p>Bob &amp; Ann</p>"),
        mail(3, "<p>Cyd</p>", sender="other@example.org"),
        mail(4, "<p>Dot</p>", reply_to="desk@example.org"),
        mail(5, "<p>Eve</p>", "a text too"),
        mail(6, "<p>Fay</p>"),
    ]

    assert grouped(mails) == [[0, 1, 6], [2], [3], [4], [5]]


def test_a_piece_that_one_mail_lacks_altogether_is_another_shape() -> None:
    assert grouped([mail(0, text="Hello\n"), mail(1, text="\n\n"), mail(2, text="\nHello")]) == [[0], [1], [2]]


def test_no_address_is_there_twice_and_no_group_is_too_large() -> None:
    mails = [mail(nth, "<p>x</p>", to=to) for nth, to in enumerate(["a@example.com", "A@example.com", "b@example.com"])]

    assert grouped(mails) == [[0, 2], [1]]
    assert grouped([mail(nth, "<p>x</p>") for nth in range(5)], most=2) == [[0, 1], [2, 3], [4]]


words = [*"<>&\"'`=\n -,.", "Ann", "Anna", "您好", "\u0301", "{", "}}", "\\", "x1"]
texts = st.lists(st.sampled_from(words)).map("".join)


@given(st.lists(st.tuples(texts, texts, texts), min_size=1, max_size=6))
def test_every_mail_of_a_group_is_read_as_it_was_written(written: list[tuple[str, str, str]]) -> None:
    mails = [mail(nth, html, text, subject.replace("\n", " ")) for nth, (html, text, subject) in enumerate(written)]
    for group in alike.groups(mails, 100, by_subject=True):
        found = merged(group)
        for one, values in zip(group, found.values, strict=True):
            read = [filled(part, dict(values)) for part in (found.subject, found.html, found.text)]
            content = one.content
            assert read == [content.subject, *(part if part.strip() else "" for part in (content.html, content.text))]
            assert all(values.values())
            assert not [value for value in values.values() if set(value) & set("<>&\"'`=\n")]
