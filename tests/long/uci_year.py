"""The whole UCI history, December 2010 to December 2011, through the golden journey: a long proof.

    python3 dev.py uci [FOLDER]

Every order of the year is told at its time and every mail goes over a real SMTP socket, in two lives side by side: one
without caps, where each single mail must be what the oracle finds in the CSV, to the instant; one under the caps that
ship. The databases stay in FOLDER, to look at. Exit code 1 when anything is not as it must be.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.real import uci
from tests.real.uci_expected import Expected, Night, Span
from tests.real.uci_oracle import FILE, HOUR, data_dir, oracle
from tests.real.uci_replay import LOOSE, QUIET, PostOffice, Shop, make_shop, replay
from tests.real.uci_verdict import Record, disagreements, in_the_night, over_caps, unfounded_refusals

YEAR = Span(datetime(2010, 12, 1, tzinfo=UTC), datetime(2011, 12, 20, tzinfo=UTC), HOUR)
NIGHT = Night(22, 7)
SHOWN = 20  # disagreements that are printed
Judged = tuple[list[str], list[str]]  # what is told of a life, and what was not as it must be


def main(folder: Path) -> int:
    data = data_dir()
    if data is None:
        print(f"{FILE} is not here; OUTREACH_DATA names its folder")
        return 3
    people, events = uci.convert(data / FILE, folder / "history", seed=1)
    free = make_shop(folder / "without_caps", people, events, YEAR.since, YEAR.until)
    capped = Shop(Path(shutil.copytree(free.folder, folder / "with_caps")))
    with ProcessPoolExecutor(max_workers=2) as side_by_side:
        lives = [side_by_side.submit(without_caps, free), side_by_side.submit(with_caps, capped)]
        lived = [life.result() for life in lives]
    for told, _ in lived:
        print("\n".join(told))
    wrong = [one for _, found in lived for one in found]
    print("\n".join(wrong[:SHOWN]) or "All of it is as it must be.")
    print(f"{len(wrong)} things are not; the databases are in {folder}")
    return 1 if wrong else 0


def without_caps(shop: Shop) -> Judged:
    """Only the night holds mails back: each is foreseen."""
    truth = oracle(seed=1)
    office, told = live(shop, LOOSE)
    expected = Expected(truth, YEAR, NIGHT)
    told += [f"  {name:<36}{count:>8,}" for name, count in expected.totals().items()]
    return told, [
        *disagreements(expected, Record(shop.database), office.arrived, truth),
        *(f"in the night: {mail}" for mail in in_the_night(office.arrived, truth, NIGHT)),
    ]


def with_caps(shop: Shop) -> Judged:
    """The caps that ship, two a day and five a week, two hours between any two, and the night."""
    truth = oracle(seed=1)
    office, told = live(shop, QUIET)
    record = Record(shop.database)
    capped = Counter(one.detail["cap"] for one in record.written if one.rule == "capped")
    told += [f"  {'refused: ' + name:<36}{count:>8,}" for name, count in sorted(capped.items())]
    repeated = len(office.arrived) - len({mail.key for mail in office.arrived})
    return told, [
        *over_caps(office.arrived, truth, per_day=2, per_week=5, gap=timedelta(hours=2)),
        *(f"in the night: {mail}" for mail in in_the_night(office.arrived, truth, NIGHT)),
        *unfounded_refusals(office.arrived, record, truth),
        *([f"{repeated} mails came twice"] if repeated else []),
    ]


def live(shop: Shop, policy: dict[str, object]) -> tuple[PostOffice, list[str]]:
    """The year under a policy: the server that took its mails, and what it cost."""
    shop.set(YEAR, policy)
    began = time.monotonic()
    with PostOffice(shop.clock) as office:
        app = replay(shop, office.port)
    seconds = time.monotonic() - began
    cost = f"{app.database.statements:,} statements, {seconds:.0f} s"
    return office, [f"{shop.folder.name}: {len(office.arrived):,} mails, {cost}"]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="outreach-uci-"))))
