"""`outreach copy`: move the shop to another database."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from engine.app import database_url
from engine.cli.context import CONTEXT
from engine.cli.installation import myself, without_texts
from engine.cli.words import _, ngettext
from engine.store.database import Database
from engine.work.copying import Copied, copy_shop


def copy(
    to: Annotated[
        str, typer.Option("--to", metavar="URL", help=_("an empty database: postgresql://HOST/NAME or sqlite:///FILE"))
    ],
) -> int:
    """Neither database may be run meanwhile; afterwards only the new one is."""
    out = CONTEXT.out
    done: list[Copied] = []

    def tell(one: Copied) -> None:
        done.append(one)
        told = ngettext("{table}: {count} row, compared", "{table}: {count} rows, compared", one.rows)
        out.say(told.format(table=one.table, count=f"{one.rows:,}"))

    with without_texts() as app, closing(Database(database_url(to, app.home))) as target:
        fresh = copy_shop(app.database, target, f"outreach copy by {myself()}", app.clock.now(), tell)
        before = app.database.name
    rows = sum(one.rows for one in done)
    told = (
        _("{rows} rows of {tables} tables are the same in every value")
        if fresh
        else _("all was there already: {rows} rows of {tables} tables are the same in every value")
    )
    out.say(told.format(rows=f"{rows:,}", tables=len(done)), "green")
    out.say(_("now write this into config.yaml, and start the daemon:"), "bold")
    out.say(f"  database: {to}")
    out.say(_("{name} stays as it is; a daemon does not run on it any more").format(name=before), "dim")
    out.value({"copied": fresh, "to": target.name, "rows": rows, "tables": done})
    return 0
