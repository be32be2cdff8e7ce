"""What an SMS is on its way: the alphabet it needs, the parts it is sent and paid in, the words a country wants in it.

After 3GPP TS 23.038 and 23.040: 160 signs of the small alphabet, or 70 of the large one, go into one message. A longer
text is sent in parts; a header in each leaves room for 153 or 67. What takes two places is never divided.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from engine.audience.phones import country_of_phone
from engine.message.locale import choose
from engine.settings import SmsSettings

SMALL: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
TWICE: Final = frozenset("\f^{}\\[~]|€")  # of the small alphabet too, behind a sign that says so
_CHINA: Final = "+86"
_ALL_SMALL: Final = re.compile(f"[{re.escape(''.join(sorted(SMALL | TWICE)))}]*")
_TWICE: Final = re.compile(f"[{re.escape(''.join(sorted(TWICE)))}]")
_ROOM: Final = {"GSM-7": (160, 153), "UCS-2": (70, 67)}  # alone, and in each of several parts
#: signs that make a text large for their looks alone, and what says the same in the small alphabet
PLAIN: Final = {
    **dict.fromkeys("‘’‚‛′`´", "'"),
    **dict.fromkeys("“”„‟″«»", '"'),
    **dict.fromkeys("‐‑‒–—―−", "-"),
    **dict.fromkeys("\u00a0\u2009\u202f\u200a\u2002\u2003", " "),
    **dict.fromkeys("\u200b\u200c\u200d\ufeff\u00ad", ""),
    "…": "...",
    "•": "-",
    "·": "-",
    "×": "x",
    "\t": " ",
}


@dataclass(frozen=True)
class Parts:
    """How a text is sent. `used` counts septets of the small alphabet, or UTF-16 units of the large one."""

    alphabet: Literal["GSM-7", "UCS-2"]
    used: int
    count: int

    @property
    def room(self) -> int:
        """How much these parts could hold."""
        alone, each = _ROOM[self.alphabet]
        return alone if self.count == 1 else each * self.count


def parts_of(text: str, number: str = "") -> Parts:
    """The parts a text is sent in to a number. In China all signs are counted as those of the large alphabet."""
    if not number.startswith(_CHINA) and _ALL_SMALL.fullmatch(text):
        used = len(text) + len(_TWICE.findall(text))
        return Parts("GSM-7", used, _count("GSM-7", used, (2 if sign in TWICE else 1 for sign in text)))
    used = len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2
    return Parts("UCS-2", used, _count("UCS-2", used, (2 if ord(sign) > 0xFFFF else 1 for sign in text)))


def _count(alphabet: Literal["GSM-7", "UCS-2"], used: int, sizes: Iterable[int]) -> int:
    alone, each = _ROOM[alphabet]
    if used <= alone:
        return 1
    count, left = 1, each
    for size in sizes:
        if size > left:
            count, left = count + 1, each
        left -= size
    return count


def costly_sign(text: str) -> tuple[int, str, str] | None:
    """Where the first sign stands that only for its looks makes a text large; its name and what to write for it."""
    large = [index for index, sign in enumerate(text) if sign not in SMALL and sign not in TWICE]
    if not large or any(text[index] not in PLAIN for index in large):
        return None
    sign = text[large[0]]
    plain = PLAIN[sign]
    name = f"`{sign}`" if plain.strip() else unicodedata.name(sign, "a tab").lower()
    return large[0], name, f"write {plain}" if plain.strip() else "write a plain space" if plain else "take it out"


def large_signs(text: str) -> tuple[str, ...]:
    """Each sign that the small alphabet does not have, once, in the order of the text: any one makes it large."""
    return tuple(dict.fromkeys(sign for sign in text if sign not in SMALL and sign not in TWICE))


def plainly(text: str) -> str:
    """The same text with a plain sign for each that is large for its looks alone."""
    return "".join(PLAIN.get(sign, sign) for sign in text)


# --- the words a country wants


def words_for(
    settings: SmsSettings, number: str, country: str | None, locale: str, shop_locale: str
) -> tuple[str, str]:
    """The signature and the way out of the country that a number belongs to, in the language of a text."""
    own = settings.countries.get(country_of_phone(number, country) or "") if settings.countries else None
    signature, opt_out = settings.signature, settings.opt_out
    if own is not None:
        signature = signature if own.signature is None else own.signature
        opt_out = opt_out if own.opt_out is None else own.opt_out
    if isinstance(opt_out, Mapping):
        opt_out = opt_out.get(choose(locale, frozenset(opt_out), shop_locale) or "", "")
    return signature or "", opt_out or ""


def framed(text: str, signature: str, opt_out: str) -> str:
    """A text between its signature and its way out; what the author wrote themselves is not put in twice."""
    if signature and not text.startswith(signature):
        text = signature + _between(signature, text) + text
    if opt_out and opt_out not in text:
        text += _between(text, opt_out) + opt_out
    return text


def _between(left: str, right: str) -> str:
    """Nothing between Chinese words, a space between others: a link must not run into what follows."""
    return "" if _is_wide(left[-1:]) and (_is_wide(right[:1]) or left.endswith("】")) else " "


def _is_wide(sign: str) -> bool:
    return bool(sign) and unicodedata.east_asian_width(sign) in "WF"
