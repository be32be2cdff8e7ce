"""A provider that exists nowhere: it answers by stable chance, so that the same seed always tells the same story.

Its record, when it keeps one, is the truth about what it accepted, written and forced to the disk before it answers:
what a test reads after it has killed the process that was sending.
"""

from __future__ import annotations

import asyncio
import hashlib
import html
import json
import math
import os
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import BeforeValidator, Field, model_validator

from channels import plain
from channels.contract import (
    Answer,
    Content,
    Email,
    FailureReason,
    Features,
    Outgoing,
    Provider,
    ProviderOptions,
    Push,
    ReceiptType,
    Sent,
    WeChat,
    content_to_json,
    payload_hash,
)
from channels.errors import Misconfigured, Rejected, SendError, Unavailable, Uncertain

_BREAKS_LINES = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LINK = re.compile(r"""https?://[^\s"'<>]+""")


def _share(value: Any) -> Any:
    """`5%` is 0.05."""
    if isinstance(value, str) and value.strip().endswith("%"):
        return float(value.strip()[:-1]) / 100
    return value


Share = Annotated[float, BeforeValidator(_share), Field(ge=0, le=1)]


class SimulatedOptions(ProviderOptions):
    """What config.yaml may say about the chances. Shares are written as 0.05 or 5%."""

    seed: int | str = 0
    # what becomes of a message at the door; what the other three leave is accepted
    accept: Share | None = None
    reject: Share = 0.0
    unavailable: Share = 0.0
    uncertain: Share = 0.0  # no answer; one half of these was accepted all the same
    rejects: frozenset[str] = frozenset()  # addresses that are always rejected
    reject_reason: FailureReason = FailureReason.address_unknown
    retry_after: float | None = Field(default=None, ge=0)  # seconds, said with every `unavailable`
    latency: float = Field(default=0.0, ge=0)  # seconds until each answer
    rate: float | None = Field(default=None, gt=0)  # messages a second; those beyond are unavailable
    dedupe: Literal["none", "key"] = "none"
    record: Path | None = None  # a file of JSON lines, one for each accepted message
    # what becomes of an accepted message afterwards
    delivered: Share = 0.97  # the others bounce
    opened: Share = 0.4  # of the delivered
    clicked: Share = 0.25  # of the opened; on channels that report no opening, of as many as would have opened
    complained: Share = 0.001  # of the opened
    machine: Share = 0.0  # of the opened: by a program first

    @model_validator(mode="after")
    def _makes_a_whole(self) -> Self:
        others = self.reject + self.unavailable + self.uncertain
        if others > 1 + 1e-9:
            raise ValueError("reject, unavailable and uncertain together are more than 100%")
        if self.accept is not None and abs(self.accept + others - 1) > 1e-9:
            raise ValueError("accept, reject, unavailable and uncertain do not make 100%; leave accept out")
        return self


class Planned(NamedTuple):
    """Something the provider will report about an accepted message."""

    after: timedelta  # from the moment the message was accepted
    type: ReceiptType
    reason: FailureReason | None = None
    link: str | None = None
    machine: bool = False


