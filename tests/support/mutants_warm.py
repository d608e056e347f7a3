"""Mutants of functions, each in a child of a process that has collected the tests once: only code is exchanged there.

A child runs the tests that call what is changed, quick ones first; when they all pass, the module's other tests too.
"""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from inspect import CO_OPTIMIZED
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

import pytest
from support.mutants import OPTIONS, UNCHANGED, Mutant, code_of, path_of, quiet, waited

#: What a function is changed from and to.
Exchange = list[tuple[CodeType, CodeType]]
#: Function, and the line where it begins.
Place = tuple[str, int]


def exchange(mutant: Mutant) -> Exchange | None:
    """The functions that differ; None when the body of the module or of a class does: that runs when it is imported."""
    path = path_of(mutant.module)
    return _differing(_unchanged(mutant.module), code_of(mutant, path.read_text(encoding="utf-8"), str(path)))


@cache
def _unchanged(module: str) -> CodeType:
    path = path_of(module)
    return code_of(Mutant(module, 0, "", UNCHANGED), path.read_text(encoding="utf-8"), str(path))


def _differing(old: CodeType, new: CodeType) -> Exchange | None:
    found: Exchange = []
    olds, news = _nested(old), _nested(new)
    if old.co_flags & CO_OPTIMIZED:
        if old != new:
            found.append((old, new))
    elif _own(old) != _own(new):
        return None
    if len(olds) != len(news):
        return None
    for one, other in zip(olds, news, strict=True):
        inner = _differing(one, other)
        if inner is None:
            return None
        found += inner
    return found


def _nested(code: CodeType) -> list[CodeType]:
    return [each for each in code.co_consts if isinstance(each, CodeType)]


def _own(code: CodeType) -> tuple[object, ...]:
    """What the body itself does, but for the functions in it."""
    constants = tuple((type(each), each) for each in code.co_consts if not isinstance(each, CodeType))
    return code.co_code, code.co_names, repr(constants)


def _place(code: CodeType) -> Place:
    return code.co_qualname, code.co_firstlineno


@dataclass
class Warm:
    """A plugin of pytest that, instead of running the tests, tries each mutant on them. ``survived`` is the answer."""

    waiting: Sequence[tuple[Mutant, Exchange]]
    tests: Mapping[str, Sequence[str]]  #: module -> its test files
    deadline: float
    told: Callable[[Mutant, bool], None]  #: of each mutant, whether it was killed
    _callers: dict[str, dict[Place, list[pytest.Item]]] = field(default_factory=dict)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        files = {module: {str(Path(name).resolve()) for name in names} for module, names in self.tests.items()}
        items = {
            module: [item for item in session.items if str(item.path) in wanted] for module, wanted in files.items()
        }
        needed = sorted({mutant.module for mutant, _ in self.waiting})
        functions = _functions({str(path_of(module)) for module in needed})
        gc.collect()
        gc.freeze()
        for module in needed:
            self._callers[module], items[module] = _called(session, items[module], module)
        for mutant, changed in self.waiting:
            if time.monotonic() > self.deadline:
                return True
            first = [item for old, _ in changed for item in self._callers[mutant.module].get(_place(old), [])]
            order = list(dict.fromkeys([*first, *items[mutant.module]]))
            self.told(mutant, not _passes(session, order, _put(changed, functions)))
        return True


def _functions(paths: set[str]) -> dict[Place, list[FunctionType]]:
    """Every function alive that is written in one of these files, closures and decorated ones too."""
    found: dict[Place, list[FunctionType]] = defaultdict(list)
    ends = tuple(f"/{path}" for path in paths)
    for each in gc.get_objects():
        if isinstance(each, FunctionType) and each.__code__.co_filename.endswith(ends):
            found[_place(each.__code__)].append(each)
    return found


def _put(changed: Exchange, functions: Mapping[Place, list[FunctionType]]) -> Callable[[], None]:
    def put() -> None:
        for old, new in changed:
            for function in functions.get(_place(old), []):
                if function.__code__ == old:
                    function.__code__ = new

    return put


def _passes(session: pytest.Session, items: Sequence[pytest.Item], change: Callable[[], None]) -> bool:
    """True when every test passes with the change in place."""
    child = os.fork()
    if child == 0:
        with quiet():
            change()
            os._exit(_run(session, items, lambda _item: None))
    return waited(child) == 0


def _run(session: pytest.Session, items: Sequence[pytest.Item], after: Callable[[pytest.Item], None]) -> int:
    """In a child: exit code 1 with the first failure."""
    made: Any = session.config
    made._tmp_path_factory._basetemp = folder = Path(tempfile.mkdtemp(prefix="wk-mutant-")).resolve()
    code = 0
    for item, following in zip(items, [*items[1:], None], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            code = 1
            break
        after(item)
    shutil.rmtree(folder, ignore_errors=True)
    return code


def _called(
    session: pytest.Session, items: Sequence[pytest.Item], module: str
) -> tuple[dict[Place, list[pytest.Item]], list[pytest.Item]]:
    """For each function of the module the tests that call it, and all tests, both by what they take, quick ones first.

    AssertionError when one of them fails without any change.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        with quiet(), os.fdopen(writing, "w") as out:
            code = _run(session, items, _Notes(f"/{path_of(module)}", out.write).take)
            out.flush()
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as told:
        notes = [line.rstrip("\n").split("\t") for line in told]
    assert waited(child) == 0, f"the tests of {module} fail without any change"
    by_id = {item.nodeid: item for item in items}
    callers: dict[Place, list[pytest.Item]] = defaultdict(list)
    for _, name, *places in sorted(notes, key=lambda note: float(note[0])):
        for place in places:
            function, _, line = place.rpartition(":")
            callers[function, int(line)].append(by_id[name])
    return callers, [by_id[name] for _, name, *_ in sorted(notes, key=lambda note: float(note[0]))]


class _Notes:
    """Which functions of a file each test calls, and what it takes of the processor."""

    def __init__(self, ends: str, write: Callable[[str], object]) -> None:
        self._ends, self._write = ends, write
        self._places: set[Place] = set()
        self._spent = time.process_time()
        threading.setprofile(self._look)
        sys.setprofile(self._look)

    def _look(self, frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code.co_filename.endswith(self._ends):
            self._places.add(_place(frame.f_code))

    def take(self, item: pytest.Item) -> None:
        now = time.process_time()
        places = [f"{function}:{line}" for function, line in sorted(self._places)]
        self._write("\t".join([f"{now - self._spent:.4f}", item.nodeid, *places]) + "\n")
        self._places, self._spent = set(), now


def tried(
    waiting: Sequence[tuple[Mutant, Exchange]],
    tests: Mapping[str, Sequence[str]],
    deadline: float,
    told: Callable[[Mutant, bool], None],
) -> None:
    """Try each until ``deadline`` (``time.monotonic``)."""
    files = sorted({name for names in tests.values() for name in names})
    code = pytest.main([*OPTIONS, *files], plugins=[Warm(waiting, tests, deadline, told)])
    assert code == pytest.ExitCode.OK, code
