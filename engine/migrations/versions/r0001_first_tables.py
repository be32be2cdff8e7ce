"""The tables of the first release."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

TEXT = sa.String()
NUMBER = sa.BigInteger()
ID = NUMBER.with_variant(sa.Integer(), "sqlite")  # there it names the row itself
INSTANT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "approval",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("journey", TEXT, nullable=False),
        sa.Column("planned", TEXT, nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("asked_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.Column("cost", TEXT, nullable=False),
        sa.Column("outcome", TEXT, nullable=True),
        sa.Column("by", TEXT, nullable=True),
        sa.Column("at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("journey", "planned", "stage"),
    )
    op.create_table(
        "batch",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("channel", TEXT, nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("worker_id", NUMBER, nullable=True),
        sa.Column("token", TEXT, nullable=True),
        sa.Column("urgent", sa.Boolean(), nullable=False),
        sa.Column("deaths", sa.Integer(), nullable=False),
        sa.Column("front", NUMBER, nullable=True),
        sa.Column("stuck", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "batch_due", "batch", ["due_at"], sqlite_where=sa.text("open = 1"), postgresql_where=sa.text("open")
    )
    op.create_table(
        "body",
        sa.Column("message_id", ID, autoincrement=False, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("hash", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("message_id"),
    )
    op.create_table(
        "chosen",
        sa.Column("journey", TEXT, nullable=False),
        sa.Column("planned", TEXT, nullable=False),
        sa.Column("customer_id", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("journey", "planned", "customer_id"),
    )
    op.create_table(
        "chunk",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("made_at", INSTANT, nullable=False),
        sa.Column("people", JSON, nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("way", NUMBER, nullable=True),
        sa.Column("run_id", NUMBER, nullable=True),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("urgent", sa.Boolean(), nullable=False),
        sa.Column("worker_id", NUMBER, nullable=True),
        sa.Column("token", TEXT, nullable=True),
        sa.Column("deaths", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_chunk_run_id", "chunk", ["run_id"])
    op.create_table(
        "consent",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", NUMBER, nullable=False),
        sa.Column("channel", TEXT, nullable=False),
        sa.Column("topic", TEXT, nullable=False),
        sa.Column("purpose", TEXT, nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("recorded_at", INSTANT, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("wording", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_consent_customer_id", "consent", ["customer_id"])
    op.create_table(
        "counter",
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("next", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("kind"),
    )
    op.create_table(
        "crossing",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("segment", TEXT, nullable=False),
        sa.Column("customer_id", NUMBER, nullable=False),
        sa.Column("direction", TEXT, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("judged_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("crossing_by_segment", "crossing", ["segment", "at"])
    op.create_index("ix_crossing_customer_id", "crossing", ["customer_id"])
    op.create_table(
        "customer",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("external_id", TEXT, nullable=False),
        sa.Column("zone", TEXT, nullable=False),
        sa.Column("locale", TEXT, nullable=False),
        sa.Column("country", TEXT, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("addresses", JSON, nullable=False),
        sa.Column("attributes", JSON, nullable=False),
        sa.Column("tags", JSON, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("changed", NUMBER, nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("external_id"),
    )
    op.create_index("customer_by_zone", "customer", ["zone", "id"])
    op.create_index("ix_customer_changed", "customer", ["changed"])
    op.create_index("ix_customer_created_at", "customer", ["created_at"])
    op.create_table(
        "delivery",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("message_id", NUMBER, nullable=False),
        sa.Column("customer_id", NUMBER, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("token", TEXT, nullable=True),
        sa.Column("payload_hash", TEXT, nullable=True),
        sa.Column("deadline", INSTANT, nullable=True),
        sa.Column("provider", TEXT, nullable=True),
        sa.Column("provider_id", TEXT, nullable=True),
        sa.Column("rule", TEXT, nullable=True),
        sa.Column("reason", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("delivery_by_message", "delivery", ["message_id", "weight", "at", "kind"])
    op.create_index(
        "delivery_for_people",
        "delivery",
        ["kind", "at"],
        sqlite_where=sa.text("kind = 'unknown' OR kind = 'dead'"),
        postgresql_where=sa.text("kind = 'unknown' OR kind = 'dead'"),
    )
    op.create_table(
        "enrollment",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", NUMBER, nullable=False),
        sa.Column("journey", TEXT, nullable=False),
        sa.Column("version_id", NUMBER, nullable=False),
        sa.Column("run_id", NUMBER, nullable=True),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("entered_at", INSTANT, nullable=False),
        sa.Column("holdout", sa.Boolean(), nullable=False),
        sa.Column("step", TEXT, nullable=True),
        sa.Column("visit", sa.Integer(), nullable=False),
        sa.Column("arrived_at", INSTANT, nullable=False),
        sa.Column("due_at", INSTANT, nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("reason", TEXT, nullable=True),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.Column("data", JSON, nullable=False),
        sa.Column("started_by", TEXT, nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("trimmed", sa.Boolean(), nullable=False),
        sa.Column("news", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("enrollment_by_journey", "enrollment", ["journey", "id"])
    op.create_index("enrollment_by_person", "enrollment", ["customer_id", "active", "journey", "entered_at"])
    op.create_index(
        "enrollment_due",
        "enrollment",
        ["due_at"],
        sqlite_where=sa.text("active = 1"),
        postgresql_where=sa.text("active"),
    )
    op.create_index(
        "enrollment_ended",
        "enrollment",
        ["ended_at"],
        sqlite_where=sa.text("active = 0 AND trimmed = 0"),
        postgresql_where=sa.text("NOT active AND NOT trimmed"),
    )
    op.create_index(
        "enrollment_inhabited",
        "enrollment",
        ["version_id"],
        sqlite_where=sa.text("active = 1"),
        postgresql_where=sa.text("active"),
    )
    op.create_table(
        "entrant",
        sa.Column("run_id", NUMBER, nullable=False),
        sa.Column("customer_id", NUMBER, nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "customer_id"),
    )
    op.create_table(
        "event",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", NUMBER, nullable=False),
        sa.Column("external_id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("received_at", INSTANT, nullable=False),
        sa.Column("payload", JSON, nullable=False),
        sa.Column("body_hash", TEXT, nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("lineage", JSON, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("external_id"),
    )
    op.create_index("event_by_person", "event", ["customer_id", "name", "at"])
    op.create_index("ix_event_at", "event", ["at"])
    op.create_table(
        "fact",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "former_name",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("journey", TEXT, nullable=False),
        sa.Column("until", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "habit",
        sa.Column("customer_id", ID, autoincrement=False, nullable=False),
        sa.Column("channel", TEXT, nullable=True),
        sa.Column("hour", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("customer_id"),
    )
    op.create_table(
        "happened",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("payload", JSON, nullable=False),
        sa.Column("told_at", INSTANT, nullable=False),
        sa.Column("by", TEXT, nullable=False),
        sa.Column("planned", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name", "key"),
    )
    op.create_table(
        "import",
        sa.Column("file_hash", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("file_hash"),
    )
    op.create_table(
        "journal",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("journey", TEXT, nullable=False),
        sa.Column("version_id", NUMBER, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("by", TEXT, nullable=False),
        sa.Column("deed", TEXT, nullable=False),
        sa.Column("note", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "journey_state",
        sa.Column("journey", TEXT, nullable=False),
        sa.Column("hashed_as", TEXT, nullable=False),
        sa.Column("version_id", NUMBER, nullable=False),
        sa.Column("paused_at", INSTANT, nullable=True),
        sa.Column("paused_by", TEXT, nullable=True),
        sa.Column("waves_from", INSTANT, nullable=False),
        sa.Column("published_at", INSTANT, nullable=False),
        sa.Column("retired_at", INSTANT, nullable=True),
        sa.Column("let_out", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("journey"),
    )
    op.create_table(
        "journey_version",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("journey", TEXT, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("fingerprint", TEXT, nullable=False),
        sa.Column("file", TEXT, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("published_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("journey", "number"),
    )
    op.create_index("ix_journey_version_journey", "journey_version", ["journey"])
    op.create_table(
        "lane",
        sa.Column("channel", TEXT, nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("paused_until", INSTANT, nullable=True),
        sa.Column("stopped", TEXT, nullable=True),
        sa.Column("probing_until", INSTANT, nullable=True),
        sa.Column("used", JSON, nullable=False),
        sa.PrimaryKeyConstraint("channel"),
    )
    op.create_table(
        "membership",
        sa.Column("segment", TEXT, nullable=False),
        sa.Column("customer_id", NUMBER, nullable=False),
        sa.Column("since", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("segment", "customer_id"),
    )
    op.create_table(
        "message",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", NUMBER, nullable=False),
        sa.Column("touch_id", NUMBER, nullable=False),
        sa.Column("enrollment_id", NUMBER, nullable=False),
        sa.Column("batch_id", NUMBER, nullable=True),
        sa.Column("journey", TEXT, nullable=False),
        sa.Column("step", TEXT, nullable=False),
        sa.Column("visit", sa.Integer(), nullable=False),
        sa.Column("wish", sa.Integer(), nullable=False),
        sa.Column("channel", TEXT, nullable=False),
        sa.Column("message", TEXT, nullable=False),
        sa.Column("locale", TEXT, nullable=False),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.Column("topic", TEXT, nullable=False),
        sa.Column("marketing", sa.Boolean(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("tags", TEXT, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("address_hash", TEXT, nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.Column("send_by", INSTANT, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=True),
        sa.Column("rule", TEXT, nullable=True),
        sa.Column("detail", JSON, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("enrollment_id", "step", "visit", "wish"),
    )
    op.create_index("ix_message_batch_id", "message", ["batch_id"])
    op.create_index(
        "message_born_dead",
        "message",
        ["created_at"],
        sqlite_where=sa.text("state = 'dead'"),
        postgresql_where=sa.text("state = 'dead'"),
    )
    op.create_index("message_by_address", "message", ["address_hash", "created_at"])
    op.create_index("message_by_person", "message", ["customer_id", "created_at"])
    op.create_table(
        "request",
        sa.Column("run_id", ID, autoincrement=False, nullable=False),
        sa.Column("journey", TEXT, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("body_hash", TEXT, nullable=False),
        sa.Column("by", TEXT, nullable=False),
        sa.Column("asked_at", INSTANT, nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("run_id"),
        sa.UniqueConstraint("journey", "key"),
    )
    op.create_table(
        "rfm",
        sa.Column("customer_id", ID, autoincrement=False, nullable=False),
        sa.Column("r", sa.Integer(), nullable=False),
        sa.Column("f", sa.Integer(), nullable=False),
        sa.Column("m", sa.Integer(), nullable=False),
        sa.Column("segment", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("customer_id"),
    )
    op.create_table(
        "run",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("journey", TEXT, nullable=False),
        sa.Column("version_id", NUMBER, nullable=False),
        sa.Column("planned", TEXT, nullable=False),
        sa.Column("zone", TEXT, nullable=False),
        sa.Column("planned_at", INSTANT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("cursor", NUMBER, nullable=False),
        sa.Column("entered", sa.Integer(), nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("journey", "planned", "zone"),
    )
    op.create_index("ix_run_state", "run", ["state"])
    op.create_index("run_by_zone", "run", ["journey", "zone", "planned_at"])
    op.create_table(
        "segment_state",
        sa.Column("segment", TEXT, nullable=False),
        sa.Column("fingerprint", TEXT, nullable=False),
        sa.Column("judged_at", INSTANT, nullable=False),
        sa.Column("seen", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("segment"),
    )
    op.create_table(
        "suppression",
        sa.Column("address_hash", TEXT, nullable=False),
        sa.Column("channel", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("address_hash"),
    )
    op.create_table(
        "task",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("customer_id", NUMBER, nullable=False),
        sa.Column("enrollment_id", NUMBER, nullable=False),
        sa.Column("journey", TEXT, nullable=False),
        sa.Column("step", TEXT, nullable=False),
        sa.Column("visit", sa.Integer(), nullable=False),
        sa.Column("brief", TEXT, nullable=False),
        sa.Column("call", sa.Boolean(), nullable=False),
        sa.Column("queue", TEXT, nullable=False),
        sa.Column("assignee", TEXT, nullable=True),
        sa.Column("taken_at", INSTANT, nullable=True),
        sa.Column("handed_on_from", TEXT, nullable=True),
        sa.Column("outcomes", JSON, nullable=False),
        sa.Column("opened_at", INSTANT, nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.Column("escalate_at", INSTANT, nullable=True),
        sa.Column("escalate_to", TEXT, nullable=True),
        sa.Column("outcome", TEXT, nullable=True),
        sa.Column("closed_at", INSTANT, nullable=True),
        sa.Column("closed_by", TEXT, nullable=True),
        sa.Column("note", TEXT, nullable=False),
        sa.Column("later", JSON, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("enrollment_id", "step", "visit"),
    )
    op.create_index("ix_task_customer_id", "task", ["customer_id"])
    op.create_index("ix_task_due_at", "task", ["due_at"])
    op.create_index(
        "task_open",
        "task",
        ["escalate_at"],
        sqlite_where=sa.text("closed_at IS NULL"),
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_table(
        "touch",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", NUMBER, nullable=False),
        sa.Column("enrollment_id", NUMBER, nullable=False),
        sa.Column("step", TEXT, nullable=False),
        sa.Column("visit", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("enrollment_id", "step", "visit"),
    )
    op.create_table(
        "trace",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", NUMBER, nullable=False),
        sa.Column("enrollment_id", NUMBER, nullable=True),
        sa.Column("journey", TEXT, nullable=False),
        sa.Column("version_id", NUMBER, nullable=True),
        sa.Column("step", TEXT, nullable=True),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("rule", TEXT, nullable=False),
        sa.Column("sentence", TEXT, nullable=False),
        sa.Column("detail", JSON, nullable=False),
        sa.Column("file", TEXT, nullable=True),
        sa.Column("line", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("trace_by_person", "trace", ["customer_id", "journey"])
    op.create_table(
        "turn",
        sa.Column("queue", TEXT, nullable=False),
        sa.Column("last", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("queue"),
    )
    op.create_table(
        "voucher",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("pool", TEXT, nullable=False),
        sa.Column("code", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.Column("customer_id", NUMBER, nullable=True),
        sa.Column("enrollment_id", NUMBER, nullable=True),
        sa.Column("given_at", INSTANT, nullable=True),
        sa.Column("expires_at", INSTANT, nullable=True),
        sa.Column("redeemed_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("pool", "code"),
    )
    op.create_index("voucher_by_code", "voucher", ["code"])
    op.create_index("ix_voucher_customer_id", "voucher", ["customer_id"])
    op.create_index(
        "voucher_free",
        "voucher",
        ["pool", "id"],
        sqlite_where=sa.text("customer_id IS NULL"),
        postgresql_where=sa.text("customer_id IS NULL"),
    )
    op.create_table(
        "worker",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("beat_at", INSTANT, nullable=False),
        sa.Column("stopped_at", INSTANT, nullable=True),
        sa.Column("lost_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
