"""Signatures of mails, judged by dkimpy's verifier: over the bytes a real server got, and what they are of."""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dkim
import dkim.crypto
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from doubles.smtp import Servers, mail, plain, send
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from channels.contract import Email, Sent
from channels.email.mime import Letterhead, compose
from channels.email.signing import DkimOptions, Signer
from channels.email.smtp import SmtpProvider
from channels.errors import Misconfigured, Rejected
from channels.testing import Run, outgoing

INSTANT = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
RSA = rsa.generate_private_key(65537, 2048)
ED25519 = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
#: what RFC 8058 and the large mailbox providers want to be signed
MUST = (
    *("from", "to", "subject", "date", "message-id", "reply-to", "mime-version", "content-type"),
    *("list-unsubscribe", "list-unsubscribe-post"),
)
ONE_CLICK = (
    ("List-Unsubscribe", "<https://shop.example.com/u/abc>, <mailto:stop@shop.example.com>"),
    ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
)


def pem(
    key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey,
    form: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8,
) -> str:
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def published(name: bytes, timeout: int = 5) -> bytes:
    """What stands in the DNS."""
    assert name == b"news._domainkey.example.org."
    public = RSA.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)


def signer(key: str, **options: Any) -> Signer:
    chosen = DkimOptions.model_validate({"domain": "example.org", "selector": "news", "key_env": "KEY", **options})
    return Signer(chosen, {"KEY": key}, Path())


def tags(data: bytes) -> dict[str, str]:
    """What a signature says."""
    value = re.sub(r"\s", "", data.partition(b":")[2].partition(b"\r\nDate:")[0].decode())
    return dict(part.split("=", 1) for part in value.split(";"))


def written(**fields: Any) -> bytes:
    chosen = {"to": "ann@example.com", "sender": "shop@example.org", "subject": "Hello", "text": "Hello Ann", **fields}
    return compose(Email(**chosen), "k-1", INSTANT, Letterhead()).data


# What is signed.


