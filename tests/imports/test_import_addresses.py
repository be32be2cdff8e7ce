"""The door: addresses in one spelling, zones by the four links of their chain, instants with their zone."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.imports import addresses, zones
from engine.imports.rows import PersonRow, granted, instant
from engine.imports.spelling import spelling
from engine.journey.quantities import Misread

# ── e-mail ──


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("anna@EXAMPLE.com", "anna@example.com"),
        ("  Anna.B+x@Example.ORG ", "Anna.B+x@example.org"),
        ("anna@bücher.example", "anna@bücher.example"),
        ("anna@xn--bcher-kva.example", "anna@bücher.example"),
        ("ａｎｎａ＠ｅｘａｍｐｌｅ．ｃｏｍ", "anna@example.com"),
        ("jose\u0301@example.com", "josé@example.com"),
        ("李娜@example.com", "李娜@example.com"),
    ],
)
def test_an_email_address_has_one_spelling(written: str, normal: str) -> None:
    assert addresses.email(written) == normal


@pytest.mark.parametrize(
    "written",
    [
        "anna", "anna@", "@example.com", "anna@example", "anna@@example.com", "anna b@example.com",
        "Anna <anna@example.com>", "anna@localhost", "anna@exa_mple.com", "anna@example..com", ".anna@example.com",
        "anna@example.com\nbcc: eve@example.com", "a" * 65 + "@example.com", "a@" + "b" * 400 + ".com",
    ],
)  # fmt: skip
def test_what_is_no_email_address_is_refused_without_repeating_it(written: str) -> None:
    with pytest.raises(Misread) as caught:
        addresses.email(written)
    assert caught.value.code == "bad-email"
    assert "anna" not in str(caught.value)
    assert "eve" not in str(caught.value)


# ── telephone ──


@pytest.mark.parametrize(
    ("written", "country", "normal"),
    [
        ("+8614500001234", None, "+8614500001234"),
        ("0171 3920012", "DE", "+491713920012"),
        ("(030) 23125-123", "DE", "+493023125123"),
        ("00493023125123", "DE", "+493023125123"),
        ("202-555-0123", "US", "+12025550123"),
        ("+44 (0)20 7946 0123", None, "+442079460123"),
        ("+4402079460123", None, "+442079460123"),
        ("07700 900123", "GB", "+447700900123"),  # kept for films; unknown to the library
        ("１４５ ００００ １２３４", "CN", "+8614500001234"),
    ],
)
def test_a_phone_number_has_one_spelling(written: str, country: str | None, normal: str) -> None:
    assert addresses.phone(written, country) == normal


@pytest.mark.parametrize(
    ("written", "country"),
    [("030 23125123", None), ("+49", None), ("12", "DE"), ("+86100", None), ("call me", "CN"), ("+999123456789", None),
     ("1" * 500, "US")],
)  # fmt: skip
def test_what_is_no_phone_number_is_refused_without_repeating_it(written: str, country: str | None) -> None:
    with pytest.raises(Misread) as caught:
        addresses.phone(written, country)
    assert caught.value.code == "bad-phone"
    assert written not in str(caught.value)


EXAMPLES = [
    phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164)
    for region in sorted(phonenumbers.SUPPORTED_REGIONS)
    for kind in range(11)
    if (found := phonenumbers.example_number_for_type(region, kind)) is not None
]


@given(st.sampled_from(EXAMPLES), st.data())
def test_the_short_way_to_a_plain_number_agrees_with_the_library(example: str, data: st.DataObject) -> None:
    digits = list(example)
    for place in data.draw(st.lists(st.integers(4, len(digits) - 1), max_size=4)):
        digits[place] = data.draw(st.sampled_from("0123456789"))
    written = "".join(digits) + data.draw(st.sampled_from(["", "", "0", "7"]))
    try:
        known = phonenumbers.parse(written)
        expected = phonenumbers.format_number(known, phonenumbers.PhoneNumberFormat.E164)
        valid = phonenumbers.is_valid_number(known)
    except phonenumbers.NumberParseException:
        valid, expected = False, ""
    try:
        found = addresses.phone(written)
    except Misread:
        assert not valid
    else:
        assert found == expected
        assert valid or found.startswith(("+447700900", "+441632960"))


# ── zone ──


@pytest.mark.parametrize(
    ("own", "phone", "country", "zone"),
    [
        ("Asia/Urumqi", "+8614500001234", "CN", "Asia/Urumqi"),
        (None, "+14155550123", "CN", "America/Los_Angeles"),
        (None, "+12125550123", None, "America/New_York"),
        (None, "+18085550123", "US", "Pacific/Honolulu"),
        (None, "+16045550123", None, "America/Vancouver"),
        (None, "+61255500123", None, "Australia/Sydney"),
        (None, "+61865550123", None, "Australia/Perth"),
        (None, "+61491570006", None, "Australia/Sydney"),
        (None, "+442079460123", "US", "Europe/London"),
        (None, "+77012345678", None, "Asia/Almaty"),
        (None, "+8614500001234", None, "Asia/Shanghai"),
        (None, None, "BR", "America/Sao_Paulo"),
        (None, None, "US", "America/New_York"),
        (None, None, "AT", "Europe/Vienna"),
        (None, None, None, None),
    ],
)
def test_Q3_a_zone_is_found_by_itself_then_phone_then_country_then_shop(
    own: str | None, phone: str | None, country: str | None, zone: str | None
) -> None:
    assert zones.find_zone(own, phone, country, "Asia/Tokyo") == (zone or "Asia/Tokyo")


def test_every_area_code_belongs_to_the_country_of_its_zone() -> None:
    countries = {line[2]: line[0] for line in zones._table("zone.tab")}
    for zone, prefixes in zones._AREAS.items():
        for prefix in prefixes.split():
            shared = prefix.startswith("+1")  # by several countries: the library tells them apart
            number = phonenumbers.parse(prefix + "5550123") if shared else None
            found = phonenumbers.region_code_for_number(number) if number else {"+61": "AU", "+55": "BR"}[prefix[:3]]
            assert (prefix, countries[zone]) == (prefix, found)


def test_every_country_has_a_zone_that_exists() -> None:
    for country in zones._names():
        zone = zones.zone_of_country(country)
        assert zone is None or ZoneInfo(zone)
    assert [country for country in zones._names() if zones.zone_of_country(country) is None] == ["BV", "HM"]


# ── instants ──


@pytest.mark.parametrize(
    ("written", "zone", "utc"),
    [
        ("2026-11-22T10:00:00Z", None, "2026-11-22T10:00:00"),
        ("2026-11-22T10:00:00+08:00", "Europe/London", "2026-11-22T02:00:00"),
        ("2010-12-01 08:26:00", "Europe/London", "2010-12-01T08:26:00"),
        ("2011-07-01 08:26:00", "Europe/London", "2011-07-01T07:26:00"),
        ("2026-11-22", "Asia/Shanghai", "2026-11-21T16:00:00"),
        ("2026-03-29 02:30", "Europe/Berlin", "2026-03-29T01:00:00"),  # the clock skips it: the first instant after
        ("2026-10-25 02:30", "Europe/Berlin", "2026-10-25T00:30:00"),  # shown twice: the first
    ],
)
def test_a_written_instant_is_read_in_its_zone(written: str, zone: str | None, utc: str) -> None:
    assert instant(written, ZoneInfo(zone) if zone else None) == datetime.fromisoformat(utc).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "written", ["2026-11-22 10:00", "yesterday", "2026-13-01T00:00Z", "0001-01-01T00:00+14:00", "9" * 9]
)
def test_what_is_no_instant_is_refused(written: str) -> None:
    with pytest.raises(Misread) as caught:
        instant(written)
    assert caught.value.code == "bad-instant"


def test_a_format_reads_foreign_dates() -> None:
    assert instant("01/12/2010 08:26", ZoneInfo("Europe/London"), "%d/%m/%Y %H:%M") == datetime(
        2010, 12, 1, 8, 26, tzinfo=UTC
    )


# ── consent ──


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("yes", True),
        ("TRUE", True),
        ("1", True),
        (True, True),
        ("No", False),
        (" off ", False),
        ("", None),
        (None, None),
    ],
)
def test_a_word_of_consent_is_yes_no_or_silence(said: object, means: bool | None) -> None:
    assert granted(said) is means


def test_any_other_word_of_consent_is_refused_rather_than_guessed() -> None:
    with pytest.raises(Misread):
        granted("maybe")


# ── the person ──


def test_the_door_does_not_open_without_the_shop() -> None:
    with pytest.raises(TypeError, match="the door needs the shop"):
        PersonRow.model_validate({"id": "1"})


@given(st.sampled_from(["email", "sms"]), st.text(st.characters(max_codepoint=127)))
def test_plain_signs_are_spelled_as_among_signs_nobody_sees(channel: str, address: str) -> None:
    among = f"\u200d{address}\u200d" if not address[:1].isspace() and not address[-1:].isspace() else address
    assert spelling(channel, among) == spelling(channel, address)
