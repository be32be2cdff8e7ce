"""The promises about caps, consent and quiet hours, over as many random fights as one likes. A long proof.

    python3 dev.py promises [--fights 20000] [--seed 0]

Each fight is played once and held against every promise of tests/decide/test_promises_in_fights.py. A promise that is
broken is told with the number of the fight; exit code 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.decide import test_promises_in_fights as promises
from tests.decide.fight import fought


def properties() -> dict[str, Callable[[int], None]]:
    """Each promise that is asked of a fight, by its name."""
    found: dict[str, Any] = {name: test for name, test in vars(promises).items() if hasattr(test, "hypothesis")}
    return {name: test.hypothesis.inner_test for name, test in found.items() if "seed" in _arguments(test)}


def _arguments(test: Any) -> tuple[str, ...]:
    code = test.hypothesis.inner_test.__code__
    return tuple(code.co_varnames[: code.co_argcount])


def main() -> int:
    parser = argparse.ArgumentParser(prog="dev.py promises", description="Hold the promises in random fights.")
    parser.add_argument("--fights", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0, help="the number of the first fight")
    asked = parser.parse_args()
    broken: Counter[str] = Counter()
    began, held = time.monotonic(), properties()
    for number in range(asked.seed, asked.seed + asked.fights):
        for name, holds in held.items():
            try:
                holds(number)
            except AssertionError as error:
                broken[name] += 1
                print(f"fight {number}: {name} {str(error).partition(chr(10))[0]}")
        fought.cache_clear()
    told = ", ".join(f"{name} {count}" for name, count in broken.items()) or "none broken"
    print(f"{asked.fights} fights, {len(held)} promises each, {time.monotonic() - began:.0f} seconds: {told}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
