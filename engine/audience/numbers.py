"""What a number is. Everything is counted in whole ten-thousandths, held in a double, so that memory and SQL agree.

`19.99` is 199,900 ten-thousandths. Sums of whole doubles are exact up to 900 billion, in whatever order they are added,
and the same few operations of IEEE 754 make them here, in SQLite and in PostgreSQL.
"""

from __future__ import annotations

import math
from decimal import Decimal

SCALE = 10_000.0
LARGEST = 1_000_000_000_000_000  # a number beyond this, either way, is unknown
WHOLE_ABOVE = 4_503_599_627_370_496  # 2**52: doubles beyond it have no fraction


def number_of(value: object) -> float | None:
    """A JSON value as a double, if it is a number that counts."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    return float(value) if -LARGEST <= value <= LARGEST else None


def whole(value: float) -> float:
    """Rounded to a whole number, halves away from zero."""
    if math.isnan(value) or abs(value) > WHOLE_ABOVE:
        return value
    return float(math.trunc(value + (-0.5 if value < 0 else 0.5)))


def units(value: float) -> float:
    """A number in ten-thousandths."""
    return whole(value * SCALE)


def decimal_of(count: float) -> Decimal:
    """Ten-thousandths as the number they stand for, without needless zeros."""
    return Decimal(count).scaleb(-4).normalize() + 0
