"""config.yaml as values: what a shop sets once for all its journeys. Secrets are named here, never kept."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import time, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from babel import Locale, UnknownLocaleError
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from channels.contract import TO_PEOPLE
from engine.journey.allow import Allow
from engine.journey.meant import country_meant, currency_meant, locale_meant, zone_meant
from engine.journey.mistakes import Fault, fault, faults
from engine.journey.parts import CALL, OWNER, ROUND_ROBIN, WEBHOOK, elsewhere
from engine.journey.problems import Position, Problem
from engine.journey.quantities import (
    ALL_DAY,
    Day,
    Days,
    Duration,
    Holiday,
    LocalTime,
    LocalWindow,
    MomentText,
    Money,
    MoneyAmount,
    PaceText,
    Share,
    SpanOfDay,
    Window,
    Word,
    is_zone,
    judge_currency,
    name_of,
    parse_window,
)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _zone(name: str) -> str:
    if not is_zone(name):
        meant = zone_meant(name)
        cure = f"did you mean `{meant}`?" if meant else "write one like Asia/Shanghai or Europe/Berlin"
        raise ValueError(f"{name!r} is not a time zone; {cure}")
    return name


def _locale(name: str) -> str:
    try:
        Locale.parse(name, sep="-")
    except (UnknownLocaleError, ValueError):
        meant = locale_meant(name)
        cure = f"did you mean `{meant}`?" if meant else "write one like zh-CN, en or de"
        raise ValueError(f"{name!r} is not a locale; {cure}") from None
    return name


def _country(code: str) -> str:
    if not re.fullmatch("[A-Z]{2}", code):
        meant = country_meant(code)
        cure = f"did you mean `{meant}`?" if meant else "write its two letters: CN, DE, US"
        raise ValueError(f"{code!r} is not a country; {cure}")
    return code


def _currency(code: str) -> str:
    if not re.fullmatch("[A-Z]{3}", code):
        meant = currency_meant(code)
        cure = f"did you mean `{meant}`?" if meant else "write its three letters: CNY, EUR, USD"
        raise ValueError(f"{code!r} is not a currency; {cure}")
    judge_currency(code)
    return code


CountryCode = Annotated[str, AfterValidator(_country)]
CurrencyCode = Annotated[str, AfterValidator(_currency)]
ZoneName = Annotated[str, AfterValidator(_zone)]
LocaleName = Annotated[str, AfterValidator(_locale)]


class Purpose(StrEnum):
    """Why one writes. It decides consent, caps, quiet hours and holdout."""

    marketing = "marketing"  # needs consent; caps, quiet hours and holdout apply; a way out in every message
    transactional = "transactional"  # part of a contract: the person's own order; none of these apply


class Shop(_Part):
    name: str
    url: str
    zone: ZoneName
    country: CountryCode
    locale: LocaleName  # the last link of every locale chain
    currency: CurrencyCode
    address: str = ""  # postal address, for the foot of mails


class Delivery(StrEnum):
    """What follows when nobody can know whether a provider took a message."""

    at_most_once = "at_most_once"  # it is unknown, and never sent again on its own
    at_least_once = "at_least_once"  # it is sent again, and may arrive twice


class Topic(_Part):
    title: str | dict[str, str]  # one text, or one per locale
    purpose: Purpose
    delivery: Delivery = Delivery.at_most_once
    wording: str | dict[str, str] = ""  # what one agrees to by the link of a confirmation; unwritten: a plain sentence

    @model_validator(mode="after")
    def _marketing_once(self) -> Self:
        if self.purpose is Purpose.marketing and self.delivery is Delivery.at_least_once:
            raise fault(
                "bad-value",
                "marketing is sent at most once; `delivery: at_least_once` is for what belongs to a contract",
                "take it away, or write `purpose: transactional` if that is what it is",
                path=("delivery",),
                key=True,
            )
        return self


class Cap(_Part):
    """At most so many touches (all wishes of one send are one touch) or, with `channel`, messages of that channel."""

    called: ClassVar[Mapping[str, str]] = elsewhere({"at_most": "max limit count most", "per": "every in within each"})

    at_most: int = Field(ge=1, description="How many.")
    per: Literal["day", "week", "month"] | Duration = Field(
        description="day, week (from Monday) or month of the person's own calendar, or a window that moves along: 30d."
    )
    channel: Annotated[str, name_of("reach")] | None = Field(default=None, description="Messages of this channel.")
    topic: Annotated[str, name_of("topics")] | None = Field(default=None, description="Of this topic only.")
    purpose: Literal["marketing", "transactional", "any"] = Field(
        default="marketing",
        description="What is counted and held back. `any` counts transactional messages too and holds back none.",
    )
    tag: Word | None = Field(default=None, description="With this tag only.")

    @property
    def name(self) -> str:
        """How reasons speak of it: `2 per day`, `sms: 3 per week`, `topic offers, tag sale: 5 per 30d`."""
        about = [self.channel, self.topic and f"topic {self.topic}", self.tag and f"tag {self.tag}"]
        about += [{"marketing": None, "any": "all purposes"}.get(self.purpose, self.purpose)]
        named = ", ".join(one for one in about if one)
        span = self.per if isinstance(self.per, str) else _written(self.per)
        return f"{named + ': ' if named else ''}{self.at_most} per {span}"

    def counts(self, channel: str, topic: str, marketing: bool, tags: frozenset[str]) -> bool:
        """Does it count a message like this?"""
        return (
            self.channel in (None, channel)
            and self.topic in (None, topic)
            and self.purpose in ("any", "marketing" if marketing else "transactional")
            and (self.tag is None or self.tag in tags)
        )

    def binds(self, channel: str, topic: str, marketing: bool, tags: frozenset[str]) -> bool:
        """Does it hold back a message like this? What belongs to a contract only if the cap names its purpose."""
        return (marketing or self.purpose == "transactional") and self.counts(channel, topic, marketing, tags)


def _written(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


class Blackout(_Part):
    """A time in which no marketing begins, on the clock of each person."""

    from_: MomentText = Field(alias="from")
    to: MomentText  # a day is meant as a whole, a time is when it is over
    reason: str = Field(min_length=1)  # told with everything it holds back
    channels: tuple[str, ...] = ()  # empty: all
    countries: tuple[CountryCode, ...] = ()  # empty: everywhere

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.to.end <= self.from_.start:
            raise ValueError("a blackout ends after it begins; write `to` later than `from`")
        return self

    def concerns(self, channel: str, country: str) -> bool:
        return (not self.channels or channel in self.channels) and (not self.countries or country in self.countries)


QuietHours = dict[str, LocalWindow | Literal["none"]]  # by channel, on the person's own clock
SpansOfDay = dict[str, SpanOfDay | Literal["none"]]
_NIGHT = parse_window("21:00-08:00")


class Elsewhere(_Part):
    """What holds instead for people in one country; channels that are not named keep what holds for all."""

    quiet_hours: QuietHours = Field(default_factory=dict)
    sundays: SpansOfDay = Field(default_factory=dict)
    on_holidays: SpansOfDay = Field(default_factory=dict)


class Policy(_Part):
    """What may be sent to whom when; for purpose marketing only, but `max_lateness`."""

    called: ClassVar[Mapping[str, str]] = elsewhere({"least_gap": "min_gap gap pause", "caps": "limits frequency"})

    caps: tuple[Cap, ...] = (Cap(at_most=2, per="day"), Cap(at_most=5, per="week"))
    least_gap: Duration = timedelta(hours=2)  # between any two touches of one person
    gap_by_channel: dict[str, Duration] = Field(default_factory=dict)  # between two messages of one channel
    quiet_hours: QuietHours = Field(default={"sms": _NIGHT, "push": _NIGHT})  # a channel that is not named has none
    sundays: SpansOfDay = Field(default_factory=dict)  # quiet besides, on Sundays
    holidays: dict[CountryCode, tuple[Holiday, ...]] = Field(default_factory=dict)  # by the person's country
    on_holidays: SpansOfDay = Field(default={"sms": ALL_DAY, "push": ALL_DAY})  # quiet besides, where they are
    countries: dict[CountryCode, Elsewhere] = Field(default_factory=dict)
    blackout: tuple[Blackout, ...] = ()
    max_lateness: Duration = timedelta(hours=12)  # what was due longer ago than this is recorded as late, not sent
    holdout: Decimal = Field(default=Decimal(0), exclude=True)  # copied from the file's own `holdout`
    topics: dict[str, Topic] = Field(default_factory=dict, exclude=True)  # copied in from the file's own `topics`
    channels: tuple[str, ...] = Field(default=(), exclude=True)  # channels with a provider, copied in
    choosy: dict[str, tuple[Any, ...]] = Field(default_factory=dict, exclude=True)  # whose lanes all serve some only
    home: str = Field(default="", exclude=True)  # the shop's country: of people of whom none is known; copied in

    def window(self, channel: str, country: str | None = None) -> Window | None:
        """The quiet hours of a channel (for people in a country), None when it has none."""
        own = self.countries[country].quiet_hours if country in self.countries else {}
        window = own.get(channel, self.quiet_hours.get(channel, _NIGHT if channel == CALL else None))
        return window if isinstance(window, Window) else None

    def span(self, kind: Literal["sundays", "on_holidays"], channel: str, country: str) -> Window | str | None:
        """What is quiet on Sundays or on holidays: a span of the day, `all_day`, or None."""
        own: SpansOfDay = getattr(self.countries[country], kind) if country in self.countries else {}
        unwritten = ALL_DAY if (channel, kind) == (CALL, "on_holidays") else None
        found = own.get(channel, getattr(self, kind).get(channel, unwritten))
        return None if found == "none" else found

    def gap_between(self, one: str, other: str) -> timedelta:
        """The least gap between messages of two channels."""
        own = self.gap_by_channel.get(one) if one == other else None
        return self.least_gap if own is None else max(self.least_gap, own)

    def is_marketing(self, topic: str) -> bool:
        """Purpose of a topic; one that is not configured is treated as marketing, the stricter of the two."""
        found = self.topics.get(topic)
        return found is None or found.purpose is Purpose.marketing


def _as_list(value: Any) -> Any:
    """Where a list may stand, one is written without brackets."""
    return value if isinstance(value, list | tuple) or value is None else [value]


def _prefix(value: object) -> str:
    """`+86`, which YAML reads as a number where it has no quotation marks."""
    written = f"+{value}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    if not re.fullmatch(r"\+[1-9][0-9]{0,14}", written):
        raise ValueError(f'{value!r} is not how a number begins; write a plus and the first digits: "+86"')
    return written


Prefix = Annotated[str, BeforeValidator(_prefix)]


OTHER = "other"  # every country that a table of prices does not name


def _as_table(value: Any) -> Any:
    """One amount is a table in which no country is named."""
    return value if isinstance(value, Mapping) else {OTHER: value}


def _country_or_other(code: str) -> str:
    return code if code == OTHER else _country(code)


def _for_everybody(value: dict[str, Money]) -> dict[str, Money]:
    if OTHER not in value:
        hint = "write `other:` with the price of all countries that are not named"
        raise fault("missing-key", "`other` is missing: what a message to another country costs", hint)
    return value


#: country -> the price of one message, of an SMS that of one part
Price = Annotated[
    dict[Annotated[str, AfterValidator(_country_or_other)], MoneyAmount],
    BeforeValidator(_as_table),
    AfterValidator(_for_everybody),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "examples": ["0.05 CNY"]},
                {"type": "object", "required": [OTHER], "additionalProperties": {"type": "string"}},
            ]
        }
    ),
]


class WarmUp(_Part):
    """A way out that nobody knows yet takes a little more each day, so that it gets a good name."""

    from_: Day = Field(alias="from", description="The first day, on the shop's clock. Nothing leaves before it.")
    per_day: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        min_length=1, description="So many on the first day, on the second, and so on."
    )

    @field_validator("per_day")
    @classmethod
    def _never_shrinks(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        for number, (one, following) in enumerate(pairwise(value), start=1):
            if following < one:
                raise fault(
                    "bad-value",
                    f"a warm-up never shrinks: {following} after {one}",
                    f"write {one} or more",
                    path=(number,),
                )
        return value


class _WayOut(_Part):
    """What may be said of one way out of a channel. All else is its provider's, and checked by the provider."""

    model_config = ConfigDict(extra="allow", frozen=True)

    provider: str | None = None
    price: Price | None = None  # of one message, by country; the one way's own goes before its channel's
    rate: Annotated[tuple[PaceText, ...], BeforeValidator(_as_list)] = ()  # in any such time, by all workers together
    quota: int | None = Field(default=None, ge=1)  # in a calendar day of the shop
    warm_up: WarmUp | None = None
    concurrency: int | None = Field(default=None, ge=1)  # on their way at a time, by all workers together
    countries: tuple[CountryCode, ...] = ()  # to these only
    not_countries: tuple[CountryCode, ...] = ()  # to everybody but these
    prefixes: tuple[Prefix, ...] = ()  # of telephone numbers: as `countries`
    not_prefixes: tuple[Prefix, ...] = ()

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Self:
        for key in ("countries", "prefixes"):
            if getattr(self, key) and getattr(self, f"not_{key}"):
                raise fault(
                    "bad-combination",
                    f"`{key}` and `not_{key}` exclude each other",
                    f"write those it serves in `{key}`, or everybody but some in `not_{key}`",
                    path=(f"not_{key}",),
                    key=True,
                )
        return self

    @property
    def options(self) -> dict[str, Any]:
        """What is left for the provider."""
        return dict(self.model_extra or {})


