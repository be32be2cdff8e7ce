"""What answers of mail servers mean."""

from __future__ import annotations

import pytest

from channels.email.replies import Stage, queue_id, quoted, refused
from channels.errors import FailureReason, Misconfigured, Rejected, Unavailable

R = FailureReason


@pytest.mark.parametrize(
    ("stage", "code", "text", "reason"),
    [
        (Stage.recipient, 550, "5.1.1 <ann@example.com>: user unknown", R.address_unknown),
        (Stage.recipient, 550, "5.1.2 bad destination", R.address_unknown),
        (Stage.recipient, 553, "5.1.3 bad syntax", R.address_invalid),
        (Stage.recipient, 550, "5.1.10 null MX", R.address_unknown),
        (Stage.recipient, 550, "5.1.100 what is this", R.unknown),
        (Stage.recipient, 550, "5.2.1 disabled", R.address_unknown),
        (Stage.recipient, 552, "5.2.2 mailbox full", R.address_full),
        (Stage.content, 552, "5.3.4 too big", R.content),
        (Stage.content, 554, "5.6.0 bad MIME", R.content),
        (Stage.content, 550, "5.7.1 blocked by policy", R.policy),
        (Stage.content, 554, "5.4.7 delivery time expired", R.expired),
        (Stage.sender, 550, "5.1.8 sender domain does not exist", R.sender),
        (Stage.sender, 550, "no", R.sender),
        (Stage.sender, 552, "too big", R.content),
        (Stage.recipient, 550, "no such user", R.unknown),  # too little said to give up an address
        (Stage.recipient, 551, "user not local", R.unknown),
        (Stage.recipient, 552, "over quota", R.address_full),
        (Stage.recipient, 553, "not allowed", R.unknown),  # sender or recipient, it does not say
        (Stage.recipient, 501, "syntax", R.unknown),  # of the address, or of a parameter beside it
        (Stage.recipient, 501, "5.1.3 bad address syntax", R.address_invalid),
        (Stage.content, 552, "5.7.0 blocked for what it holds", R.policy),  # and no wish for a login
        (Stage.content, 552, "too big", R.content),
        (Stage.content, 554, "transaction failed", R.unknown),
        (Stage.recipient, 550, "4.2.2 class and digit disagree", R.unknown),
        (Stage.recipient, 550, "5.1.1x is no enhanced code", R.unknown),
    ],
)
def test_a_reply_of_class_5_is_rejected_with_a_reason(stage: Stage, code: int, text: str, reason: R) -> None:
    error = refused(code, text, stage, "mx.example.com:25")
    assert isinstance(error, Rejected)
    assert error.reason is reason


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("code", [421, 450, 451, 452, 454, 471])
def test_a_reply_of_class_4_is_unavailable_at_every_stage(stage: Stage, code: int) -> None:
    assert isinstance(refused(code, "4.7.0 later", stage, "mx.example.com:25"), Unavailable)


@pytest.mark.parametrize(
    ("code", "text", "seconds"),
    [
        (421, "4.7.0 too many connections", 60),
        (450, "4.7.1 too much mail from you", 60),
        (452, "4.3.1 no room", 60),
        (452, "4.5.3 too many recipients", 60),
        (452, "4.2.2 mailbox full", None),  # others have room
        (450, "4.7.1 Greylisted, come back", None),  # this one alone
        (451, "4.3.0 later", None),
        (450, "busy", None),
    ],
)
def test_a_server_that_wants_less_of_us_is_left_alone_for_a_while(code: int, text: str, seconds: float | None) -> None:
    error = refused(code, text, Stage.recipient, "mx.example.com:25")
    assert isinstance(error, Unavailable)
    assert error.retry_after == seconds


@pytest.mark.parametrize("code", [-1, 0, 150, 250, 334, 399, 600, 999])
def test_a_reply_that_is_no_refusal_proves_no_more_than_that_we_did_not_get_on(code: int) -> None:
    assert isinstance(refused(code, "hm", Stage.recipient, "mx.example.com:25"), Unavailable)


@pytest.mark.parametrize(
    ("stage", "code", "text", "cure"),
    [
        (Stage.login, 535, "5.7.8 bad credentials", "does not accept the user name or the password"),
        (Stage.login, 534, "5.7.9 mechanism too weak", "password made for applications"),
        (Stage.login, 504, "what", ""),
        (Stage.sender, 530, "5.7.0 Must issue a STARTTLS command first", "mode"),
        (Stage.sender, 538, "encryption required", "starttls"),
        (Stage.sender, 555, "unknown parameter", "parameter"),
        (Stage.hello, 554, "no SMTP service here", ""),
        (Stage.content, 550, "5.7.26 unauthenticated", "SPF and DKIM"),
        (Stage.content, 550, "5.7.515 access denied", "bulk senders"),
    ],
)
def test_what_will_meet_every_message_is_misconfigured_and_says_what_to_mend(
    stage: Stage, code: int, text: str, cure: str
) -> None:
    error = refused(code, text, stage, "mx.example.com:25")
    assert isinstance(error, Misconfigured)
    assert cure in str(error)


def test_the_code_is_kept_with_the_enhanced_one_where_both_agree() -> None:
    assert refused(550, "5.1.1 no", Stage.recipient, "x:1").code == "550 5.1.1"
    assert refused(550, "4.1.1 no", Stage.recipient, "x:1").code == "550"
    assert refused(451, "later", Stage.recipient, "x:1").code == "451"


def test_the_sentence_names_server_and_stage_and_quotes_the_answer() -> None:
    assert str(refused(550, "5.1.1 <ann@example.com>: unknown", Stage.recipient, "mx.example.com:25")) == (
        "mx.example.com:25 answered the recipient with 550 5.1.1 <address> unknown."
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<ann@example.com>... user ann unknown", "<address> user <hidden> unknown"),
        ("Ann is unknown, annex is not", "<hidden> is unknown, annex is not"),
        ("first\nsecond\x1b[2J\r\nthird", "first second [2J third"),
        ("\udcff\udcfe bytes", "bytes"),
        ("token c2VjcmV0Cg== refused", "token <hidden> refused"),
        ("token=xc2VjcmV0Cg==y refused", "token=x<hidden>y refused"),
        ("x" * 500, "x" * 199 + "…"),
        ("good bye.", "good bye"),
    ],
)
def test_quoted_words_hold_no_address_no_secret_and_no_orders_to_a_terminal(text: str, shown: str) -> None:
    assert quoted(text, ("c2VjcmV0Cg==", ""), ("ann", "")) == shown


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("2.0.0 Ok: queued as ABBA32468FB", "ABBA32468FB"),
        ("OK id=1rKx2c-000Abc-1D", "1rKx2c-000Abc-1D"),
        ("2.0.0 4AB1cDe2 Message accepted for delivery", "4AB1cDe2"),
        ("2.6.0 <x@y> [InternalId=12345678, Hostname=a.example.com] Queued mail for delivery", "12345678"),
        (
            "Ok 0102018d3c9a5b6e-1f2e3d4c-aaaa-bbbb-cccc-000000000000-000000",
            "0102018d3c9a5b6e-1f2e3d4c-aaaa-bbbb-cccc-000000000000-000000",
        ),
        ("OK", None),
        ("", None),
        ("2.0.0 Accepted", None),
        ("\udcff", None),
        ("queued as " + "A" * 500, "A" * 128),
    ],
)
def test_the_name_of_an_accepted_message_is_read_where_it_can_be(text: str, name: str | None) -> None:
    assert queue_id(text) == name
