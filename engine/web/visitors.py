"""Is it a person who follows a link, or a program that looks at every link of every mail?"""

from __future__ import annotations

import re
from collections.abc import Mapping

# Names that scanners, prefetchers and makers of link previews give themselves. A browser's name is proof of nothing.
# Cubot makes telephones.
_NAMES = re.compile(
    r"(?<!cu)bot\b|crawl|spider|scan|preview|prefetch|headless|monitor|"
    r"barracuda|mimecast|proofpoint|safelinks|symantec|forefront|trendmicro|sophos|fireeye|zscaler|"
    r"googleimageproxy|yahoomailproxy|ggpht|facebookexternalhit|meta-external|whatsapp/|skypeuri|linkedinbot|"
    r"microsoft office|ms-office|virustotal|"
    r"google-safety|google-read-aloud|feedfetcher",
    re.IGNORECASE,
)
_AHEAD = ("sec-purpose", "purpose", "x-purpose", "x-moz")  # told by browsers that load a page before it is asked for


def is_machine(method: str, headers: Mapping[str, str]) -> bool:
    """True for what is obviously no person."""
    agent = headers.get("user-agent", "").strip()
    if method != "GET" or not agent or _NAMES.search(agent[:500]):
        return True
    return any("prefetch" in told or "preview" in told for told in (headers.get(name, "").lower() for name in _AHEAD))
