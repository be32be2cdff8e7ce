"""SendGrid as its mail API behaves: it checks a request as the real one does, takes it, and signs what it reports."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from channels.contract import Callback
from channels.testing import Request, Response

KEY = "SG.a-key-of-the-double"
RESERVED = {
    *("x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding"),
    *("to", "from", "subject", "reply-to", "cc", "bcc"),
}
SENDING = {
    *("personalizations", "from", "reply_to", "reply_to_list", "subject", "content", "attachments", "template_id"),
    *("headers", "categories", "custom_args", "send_at", "batch_id", "asm", "ip_pool_name", "mail_settings"),
    "tracking_settings",
}
OF_ONE = {
    *("from", "to", "cc", "bcc", "subject", "headers", "substitutions", "dynamic_template_data", "custom_args"),
    "send_at",
}
TRACKING = {
    "click_tracking": {"enable", "enable_text"},
    "open_tracking": {"enable", "substitution_tag"},
    "subscription_tracking": {"enable", "text", "html", "substitution_tag"},
    "ganalytics": {"enable", "utm_source", "utm_medium", "utm_term", "utm_content", "utm_campaign"},
}


@dataclass(frozen=True)
class Taken:
    """A mail as its reader gets it."""

    key: str
    request: str  # X-Message-Id, the same for all mails of one request
    to: str
    to_name: str
    sender: str
    sender_name: str
    reply_to: str
    subject: str
    html: str
    text: str
    headers: Mapping[str, str]


class Refused(Exception):
    def __init__(self, message: str, at: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.response = failure(status, message, at)


def failure(status: int, message: str, at: str | None = None, **headers: str) -> Response:
    """What SendGrid says no with."""
    body = json.dumps({"errors": [{"message": message, "field": at, "help": None}]}).encode()
    return Response(status, body, {"content-type": "application/json", **headers})


@dataclass
class SendGrid:
    """One account."""

    scopes: Sequence[str] = ("mail.send", "user.account.read")
    unknown_people: frozenset[str] = frozenset()  # whose addresses it does not take for any
    most: int = 30 * 1000 * 1000  # bytes of a request
    taken: list[Taken] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)  # bodies that were accepted

    def handle(self, request: Request) -> Response:
        try:
            return self._handle(request)
        except Refused as error:
            return error.response

    def _handle(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            raise Refused("The provided authorization grant is invalid, expired, or revoked", status=401)
        match request.method, request.route:
            case "GET", "/v3/scopes":
                return Response(200, json.dumps({"scopes": list(self.scopes)}).encode())
            case "POST", "/v3/mail/send":
                return self._send(request)
            case _, "/v3/mail/send" | "/v3/scopes":
                raise Refused("method not allowed", status=405)
        raise Refused("not found", status=404)

    def _send(self, request: Request) -> Response:
        if "mail.send" not in self.scopes:
            raise Refused("access forbidden", status=403)
        if len(request.body) > self.most:
            raise Refused("The JSON payload you have included in your request is too large.", status=413)
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            raise Refused("Content-Type should be application/json.", status=415)
        try:
            body = json.loads(request.body)
        except ValueError:
            raise Refused("Bad Request") from None
        self._check(body)
        self.requests.append(body)
        name = f"request-{len(self.requests)}"
        self.taken += [_read(one, body, name) for one in body["personalizations"]]
        return Response(202, b"", {"x-message-id": name})

    def _check(self, body: Any) -> None:
        needs(isinstance(body, dict) and set(body) <= SENDING, "Bad Request")
        people = body.get("personalizations")
        needs(isinstance(people, list) and people, "The personalizations field is required.", "personalizations")
        needs(len(people) <= 1000, "Too many personalizations.", "personalizations")
        self._check_person(body.get("from"), "from")
        if "reply_to" in body:
            self._check_person(body["reply_to"], "reply_to")
        needs(is_text(body.get("subject")) or all("subject" in one for one in people), "No subject.", "subject")
        contents = body.get("content")
        needs(isinstance(contents, list) and contents, "Unless a valid template_id is provided, content.", "content")
        for nth, one in enumerate(contents):
            fits = isinstance(one, dict) and set(one) == {"type", "value"} and is_text(one["type"])
            needs(fits and is_text(one["value"]), "The content value must be a string.", f"content.{nth}")
        kinds = [one["type"] for one in contents]
        needs(kinds == sorted(kinds, reverse=True), "text/plain must come before text/html.", "content")
        for nth, one in enumerate(people):
            self._check_one(one, f"personalizations.{nth}")
        everyone = [to["email"].lower() for one in people for name in ("to", "cc", "bcc") for to in one.get(name, [])]
        needs(len(everyone) <= 1000, "Too many recipients.", "personalizations")
        needs(len(set(everyone)) == len(everyone), "Each email address should be unique.", "personalizations")
        for name, settings in body.get("tracking_settings", {}).items():
            fits = name in TRACKING and isinstance(settings, dict) and set(settings) <= TRACKING[name]
            needs(fits, "Bad Request", f"tracking_settings.{name}")
            needs(isinstance(settings.get("enable"), bool), "It must be a boolean.", f"tracking_settings.{name}.enable")

    def _check_one(self, one: Any, at: str) -> None:
        needs(isinstance(one, dict) and set(one) <= OF_ONE, "Bad Request", at)
        needs(isinstance(one.get("to"), list) and one["to"], "The to array is required.", f"{at}.to")
        for name in ("to", "cc", "bcc"):
            for nth, person in enumerate(one.get(name, [])):
                self._check_person(person, f"{at}.{name}.{nth}")
        needs(is_text(one.get("subject", "x")), "The subject must be a string.", f"{at}.subject")
        for name, most in (("headers", None), ("custom_args", 10_000), ("substitutions", 10_000)):
            pairs = one.get(name, {})
            strings = isinstance(pairs, dict) and all(isinstance(value, str) for value in pairs.values())
            needs(strings, "Values must be strings.", f"{at}.{name}")
            size = sum(len(key.encode()) + len(value.encode()) for key, value in pairs.items())
            needs(most is None or size <= most, f"{name} are limited to {most} bytes.", f"{at}.{name}")
        needs(not RESERVED & {name.lower() for name in one.get("headers", {})}, "A reserved header.", f"{at}.headers")
        unsafe = [value for value in one.get("headers", {}).values() if not (value.isascii() and value.isprintable())]
        needs(not unsafe, "Headers must be encoded.", f"{at}.headers")
        needs(not [tag for tag in one.get("substitutions", {}) if " " in tag], "No spaces.", f"{at}.substitutions")

    def _check_person(self, person: Any, at: str) -> None:
        needs(isinstance(person, dict) and set(person) <= {"email", "name"}, "Bad Request", at)
        email = person.get("email")
        valid = (
            isinstance(email, str) and email.isascii() and email.count("@") == 1 and email not in self.unknown_people
        )
        needs(valid, "Does not contain a valid address.", f"{at}.email")
        needs(isinstance(person.get("name", ""), str), "The name must be a string.", f"{at}.name")


def needs(holds: object, message: str, at: str | None = None) -> None:
    if not holds:
        raise Refused(message, at)


def is_text(found: object) -> bool:
    return isinstance(found, str) and bool(found)


def _read(one: dict[str, Any], body: dict[str, Any], request: str) -> Taken:
    """What the reader sees: tags are replaced in the contents and in the subject, one after the other."""

    def filled(text: str) -> str:
        for tag, value in one.get("substitutions", {}).items():
            text = text.replace(tag, value)
        return text

    contents = {part["type"]: filled(part["value"]) for part in body["content"]}
    return Taken(
        key=one.get("custom_args", {}).get("message_id", ""),
        request=request,
        to=one["to"][0]["email"],
        to_name=one["to"][0].get("name", ""),
        sender=body["from"]["email"],
        sender_name=body["from"].get("name", ""),
        reply_to=filled(body.get("reply_to", {}).get("email", "")),
        subject=filled(one.get("subject") or body["subject"]),
        html=contents.get("text/html", ""),
        text=contents.get("text/plain", ""),
        headers=one.get("headers", {}),
    )


# What it reports.

SIGNS = ec.derive_private_key(0x5EED_0F_5E4D_641D, ec.SECP256R1())
SHOWN = base64.b64encode(SIGNS.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def hook(rows: Sequence[Mapping[str, Any]], at: datetime) -> Callback:
    """A request of the event webhook."""
    return signed(json.dumps(list(rows)).encode() + b"\r\n", at)


def signed(body: bytes, at: datetime) -> Callback:
    timestamp = str(int(at.timestamp()))
    headers = {
        "content-type": "application/json",
        "x-twilio-email-event-webhook-timestamp": timestamp,
        "x-twilio-email-event-webhook-signature": base64.b64encode(
            SIGNS.sign(timestamp.encode() + body, ec.ECDSA(SHA256()))
        ).decode(),
    }
    return Callback("POST", "https://shop.example.com/hooks/email", headers, body, at)
