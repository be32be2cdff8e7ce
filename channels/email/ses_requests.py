"""The requests of Amazon SES: one mail, or mails that are alike with what they share as a template."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from channels.contract import Content, Email, FailureReason
from channels.email import alike, mime
from channels.email.alike import Group, Mail, Merged
from channels.errors import Rejected

KEY = "message_id"  # the tag that holds our key

_MAIL = 40 * 1000 * 1000  # bytes of a mail, in base64
_BULK = 1000 * 1000  # bytes of a request with a template in it
_OWN = 262_144  # characters of the values of one mail
_HEADERS, _NAME, _VALUE, _LINE = 15, 126, 995, 996  # how many, and how long their names, values and both may be
_TAG = re.compile(r"[A-Za-z0-9_-]{1,256}")
_PRINTABLE = re.compile(r"[ -~]+")


def single(mail: Mail, letterhead: mime.Letterhead, configuration_set: str | None) -> bytes:
    """A mail that leaves alone: built by SES, or by us where a header is more than SES lets us say."""
    if _fits(mail):
        content: dict[str, Any] = {"Simple": _simple(mail)}
    else:
        out = mail.outgoing
        raw = mime.compose(mail.content, out.key, out.created_at, letterhead).data
        content = {"Raw": {"Data": base64.b64encode(raw).decode()}}
    destination = {"ToAddresses": [_to(mail)]}
    common = _common(mail, configuration_set)
    return _bytes({**common, "Destination": destination, "Content": content, "EmailTags": _tags(mail)})


def bulk(mails: Group, configuration_set: str | None) -> bytes | None:
    """Mails that are alike as one request; None when they cannot be."""
    merged = alike.merged(mails, lambda nth: f"{{{{v{nth}}}}}")
    own = [_json({tag[2:-2]: value for tag, value in values.items()}) for values in merged.values]
    if _is_torn(merged) or max(map(len, own)) > _OWN:
        return None
    entries = [
        {
            "Destination": {"ToAddresses": [_to(one)]},
            "ReplacementTags": _tags(one),
            "ReplacementEmailContent": {"ReplacementTemplate": {"ReplacementTemplateData": values}},
            "ReplacementHeaders": _headers(one),
        }
        for one, values in zip(mails, own, strict=True)
    ]
    parts = (("Subject", merged.subject), ("Text", merged.text), ("Html", merged.html))
    template = {"TemplateContent": {name: text for name, text in parts if text.strip()}, "TemplateData": "{}"}
    body = _bytes(
        {**_common(mails[0], configuration_set), "DefaultContent": {"Template": template}, "BulkEmailEntries": entries}
    )
    return body if len(body) <= _BULK else None


def _common(mail: Mail, configuration_set: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {"FromEmailAddress": mime.mailbox(mail.written.sender_name, mail.written.sender)}
    if mail.written.reply_to:
        found["ReplyToAddresses"] = [mail.written.reply_to]
    if configuration_set is not None:
        found["ConfigurationSetName"] = configuration_set
    return found


def too_large(content: Content) -> Rejected | None:
    """What SES would refuse by its size."""
    assert isinstance(content, Email)
    size = (len(content.html.encode()) + len(content.text.encode())) * 4 // 3
    if size > _MAIL:
        return Rejected("The mail is larger than SES takes (40 MB).", reason=FailureReason.content)
    return None


def _fits(mail: Mail) -> bool:
    """Whether SES can be told the headers of a mail that it builds itself."""
    headers = mail.written.headers
    return (
        len(headers) <= _HEADERS
        and len({name.lower() for name, _ in headers}) == len(headers)
        and all(len(name) <= _NAME and len(value) <= _VALUE and len(name + value) <= _LINE for name, value in headers)
        and all(_PRINTABLE.fullmatch(value) for _, value in headers)
    )


def fits_a_template(mail: Mail) -> bool:
    """Whether a mail can be told by a template: nothing in it looks as if it were to be filled in."""
    texts = (mail.content.subject, mail.content.html, mail.content.text, *(value for _, value in mail.written.headers))
    return _fits(mail) and bool(mail.content.subject.strip()) and not any("{{" in text for text in texts)


def _is_torn(merged: Merged) -> bool:
    """Whether a brace or a backslash beside a tag would change what the tag means."""
    return any(re.search(r"[{\\]\{\{v\d|v\d+\}\}\}", text) for text in (merged.subject, merged.html, merged.text))


def _simple(mail: Mail) -> dict[str, Any]:
    parts = (("Text", mail.content.text), ("Html", mail.content.html))
    body = {name: _utf8(text) for name, text in parts if text.strip()}
    return {"Subject": _utf8(mail.content.subject), "Body": body, "Headers": _headers(mail)}


def _utf8(text: str) -> dict[str, str]:
    return {"Data": text, "Charset": "UTF-8"}


def _headers(mail: Mail) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in mail.written.headers]


def _to(mail: Mail) -> str:
    return mime.mailbox(mail.written.to_name, mail.written.to)


def _tags(mail: Mail) -> list[dict[str, str]]:
    """Our key as a tag; one with other signs than SES allows is not told, and its events are known by the MessageId."""
    key = mail.outgoing.key
    return [{"Name": KEY, "Value": key}] if _TAG.fullmatch(key) else []


def _json(found: object) -> str:
    return json.dumps(found, ensure_ascii=False, separators=(",", ":"))


def _bytes(found: object) -> bytes:
    return _json(found).encode()