class OneOfSeveral(_WayOut):
    """One way out of a channel that has several."""

    weight: int = Field(default=1, ge=1, le=1_000_000)  # its share of what those of the same order get
    order: int = Field(default=1, ge=1, le=1_000)  # those of a higher one are tried after it


def _lane_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,23}", name):  # the queue called by it has room for so many
        raise ValueError(f"{name!r} is no name of a way out; write one of at most 24 letters (a-z), digits, _ and -")
    return name


LaneName = Annotated[str, AfterValidator(_lane_name)]


class Channel(_WayOut):
    """How one channel leaves the house: by one provider, or by several of which each is a lane of its own."""

    retry_for: Duration = timedelta(hours=6)  # how long refused-for-now messages are tried again, inside send_by
    providers: dict[LaneName, OneOfSeveral] | None = None

    @model_validator(mode="after")
    def _one_or_several(self) -> Self:
        if self.providers is None:
            if self.provider is None:
                raise fault("missing-key", "`provider` is missing", "write `provider:`")
            return self
        if self.provider is not None:
            hint = "put the one among the several, or take `providers` away"
            raise fault("bad-combination", "`provider` and `providers` exclude each other", hint, ("provider",), True)
        if not self.providers:
            hint = "write one and its settings: `twilio: {...}`"
            raise fault("missing-key", "`providers` names nobody", hint, ("providers",), True)
        ours = set(_WayOut.model_fields) & self.model_fields_set - {"price"}
        if strange := sorted(ours | set(self.options)):
            told = [Fault("bad-combination", f"`{one}` is of one provider", _INSIDE, (one,), True) for one in strange]
            raise faults(told)
        return self


