"""Every code a Problem about config.yaml can carry beside those of `engine.journey.codes`, with its sentence."""

from __future__ import annotations

from typing import Final

CODES: Final[dict[str, str]] = {
    "no-config": "There is no config.yaml where it was looked for.",
    "unknown-provider": "A provider that is not installed.",
    "bad-provider-option": "A setting of a channel that its provider does not have, needs, or cannot use.",
    "unserved-countries": "Countries in which nobody could be written to by a channel that has providers. A warning.",
    "no-such-channel": "A word that is no channel: email, sms, push, wechat, inbox; under `channels` also webhook.",
    "bad-url": "An address that does not begin with https:// or http://.",
}
"""Code to sentence, in the order of the documentation."""
