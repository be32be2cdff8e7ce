"""The door: what the outside says about a person or an event, as frozen values in normal form, or refused by name.

Files and requests enter through the same two models. A validator raises `Misread` (a code, a sentence, after "; " a
cure); `refusals` turns a pydantic error into those. No sentence repeats an address or a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, model_validator

from engine.decide.timing import instant_of
from engine.imports import addresses
from engine.imports.zones import find_zone, is_country
from engine.journey.meant import country_meant, zone_meant
from engine.journey.parts import CALL
from engine.journey.problems import Position
from engine.journey.quantities import Misread, is_zone, parse_tag
from engine.settings import Shop

ADDRESSES: Final[Mapping[str, str]] = {"email": "email", "sms": "phone", "push": "push", "wechat": "wechat"}
REACH: Final = (*ADDRESSES, CALL)  # what one can agree to
"""Channel -> the field its address stands in."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f\x80-\x9f\u2028\u2029\ud800-\udfff]")
_LOCALE = re.compile(r"([A-Za-z]{2,3})(?:[-_]([A-Za-z]{4}))?(?:[-_]([A-Za-z]{2}|[0-9]{3}))?")
_ANSWERS: Final[Mapping[str, bool | None]] = {
    "": None,
    **dict.fromkeys(("yes", "y", "true", "1", "on"), True),
    **dict.fromkeys(("no", "n", "false", "0", "off"), False),
}


# ── single values ──


def _word(code: str, what: str, longest: int) -> BeforeValidator:
    """A short text without control characters; numbers are taken as they are written."""

    def read(value: object) -> str:
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        text = value.strip() if isinstance(value, str) else ""
        if not text:
            raise Misread(code, f"{what} is missing")
        if len(text) > longest or _CONTROL.search(text):
            raise Misread("bad-text", f"{what} is longer than {longest} signs or holds a control character")
        return text

    return BeforeValidator(read)


def _text_of(value: object, code: str, what: str) -> str:
    if not isinstance(value, str):
        raise Misread(code, f"{what} has to be a text")
    return value


def _email(value: object) -> str | None:
    return addresses.email(_text_of(value, "bad-email", "an e-mail address")) if value else None


def _phone(value: object, info: ValidationInfo) -> str | None:
    if not value:
        return None
    return addresses.phone(_text_of(value, "bad-phone", "a telephone number"), info.data.get("country"))


def _wechat(value: object) -> str | None:
    return addresses.token(_text_of(value, "bad-token", "an openid"), "a WeChat openid") if value else None


def _push(value: object) -> str | None:
    return addresses.token(_text_of(value, "bad-token", "a push token"), "a push token") if value else None


def _country(value: object) -> str | None:
    if not value:
        return None
    code = str(value).strip().upper()
    if is_country(code):
        return code
    meant = country_meant(str(value))
    cure = f"write {meant}" if meant else "write its two letters of ISO 3166, such as CN, DE or US"
    raise Misread("bad-country", f"`{_short(value)}` is not a country; {cure}")


def _locale(value: object, info: ValidationInfo) -> str:
    if not value:
        return _shop(info).locale
    normal = _normal_locale(str(value).strip())
    if normal is None:
        raise Misread("bad-locale", f"`{_short(value)}` is not a locale; write one like zh-CN, en or de-AT")
    return normal


@lru_cache(maxsize=4096)
def _normal_locale(text: str) -> str | None:
    """`zh_hant_hk` -> `zh-Hant-HK`. The language must be known, the country may be any: some English live in China."""
    found = _LOCALE.fullmatch(text)
    if found is None:
        return None
    language, script, country = found.groups(default="")
    if not _is_language(language.lower()) or (country.isalpha() and not is_country(country.upper())):
        return None
    return "-".join(part for part in (language.lower(), script.title(), country.upper()) if part)


@lru_cache(maxsize=1024)
def _is_language(code: str) -> bool:
    try:
        Locale(code)
    except (UnknownLocaleError, ValueError):
        return False
    return True


def _zone(value: object, info: ValidationInfo) -> str:
    own = str(value).strip() if value else None
    if own and not is_zone(own):
        meant = zone_meant(own)
        cure = f"did you mean `{meant}`?" if meant else "write one like Asia/Shanghai or Europe/Berlin"
        raise Misread("bad-zone", f"`{_short(own)}` is not a time zone; {cure}")
    return find_zone(own, info.data.get("phone"), info.data.get("country"), _shop(info).zone)


def _shop(info: ValidationInfo) -> Shop:
    shop = (info.context or {}).get("shop")
    if not isinstance(shop, Shop):
        raise TypeError("the door needs the shop: model_validate(values, context={'shop': settings.shop})")
    return shop


def _instant(value: object) -> datetime:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    if value is None or value == "":
        raise Misread("missing-instant", "the instant is missing")
    return instant(_text_of(value, "bad-instant", "an instant"))


def instant_or_none(value: object) -> datetime | None:
    return _instant(value) if value else None


@lru_cache(maxsize=4096)  # rows repeat days and instants
def instant(text: str, zone: ZoneInfo | None = None, form: str | None = None) -> datetime:
    """A written instant in UTC. One without an offset is read on the clock of `zone`; `form` is a strptime format.

    A local time the clock skips is the first instant after it; one it shows twice is the first of the two.
    """
    text = text.strip()
    try:
        read = datetime.strptime(text, form) if form else datetime.fromisoformat(text)  # noqa: DTZ007 - see below
    except ValueError:
        shape = f"write it as {form}" if form else "write 2026-11-22T10:00:00+08:00"
        raise Misread("bad-instant", f"`{_short(text)}` is not an instant; {shape}") from None
    if not 1900 <= read.year < 2200:
        raise Misread("bad-instant", f"the year of `{_short(text)}` is not between 1900 and 2199; check the column")
    if read.tzinfo is not None:
        return read.astimezone(UTC)
    if zone is None:
        cure = "add its offset (Z or +08:00), or give the column a zone in a mapping file"
        raise Misread("bad-instant", f"`{_short(text)}` does not say in which zone; {cure}")
    return instant_of(read, zone)


