"""The words every room shares. Plain frozen data, no behaviour that needs a clock, disk or network."""

from watchkeeper.model.action import ActionRecord, ActionState, Approval, Intent, Mode, Plan, RiskClass, Target, Verdict
from watchkeeper.model.alert import Alert, AlertState, Severity
from watchkeeper.model.capacity import CapacityRow, Exhaustion
from watchkeeper.model.charge import BadRow, Bill, Charge, DayCharge
from watchkeeper.model.contingency import PlanRun, RunState, StepRun, StepState
from watchkeeper.model.event import CHANGES, Event, EventKind, EventStatus
from watchkeeper.model.feedback import Feedback, Lesson, Move, Opinion, Recorded
from watchkeeper.model.forecast import Backtest, Forecast
from watchkeeper.model.incident import Incident, IncidentState
from watchkeeper.model.log import SEVERITIES, SEVERITY_CODES, CodeArray, LogBatch
from watchkeeper.model.message import Message
from watchkeeper.model.rule import Expectation, Ladder, LadderLevel, Observation, RemedyRule, Scale, ScaleTime
from watchkeeper.model.score import Scores
from watchkeeper.model.series import (
    METRIC_NAME,
    STALE_NAN,
    Labels,
    Layout,
    Matcher,
    MatchOp,
    Matrix,
    Tick,
    count_stale,
    fingerprint,
    format_series,
    is_stale,
    label,
    labels,
    metric_name,
)
from watchkeeper.model.service import Edge, Service

__all__ = [
    "CHANGES",
    "METRIC_NAME",
    "SEVERITIES",
    "SEVERITY_CODES",
    "STALE_NAN",
    "ActionRecord",
    "ActionState",
    "Alert",
    "AlertState",
    "Approval",
    "Backtest",
    "BadRow",
    "Bill",
    "CapacityRow",
    "Charge",
    "CodeArray",
    "DayCharge",
    "Edge",
    "Event",
    "EventKind",
    "EventStatus",
    "Exhaustion",
    "Expectation",
    "Feedback",
    "Forecast",
    "Incident",
    "IncidentState",
    "Intent",
    "Labels",
    "Ladder",
    "LadderLevel",
    "Layout",
    "Lesson",
    "LogBatch",
    "MatchOp",
    "Matcher",
    "Matrix",
    "Message",
    "Mode",
    "Move",
    "Observation",
    "Opinion",
    "Plan",
    "PlanRun",
    "Recorded",
    "RemedyRule",
    "RiskClass",
    "RunState",
    "Scale",
    "ScaleTime",
    "Scores",
    "Service",
    "Severity",
    "StepRun",
    "StepState",
    "Target",
    "Tick",
    "Verdict",
    "count_stale",
    "fingerprint",
    "format_series",
    "is_stale",
    "label",
    "labels",
    "metric_name",
]
