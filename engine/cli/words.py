"""The words of the command line in the language of whoever types: gettext catalogues in `locale/`, chosen by LANG.

Only the command line itself is translated: what comes from the rooms below it stays English, see docs/decisions/014.
"""

from __future__ import annotations

import gettext
import os
from collections.abc import Mapping
from pathlib import Path

LOCALES = Path(__file__).parent / "locale"
DOMAIN = "outreach"
SPOKEN = ("zh",)  # beside English, in which the code itself is written


def language(environment: Mapping[str, str] | None = None) -> str:
    """The first language wished for that is spoken here; English where none is. LANGUAGE may name several."""
    env = os.environ if environment is None else environment
    wished = next((env[name] for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG") if env.get(name)), "")
    for one in wished.split(":"):
        spoken = one.replace("-", "_").split(".")[0].split("@")[0].split("_")[0].lower()
        if spoken in SPOKEN:
            return spoken
        if spoken in ("en", "c", "posix"):
            break
    return "en"


def catalogue(spoken: str) -> gettext.NullTranslations:
    """What is said in this language."""
    return gettext.translation(DOMAIN, LOCALES, languages=[spoken], fallback=True)


LANGUAGE = language()
_catalogue = catalogue(LANGUAGE)
_ = _catalogue.gettext
ngettext = _catalogue.ngettext


def counted(one: str, many: str, count: int) -> str:
    """So many of something, in the number that the language asks for; `{count}` stands in both."""
    return ngettext(one, many, count).format(count=count)


if LANGUAGE != "en":  # the help that typer writes around ours asks the standard catalogue
    gettext.bindtextdomain(DOMAIN, str(LOCALES))
    gettext.textdomain(DOMAIN)