_INSIDE = "write it below `providers`, with the one it is meant for"


@dataclass(frozen=True)
class Lane:
    """One way out as it is configured. Everything that happens to it is kept under its name."""

    name: str  # sms/aliyun; where a channel has one provider, the channel's
    channel: str
    provider: str
    way: _WayOut
    place: tuple[str, ...]  # where it stands in config.yaml
    short: str = ""  # its name among several
    weight: int = 1
    order: int = 1
    price: Price | None = None

    def asked_as(self, provider: str) -> str:
        """What deliveries call who was asked, when this provider carries it: two accounts of one provider differ, and
        so does a lane that was given another provider."""
        return provider if self.short in ("", provider) else f"{self.short} ({provider})"

    @property
    def limited(self) -> bool:
        """Is there a limit to what it takes?"""
        way = self.way
        return bool(way.rate or way.quota or way.warm_up or way.concurrency)

    @property
    def picks(self) -> bool:
        """Does it serve some people only?"""
        way = self.way
        return bool(way.countries or way.not_countries or way.prefixes or way.not_prefixes)


def lanes_of(channel: str, configured: Channel) -> tuple[Lane, ...]:
    """The ways out of a channel, as they are written."""
    if configured.providers is None:
        place, provider = ("channels", channel), str(configured.provider)
        return (Lane(channel, channel, provider, configured, place, price=configured.price),)
    several = configured.providers.items()
    return tuple(_one_of_several(channel, short, way, configured.price) for short, way in several)


