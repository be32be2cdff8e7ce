"""Values that travel between rooms and never change. Those made for every person are `msgspec.Struct`s, which are made
in a tenth of the time of a frozen dataclass; both are replaced alike."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar, cast

from msgspec import Struct, structs

T = TypeVar("T")


def replace(value: T, **changes: Any) -> T:
    """The same value with these of its parts changed."""
    if isinstance(value, Struct):
        return structs.replace(value, **changes)
    return cast(T, dataclasses.replace(cast(Any, value), **changes))
