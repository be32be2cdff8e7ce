"""The page docs/errors.md, made from the lists of codes: run `python -m engine.cli.error_page` after a change."""

from __future__ import annotations

import re
from pathlib import Path

from engine.audience.codes import CODES as AUDIENCE
from engine.cli.codes import CODES as CONFIG
from engine.imports.codes import CODES as FILES
from engine.journey.codes import CODES as JOURNEYS
from engine.message.codes import CODES as TEXTS
from engine.work.codes import CODES as ROWS

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"
FINDINGS = PAGE.with_name("findings.md")
PARTS = (
    ("YAML, journeys and what all files share", JOURNEYS),
    ("audience.yaml", AUDIENCE),
    ("config.yaml", CONFIG),
    ("Texts", TEXTS),
    ("Files to import", {**FILES, **ROWS}),
)
HEAD = """\
# What a mistake is called

Every mistake is told with its file, line and column, a sentence, a code between brackets, the line itself, and, where
one is known, a cure:

    journeys/after_purchase.yaml:13:5: error: `mail` is not a verb [unknown-verb]
      - mail: thank_you
        ^
        did you mean `send`?

`outreach check` tells all of them at once and ends with 2, with 1 if there are warnings only, and with 0 if there is
nothing to tell. With `--format json` it gives the same as one JSON value: `problems`, each with `code`, `sentence`,
`position` (`file`, `line`, `column`), `hint` and `severity`. The codes stay; the sentences may become better.

A code that is a link is explained on [a page of its own](findings.md), with an example and its cure;
`outreach check --explain CODE` prints the same.

`outreach check FILE...` tells only what concerns these files or folders; the others are read all the same, for their
names. `outreach check --watch` checks again after each save, until Ctrl-C. Other programs read it in other formats:

| `--format` | who reads it | what stands on standard output |
|---|---|---|
| `text` | people | a count; findings stand on standard error |
| `json` | scripts | one value: `journeys`, `errors`, `warnings`, `problems`, and `silenced`, each with its `reason` |
| `github` | a workflow of GitHub | a command for each finding, which becomes a note at its line |
| `sarif` | code scanning, editors | SARIF 2.1.0: a rule a code; the [allowed](journeys.md#allow) are suppressed |
| `junit` | most CI servers | a test case for each file; errors make it fail, warnings are its output |

Files are named from the folder one stands in. The exit code is the same in all formats.

| exit code | what it means |
|---|---|
| 0 | done |
| 1 | finished with problems to look at: warnings, rows that were refused, a doctor's finding |
| 2 | bad input: nothing was published, sent or changed |
| 3 | the surroundings are unfit: the disk, the database, a port, a missing secret, another daemon |
| 130 | stopped by Ctrl-C; what was done until then stays |
"""


def page() -> str:
    """The whole page."""
    explained = set(re.findall(r"^### `([a-z-]+)`", FINDINGS.read_text(encoding="utf-8"), re.MULTILINE))
    parts = [HEAD]
    for title, codes in PARTS:
        names = {code: f"[`{code}`](findings.md#{code})" if code in explained else f"`{code}`" for code in codes}
        rows = "\n".join(f"| {names[code]} | {sentence} |" for code, sentence in codes.items())
        parts.append(f"## {title}\n\n| code | what it says |\n|---|---|\n{rows}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
