"""Every code a Problem about audience.yaml can carry beside those of `engine.journey.codes`, with its sentence."""

from __future__ import annotations

from typing import Final

CODES: Final[dict[str, str]] = {
    # lists and pools
    "empty-list": "A named list holds no word.",
    "bad-pool-file": "A pool names something else than a CSV file inside the journeys' folder that begins with `code`.",
    "no-pool-file": "The file of a pool is not there.",
    "empty-pool": "The file of a pool holds no code (a warning).",
    # traits
    "missing-trait-kind": "A trait does not say what it computes.",
    "unknown-trait-kind": "A trait has a key that is neither something to compute nor a refinement of it.",
    "two-trait-kinds": "A trait computes two things at once.",
    "missing-trait-key": "A trait that looks at a key of the event, such as a sum, names none.",
    "trait-shadows-built-in": "A trait has the name of a built-in one.",
    "trait-shadows-attribute": "A trait has the name of something kept about every person, or of a word of conditions.",
    "not-of-the-event": "The `where` of a trait asks for something else than the event's own keys.",
    # segments
    "unknown-segment": "A segment that does not exist.",
    "unknown-list": "A list that does not exist.",
    "circular-segment": "A segment that is defined by itself.",
    "not-for-everyone": "A segment asks for the event at hand, a message or the clock.",
    # comparisons that can never hold
    "impossible-condition": "A segment or trait asks for two things that cannot both be (a warning inside of `any`).",
    "wrong-kind": "A number, amount of money, text or instant is compared with something it never is.",
    "unknown-value": "A built-in score is compared with a value it never has.",
    "no-rate": "An amount in a currency for which config.yaml has no rate.",
}
"""Code to sentence, in the order of the documentation."""
