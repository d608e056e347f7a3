"""Rules: read, judge, lint, test and back-test them. Prometheus's rule files work as they stand."""

from .alerts import AlertChange, GroupResult, Health, RuleHealth, severity_of
from .book import AlertRule, Group, RecordRule, RuleBook
from .evaluate import Evaluator
from .load import load, load_text, pack_paths
from .observe import observe
from .persist import Saved, save

__all__ = [
    "AlertChange",
    "AlertRule",
    "Evaluator",
    "Group",
    "GroupResult",
    "Health",
    "RecordRule",
    "RuleBook",
    "RuleHealth",
    "Saved",
    "load",
    "load_text",
    "observe",
    "pack_paths",
    "save",
    "severity_of",
]