@pytest.mark.parametrize("form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL])
def test_a_signature_of_rsa_is_verified(form: serialization.PrivateFormat) -> None:
    data = signer(pem(RSA, form)).signed(written(headers=ONE_CLICK), INSTANT)
    assert dkim.verify(data, dnsfunc=published)


def test_every_header_that_matters_is_signed_and_cannot_be_added_again() -> None:
    data = signer(pem(RSA)).signed(written(headers=ONE_CLICK, reply_to="help@example.org"), INSTANT)
    signed = tags(data)["h"].lower().split(":")
    assert {name: signed.count(name) for name in MUST} == dict.fromkeys(MUST, 2)
    for name in MUST:
        forged = data.replace(b"MIME-Version", name.encode() + b": forged\r\nMIME-Version", 1)
        assert not dkim.verify(forged, dnsfunc=published), name


def test_a_header_that_is_missing_cannot_be_added_either() -> None:
    data = signer(pem(RSA)).signed(written(), INSTANT)
    assert dkim.verify(data, dnsfunc=published)
    forged = data.replace(b"MIME-Version", b"Reply-To: eve@example.net\r\nMIME-Version", 1)
    assert not dkim.verify(forged, dnsfunc=published)


def test_it_says_whose_it_is_and_when_the_message_was_made() -> None:
    said = tags(signer(pem(RSA)).signed(written(), INSTANT))
    assert {name: said[name] for name in "vacdst"} == {
        "v": "1",
        "a": "rsa-sha256",
        "c": "relaxed/relaxed",
        "d": "example.org",
        "s": "news",
        "t": str(int(INSTANT.timestamp())),
    }


def test_no_line_of_it_is_too_long() -> None:
    data = signer(pem(RSA)).signed(written(headers=ONE_CLICK), INSTANT)
    assert max(map(len, data.partition(b"\r\nDate:")[0].split(b"\r\n"))) <= 78


@pytest.mark.parametrize("change", [(b"Hello Ann", b"Hello Eve"), (b"Subject: Hello", b"Subject: Hallo")])
def test_what_was_altered_is_not_verified(change: tuple[bytes, bytes]) -> None:
    data = signer(pem(RSA)).signed(written(), INSTANT)
    assert not dkim.verify(data.replace(*change), dnsfunc=published)


@given(
    text=st.text(st.sampled_from(list("ab .=\t\n\r谢é")), min_size=1, max_size=200),
    subject=st.text(st.sampled_from(list("ab  é谢:;=")), max_size=120),
    name=st.text(st.sampled_from(list('ab "é谢,;')), max_size=60),
)
def test_whatever_a_mail_holds_its_signature_is_verified(text: str, subject: str, name: str) -> None:
    try:
        data = written(text="t" + text, html="<p>" + text, subject=subject, to_name=name)
    except Rejected:
        return
    assert dkim.verify(signer(pem(RSA)).signed(data, INSTANT), dnsfunc=published)


# Ed25519 (RFC 8463): dkimpy verifies it with PyNaCl, which need not be there; what it would hash is checked by hand.


def test_a_signature_of_ed25519_is_one_of_what_dkimpy_hashes() -> None:
    data = signer(pem(ED25519)).signed(written(headers=ONE_CLICK), INSTANT)
    assert tags(data)["a"] == "ed25519-sha256"
    verifier = dkim.DKIM(data)
    sig, names, header = verifier.verify_headerprep()
    relaxed = dkim.CanonicalizationPolicy.from_c_value(b"relaxed/relaxed")
    body, whole = hashes.Hash(hashes.SHA256()), hashes.Hash(hashes.SHA256())
    body.update(relaxed.canonicalize_body(verifier.body))
    assert base64.b64encode(body.finalize()) == sig[b"bh"]
    dkim.hash_headers(whole, relaxed, relaxed.canonicalize_headers(verifier.headers), names, header[0], sig)
    signature = base64.b64decode(re.sub(rb"\s", b"", sig[b"b"]))
    ED25519.public_key().verify(signature, whole.finalize())  # raises when it is wrong


def test_a_signature_of_ed25519_is_verified() -> None:
    pytest.importorskip("nacl")
    data = signer(base64.b64encode(bytes(range(32))).decode()).signed(written(headers=ONE_CLICK), INSTANT)
    public = ED25519.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    record = b"v=DKIM1; k=ed25519; p=" + base64.b64encode(public)
    assert dkim.verify(data, dnsfunc=lambda name, timeout=5: record)
    assert not dkim.verify(data.replace(b"Ann", b"Eve"), dnsfunc=lambda name, timeout=5: record)


def test_both_ways_to_write_an_ed25519_key_are_the_same_key() -> None:
    data = written()
    seed = base64.b64encode(bytes(range(32))).decode()
    assert signer(seed).signed(data, INSTANT) == signer(pem(ED25519)).signed(data, INSTANT)


# What is sent.


def signing(port: int, **options: Any) -> SmtpProvider:
    chosen = {"host": "127.0.0.1", "port": port, "mode": "plain", **options}
    chosen["dkim"] = {"domain": "example.org", "selector": "news", "key_env": "DKIM_KEY"}
    return SmtpProvider("email", chosen, {"DKIM_KEY": pem(RSA)})


@pytest.fixture
def texts() -> str:
    return ".\n..\n.hidden \t x\n\n  spaces  \nend\n.\n\n\n"


@pytest.mark.parametrize("far", ["", "您好。\n"])
def test_the_signature_holds_over_what_a_server_got_also_after_its_dots_were_doubled(
    run: Run, servers: Servers, texts: str, far: str
) -> None:
    box = servers.mailbox("plain")
    content = Email(to="ann@example.com", sender="shop@example.org", text=texts + far, headers=ONE_CLICK)
    (answer,) = send(run, signing(box.port), outgoing(content))
    assert isinstance(answer, Sent)
    (envelope,) = box.mails
    assert isinstance(envelope.content, bytes)
    assert envelope.content.startswith(b"DKIM-Signature: ")
    assert dkim.verify(envelope.content, dnsfunc=published)


def test_D2_the_same_message_has_the_same_bytes_at_every_attempt(run: Run, servers: Servers) -> None:
    box = servers.mailbox("plain")
    for attempt in (1, 2):
        send(run, signing(box.port), outgoing(mail().content, attempt=attempt))
    first, second = box.mails
    assert first.content == second.content


def test_nothing_is_signed_unless_asked_for(run: Run, servers: Servers) -> None:
    box = servers.mailbox("plain")
    send(run, plain(box.port), mail())
    assert b"DKIM" not in (box.mails[0].content or b"")


def test_a_signed_mail_is_as_large_as_is_announced(run: Run, servers: Servers) -> None:
    box = servers.mailbox("plain", data_size_limit=100_000)
    send(run, signing(box.port), mail())
    (envelope,) = box.mails
    assert [option for option in envelope.mail_options if option == f"SIZE={len(envelope.content or b'')}"]


# Keys.


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("rubbish", "no private key that we can read"),
        ("-----BEGIN PRIVATE KEY-----\nrubbish\n-----END PRIVATE KEY-----", "no private key that we can read"),
        (base64.b64encode(bytes(31)).decode(), "no private key that we can read"),
        (pem(rsa.generate_private_key(65537, 1024)).replace("A", "B"), "no private key that we can read"),
    ],
)
def test_a_key_that_is_none_is_misconfigured_and_is_not_told(key: str, words: str) -> None:
    with pytest.raises(Misconfigured, match=words) as caught:
        signer(key)
    assert "variable KEY" in str(caught.value)
    assert key[-20:] not in str(caught.value)


