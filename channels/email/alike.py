"""Mails that are the same but for a few pieces: what they share is said once, and for each mail what it has of its own.

Texts are split at the signs that mean something in HTML. Texts with the same signs in the same order are of one shape:
they come from one template, and between two signs stands the same in all of them, or a piece that differs. No such
piece holds a sign, so it means the same to a service that escapes what it fills in and to one that does not.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from channels.contract import Answer, Content, Email, Outgoing
from channels.email.mime import Writer, Written, written
from channels.errors import FailureReason, Misconfigured, Rejected, SendError, Uncertain
from channels.http import Reply

_SIGNS = re.compile("([&<>\"'`=\n]+)")
_WORD = re.compile(r"\w*")


@dataclass(frozen=True)
class Mail:
    """A mail of a call, and the pieces of its texts."""

    nth: int  # of the call
    outgoing: Outgoing
    content: Email
    written: Written
    subject: list[str]
    html: list[str]
    text: list[str]


Group: TypeAlias = Sequence[Mail]
Answers: TypeAlias = Mapping[int, Answer]  # by the number of the mail in its call


@dataclass(frozen=True)
class Merged:
    """What mails of one shape share, with tags in it, and what stands for each tag in each of them."""

    subject: str
    html: str
    text: str
    values: Sequence[Mapping[str, str]]


def flaw(content: Content, writer: Writer) -> Rejected | None:
    """Why no service that writes mails itself can send this, None when it may."""
    if not isinstance(content, Email):
        return None
    try:
        people = written(content, writer)
    except Rejected as error:
        return error
    except Misconfigured:
        return None  # not the mail's fault
    for whose, address in (("person", people.to), ("sender", people.sender), ("reply", people.reply_to)):
        if not address.isascii():
            return Rejected(
                f"The address of the {whose} has letters before the @ that such a service cannot write to.",
                reason=FailureReason.content,
            )
    return None


def groups(mails: Iterable[Mail], most: int, *, by_subject: bool) -> list[list[Mail]]:
    """Mails of one sender and one shape, at most so many together and no address twice."""
    found: dict[object, list[tuple[list[Mail], set[str]]]] = {}
    for one in mails:
        content, to = one.content, one.content.to.casefold()
        shape = (_shape(one.html), _shape(one.text), _shape(one.subject) if by_subject else ())
        alike = found.setdefault((content.sender, content.sender_name, content.reply_to, shape), [])
        for group, known in alike:
            if len(group) < most and to not in known:
                break
        else:
            alike.append(([], set()))
            group, known = alike[-1]
        group.append(one)
        known.add(to)
    return [group for alike in found.values() for group, _ in alike]


def merged(mails: Group, tag: Callable[[int], str]) -> Merged:
    """Mails of one group as one. What differs in the same way in several places has one tag."""
    tags: dict[tuple[str, ...], str] = {}

    def part(texts: Iterable[list[str]]) -> str:
        return "".join(_piece(column, tags, tag) for column in zip(*texts, strict=True))

    html, text = part(one.html for one in mails), part(one.text for one in mails)
    subject = part(one.subject for one in mails) if len({_shape(one.subject) for one in mails}) == 1 else ""
    own = list(zip(*tags, strict=True)) or [()] * len(mails)
    return Merged(subject, html, text, [dict(zip(tags.values(), values, strict=True)) for values in own])


async def send(
    batch: Sequence[Outgoing],
    writer: Writer,
    refusal: Callable[[Content], Rejected | None],
    sort: Callable[[list[Mail]], Iterable[Group]],
    hand_over: Callable[[Group, float], Awaitable[Answers]],
) -> list[Answer]:
    """A call of a provider: mails are refused, or sorted into groups, and handed over until a deadline."""
    began = asyncio.get_running_loop().time()
    answers: dict[int, Answer] = {}
    groups = sort(mails(batch, writer, refusal, answers))
    answers.update(
        await together(groups, lambda group: hand_over(group, began + min(one.outgoing.timeout for one in group)))
    )
    return [answers[nth] for nth in range(len(batch))]


def mails(
    batch: Sequence[Outgoing],
    writer: Writer,
    refusal: Callable[[Content], Rejected | None],
    refused: dict[int, Answer],
) -> list[Mail]:
    """The mails of a call, taken apart. What can never be sent has its answer among those that are refused."""
    found = []
    for nth, outgoing in enumerate(batch):
        content = outgoing.content
        flaw = refusal(content)
        try:
            if flaw is not None:
                raise flaw
            assert isinstance(content, Email)
            html, text = (part if part.strip() else "" for part in (content.html, content.text))
            pieces = map(_SIGNS.split, (content.subject, html, text))
            found.append(Mail(nth, outgoing, content, written(content, writer), *pieces))
        except SendError as error:
            refused[nth] = error
    return found


async def together(groups: Iterable[Group], hand_over: Callable[[Group], Awaitable[Answers]]) -> dict[int, Answer]:
    """All groups side by side, one answer for each mail; what one group meets hurts no other."""

    async def answers(group: Group) -> Answers:
        try:
            return await hand_over(group)
        except SendError as error:
            return same(error, group)
        except Exception as error:  # a mistake of ours proves nothing about the mails
            return same(Uncertain(f"The mail met an error of ours ({type(error).__name__})."), group)

    found: dict[int, Answer] = {}
    for each in await asyncio.gather(*map(answers, groups)):
        found.update(each)
    return found


def same(answer: Answer, group: Group) -> dict[int, Answer]:
    """One answer for all mails of a group."""
    return {one.nth: answer for one in group}


def said(reply: Reply) -> dict[str, Any]:
    """What stands in an answer, a JSON object; nothing when it cannot be read."""
    try:
        found = json.loads(reply.body or b"")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _shape(pieces: list[str]) -> tuple[object, ...]:
    """The signs of a text, and whether something stands before and after them: no piece is empty in one mail alone."""
    return (bool(pieces[0]), *pieces[1::2], bool(pieces[-1]))


def _piece(column: tuple[str, ...], tags: dict[tuple[str, ...], str], tag: Callable[[int], str]) -> str:
    """What stands between two signs: the same in all mails, or a tag between the words they share there."""
    first = column[0]
    if column.count(first) == len(column):
        return first
    start = _shared_start([piece[:-1] for piece in column])  # something is left of each
    start = start[: len(start) - _word(start[::-1])]
    rest = [piece[len(start) :] for piece in column]
    end = _shared_start([piece[:0:-1] for piece in rest])[::-1]
    end = end[_word(end) :]
    own = tuple(piece[: len(piece) - len(end)] for piece in rest)
    return start + tags.setdefault(own, tag(len(tags))) + end


def _word(text: str) -> int:
    """How many characters of a word a text begins with."""
    found = _WORD.match(text)
    return found.end() if found else 0


def _shared_start(texts: Sequence[str]) -> str:
    first, last = min(texts), max(texts)
    for nth, (one, other) in enumerate(zip(first, last, strict=False)):
        if one != other:
            return first[:nth]
    return first
