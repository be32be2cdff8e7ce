"""The whole UCI history, December 2010 to December 2011, through the golden journey: a long proof.

    python3 dev.py uci [FOLDER]

Every order of the year is told at its time and every mail goes over a real SMTP socket, twice: once without caps, where
each single mail must be what the oracle finds in the CSV, to the instant; once under the caps that ship. The databases
stay in FOLDER, to look at. Exit code 1 when anything is not as it must be.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.real import uci
from tests.real.uci_expected import Expected, Night, Span
from tests.real.uci_oracle import FILE, HOUR, Truth, data_dir, oracle
from tests.real.uci_replay import LOOSE, QUIET, PostOffice, Shop, make_shop, replay
from tests.real.uci_verdict import Record, disagreements, in_the_night, over_caps, unfounded_refusals

YEAR = Span(datetime(2010, 12, 1, tzinfo=UTC), datetime(2011, 12, 20, tzinfo=UTC), HOUR)
NIGHT = Night(22, 7)
SHOWN = 20  # disagreements that are printed


def main(folder: Path) -> int:
    data = data_dir()
    if data is None:
        print(f"{FILE} is not here; OUTREACH_DATA names its folder")
        return 3
    people, events = uci.convert(data / FILE, folder / "history", seed=1)
    truth = oracle(seed=1)
    free = make_shop(folder / "without_caps", people, events, YEAR.since, YEAR.until)
    capped = Shop(Path(shutil.copytree(free.folder, folder / "with_caps")))
    wrong = without_caps(free, truth) + with_caps(capped, truth)
    for one in wrong[:SHOWN]:
        print(one)
    print(f"{len(wrong)} things are not as they must be; the databases are in {folder}")
    return 1 if wrong else 0


def without_caps(shop: Shop, truth: Truth) -> list[str]:
    """Only the night holds mails back: each is foreseen."""
    office = lived(shop, LOOSE)
    expected = Expected(truth, YEAR, NIGHT)
    for name, count in expected.totals().items():
        print(f"  {name:<36}{count:>8}")
    return [
        *disagreements(expected, Record(shop.database), office.arrived, truth),
        *(f"in the night: {mail}" for mail in in_the_night(office.arrived, truth, NIGHT)),
    ]


def with_caps(shop: Shop, truth: Truth) -> list[str]:
    """The caps that ship, two a day and five a week, two hours between any two, and the night."""
    office = lived(shop, QUIET)
    record = Record(shop.database)
    capped = sum(one.rule == "capped" for one in record.written)
    print(f"  {'mails':<36}{len(office.arrived):>8}\n  {'refused by a cap':<36}{capped:>8}")
    repeated = len(office.arrived) - len({mail.key for mail in office.arrived})
    return [
        *over_caps(office.arrived, truth, per_day=2, per_week=5, gap=timedelta(hours=2)),
        *(f"in the night: {mail}" for mail in in_the_night(office.arrived, truth, NIGHT)),
        *unfounded_refusals(office.arrived, record, truth),
        *([f"{repeated} mails came twice"] if repeated else []),
    ]


def lived(shop: Shop, policy: dict[str, object]) -> PostOffice:
    """The year, and the server that took its mails."""
    shop.set(YEAR, policy)
    began = time.monotonic()
    with PostOffice(shop.clock) as office:
        app = replay(shop, office.port)
    seconds = time.monotonic() - began
    print(f"{shop.folder.name}: {len(office.arrived)} mails, {app.database.statements} statements, {seconds:.0f} s")
    return office


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="outreach-uci-"))))
