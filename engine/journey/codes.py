"""Every code a Problem of this room can carry, with the sentence the documentation lists it by."""

from __future__ import annotations

from typing import Final

CODES: Final[dict[str, str]] = {
    # the file as a file
    "not-utf8": "The file is not UTF-8 text.",
    "control-character": "The file holds a character that cannot be seen and does not belong in a text.",
    "too-large": "The file is longer than 1 MB.",
    "too-deep": "Lists and mappings are nested more than 40 deep.",
    "too-many-nodes": "The file holds more than 20,000 keys and values.",
    "empty-file": "The file says nothing.",
    "unreadable-file": "The file cannot be opened.",
    # the file as YAML
    "not-yaml": "The text is not YAML.",
    "tab-indent": "A tab stands where YAML wants spaces.",
    "duplicate-key": "The same key is written twice in one mapping.",
    "bad-key": "A key is not a plain word.",
    "tag-refused": "A YAML tag (!something) is used; journeys have none.",
    "alias-refused": "A YAML alias (*something) is used; journeys have none.",
    "many-documents": "A second YAML document follows in the same file.",
    # shapes and values
    "unknown-key": "A key that does not exist here.",
    "missing-key": "A key that must be there is not.",
    "not-built-yet": "A word of the language that this version does not carry out yet.",
    "expected-mapping": "Keys with values should stand here.",
    "expected-list": "A list should stand here.",
    "expected-text": "A single text should stand here.",
    "expected-number": "A number should stand here.",
    "expected-yes-no": "true or false should stand here.",
    "empty-value": "A key is written without a value.",
    "out-of-range": "A number is too small or too large.",
    "unknown-word": "A word that is none of the few allowed here.",
    "bad-form": "A text does not have the form it needs.",
    "bad-value": "A value cannot be used here.",
    "bad-duration": "A duration without number and unit.",
    "bad-money": "An amount of money without number and currency.",
    "bad-share": "A share that is not a percentage between 0% and 100%.",
    "bad-time": "A time of day that is not hours and minutes.",
    "bad-weekday": "A word that is not a weekday.",
    "bad-window": "A span of the day that is not two times with a dash.",
}
"""Code to sentence, in the order of the documentation."""
