"""Addresses in their normal form, found once at the door: one spelling for one mailbox, one telephone, one openid.

A mistake is a `Misread` whose sentence tells what is wrong and never repeats the address: it may end in a log.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from phonenumbers import NumberParseException, PhoneMetadata, PhoneNumberFormat

from engine.journey.quantities import Misread

_PLAIN_MAILBOX = re.compile(r"[A-Za-z0-9_+-]{1,32}(?:\.[A-Za-z0-9_+-]{1,15}){0,2}")
_PLAIN_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
_PLAIN_TOKEN = re.compile(r"[!-~]{1,4096}")
# kept free by regulators for films and books, and so unknown to libphonenumber as telephones
_FICTION = re.compile(r"\+44(?:7700900|1632960)[0-9]{3}")


def email(text: str) -> str:
    """`Anna@EXAMPLE.com` -> `Anna@example.com`: normal form of letters, domain in small ones."""
    text = _of_length(text, 320, "bad-email", "this is too long for an e-mail address")
    mailbox, _, domain = text.rpartition("@")
    if _PLAIN_MAILBOX.fullmatch(mailbox) and domain.isascii() and (normal := _domain(domain)):
        return f"{mailbox}@{normal}"
    return _checked_email(unicodedata.normalize("NFKC", text))


def _checked_email(text: str) -> str:
    try:
        return validate_email(text, check_deliverability=False, strict=True).normalized
    except EmailNotValidError as error:
        raise Misread("bad-email", f"this is not an e-mail address{_reason(str(error), text)}") from None


def _reason(told: str, address: str) -> str:
    """What the library says, unless it repeats a piece of the address."""
    pieces = [piece for piece in re.split(r"[^\w]+", address) if len(piece) > 2]
    told = told.rstrip(".")
    if any(piece.casefold() in told.casefold() for piece in pieces) or not told:
        return ""
    return f": {told[0].lower()}{told[1:]}"


@lru_cache(maxsize=10_000)
def _domain(domain: str) -> str | None:
    """The normal form of a domain, None when it needs a closer look."""
    try:
        return validate_email(f"a@{domain}", check_deliverability=False).domain
    except EmailNotValidError:
        return None


def phone(text: str, country: str | None = None) -> str:
    """`0171 3920012` of DE -> `+491713920012`. Without a country only numbers that begin with + can be read."""
    text = _of_length(text, 60, "bad-phone", "this is too long for a telephone number")
    if _PLAIN_NUMBER.fullmatch(text) and _is_number(text):
        return text
    try:
        number = phonenumbers.parse(text, country)
    except NumberParseException:
        raise Misread("bad-phone", "this is not a telephone number" + _how(text, country)) from None
    normal = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    if phonenumbers.is_valid_number(number) or _FICTION.fullmatch(normal):
        return normal
    raise Misread("bad-phone", "no telephone can have this number" + _how(text, country))


def _how(text: str, country: str | None) -> str:
    if text.startswith("+"):
        return ""
    return f" in {country}" if country else "; without a country it has to begin with + and the country's code"


def _is_number(text: str) -> bool:
    """Does the E.164 text fit a pattern of its country code? The same answer as the library's, without its detours."""
    for length in (1, 2, 3):
        if pattern := _pattern(text[1 : 1 + length]):
            return pattern.fullmatch(text, 1 + length) is not None
    return False


@cache
def _pattern(code: str) -> re.Pattern[str] | None:
    """What a number can look like behind a country code, for codes of a single country: shared ones are intricate."""
    regions = phonenumbers.region_codes_for_country_code(int(code))
    if len(regions) != 1 or (found := PhoneMetadata.metadata_for_region(regions[0], None)) is None:
        return None
    if found.national_prefix_for_parsing and found.national_prefix_transform_rule:
        return None  # the library rewrites some of these numbers while it reads them
    kinds = (found.fixed_line, found.mobile, found.voip, found.personal_number, found.toll_free, found.uan)
    patterns = [kind.national_number_pattern for kind in kinds if kind is not None and kind.national_number_pattern]
    prefix = found.national_prefix_for_parsing
    start = f"(?!{prefix})" if prefix else ""
    return re.compile(start + "(?:" + "|".join(patterns) + ")")


def _of_length(text: str, longest: int, code: str, sentence: str) -> str:
    text = text.strip()
    if len(text) > longest:
        raise Misread(code, sentence)
    return text


def token(text: str, what: str) -> str:
    """An openid or a push token: one word of plain signs, kept as it is."""
    text = text.strip()
    if not _PLAIN_TOKEN.fullmatch(text):
        raise Misread("bad-token", f"this is not {what}: one word of at most 4,096 letters, digits and signs")
    return text