def _one_of_several(channel: str, short: str, way: OneOfSeveral, price: Price | None) -> Lane:
    place, own = ("channels", channel, "providers", short), price if way.price is None else way.price
    return Lane(f"{channel}/{short}", channel, way.provider or short, way, place, short, way.weight, way.order, own)


def channel_of(lane: str) -> str:
    """The channel of a lane, also of one that is configured no more."""
    return lane.partition("/")[0]


class SmsWords(_Part):
    """What a country wants in an SMS. Unwritten, it is what stands beside `countries`."""

    signature: str | None = Field(default=None, max_length=30)  # in front of every text
    opt_out: str | dict[LocaleName, str] | None = None  # behind those of marketing; one text, or one per locale


class Approved(_Part):
    """A template as its provider approved it."""

    wording: str = ""  # with a place for each parameter: ${order}, {1} or {{thing1.DATA}}
    kind: Literal["notice", "promotion"] | None = None  # None: the text says it


class SmsSettings(SmsWords):
    """What all SMS have in common, whoever carries them."""

    templates: dict[str, Approved] = Field(default_factory=dict)  # by the provider's name
    countries: dict[CountryCode, SmsWords] = Field(default_factory=dict)  # by that of the number
    most_parts: int = Field(default=6, ge=1, le=50)  # a longer text is not sent


