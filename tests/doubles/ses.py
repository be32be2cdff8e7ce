"""Amazon SES as version 2 of its API behaves: it verifies each signature, takes only what its model allows, fills in
templates, and reports over SNS."""

from __future__ import annotations

import base64
import email
import email.policy
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from channels.contract import Callback
from channels.testing import Request, Response

ACCESS, SECRET, TOKEN = "AKIDOFTHEDOUBLE", "a secret key of the double", "a session token of the double"
REGION = "eu-west-1"
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, "
    r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})"
)


@dataclass(frozen=True)
class Taken:
    """A mail as its reader gets it."""

    key: str
    name: str
    to: str
    sender: str
    reply_to: Sequence[str]
    subject: str
    html: str
    text: str
    headers: Sequence[tuple[str, str]]
    how: str  # Simple, Raw or bulk


class Refused(Exception):
    def __init__(self, code: str, message: str = "", status: int = 400) -> None:
        super().__init__(message)
        self.response = failure(code, message, status)


def failure(code: str, message: str = "", status: int = 400, **headers: str) -> Response:
    """What SES says no with."""
    body = json.dumps({"message": message}).encode()
    return Response(status, body, {"content-type": "application/json", "x-amzn-errortype": f"{code}:", **headers})


# What a request may hold: for each name what stands there. A name with a star must be there.

Check = Callable[[Any, str], None]


def bad(at: str, why: str) -> Refused:
    return Refused("BadRequestException", f"1 validation error detected: {at} {why}")


def text(pattern: str = "", least: int = 0, most: int = 10**9) -> Check:
    def check(found: Any, at: str) -> None:
        if not isinstance(found, str) or not least <= len(found) <= most:
            raise bad(at, "must be a text of another length")
        if pattern and not re.fullmatch(pattern, found):
            raise bad(at, "has signs that are not allowed")

    return check


def many(each: Check, most: int = 10**9) -> Check:
    def check(found: Any, at: str) -> None:
        if not isinstance(found, list) or len(found) > most:
            raise bad(at, f"must be a list of at most {most}")
        for nth, one in enumerate(found):
            each(one, f"{at}.{nth}")

    return check


def made_of(**members: Check) -> Check:
    names = {name.rstrip("_"): check for name, check in members.items()}

    def check(found: Any, at: str) -> None:
        if not isinstance(found, dict) or not set(found) <= set(names):
            raise Refused("SerializationException", f"{at} has a member that is not known")
        for name in members:
            if name.endswith("_") and name.rstrip("_") not in found:
                raise bad(f"{at}.{name.rstrip('_')}", "must not be null")
        for name, value in found.items():
            names[name](value, f"{at}.{name}")

    return check


def mailbox(found: Any, at: str) -> None:
    text(r"[ -~]+", 1, 320)(found, at)
    address = parseaddr(found)[1]
    if not re.fullmatch(r"[!-~]+@[A-Za-z0-9.-]+", address):
        raise bad(at, "is not an address")


ADDRESSES = many(mailbox, 50)
CONTENT = made_of(Data_=text(), Charset=text())
HEADER = made_of(Name_=text(r"[!-9;-@A-~]+", 1, 126), Value_=text(r"[ -~]*", 1, 995))
HEADERS = many(HEADER, 15)
TAGS = many(made_of(Name_=text(r"[A-Za-z0-9_-]+", 1, 256), Value_=text(r"[A-Za-z0-9_-]+", 1, 256)), 50)
DESTINATION = made_of(ToAddresses=ADDRESSES, CcAddresses=ADDRESSES, BccAddresses=ADDRESSES)
SIMPLE = made_of(Subject_=CONTENT, Body_=made_of(Text=CONTENT, Html=CONTENT), Headers=HEADERS)
TEMPLATE = made_of(
    TemplateName=text(least=1),
    TemplateContent=made_of(Subject=text(), Text=text(), Html=text()),
    TemplateData=text(most=262_144),
    Headers=HEADERS,
)
COMMON = {"FromEmailAddress_": mailbox, "ReplyToAddresses": ADDRESSES, "ConfigurationSetName": text()}
SEND = made_of(
    **COMMON,
    Destination=DESTINATION,
    Content_=made_of(Simple=SIMPLE, Raw=made_of(Data_=text()), Template=TEMPLATE),
    EmailTags=TAGS,
)
ENTRY = made_of(
    Destination_=DESTINATION,
    ReplacementTags=TAGS,
    ReplacementEmailContent=made_of(ReplacementTemplate=made_of(ReplacementTemplateData=text(most=262_144))),
    ReplacementHeaders=HEADERS,
)
BULK = made_of(
    **COMMON, DefaultEmailTags=TAGS, DefaultContent_=made_of(Template=TEMPLATE), BulkEmailEntries_=many(ENTRY, 50)
)


