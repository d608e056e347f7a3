"""Log lines on this machine's disk: kept with the position they were read to, sealed, searched, dropped by age."""

from watchkeeper.store.logs.embedded import LogLines
from watchkeeper.store.logs.queue import LineQueue
from watchkeeper.store.logs.retention import RetentionClass, class_of
from watchkeeper.store.logs.search import Found, Question

__all__ = ["Found", "LineQueue", "LogLines", "Question", "RetentionClass", "class_of"]