class WeChatSettings(_Part):
    templates: dict[str, Approved] = Field(default_factory=dict)  # by the provider's name


#: what a parameter of links may name
UTM_NAMES = ("channel", "journey", "step", "message", "topic", "locale")


def _utm(text: str) -> str:
    strange = [one for one in re.findall(r"\{([^{}]*)\}", text) if one not in UTM_NAMES]
    if strange or text.count("{") != text.count("}"):
        named = ", ".join(f"{{{name}}}" for name in UTM_NAMES)
        raise ValueError(f"{text!r} names what is not known here; it may name {named}")
    return text


def _host(name: str) -> str:
    if not re.fullmatch(r"(\*\.)?([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]*[a-z0-9])?", name.lower()):
        raise ValueError(f"{name!r} is not a host; write one like shop.example.com or *.example.com")
    return name


UtmText = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_utm)]


class Utm(_Part):
    """What is put on links as `utm_source` and so on, so that a shop's statistics know where people come from."""

    source: UtmText | None = None
    medium: UtmText | None = None
    campaign: UtmText | None = None
    content: UtmText | None = None
    term: UtmText | None = None


class LinkSettings(_Part):
    utm: Utm | None = None
    hosts: tuple[Annotated[str, AfterValidator(_host)], ...] = ()  # whose links get it; none: the host of shop.url
    channels: tuple[Literal["email", "sms", "push", "wechat", "inbox"], ...] = ("email", "push", "wechat", "inbox")


class Notify(_Part):
    """Who is told of a new task: the room of a queue, by a provider of its own or by one of the shop's channels."""

    model_config = ConfigDict(extra="allow", frozen=True)

    provider: str | None = None  # wecom, webhook, smtp ...; all else that stands here is its own
    channel: str | None = None  # or by this channel of the shop
    to: str = ""  # an address there, where it needs one

    @model_validator(mode="after")
    def _by_one_way(self) -> Self:
        if (self.provider is None) == (self.channel is None):
            raise ValueError("a queue is told by one way: write `provider:` with its settings, or `channel:` and `to:`")
        if self.channel is not None and (self.model_extra or not self.to):
            raise ValueError("by a channel of the shop nothing is needed but `to:`, the address of those who work here")
        return self

    @property
    def options(self) -> dict[str, Any]:
        """What is left for the provider."""
        return dict(self.model_extra or {})


