"""Small changes to a module's source, one at a time, and whether the tests notice: what mutation testing is.

Every mutant runs in a child of this process, which has everything imported but the package that is changed.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.abc
import importlib.util
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

import pytest

#: Seconds after which a mutant that makes the tests hang counts as killed.
PATIENCE = 300
#: Seconds of the processor after which it goes round in circles.
CPU_SECONDS = 90
#: Tests that start processes of their own, which know nothing of the mutant, are left out.
OWN = "not killed_at and not file_appears"
#: Number of a mutant that is none: with it the tests must pass, or they prove nothing.
UNCHANGED = -1
SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mutant:
    module: str
    line: int
    what: str
    number: int  #: among the module's mutants

    def __str__(self) -> str:
        return f"{self.module}:{self.line} {self.what}"


Change = tuple[int, str, Callable[[], None]]


def mutants(module: str, source: str) -> list[Mutant]:
    return [Mutant(module, line, what, number) for number, (line, what, _) in enumerate(_changes(ast.parse(source)))]


def code_of(mutant: Mutant, source: str, path: str) -> CodeType:
    """The module with this one change."""
    tree = ast.parse(source)
    if mutant.number != UNCHANGED:
        _, _, change = list(_changes(tree))[mutant.number]
        change()
    return compile(ast.fix_missing_locations(tree), path, "exec")


def _visited(node: ast.AST) -> Iterator[ast.AST]:
    """Every node that means something when the module runs."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_params", "format_spec"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.JoinedStr) or not isinstance(child, ast.AST) or _words_only(child):
                continue
            yield from _visited(child)


def _words_only(node: ast.AST) -> bool:
    """A docstring, or what only type checkers read."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _changes(tree: ast.Module) -> Iterator[Change]:
    for node in _visited(tree):
        line = getattr(node, "lineno", 0)
        yield from ((line, what, change) for what, change in _of(node))


def _of(node: ast.AST) -> Iterator[tuple[str, Callable[[], None]]]:
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            if type(operator) in SWAPS:
                yield _swap(operator), partial(_put, node.ops, place, operator)
    elif isinstance(node, (ast.BoolOp, ast.BinOp)) and type(node.op) in SWAPS:
        yield _swap(node.op), lambda: setattr(node, "op", SWAPS[type(node.op)]())
    elif isinstance(node, (ast.If, ast.IfExp, ast.While)):
        yield "condition turned round", lambda: setattr(node, "test", ast.UnaryOp(ast.Not(), node.test))
    elif isinstance(node, ast.comprehension):
        for place in range(len(node.ifs)):
            yield "filter dropped", partial(_drop, node.ifs, place)
    elif isinstance(node, ast.Constant):
        yield from _constant(node)
    yield from _statements(node)


def _swap(operator: ast.AST) -> str:
    return f"{type(operator).__name__} becomes {SWAPS[type(operator)].__name__}"


def _put(operators: list[ast.cmpop], place: int, operator: ast.cmpop) -> None:
    operators[place] = SWAPS[type(operator)]()  # type: ignore[call-overload]


def _drop(filters: list[ast.expr], place: int) -> None:
    del filters[place]


def _constant(node: ast.Constant) -> Iterator[tuple[str, Callable[[], None]]]:
    value = node.value
    if isinstance(value, bool):
        yield f"{value} becomes {not value}", lambda: setattr(node, "value", not value)
    elif isinstance(value, int | float) and not isinstance(value, complex):
        yield f"{value} becomes {value + 1}", lambda: setattr(node, "value", value + 1)


def _statements(node: ast.AST) -> Iterator[tuple[str, Callable[[], None]]]:
    """A call whose answer nobody takes, or a refusal, left out."""
    for name in ("body", "orelse", "finalbody"):
        body = getattr(node, name, None)
        if not isinstance(body, list):
            continue
        for place, statement in enumerate(body):
            called = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call | ast.Await)
            if called or isinstance(statement, ast.Raise):
                told = f"{ast.unparse(statement)[:40]!r} dropped at line {statement.lineno}"
                yield told, partial(_put_pass, body, place)


def _put_pass(body: list[ast.stmt], place: int) -> None:
    body[place] = ast.copy_location(ast.Pass(), body[place])


class _Changed(importlib.abc.MetaPathFinder):
    """Imports one module with a change."""

    def __init__(self, mutant: Mutant, path: Path) -> None:
        self.mutant, self.path = mutant, path

    def find_spec(
        self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != self.mutant.module:
            return None
        mutant, source = self.mutant, self.path.read_text(encoding="utf-8")

        class Loader(SourceFileLoader):
            def get_code(self, fullname: str) -> CodeType:
                return code_of(mutant, source, self.path)

        places = [str(self.path.parent)] if self.path.name == "__init__.py" else None
        return importlib.util.spec_from_file_location(
            name, self.path, loader=Loader(name, str(self.path)), submodule_search_locations=places
        )


def path_of(module: str) -> Path:
    """Its file, without importing it."""
    bare = Path(*module.split("."))
    return bare / "__init__.py" if bare.is_dir() else bare.with_suffix(".py")


#: How the tests are run: those of the mutant's own process, to the first failure.
OPTIONS = (
    "-x", "-q", "-s", "-o", "addopts=", "--assert=plain", "-m", "not long", "-k", OWN, "--import-mode=importlib",
    *(word for plugin in ("dash", "cacheprovider", "xdist", "cov") for word in ("-p", f"no:{plugin}")),
)  # fmt: skip


def killed(mutant: Mutant, tests: Sequence[str]) -> bool:
    """True when one of these tests fails, or hangs, with the change in place."""
    child = os.fork()
    if child == 0:
        os._exit(_child(mutant, tests))
    return waited(child) != pytest.ExitCode.OK


def waited(child: int) -> int:
    """The exit code of a child of ours, not 0 when it had to be ended. Time in which we stood still does not count."""
    waiting, last = 0.0, time.monotonic()
    while waiting < PATIENCE:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
        now = time.monotonic()
        waiting, last = waiting + min(now - last, 1.0), now
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -signal.SIGKILL


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """In a child: it says nothing, is nobody's group, and ends when it goes round in circles."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    try:
        yield
    finally:  # nothing of the parent's is done by a child
        os._exit(1)


def _child(mutant: Mutant, tests: Sequence[str]) -> int:
    with quiet():
        sys.meta_path.insert(0, _Changed(mutant, path_of(mutant.module)))
        with contextlib.suppress(SystemExit):
            os._exit(int(pytest.main([*OPTIONS, *tests])))
    return 1
