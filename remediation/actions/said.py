"""What kinds of action say when something is wrong: few sentences, so that every kind says it alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from watchkeeper.errors import ActionError


def unreachable(what: str, error: object, *, unknown: bool = False) -> ActionError:
    return ActionError(f"{what} cannot be asked: {error}", unknown=unknown)


def refused(what: str, operation: str, answer: object, *, unknown: bool = False) -> ActionError:
    return ActionError(f"{what} refused {operation}: {answer}", unknown=unknown)


def not_reached(what: str, state: object = "") -> ActionError:
    """After the effect began: nobody may think that nothing was done."""
    return ActionError(f"{what} did not reach the wanted state in time; it says {state or '-'}", unknown=True)


def unreadable(what: str, error: object) -> ActionError:
    return ActionError(f"{what}: the answer cannot be read: {error}")


def nobody(what: str, name: object, known: Iterable[object]) -> ActionError:
    return ActionError(f"{what}: there is no {name}; there are {_names(known)}")


def changed(what: str, detail: object) -> ActionError:
    """Compare-and-set failed: nothing was done."""
    return ActionError(f"{what} was changed by somebody else meanwhile: {detail}")


def one_of(word: str, known: Iterable[object]) -> ActionError:
    return ActionError(f"{word}: write one of {_names(known)}")


def check_words(parameters: Mapping[str, Any], known: Iterable[str]) -> None:
    """Refuses a parameter that nobody knows."""
    if strange := sorted(set(parameters) - set(known)):
        raise ActionError(f"unknown parameter {strange[0]!r}; known are {_names(known)}")


def exactly_one(parameters: Mapping[str, Any], known: Iterable[str]) -> tuple[str, Any]:
    """The one parameter and its value."""
    check_words(parameters, known)
    if len(parameters) != 1:
        raise ActionError(f"give exactly one of {_names(known)}")
    ((word, value),) = parameters.items()
    return word, value


def whole_number(word: str, value: object, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ActionError(f"{word}: write a whole number from {low} to {high}")
    return value


def _names(known: Iterable[object]) -> str:
    return ", ".join(sorted(map(str, known))) or "-"
