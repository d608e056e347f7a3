"""Runs of contingency plans, and the evidence that is collected for them."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "plan_runs",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("incident_id", sa.String(length=64), nullable=False),
        sa.Column("drill", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("run", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan_runs")),
        sa.UniqueConstraint("key", name=op.f("uq_plan_runs_key")),
    )
    op.create_index(op.f("ix_plan_runs_state"), "plan_runs", ["state"], unique=False)
    op.create_index(op.f("ix_plan_runs_incident_id"), "plan_runs", ["incident_id"], unique=False)
    op.create_index(op.f("ix_plan_runs_started_at"), "plan_runs", ["started_at"], unique=False)
    op.create_table(
        "plan_evidence",
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("moment", sa.String(length=12), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "moment", name=op.f("pk_plan_evidence")),
    )
