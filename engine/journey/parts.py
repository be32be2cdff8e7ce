"""What every piece of a journey is made of: the model all others share, and names of things that must exist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict

from engine.journey.quantities import Text, Word, name_of

MessageName = Annotated[Word, name_of("messages")]
ChannelName = Annotated[Word, name_of("channels")]
TopicName = Annotated[Word, name_of("topics")]
SegmentName = Annotated[Word, name_of("segments")]
PoolName = Annotated[Word, name_of("pools")]
QueueName = Annotated[Word, name_of("queues")]
WebhookName = Annotated[Word, name_of("webhooks")]
ReachName = Annotated[Word, name_of("reach")]
ColleagueName = Annotated[Word, name_of("colleagues")]
BriefName = Annotated[Word, name_of("briefs")]
JourneyName = Annotated[Word, name_of("journeys")]
HappeningName = Annotated[Text, name_of("happenings")]
Tags = tuple[Word, ...]  # of messages, for caps

#: the way by which people are called up: by colleagues, no provider carries it; the number is that of SMS
CALL, SMS, INBOX = "call", "sms", "inbox"
WEBHOOK = "webhook"  #: the channel by which other systems are told
#: words of `assign` that are nobody's name
OWNER, ROUND_ROBIN = "owner", "round_robin"


def elsewhere(names: Mapping[str, str]) -> Mapping[str, str]:
    """What keys are called elsewhere -> their names; given each name with such words."""
    return {word: name for name, words in names.items() for word in words.split()}


class Part(BaseModel):
    """A piece of a journey. `unbuilt` lists keys of the language that are refused by name until they are built.

    `example` is one that is right, `unwritten` are fields that readers fill and nobody writes, `called` what a key is
    called elsewhere, with its name here.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)
    unbuilt: ClassVar[frozenset[str]] = frozenset()
    example: ClassVar[str] = ""
    unwritten: ClassVar[frozenset[str]] = frozenset()
    called: ClassVar[Mapping[str, str]] = {}