class Queue(_Part):
    """A queue of human work. `due` of tasks counts in its working hours."""

    called: ClassVar[Mapping[str, str]] = elsewhere(
        {"people": "agents members colleagues", "hours": "opening_hours time"}
    )

    title: str
    hours: LocalWindow | None = None  # None: around the clock
    days: Days = frozenset(range(7))
    zone: ZoneName | None = None  # None: the shop's
    people: tuple[Word, ...] = ()  # who works there, in the order in which they take turns
    notify: Notify | None = None  # how its people hear of a new task

    @field_validator("people")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name in (OWNER, ROUND_ROBIN):
                raise ValueError(f"`{name}` is a word of `assign` and nobody's name")
            if value.count(name) > 1:
                raise ValueError(f"{name} stands here twice; each takes one turn")
        return value


class ExpectedHappening(_Part):
    """Something that may happen to the shop or the world. `outreach happen` tells that it does."""

    expected: tuple[MomentText, ...] = ()  # when, on the shop's clock: for the calendar and the simulation


class Web(_Part):
    host: str = "127.0.0.1"
    port: int = Field(default=8025, ge=0, le=65535)
    url: str = "http://127.0.0.1:8025"  # how the outside reaches it; links in messages start with it
    secret_env: str = "OUTREACH_SECRET"  # signs links; hashes addresses
    api_key_env: str | None = None  # whose value lets the shop's own server read the in-app inbox


class Scores(_Part):
    """Thresholds of the built-in scores, and how the events they look at are called in this shop."""

    warning_after: Duration = timedelta(days=3)
    lost_after: Duration = timedelta(days=30)
    hesitating_visits: int = Field(default=3, ge=1)  # visits without an order inside `lost_after`
    service_complaints: int = Field(default=2, ge=1)
    complaints_within: Duration = timedelta(days=180)
    core_orders: int = Field(default=5, ge=1)
    core_spend: MoneyAmount | None = None
    growth_orders: int = Field(default=2, ge=1)
    tier_within: Duration = timedelta(days=365)  # what `value_tier` looks at, and orders with a voucher
    reason_within: Duration = timedelta(days=30)  # before someone was last seen: searches for rivals, carts left
    voucher_orders: int = Field(default=2, ge=1)  # so many orders, and none without a voucher: the price decides
    declining_after: Duration = timedelta(days=90)  # without an order
    revived_after: Duration = timedelta(days=180)  # a pause between two orders
    mature_orders: int = Field(default=4, ge=2)
    rfm_within: Duration | None = None  # what rfm looks at; None: all of the past
    habits_within: Duration = timedelta(days=90)  # what best_channel and best_hour look at
    habits_least: int = Field(default=3, ge=1)  # hours in which somebody was there, for best_hour
    refresh_at: LocalTime = time(3)  # when the scores of the night are worked out, on the shop's clock
    rivals: str = "rivals"  # the list of audience.yaml that names them
    page_viewed: str = "Page Viewed"
    order: str = "Order Completed"
    order_total: str = "total"  # its key for the sum paid
    voucher: str = "voucher"  # its key that is there when a voucher was used
    complaint: str = "Complaint Filed"
    search: str = "Products Searched"
    search_query: str = "query"  # its key for what was typed
    cart: str = "Cart Updated"
    money: tuple[str, ...] = (
        "total",
        "subtotal",
        "revenue",
        "value",
        "amount",
        "price",
        "discount",
        "tax",
        "shipping",
    )  # keys of events that are amounts of money, in the event's `currency`


Rate = Annotated[Decimal, Field(gt=0, lt=1_000_000_000)]
Colleagues = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]


LEAST_KEPT = timedelta(days=60)  # links to unsubscribe work at least that long, and what they are about is there


def _kept(span: timedelta) -> timedelta:
    if span < LEAST_KEPT:
        raise ValueError(f"{_written(span)} is too short: links in messages have to work for {LEAST_KEPT.days} days")
    return span


_RATE = "write what one of it is worth in the shop's currency under `rates`, or a price in that currency"


