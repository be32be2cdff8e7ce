"""What providers share, report and cost, and by what names they speak of messages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"

TEXT = sa.String()
NUMBER = sa.BigInteger()
ID = NUMBER.with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(JSONB(), "postgresql")
WAITING = sa.text("state = 'waiting'")
UNTOLD = sa.text("state = 'begun' OR state = 'failed' OR state = 'unknown'")


def upgrade() -> None:
    op.create_table(
        "alias",
        sa.Column("hash", NUMBER, nullable=False),
        sa.Column("message_id", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("hash", "message_id"),
    )
    op.create_table(
        "claim",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("until", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "errand",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("task_id", NUMBER, nullable=False),
        sa.Column("place", TEXT, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("task_id", "place"),
    )
    op.create_index("errand_open", "errand", ["state", "at"], sqlite_where=UNTOLD, postgresql_where=UNTOLD)
    op.create_index("errand_waiting", "errand", ["due_at"], sqlite_where=WAITING, postgresql_where=WAITING)
    op.create_table(
        "inbox_entry",
        sa.Column("key", TEXT, nullable=False),
        sa.Column("box", TEXT, nullable=False),
        sa.Column("entry", TEXT, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("read_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("inbox_by_box", "inbox_entry", ["box", "at"])
    op.create_table(
        "kept",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("sealed", TEXT, nullable=False),
        sa.Column("until", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "report",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("lane", TEXT, nullable=False),
        sa.Column("event_id", TEXT, nullable=False),
        sa.Column("type", TEXT, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("received_at", INSTANT, nullable=False),
        sa.Column("message_id", NUMBER, nullable=True),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("told", JSON, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("lane", "event_id"),
    )
    op.create_index("report_by_message", "report", ["message_id"])
    op.create_index("report_by_time", "report", ["received_at"])
    op.create_index(
        "report_open", "report", ["received_at"], sqlite_where=sa.text("open = 1"), postgresql_where=sa.text("open")
    )
    op.add_column("delivery", sa.Column("cost", NUMBER, nullable=True))
    op.add_column("delivery", sa.Column("currency", TEXT, nullable=True))
