"""Messages printed on a stream, one compact block each: to see what would leave, on any channel."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal, TextIO

from pydantic import Field

from channels import plain
from channels.contract import Answer, Content, Features, Outgoing, Provider, ProviderOptions, Sent
from channels.errors import Rejected, SendError, Unavailable, Uncertain


class ConsoleOptions(ProviderOptions):
    """What config.yaml may say about the printing."""

    stream: Literal["stdout", "stderr"] = "stdout"
    lines: int = Field(default=12, ge=0)  # the most lines of a text that are shown


class ConsoleProvider(Provider):
    """Prints. What was printed counts as accepted."""

    name = "console"
    channels = frozenset({"email", "sms", "push", "wechat"})
    Options: ClassVar[type[ProviderOptions]] = ConsoleOptions
    features = Features(batch=100, in_flight=100, ordered=True)

    #: where to print; None: the stream of the options, as it is at the moment of printing
    stream: TextIO | None = None

    def configure(self, options: ConsoleOptions, env: Mapping[str, str], home: Path) -> None:
        self._options = options

    def describe(self) -> str:
        return f"printed on {self._options.stream}"

    def refusal(self, content: Content) -> Rejected | None:
        return super().refusal(content) or plain.flaw(content)

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Answer]:
        return [self._print(outgoing) for outgoing in batch]

    def _print(self, outgoing: Outgoing) -> Sent | SendError:
        refused = self.refusal(outgoing.content)
        if refused is not None:
            return refused
        stream = self.stream or (sys.stderr if self._options.stream == "stderr" else sys.stdout)
        if stream.closed:
            return Unavailable("The stream to print on is closed.")
        try:
            stream.write(_as_far_as(stream, self._block(outgoing)))
            stream.flush()
        except OSError as error:
            return Uncertain(f"The stream to print on failed half way: {error.strerror or type(error).__name__}.")
        return Sent(None)

    def _block(self, outgoing: Outgoing) -> str:
        content = outgoing.content
        head = [f"── {content.channel} · {plain.one_line(outgoing.key)} · {outgoing.created_at:%Y-%m-%d %H:%M} UTC"]
        named = [f"   {name}: {value}" for name, value in plain.lines(content)]
        words = [f"   │ {line}" for line in plain.printable(plain.text(content)).strip().split("\n")]
        hidden = len(words) - self._options.lines
        if hidden > 0:
            words[self._options.lines :] = [f"   │ … {hidden} more lines"]
        return "\n".join([*head, *named, *words, "", ""])


def _as_far_as(stream: TextIO, text: str) -> str:
    """A text as far as the stream can show it: a terminal may not know every script."""
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)