class Settings(_Part):
    """The whole of config.yaml."""

    shop: Shop
    database: str = "sqlite:///outreach.db"
    brand: dict[str, Any] = Field(default_factory=dict)  # free values for texts: `brand.colour`
    topics: dict[str, Topic]
    channels: dict[str, Channel]
    policy: Policy = Policy()
    holdout: Annotated[Share, Field(lt=1)] = Decimal(0)  # of all people: no marketing reaches them
    scores: Scores = Scores()
    queues: dict[str, Queue] = Field(default_factory=dict)
    happenings: dict[str, ExpectedHappening] = Field(default_factory=dict)
    rates: dict[CurrencyCode, Rate] = Field(default_factory=dict)  # one unit of a currency in the shop's currency
    links: LinkSettings = LinkSettings()
    sms: SmsSettings = SmsSettings()
    wechat: WeChatSettings = WeChatSettings()
    web: Web = Web()
    rehearsal: dict[str, Colleagues] | None = None  # channel -> colleagues who get everything in place of customers
    test_clock: str | None = None  # a file that holds the instant; tests only
    beat: Duration = timedelta(seconds=2)
    keep: Annotated[Duration, AfterValidator(_kept)] | None = None  # what is over longer ago is trimmed; None: nothing
    high_water: int = Field(default=50_000, ge=500)  # so many messages wait to leave at most, then planning waits

    @field_validator("rehearsal")
    @classmethod
    def _of_people(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        for name in value or ():
            if name not in TO_PEOPLE:
                known = ", ".join(sorted(TO_PEOPLE))
                raise ValueError(f"{name} is no channel to people; colleagues are named by {known}")
        return value

    @model_validator(mode="after")
    def _prices_can_be_added_up(self) -> Self:
        known = {self.shop.currency, *self.rates}
        told = [
            Fault("no-rate", f"there is no rate for {money.currency}, in which this costs", _RATE, (*at, country))
            for at, prices in self._prices()
            for country, money in prices.items()
            if money.currency not in known
        ]
        if told:
            raise faults(told)
        return self

    def _prices(self) -> Iterator[tuple[tuple[str, ...], Price]]:
        for name, channel in self.channels.items():
            if channel.price is not None:
                yield ("channels", name, "price"), channel.price
            for one, way in (channel.providers or {}).items():
                if way.price is not None:
                    yield ("channels", name, "providers", one, "price"), way.price

    @cached_property
    def ways(self) -> dict[str, tuple[Lane, ...]]:
        """channel -> its lanes, in the order in which they are written."""
        return {name: lanes_of(name, configured) for name, configured in self.channels.items()}

    @cached_property
    def lanes(self) -> dict[str, Lane]:
        """name -> lane, of all channels."""
        return {lane.name: lane for ways in self.ways.values() for lane in ways}

    @property
    def endpoints(self) -> frozenset[str]:
        """Other systems that journeys may tell, by their names; one that is alone is called by its channel's."""
        named = [way.options.get("endpoints") for lane in self.ways.get(WEBHOOK, ()) for way in [lane.way]]
        return frozenset(str(name) for one in named for name in (one if isinstance(one, Mapping) else [WEBHOOK]))

    def purpose_of(self, topic: str) -> Purpose:
        """The purpose of a topic; of all topics together, and of one nobody knows, marketing."""
        found = self.topics.get(topic)
        return Purpose.marketing if found is None else found.purpose

    allow: Allow


def load_settings(path: Path) -> tuple[Settings | None, list[Problem]]:
    """Read config.yaml: the settings, or None and everything that is wrong with it."""
    from engine.journey import source  # the reader uses the quantities above

    try:
        path.open("rb").close()
    except OSError as error:
        sentence = f"{path} cannot be read: {error.strerror}"
        hint = "name another with --config, or make a new shop's folder with: outreach init DIR"
        return None, [Problem("no-config", sentence, Position(str(path)), hint)]
    sourced = source.read_file(path)
    if sourced.problems:
        return None, list(sourced.problems)
    settings, problems = source.validate(Settings, sourced)
    return (None if problems else settings), problems
