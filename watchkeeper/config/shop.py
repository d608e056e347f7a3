"""The figures of a shop, written out from its table and column names."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from watchkeeper.config.business import Business, Kpi, Shop

#: States of an order (the way it goes first), and those in which its money has arrived at least for a time.
STATES = ("pending", "paid", "failed", "cancelled", "refunded")
PAID = ("paid", "refunded")
UNFINISHED_JOBS = ("queued", "processing")


def all_kpis(section: Business) -> list[Kpi]:
    """The figures of the file and those of every shop; ratios last, for they need the others."""
    found = [*section.kpis, *(kpi for shop in section.shops for kpi in shop_kpis(shop))]
    return sorted(found, key=lambda kpi: kpi.source.kind == "ratio")


def shop_kpis(shop: Shop) -> list[Kpi]:
    """Orders, revenue, users, the funnel by state, payment success, conversion, refunds and waiting jobs."""
    paid = _within(PAID)
    by_state = [
        _figure(shop, f"orders_{state}", f"COUNT(*) AS value FROM {shop.orders}", f"{shop.state} = '{state}'",
                group="funnel", direction="up" if state in PAID[:1] else "down")
        for state in STATES
    ]  # fmt: skip
    arrived = f"{shop.state} IN ({paid})"
    return [
        _figure(shop, "orders", f"COUNT(*) AS value FROM {shop.orders}", role="transactions", predict=shop.predict),
        _figure(shop, "revenue", f"COALESCE(SUM({shop.amount}), 0) AS value FROM {shop.orders}",
                f"{shop.state} = 'paid'", unit=shop.currency, minor_units=shop.minor_units, predict=shop.predict,
                role="revenue"),
        _figure(shop, "active_users", f"COUNT(DISTINCT {shop.user}) AS value FROM {shop.orders}",
                predict=shop.predict, role="users"),
        _figure(shop, "orders_ever_paid", f"COUNT(*) AS value FROM {shop.orders}", arrived, group="parts"),
        _figure(shop, "orders_decided", f"COUNT(*) AS value FROM {shop.orders}",
                f"{shop.state} IN ({_within((*PAID, 'failed'))})", group="parts"),
        *by_state,
        *_jobs(shop),
        _share(shop, "payment_success", "orders_ever_paid", "orders_decided", target=shop.payment_target,
               role="payment_success"),
        _share(shop, "conversion", "orders_ever_paid", "orders", role="conversion"),
        _share(shop, "refund_rate", "orders_refunded", "orders_ever_paid", target=shop.refund_limit, direction="down"),
    ]  # fmt: skip


def _within(states: tuple[str, ...]) -> str:
    return ", ".join(f"'{state}'" for state in states)


def _figure(shop: Shop, name: str, select: str, where: str = "", *, minor_units: int = 0, **more: Any) -> Kpi:
    """A figure asked once a period."""
    condition = f"{shop.created} >= :start AND {shop.created} < :end" + (f" AND {where}" if where else "")
    source = {
        "kind": "sql",
        "url": shop.url,
        "query": f"SELECT {select} WHERE {condition}",
        "value": "value",
        "time_format": shop.time_format,
        "time_zone": shop.time_zone,
        "minor_units": minor_units,
    }
    return Kpi.model_validate(
        {"name": f"{shop.name}.{name}", "title": name, "owner": shop.owner, "period": shop.period, "source": source}
        | more
    )


def _share(shop: Shop, name: str, above: str, below: str, **more: Any) -> Kpi:
    source = {"kind": "ratio", "numerator": f"{shop.name}.{above}", "denominator": f"{shop.name}.{below}"}
    return Kpi.model_validate(
        {"name": f"{shop.name}.{name}", "title": name, "owner": shop.owner, "period": shop.period, "unit": "ratio"}
        | {"source": source, "least_volume": shop.least_volume}
        | more
    )


def _jobs(shop: Shop) -> list[Kpi]:
    """How long the oldest unfinished job has waited; without one it is 0."""
    if shop.jobs is None:
        return []
    oldest = f"SELECT MIN({shop.job_created}) AS value FROM {shop.jobs} WHERE {shop.job_state} IN ({_within(UNFINISHED_JOBS)})"  # noqa: S608, E501 - names are checked to be identifiers
    source = {
        "kind": "sql",
        "url": shop.url,
        "query": oldest,
        "value": "value",
        "age": True,
        "time_format": shop.time_format,
        "time_zone": shop.time_zone,
        "fold": "max",
    }
    limit = Decimal(str(shop.stuck_limit.total_seconds()))
    return [
        Kpi.model_validate(
            {"name": f"{shop.name}.stuck_job_age", "title": "stuck_job_age", "owner": shop.owner, "unit": "seconds",
             "period": "hour", "direction": "down", "target": limit, "source": source, "role": "stuck_jobs"}
        )
    ]  # fmt: skip