@dataclass
class Ses:
    """One account in one region."""

    now: Callable[[], datetime]
    token: str | None = None  # where the credentials are temporary
    sending: bool = True
    configuration_sets: frozenset[str] = frozenset({"outreach"})
    rejected_people: frozenset[str] = frozenset()
    templates: bool = True  # whether it understands bulk requests at all
    statuses: list[str] = field(default_factory=list)  # of the next entries of bulk requests, in place of SUCCESS
    taken: list[Taken] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)

    def handle(self, request: Request) -> Response:
        try:
            self._verify(request)
            return Response(200, json.dumps(self._answer(request)).encode(), {"content-type": "application/json"})
        except Refused as error:
            return error.response

    def _answer(self, request: Request) -> dict[str, Any]:
        match request.method, request.route:
            case "GET", "/v2/email/account":
                return {"SendingEnabled": self.sending, "ProductionAccessEnabled": True}
            case "POST", "/v2/email/outbound-emails":
                return self._send(self._body(request, SEND))
            case "POST", "/v2/email/outbound-bulk-emails" if self.templates:
                return self._send_many(self._body(request, BULK))
        raise Refused("UnknownOperationException", status=404)

    def _verify(self, request: Request) -> None:
        """Signature version 4, from the request as it came in."""
        headers = request.headers
        found = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
        if not found:
            raise Refused("MissingAuthenticationTokenException", "Missing Authentication Token", 403)
        access, day, region, service, names, signature = found.groups()
        if access != ACCESS:
            raise Refused("UnrecognizedClientException", "The security token included in the request is invalid.", 403)
        if headers.get("x-amz-security-token") != self.token:
            raise Refused("ExpiredTokenException", "The security token included in the request is expired", 403)
        must = {"host", "x-amz-date"} | {
            name for name in headers if name.startswith("x-amz-") or name == "content-type"
        }
        moment = headers["x-amz-date"]
        at = datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if abs(self.now() - at) > timedelta(minutes=5):
            raise Refused("RequestExpired", "Signature expired", 403)
        parts = urlsplit(request.path)
        lines = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in names.split(";"))
        body = hashlib.sha256(request.body).hexdigest()
        canonical = "\n".join([request.method, parts.path, parts.query, lines, names, body])
        key = f"AWS4{SECRET}".encode()
        for word in (day, region, service, "aws4_request"):
            key = hmac.digest(key, word.encode(), "sha256")
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        said = f"AWS4-HMAC-SHA256\n{moment}\n{day}/{region}/{service}/aws4_request\n{digest}"
        right = hmac.digest(key, said.encode(), "sha256").hex()
        fits = day == moment[:8] and (region, service) == (REGION, "ses") and must <= set(names.split(";"))
        if not fits or right != signature:
            raise Refused("SignatureDoesNotMatch", "The request signature we calculated does not match", 403)

    def _body(self, request: Request, check: Check) -> dict[str, Any]:
        try:
            body = json.loads(request.body)
        except ValueError:
            raise Refused("SerializationException") from None
        check(body, "request")
        if not self.sending:
            raise Refused("SendingPausedException", "Email sending is paused.")
        if body.get("ConfigurationSetName", "outreach") not in self.configuration_sets:
            raise Refused("NotFoundException", "Configuration set does not exist.", 404)
        self.requests.append(body)
        return dict(body)

    def _name(self) -> str:
        return f"0100-{len(self.taken):04}"

    def _send(self, body: dict[str, Any]) -> dict[str, Any]:
        content = body["Content"]
        if len(content) != 1 or "Template" in content:
            raise bad("request.Content", "must be one of Simple and Raw here")
        to = body.get("Destination", {}).get("ToAddresses", [])
        if not to or parseaddr(to[0])[1] in self.rejected_people:
            raise Refused("MessageRejected", "Email address is not verified.")
        tags = {tag["Name"]: tag["Value"] for tag in body.get("EmailTags", [])}
        if "Raw" in content:
            self._take_raw(body, base64.b64decode(content["Raw"]["Data"], validate=True), tags)
        else:
            simple = content["Simple"]
            headers = _headers(simple.get("Headers", []))
            texts = {name: part["Data"] for name, part in simple["Body"].items()}
            self._take(body, to[0], tags, simple["Subject"]["Data"], texts, headers, "Simple")
        return {"MessageId": self.taken[-1].name}

    def _send_many(self, body: dict[str, Any]) -> dict[str, Any]:
        template = body["DefaultContent"]["Template"]
        shared = template.get("TemplateContent", {})
        if not shared.get("Subject") or not (shared.get("Text") or shared.get("Html")):
            raise bad("request.DefaultContent", "must have a subject and a body")
        for part in shared.values():
            if "{{" in re.sub(r"(?<![{\\])\{\{\w+\}\}(?!\})", "", part):
                raise Refused("BadRequestException", "Template contains unsupported operations.")
        if not body["BulkEmailEntries"]:
            raise bad("request.BulkEmailEntries", "must not be empty")
        return {"BulkEmailEntryResults": [self._send_entry(body, shared, one) for one in body["BulkEmailEntries"]]}

    def _send_entry(self, body: dict[str, Any], shared: dict[str, str], entry: dict[str, Any]) -> dict[str, Any]:
        to = entry["Destination"]["ToAddresses"][0]
        status = self.statuses.pop(0) if self.statuses else "SUCCESS"
        if parseaddr(to)[1] in self.rejected_people:
            status = "MESSAGE_REJECTED"
        if status != "SUCCESS":
            return {"Status": status, "Error": f"{to} could not be written to"}
        own = json.loads(entry["ReplacementEmailContent"]["ReplacementTemplate"]["ReplacementTemplateData"])
        texts = {name: re.sub(r"\{\{(\w+)\}\}", lambda tag: own[tag[1]], part) for name, part in shared.items()}
        headers = {name.lower(): (name, value) for name, value in _headers(entry.get("ReplacementHeaders", []))}
        tags = {tag["Name"]: tag["Value"] for tag in entry.get("ReplacementTags", [])}
        self._take(body, to, tags, texts.pop("Subject"), texts, list(headers.values()), "bulk")
        return {"Status": "SUCCESS", "MessageId": self.taken[-1].name}

    def _take(
        self,
        body: dict[str, Any],
        to: str,
        tags: Mapping[str, str],
        subject: str,
        texts: Mapping[str, str],
        headers: Sequence[tuple[str, str]],
        how: str,
    ) -> None:
        if len({name.lower() for name, _ in headers}) < len(headers) or any(len(n + v) > 996 for n, v in headers):
            raise bad("Headers", "must be shorter, and each there once")
        sender, reply_to = body["FromEmailAddress"], body.get("ReplyToAddresses", [])
        html, plain = texts.get("Html", ""), texts.get("Text", "")
        key = tags.get("message_id", "")
        self.taken.append(Taken(key, self._name(), to, sender, reply_to, subject, html, plain, headers, how))

    def _take_raw(self, body: dict[str, Any], raw: bytes, tags: Mapping[str, str]) -> None:
        mail = email.message_from_bytes(raw, policy=email.policy.default)
        assert isinstance(mail, EmailMessage)

        def part(kind: str) -> str:
            found = mail.get_body((kind,))
            return str(found.get_content()).replace("\r\n", "\n") if found else ""

        key, to = tags.get("message_id", ""), body["Destination"]["ToAddresses"][0]
        reply_to = [str(mail["reply-to"])] if mail["reply-to"] else []
        headers = [(name, str(value)) for name, value in mail.items()]
        subject = str(mail["subject"])
        sender = str(mail["from"])
        taken = (key, self._name(), to, sender, reply_to, subject, part("html"), part("plain"), headers, "Raw")
        self.taken.append(Taken(*taken))