class SimulatedProvider(Provider):
    """Accepts, rejects, fails and stays silent as its options say, message by message, the same in every run."""

    name = "simulated"
    channels = frozenset({"email", "sms", "push", "wechat", "webhook"})
    Options: ClassVar[type[ProviderOptions]] = SimulatedOptions

    def configure(self, options: SimulatedOptions, env: Mapping[str, str], home: Path) -> None:
        self._options = options
        self._record = _Record(home / options.record if options.record else None)
        self._accepted: set[str] | None = None
        self._recent: deque[float] = deque()
        self.features = Features(dedupe_by=options.dedupe, batch=500, in_flight=500)

    def describe(self) -> str:
        kept = f", recorded in {self._record.path}" if self._record.path else ""
        return f"answers by chance with seed {self._options.seed}{kept}"

    async def open(self) -> None:
        if self._options.dedupe == "key":
            await asyncio.to_thread(self._known)

    def refusal(self, content: Content) -> Rejected | None:
        return super().refusal(content) or plain.flaw(content)

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Answer]:
        """Decide, record, be slow, answer: in this order, so that the record knows more than the sender, never less."""
        accepted: list[Outgoing] = []
        answers = [self._answer(outgoing, accepted) for outgoing in batch]
        if self._record.path is not None and accepted:
            await self._keep(accepted)
        if self._options.latency:
            await asyncio.sleep(min([self._options.latency, *(outgoing.timeout for outgoing in batch)]))
            answers = [self._in_time(outgoing, answer) for outgoing, answer in zip(batch, answers, strict=True)]
        return answers

    async def _keep(self, accepted: Sequence[Outgoing]) -> None:
        try:
            await asyncio.to_thread(self._record.append, accepted)
        except SendError:
            self._accepted = None  # to be read again
            raise

    def _answer(self, outgoing: Outgoing, accepted: list[Outgoing]) -> Answer:
        """The answer to one message, which joins `accepted` when it is to be recorded."""
        refused = self.refusal(outgoing.content)
        if refused is not None:
            return refused
        repeats = self._options.dedupe == "key"
        if repeats and outgoing.key in self._known():
            return Sent(self._name(outgoing), "was there already")
        wait = self._over_rate()
        if wait is not None:
            return Unavailable("The simulated provider takes no more at the moment.", retry_after=wait, code="rate")
        verdict = self._verdict(outgoing)
        if verdict == "accept" or (verdict == "uncertain" and self._chance(outgoing, "truth") < 0.5):
            accepted.append(outgoing)
            if repeats:
                self._known().add(outgoing.key)
        return self._said(verdict, outgoing)

    def _verdict(self, outgoing: Outgoing) -> Literal["accept", "reject", "unavailable", "uncertain"]:
        """What happens to this attempt of this message: a matter of seed, key and attempt alone."""
        options = self._options
        if outgoing.content.to in options.rejects:
            return "reject"
        drawn = self._chance(outgoing, "verdict", outgoing.attempt)
        if drawn < options.reject:
            return "reject"
        if drawn < options.reject + options.unavailable:
            return "unavailable"
        if drawn < options.reject + options.unavailable + options.uncertain:
            return "uncertain"
        return "accept"

    def _said(self, verdict: str, outgoing: Outgoing) -> Answer:
        options = self._options
        match verdict:
            case "reject":
                return Rejected(
                    "The simulated provider rejects this message.", reason=options.reject_reason, code="sim"
                )
            case "unavailable":
                return Unavailable(
                    "The simulated provider is not available.", retry_after=options.retry_after, code="sim"
                )
            case "uncertain":
                return Uncertain("The simulated provider fell silent.")
            case _:
                return Sent(self._name(outgoing))

    def _in_time(self, outgoing: Outgoing, answer: Answer) -> Answer:
        late = self._options.latency > outgoing.timeout and not isinstance(answer, Rejected)
        return Uncertain("The simulated provider did not answer in time.") if late else answer

    def _over_rate(self) -> float | None:
        """Seconds until there is room for one more, None when there is. The window is one second of the event loop."""
        if self._options.rate is None:
            return None
        room = max(1, int(self._options.rate))
        window = room / self._options.rate
        now = asyncio.get_running_loop().time()
        while self._recent and self._recent[0] <= now - window:
            self._recent.popleft()
        if len(self._recent) >= room:
            return self._recent[0] + window - now
        self._recent.append(now)
        return None

    def _known(self) -> set[str]:
        """Keys that were accepted, by this process or by one before."""
        if self._accepted is None:
            self._accepted = self._record.keys()
        return self._accepted

    def _name(self, outgoing: Outgoing) -> str:
        return "sim-" + _digest(self._options.seed, outgoing.key, "name").hex()[:16]

    def _chance(self, outgoing: Outgoing, *about: object) -> float:
        """A number in [0, 1) that is always the same for the same names."""
        return int.from_bytes(_digest(self._options.seed, outgoing.key, *about)[:6]) / 2**48

    # What the person does with it.

    def receipts_for(self, outgoing: Outgoing) -> list[Planned]:
        """What will be reported about this attempt, in order of time; nothing when it was not accepted."""
        if self.refusal(outgoing.content) is not None or self._verdict(outgoing) not in ("accept", "uncertain"):
            return []
        if self._verdict(outgoing) == "uncertain" and self._chance(outgoing, "truth") >= 0.5:
            return []
        return sorted(self._story(outgoing), key=lambda planned: planned.after)

    def _story(self, outgoing: Outgoing) -> Iterator[Planned]:
        options = self._options
        arrival = timedelta(seconds=1 + 59 * self._chance(outgoing, "arrival"))
        if self._chance(outgoing, "delivered") >= options.delivered:
            yield Planned(arrival, ReceiptType.bounced, FailureReason.address_full)
            return
        yield Planned(arrival, ReceiptType.delivered)
        reports_opening = isinstance(outgoing.content, Email | Push | WeChat)
        if reports_opening and self._chance(outgoing, "machine") < options.machine:
            yield Planned(arrival + timedelta(seconds=2), ReceiptType.opened, machine=True)
        if self._chance(outgoing, "opened") >= options.opened:
            return
        # most look within hours, some after days: mean three hours, three days at most
        hours = min(-3 * math.log(1 - self._chance(outgoing, "when")), 72)
        opening = arrival + timedelta(hours=hours)
        if reports_opening:
            yield Planned(opening, ReceiptType.opened)
        reading = timedelta(seconds=5 + 595 * self._chance(outgoing, "reading"))
        link = self._link(outgoing)
        if link is not None and self._chance(outgoing, "clicked") < options.clicked:
            yield Planned(opening + reading, ReceiptType.clicked, link=link)
        if self._chance(outgoing, "complained") < options.complained:
            yield Planned(opening + reading, ReceiptType.complained)

    def _link(self, outgoing: Outgoing) -> str | None:
        """One of the links in the text; never the way out in the header or the foot."""
        found = [link for link in _links(outgoing.content) if "unsubscribe" not in link.lower()]
        return found[int(self._chance(outgoing, "link") * len(found))] if found else None


