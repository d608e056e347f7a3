"""The pages, in the order of the navigation. A new page is one file and one line here."""

from __future__ import annotations

from dashboard.page import Page

from . import (
    about,
    actions,
    audit,
    business,
    capacity,
    changes,
    collectors,
    cost,
    detection,
    dual_links,
    explore,
    incidents,
    logs,
    overview,
    plans,
    predictions,
    reports,
    risks,
    rules,
    safety,
    scaling,
    services,
    settings,
    sla,
)

#: A roof that serves a page more gives it to ``dashboard.app.create``.
BUILTIN: tuple[Page, ...] = (
    overview.PAGE,
    explore.PAGE,
    logs.PAGE,
    services.PAGE,
    incidents.PAGE,
    detection.PAGE,
    changes.PAGE,
    actions.PAGE,
    dual_links.PAGE,
    scaling.PAGE,
    plans.PAGE,
    safety.PAGE,
    risks.PAGE,
    capacity.PAGE,
    predictions.PAGE,
    business.PAGE,
    cost.PAGE,
    sla.PAGE,
    reports.PAGE,
    collectors.PAGE,
    rules.PAGE,
    audit.PAGE,
    settings.PAGE,
    about.PAGE,
)
