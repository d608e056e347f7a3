"""A machine out of memory or process numbers: the parent waits and tries again."""

from __future__ import annotations

from watchkeeper.app.children import Child


def test_a_child_that_cannot_be_started_now_is_tried_again_later() -> None:
    child = Child("absent", ["/nowhere/to/be/found"])
    child.start()
    assert child.process is None
    assert child.restart_at is not None
    assert not child.due(child.restart_at - 0.01)
    assert child.due(child.restart_at)
    assert child.backoff == 2.0
