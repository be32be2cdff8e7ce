"""What a number is. Everything is counted in whole ten-thousandths, held in a double, so that memory and SQL agree.

`19.99` is 199,900 ten-thousandths. Sums of whole doubles are exact up to 900 billion, in whatever order they are added,
and the same few operations of IEEE 754 make them here, in SQLite and in PostgreSQL.
"""

from __future__ import annotations

from decimal import Decimal

SCALE = 10_000.0
LARGEST = 1_000_000_000_000_000  # a number beyond this, either way, is unknown
WHOLE_ABOVE = 4_503_599_627_370_496  # 2**52: doubles beyond it have no fraction
_NUMBERS = (float, int, Decimal)


def number_of(value: object) -> float | None:
    """A JSON value as a double, if it is a number that counts."""
    if not isinstance(value, _NUMBERS) or isinstance(value, bool):
        return None
    return float(value) if -LARGEST <= value <= LARGEST else None


def whole(value: float) -> float:
    """Rounded to a whole number, halves away from zero."""
    if not -WHOLE_ABOVE <= value <= WHOLE_ABOVE:  # or no number at all
        return value
    return float(int(value - 0.5 if value < 0 else value + 0.5))


def units(value: float) -> float:
    """A number in ten-thousandths."""
    return whole(value * SCALE)


def decimal_of(count: float) -> Decimal:
    """Ten-thousandths as the number they stand for, without needless zeros."""
    return Decimal(count).scaleb(-4).normalize() + 0
