"""One spelling for one address: what the list of suppressed addresses remembers, and every process has to know.

Apart from `addresses`, which reads with libraries that take their time to load.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache


def spelling(channel: str, address: str) -> str:
    """One spelling for one address, however it is written: what the list of suppressed addresses remembers.

    Width and form of letters, case, signs nobody sees, the two ways of writing a domain, `00` for `+`, spaces and
    dashes of a number make no difference. Openids and tokens are what they are.
    """
    text = unicodedata.normalize("NFKC", address).strip()
    if channel in ("email", "sms") and text.isascii():
        text = text.lower().replace(" ", "")  # the same at a twentieth of the price
    elif channel in ("email", "sms"):
        text = unicodedata.normalize("NFKC", text.casefold())
        text = "".join(sign for sign in text if unicodedata.category(sign) not in ("Cf", "Zs"))
    if channel == "email":
        mailbox, at, domain = text.rpartition("@")
        return f"{mailbox}{at}{_in_ascii(domain)}"
    if channel == "sms":
        digits = "".join(sign for sign in text if sign.isdecimal() or sign == "+")
        return f"+{digits[2:]}" if digits.startswith("00") else digits
    return text


@lru_cache(maxsize=10_000)
def _in_ascii(domain: str) -> str:
    """`münchen.example` -> `xn--mnchen-3ya.example`; what is no domain stays as it is."""
    try:
        return domain.rstrip(".").encode("idna").decode()
    except UnicodeError:
        return domain
