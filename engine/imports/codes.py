"""Every code a Problem about an import file or its mapping can carry here, with the sentence it is documented by."""

from __future__ import annotations

from typing import Final

CODES: Final[dict[str, str]] = {
    # the file
    "unknown-file-type": "The file's name says neither CSV nor JSON lines.",
    "unreadable-file": "The file cannot be opened.",
    "broken-archive": "A packed file ends too early or is damaged.",
    "empty-file": "The file holds no rows.",
    "not-utf8": "Something in the file is not UTF-8 text.",
    "line-too-long": "A line is longer than a million characters.",
    "control-character": "A NUL character stands in a row.",
    # its columns
    "missing-column": "A column that has to be there is not.",
    "duplicate-column": "Two columns have the same name.",
    "too-many-columns": "The first line names more than 2,000 columns.",
    "nameless-column": "A column has no name and is not read (a warning).",
    "other-separator": "Cells are separated by something other than commas (a warning).",
    "likely-column": "A column kept as an attribute is written nearly like one that means something (a warning).",
    "unknown-channel": "A consent column names a channel that does not exist (a warning).",
    "unknown-topic": "A consent column names a topic that is not in config.yaml (a warning).",
    "column-not-read": "A column of an event means nothing here and is not read (a warning).",
    # a row
    "ragged-row": "A row has more or fewer cells than the first line names.",
    "bad-quotes": "The quotes of a row do not fit.",
    "open-quote": "A quote is opened and never closed.",
    "bad-json": "A line or a payload is not JSON.",
    "duplicate-id-in-file": "An id stands twice in the file; the first row is taken.",
    "bad-tag": "A tag is too long or holds a quote.",
    "missing-id": "A person or an event has no id.",
    "missing-person": "An event does not say whose it is.",
    "missing-name": "An event has no name.",
    "missing-instant": "An event does not say when it happened.",
    "missing-value": "A key that has to be there is not.",
    "unknown-field": "A key that is not read here.",
    # a value
    "bad-email": "A text is no e-mail address.",
    "bad-phone": "A text is no telephone number.",
    "bad-token": "A text is no openid or push token.",
    "bad-country": "A text is not a country's two letters.",
    "bad-locale": "A text is no locale.",
    "bad-zone": "A text is no time zone.",
    "bad-instant": "A text is no instant, or does not say in which zone.",
    "bad-consent": "A word of consent is neither yes nor no.",
    "bad-attribute": "An attribute is a list or a mapping.",
    "bad-number": "A text is no number.",
    "bad-text": "A text is too long or holds a control character.",
    "bad-value": "A value cannot be used here.",
    # the mapping
    "no-part-in-map": "The mapping file does not speak of people, or not of events.",
    "unknown-column-in-map": "The mapping file names a column the file does not have.",
    "bad-source": "The mapping file takes one value from two places, or from none.",
    "bad-consent-name": "The mapping file names a consent that is not channel.topic.",
    "unmapped-value": "A value is not in its map, and there is no `otherwise`.",
    "too-many-lines": "More than 10,000 lines are one event: the group is wrong.",
}
"""Code to sentence, in the order of the documentation."""