def test_a_variable_that_is_not_set_is_misconfigured() -> None:
    with pytest.raises(Misconfigured, match="KEY is not set"):
        signer("")


def test_a_key_on_one_line_as_environments_have_it_is_read() -> None:
    data = written()
    assert signer(pem(RSA).replace("\n", "\\n")).signed(data, INSTANT) == signer(pem(RSA)).signed(data, INSTANT)


def test_a_key_in_a_file_is_read_when_it_is_needed(run: Run, servers: Servers, tmp_path: Path) -> None:
    box = servers.mailbox("plain")
    options = {"host": "127.0.0.1", "port": box.port, "mode": "plain"}
    options["dkim"] = {"domain": "example.org", "selector": "news", "key_file": "keys/dkim.pem"}
    provider = SmtpProvider("email", options, {}, tmp_path)
    (missing,) = send(run, provider, mail())
    assert isinstance(missing, Misconfigured)
    assert "cannot be read: No such file or directory" in str(missing)
    with pytest.raises(Misconfigured):
        run(provider.probe())
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "dkim.pem").write_text(pem(RSA))
    (answer,) = send(run, provider, mail())
    assert isinstance(answer, Sent)
    assert dkim.verify(box.mails[0].content, dnsfunc=published)


@pytest.fixture
def without_dkimpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dkim", None)


@pytest.mark.usefixtures("without_dkimpy")
def test_without_dkimpy_the_sentence_says_what_to_install() -> None:
    with pytest.raises(Misconfigured, match=re.escape("pip install 'outreach[dkim]'")):
        signing(25)


@pytest.mark.usefixtures("without_dkimpy")
def test_without_dkimpy_mails_that_nobody_signs_are_sent(run: Run, servers: Servers) -> None:
    (answer,) = send(run, plain(servers.mailbox("plain").port), mail())
    assert isinstance(answer, Sent)


@pytest.mark.parametrize(
    "options",
    [
        {"key_env": None},
        {"key_file": "x"},
        {"domain": ""},
        {"domain": "exa mple"},
        {"selector": ""},
        {"selector": "a;b"},
        {"selector": "a\r\nb"},
        {"private_key": "-----BEGIN"},
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_refused(options: Mapping[str, Any]) -> None:
    with pytest.raises(ValidationError):
        signer(pem(RSA), **options)


def test_the_instant_is_that_of_the_message_wherever_its_clock_stood() -> None:
    make: Callable[[datetime], bytes] = lambda at: signer(pem(RSA)).signed(written(), at)  # noqa: E731
    assert make(INSTANT) == make(INSTANT + timedelta(milliseconds=300))
    assert make(INSTANT) != make(INSTANT + timedelta(seconds=1))
