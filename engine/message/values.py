"""What a template is handed: named values, values that are missing, and the page it writes on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any

from jinja2 import StrictUndefined
from jinja2.nodes import EvalContext
from jinja2.runtime import Context

from engine.message.limits import MOST_STEPS, MOST_WORK, TooMuch, weight
from engine.message.locale import Formats


class Fields(dict[str, Any]):
    """Named values under one name (`person`, `event`): a template reads them as `person.name`."""

    __slots__ = ("label",)

    def __init__(self, label: str, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.label = label


class Missing(StrictUndefined):
    """A value that is not there: printing, comparing or counting it is an error, `is defined` and `default` are not."""

    __slots__ = ()


class Page(Context):
    """The names of one rendering, and with what they are written."""

    formats: Formats
    zone: tzinfo
    now: datetime
    steps_left: int = MOST_STEPS
    work_left: int = MOST_WORK

    @classmethod
    def of(cls, evaluation: EvalContext, names: dict[str, Any], name: str) -> Page:
        """As Jinja makes one, but for what every page of a template has alike: that is made once."""
        page = cls.__new__(cls)
        page.environment, page.eval_ctx = evaluation.environment, evaluation
        page.parent, page.vars, page.name = names, {}, name
        page.exported_vars, page.globals_keys, page.blocks = set(), set(), {}
        return page

    def works_on(self, value: Any, times: int = 1) -> None:
        """Take what there is to look at in a value from what one rendering may do."""
        self.work_left -= weight(value) * times
        if self.work_left < 0:
            raise TooMuch("it works on more than a message needs")
