"""Lanes have names of their own: a channel may have several. What was said of a channel is said of its one lane."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

TEXT = sa.String()


def upgrade() -> None:
    op.add_column("batch", sa.Column("lane", TEXT, nullable=True))
    op.execute("UPDATE batch SET lane = channel")
    with op.batch_alter_table("batch") as batch:
        batch.alter_column("lane", existing_type=TEXT, nullable=False)
    with op.batch_alter_table("lane") as lane:
        lane.alter_column("channel", new_column_name="name", existing_type=TEXT, existing_nullable=False)
        lane.add_column(sa.Column("day", TEXT, nullable=True))
        lane.add_column(sa.Column("begun", sa.Integer(), nullable=True))
    op.execute("UPDATE lane SET begun = 0")
    with op.batch_alter_table("lane") as lane:
        lane.alter_column("begun", existing_type=sa.Integer(), nullable=False)
