"""What authors allow: a warning is silenced by its code, with a reason, where it is raised. Errors never are.

`allow: {cap-leaves-no-room: "the second is for those who missed the first"}` in a step holds for what is written in
that step, in the head of a journey and in audience.yaml for the file, in config.yaml for the whole shop.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from engine.journey.mistakes import fault
from engine.journey.quantities import Text

KEY = "allow"


def _reasons(value: object) -> object:
    if isinstance(value, dict):
        return value
    hint = 'say why: `allow: {missing-locale: "only for Berlin"}`'
    raise fault("expected-mapping", "`allow` takes codes of findings, each with a reason", hint)


Allow = Annotated[
    dict[str, Text],
    BeforeValidator(_reasons),
    WithJsonSchema({"definition": "allow"}),
    Field(
        default_factory=dict,
        exclude=True,  # no part of what a journey means
        description='Findings that are meant so, by their code, with the reason: {missing-locale: "only for Berlin"}.',
    ),
]
