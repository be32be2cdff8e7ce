"""The words of the command line in the language of whoever types: gettext catalogues in `locale/`, chosen by LANG."""

from __future__ import annotations

import gettext
import os
from pathlib import Path

LOCALES = Path(__file__).parent / "locale"
DOMAIN = "outreach"


def languages(environment: dict[str, str] | None = None) -> list[str]:
    """Languages wished for, the first one first: LANGUAGE, LC_ALL, LC_MESSAGES, LANG, as gettext reads them."""
    env = dict(os.environ) if environment is None else environment
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        if env.get(name):
            return [part.split(".")[0] for part in env[name].split(":")]
    return []


_catalogue = gettext.translation(DOMAIN, LOCALES, languages=languages() or ["en"], fallback=True)
_ = _catalogue.gettext
ngettext = _catalogue.ngettext