def granted(value: object) -> bool | None:
    """A word of consent: yes, no, or (empty) nothing said."""
    if value is None or isinstance(value, bool):
        return value
    word = str(value).strip().casefold()
    if word not in _ANSWERS:
        raise Misread("bad-consent", f"`{_short(value)}` is neither yes nor no; write yes, no, or leave the cell empty")
    return _ANSWERS[word]


def _attributes(value: object) -> dict[str, str | int | float | bool]:
    if not isinstance(value, Mapping):
        raise Misread("bad-attribute", "attributes are names with values")
    kept: dict[str, str | int | float | bool] = {}
    for name, inner in value.items():
        if inner is None or inner == "":
            continue
        if not isinstance(inner, str | int | float | bool):
            raise Misread("bad-attribute", f"`{_short(name)}` is a list or a mapping; an attribute is one value")
        kept[str(name)] = inner
    return kept


def _tags(value: object) -> dict[str, bool]:
    """`vip; early bird; -newcomer`, or a list: tags to add, those with a minus to take away."""
    told = value if isinstance(value, list) else re.split("[,;|，；]", _text_of(value or "", "bad-tag", "tags"))
    found: dict[str, bool] = {}
    for one in told:
        tag = one.strip() if isinstance(one, str) else one
        if tag != "":
            gone = isinstance(tag, str) and tag.startswith("-")
            found[parse_tag(tag[1:] if gone else tag)] = not gone
    return found


def _short(value: object) -> str:
    """A value as sentences may repeat it: never one that looks like an address in the wrong column."""
    text = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(value).strip())
    if "@" in text or (text.startswith("+") and sum(sign.isdigit() for sign in text) > 6):
        return "…"
    return text if len(text) <= 40 else text[:39] + "…"


# ── the two models ──


@dataclass(frozen=True)
class ConsentWord:
    """What a person said about one channel and topic. `topic` "*" means all; without `at` it counts from the import."""

    channel: str
    topic: str
    granted: bool
    source: str
    at: datetime | None = None
    wording: str = ""  # the text they agreed to


class PersonRow(BaseModel):
    """A person as the outside tells of them. Fields are read in order: a phone needs the country, a zone both."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, _word("missing-id", "the person's id", 200)]
    country: Annotated[str | None, BeforeValidator(_country)] = None
    email: Annotated[str | None, BeforeValidator(_email)] = None
    phone: Annotated[str | None, BeforeValidator(_phone)] = None
    wechat: Annotated[str | None, BeforeValidator(_wechat)] = None
    push: Annotated[str | None, BeforeValidator(_push)] = None
    locale: Annotated[str, BeforeValidator(_locale)] = Field(default="", validate_default=True)
    zone: Annotated[str, BeforeValidator(_zone)] = Field(default="", validate_default=True)
    created_at: Annotated[datetime | None, BeforeValidator(instant_or_none)] = None
    attributes: Annotated[dict[str, str | int | float | bool], BeforeValidator(_attributes)] = Field(
        default_factory=dict
    )
    tags: Annotated[dict[str, bool], BeforeValidator(_tags)] = Field(default_factory=dict)
    consents: tuple[ConsentWord, ...] = ()
    guessed: frozenset[str] = frozenset()  # of `zone` and `locale` those that were not told
    position: Position = Position("")

    @model_validator(mode="before")
    @classmethod
    def _what_is_told(cls, values: Any) -> Any:
        return {**values, "guessed": frozenset(name for name in ("zone", "locale") if not values.get(name))}

    @property
    def addresses(self) -> dict[str, str]:
        """Channel -> address, those there are."""
        found = {channel: getattr(self, name) for channel, name in ADDRESSES.items()}
        return {channel: address for channel, address in found.items() if address}


class EventRow(BaseModel):
    """An event as the outside tells of it. Whether its person is known is for the importer to say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, _word("missing-id", "the event's id", 200)]
    person: Annotated[str, _word("missing-person", "the id of the event's person", 200)]
    name: Annotated[str, _word("missing-name", "the event's name", 100)]
    at: Annotated[datetime, BeforeValidator(_instant)]
    payload: dict[str, Any] = Field(default_factory=dict)
    position: Position = Position("")


# ── what was wrong ──


@dataclass(frozen=True)
class Refusal:
    """One reason a row is refused: the field of the model, and what is wrong with it."""

    field: str
    code: str
    sentence: str
    hint: str = ""


def refusals(error: ValidationError) -> Iterator[Refusal]:
    """A pydantic error, field by field."""
    for one in error.errors(include_url=False, include_input=False):
        field = str(one["loc"][0]) if one["loc"] else ""
        misread = one.get("ctx", {}).get("error")
        if isinstance(misread, Misread):
            yield refusal(field, misread)
        elif one["type"] == "missing":
            yield Refusal(field, "missing-value", f"`{field}` is missing")
        elif one["type"] == "extra_forbidden":
            yield Refusal(field, "unknown-field", f"`{field}` is not read here")
        else:
            yield Refusal(field, "bad-value", f"`{field}` cannot be used: {one['msg'][0].lower()}{one['msg'][1:]}")


def refusal(field: str, misread: Misread) -> Refusal:
    """`sentence; cure` apart."""
    sentence, _, hint = str(misread).partition("; ")
    return Refusal(field, misread.code, sentence, hint)