def _headers(rows: Sequence[Mapping[str, str]]) -> list[tuple[str, str]]:
    return [(row["Name"], row["Value"]) for row in rows]


# What it reports.

TOPIC = f"arn:aws:sns:{REGION}:123456789012:ses-events"
CERTIFICATE = f"https://sns.{REGION}.amazonaws.com/SimpleNotificationService-00.pem"
SUBSCRIBE = f"https://sns.{REGION}.amazonaws.com/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=abc"
_OF = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
_OF["UnsubscribeConfirmation"] = _OF["SubscriptionConfirmation"]
_HASHES: dict[str, HashAlgorithm] = {"1": SHA1(), "2": SHA256()}


class Topic:
    """A topic of SNS: it signs what it says, and has its certificate where it says."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
        made = x509.CertificateBuilder(name, name, self._key.public_key(), 1)
        made = made.not_valid_before(datetime(2020, 1, 1, tzinfo=UTC)).not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
        self._certificate = made.sign(self._key, SHA256()).public_bytes(Encoding.PEM)
        self.fetched: list[str] = []

    async def fetch(self, url: str) -> bytes:
        """What stands at its addresses."""
        self.fetched.append(url)
        return self._certificate if url == CERTIFICATE else b"<ConfirmSubscriptionResponse/>"

    def says(self, told: str, at: datetime, name: str = "", version: str = "2", **more: str) -> Callback:
        message = {
            "Type": "Notification",
            "MessageId": name or hashlib.sha256(told.encode()).hexdigest()[:32],
            "TopicArn": TOPIC,
            "Message": told,
            "Timestamp": f"{at:%Y-%m-%dT%H:%M:%S}.000Z",
            "SignatureVersion": version,
            "SigningCertURL": CERTIFICATE,
            **more,
        }
        said = "".join(f"{name}\n{message[name]}\n" for name in _OF[message["Type"]] if name in message)
        signature = self._key.sign(said.encode("utf-8", "surrogatepass"), padding.PKCS1v15(), _HASHES[version])
        body = json.dumps({**message, "Signature": base64.b64encode(signature).decode()}).encode()
        headers = {"content-type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": message["Type"]}
        return Callback("POST", "https://shop.example.com/hooks/email", headers, body, at)
