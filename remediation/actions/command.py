"""A state that programs of yours read and set: lists of arguments, and values only where a pattern allows them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, SecretStr
from pydantic.dataclasses import dataclass

from remediation.situation import Impact
from watchkeeper.config.types import STRICT
from watchkeeper.errors import ActionError, QueryError
from watchkeeper.model import Intent, RiskClass, Target
from watchkeeper.model.series import Matcher, MatchOp
from watchkeeper.ports import Reading
from watchkeeper.store.samples.patterns import compile_matcher

from . import said, told
from .base import holds, options_of, untouched
from .programs import is_shell, run

#: ``{replicas}`` in an argument; nothing else is replaced.
PLACE = re.compile(r"\{([a-z][a-z0-9_]*)\}")
#: Exit status that says: nothing was done (sysexits.h, EX_TEMPFAIL).
NOTHING_DONE = 75
MAX_VALUE = 1000


def _patterns(values: dict[str, str]) -> dict[str, str]:
    for name, pattern in values.items():
        try:
            fits(pattern, "")
        except QueryError as error:
            raise ValueError(f"{name}: {error}") from None
    return values


def _program(argv: list[str]) -> list[str]:
    if argv and (not argv[0].startswith("/") or PLACE.search(argv[0])):
        raise ValueError("the program is the whole path of a file")
    if argv and is_shell(argv[0]):
        raise ValueError("a shell makes commands of its arguments: write a program of your own")
    return argv


Argv = Annotated[list[str], AfterValidator(_program)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class CommandOptions:
    """``set`` brings the state about; ``read`` prints ``{"state": {...}, "capacity": {...}}`` as JSON."""

    set: Annotated[Argv, Field(min_length=1)]  #: program and arguments; ``{name}`` is a value of the wanted state
    read: Argv = Field(default_factory=list)  #: empty: the state cannot be read, there is no way back, class A4
    arguments: Annotated[dict[str, str], AfterValidator(_patterns)] = Field(default_factory=dict)
    #: name -> RE2 pattern that the whole value must fit; a value without a pattern is never passed on
    environment: dict[str, SecretStr] = Field(default_factory=dict)  #: beside PATH and LANG
    risk: Literal["A0", "A1", "A2", "A3", "A4"] = "A3"
    floor: Annotated[float, Field(ge=0)] = 0
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 10.0

    def __post_init__(self) -> None:
        missing = {name for word in self.set for name in PLACE.findall(word)} - set(self.arguments)
        if missing:
            raise ValueError(f"set: {{{min(missing)}}} has no pattern under arguments")
        if any(PLACE.search(word) for word in self.read):
            raise ValueError("read: takes no values")


class Command:
    """Desired state: values of the state that ``read`` prints, set together by one run of ``set``."""

    risk = RiskClass.A3
    capabilities: ClassVar[tuple[str, ...]] = ("set",)
    link: ClassVar[str] = ""
    options: ClassVar[type[Any]] = CommandOptions

    def read(self, target: Target, settings: Mapping[str, Any]) -> Reading:
        options = options_of(CommandOptions, settings, "command")
        if not options.read:
            return told.nothing_told()
        ended = run(options.read, timeout=options.timeout_seconds, environment=_environment(options))
        if ended.code != 0:
            raise said.refused(target.name, "read", ended.told())
        return told.reading_of(target.name, ended.out)

    def desired(self, reading: Reading, parameters: Mapping[str, Any]) -> tuple[dict[str, object], dict[str, object]]:
        return told.desired_of(reading, parameters)

    def impact(self, reading: Reading, desired: Mapping[str, object], settings: Mapping[str, Any]) -> Impact:
        options = options_of(CommandOptions, settings, "command")
        return told.impact_of(reading, desired, options, _problem(options, desired))

    def reached(self, reading: Reading, desired: Mapping[str, object]) -> bool:
        return bool(reading.state) and holds(reading.state, desired)

    def ours(self, reading: Reading, before: Mapping[str, object], desired: Mapping[str, object]) -> bool:
        return untouched(reading.state, before, desired)

    def apply(self, desired: Mapping[str, object], intent: Intent, settings: Mapping[str, Any]) -> Mapping[str, object]:
        """Exit status 0 is done, 75 is nothing done, anything else is not known and settled by reading."""
        options = options_of(CommandOptions, settings, "command")
        target, argv = Target(kind="command", name=str(settings.get("name", ""))), argv_of(options, desired)
        if options.read and self.reached(self.read(target, settings), desired):
            return {"already": True, "token": intent.token}
        about = {
            "WATCHKEEPER_TOKEN": str(intent.token),
            "WATCHKEEPER_IDEMPOTENCY_KEY": intent.idempotency_key,
            "WATCHKEEPER_OPERATION": intent.operation,
        }
        environment = {**_environment(options), **about}
        ended = run(argv, timeout=options.timeout_seconds, environment=environment, effect=True)
        if ended.code != 0:
            raise said.refused(target.name, "set", ended.told(), unknown=ended.code != NOTHING_DONE)
        if options.read and not self.reached(reading := self.read(target, settings), desired):
            raise said.not_reached(target.name, dict(reading.state))
        return {"argv": argv, "token": intent.token}


def _problem(options: CommandOptions, desired: Mapping[str, object]) -> str:
    try:
        _ = argv_of(options, desired) if desired else []
    except ActionError as error:
        return str(error)
    return ""


def argv_of(options: CommandOptions, desired: Mapping[str, object]) -> list[str]:
    """The arguments with the values in their places. Raises ActionError when a value may not be passed on."""
    values = {name: _checked(options, name, value) for name, value in desired.items()}
    missing = {name for word in options.set for name in PLACE.findall(word)} - set(values)
    if missing:
        raise said.nobody("state", min(missing), values)
    return [PLACE.sub(lambda found: values[found[1]], word) for word in options.set]


def _checked(options: CommandOptions, name: str, value: object) -> str:
    pattern = options.arguments.get(name)
    if pattern is None:
        raise said.nobody("arguments", name, options.arguments)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    plain = isinstance(value, str | int | float) and text.isprintable() and len(text) <= MAX_VALUE
    if not plain or not fits(pattern, text):
        raise said.refused("arguments", name, f"{text[:80]!r} does not fit its pattern")
    return text


def fits(pattern: str, text: str) -> bool:
    """The whole text fits, by RE2. Raises QueryError on a bad pattern."""
    return bool(compile_matcher(Matcher("value", MatchOp.REGEX, pattern)).test([text])[0])


def _environment(options: CommandOptions) -> dict[str, str]:
    return {name: value.get_secret_value() for name, value in options.environment.items()}
