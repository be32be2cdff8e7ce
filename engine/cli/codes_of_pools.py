"""`outreach codes`: the voucher pools, and new lines of their files taken in while the journeys run."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from engine.cli.context import CONTEXT
from engine.cli.installation import without_texts
from engine.cli.words import _, counted
from engine.work.incoming.pools import refill, stocks


def list_codes() -> int:
    out = CONTEXT.out
    with without_texts() as app, app.database.reading() as connection:
        found = stocks(connection, app.rules(connection).audience)
    if not found:
        out.say(_("there is no pool"), "green")
    else:
        columns = (_("pool"), _("codes"), _("given"), _("redeemed"), _("left"), _("low at"))
        out.table(columns, ([one.pool, one.codes, one.given, one.redeemed, one.left, one.low or "-"] for one in found))
    for one in found:
        if one.runs_low:
            out.say(_("pool {pool} runs low").format(pool=one.pool), "yellow")
    out.value([{**asdict(one), "runs_low": one.runs_low} for one in found])
    return 1 if any(one.runs_low for one in found) else 0


def import_codes(
    pools: Annotated[
        list[str] | None, typer.Argument(metavar="POOL...", help=_("pools of audience.yaml; all when none is named"))
    ] = None,
) -> int:
    with without_texts() as app:
        added = refill(app, pools or [])
    for pool, count in added.items():
        CONTEXT.out.say(f"{pool}: " + counted("{count} new code", "{count} new codes", count), "green")
    CONTEXT.out.value(added)
    return 0