class _Record:
    """The provider's own record: one line of JSON for each message it accepted."""

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def append(self, accepted: Sequence[Outgoing]) -> None:
        """All lines in one write, on the disk when this returns. Several processes may share a record."""
        handle = self._open()
        try:
            data = "".join(map(_line, accepted)).encode()
            while data:  # once, unless the disk is full
                data = data[os.write(handle, data) :]
            os.fsync(handle)
        except OSError as error:
            raise Uncertain(f"The record {self.path} could not be written to its end: {error.strerror}.") from None
        finally:
            os.close(handle)

    def _open(self) -> int:
        assert self.path is not None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise Misconfigured(f"The record {self.path} cannot be opened: {error.strerror}.") from None

    def keys(self) -> set[str]:
        """The keys of all messages that were ever accepted."""
        if self.path is None or not self.path.exists():
            return set()
        try:
            with self.path.open(encoding="utf-8") as file:
                return {json.loads(line)["key"] for line in file}
        except (OSError, ValueError, LookupError, TypeError):
            raise Misconfigured(f"The record {self.path} cannot be read; it must hold lines of JSON.") from None


def _line(outgoing: Outgoing) -> str:
    """One line of JSON, also for readers that end lines at stranger signs, and for half a character."""
    plain_json = json.dumps(_row(outgoing), ensure_ascii=False)
    return _BREAKS_LINES.sub(lambda found: f"\\u{ord(found[0]):04x}", plain_json) + "\n"


def _row(outgoing: Outgoing) -> dict[str, Any]:
    content = outgoing.content
    return {
        "key": outgoing.key,
        "channel": content.channel,
        "to": content.to,
        "text": plain.text(content),
        "at": outgoing.created_at.isoformat(),
        "attempt": outgoing.attempt,
        "hash": payload_hash(content_to_json(content)),
    }


def _links(content: Content) -> list[str]:
    match content:
        case Email():
            return [html.unescape(link) for link in _LINK.findall(content.html or content.text)]
        case Push():
            return [content.link] if content.link else []
        case WeChat():
            return [content.page] if content.page else []
        case _:
            return _LINK.findall(plain.text(content))


def _digest(*names: object) -> bytes:
    return hashlib.sha256("\x1f".join(map(str, names)).encode("utf-8", "surrogatepass")).digest()
