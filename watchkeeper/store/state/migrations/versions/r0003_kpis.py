"""Values of key figures by period, and the forecasts made of them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "kpi_values",
        sa.Column("kpi", sa.Text(), nullable=False),
        sa.Column("period", sa.String(length=8), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Text(), nullable=True),
        sa.Column("finished", sa.Boolean(), nullable=False),
        sa.Column("revisions", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kpi", "period", "start", name=op.f("pk_kpi_values")),
    )
    op.create_table(
        "kpi_forecasts",
        sa.Column("kpi", sa.Text(), nullable=False),
        sa.Column("period", sa.String(length=8), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("target", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("quantiles", sa.Text(), nullable=False),
        sa.Column("naive", sa.Float(), nullable=True),
        sa.Column("scale", sa.Float(), nullable=True),
        sa.Column("method", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kpi", "period", "made_at", "target", name=op.f("pk_kpi_forecasts")),
    )
    op.create_index(op.f("ix_kpi_forecasts_kpi_target"), "kpi_forecasts", ["kpi", "target"], unique=False)
