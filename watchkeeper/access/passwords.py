"""Passwords: argon2id at rest, 12 to 128 characters, and none that everybody tries."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from importlib.resources import files

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

from watchkeeper.access.errors import WeakPasswordError

SHORTEST, LONGEST = 12, 128
#: Fewer distinct characters than this are a pattern, whatever the length.
DISTINCT = 5
#: OWASP's Password Storage Cheat Sheet: 19 MiB, 2 passes, 1 lane. RFC 9106's 64 MiB take a core for a quarter of a
#: second, which a thousand people in the morning, or a few who only try, would feel on every page.
HASHER = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1, type=Type.ID)

_LEET = str.maketrans("013457@$!", "oleastasi")
_RUNS = (
    "abcdefghijklmnopqrstuvwxyz",
    "0123456789" * 3,
    "qwertyuiopasdfghjklzxcvbnm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
)


@cache
def common_words() -> frozenset[str]:
    """Words that lists of leaked passwords start with."""
    return frozenset(files("watchkeeper.access").joinpath("common_passwords.txt").read_text("utf-8").split())


def check_password(password: str, name: str = "") -> None:
    """Raises WeakPasswordError with what is wrong."""
    if len(password) < SHORTEST:
        raise WeakPasswordError(f"the password needs {SHORTEST} characters or more; a few unrelated words do well")
    if len(password) > LONGEST:
        raise WeakPasswordError(f"the password may have {LONGEST} characters at most")
    plain = unicodedata.normalize("NFKC", password).casefold()
    if len(set(plain)) < DISTINCT or _repeats(plain) or _is_run(plain):
        raise WeakPasswordError("the password is a simple pattern; a few unrelated words do well")
    if len(name) >= 3 and name.casefold() in plain:
        raise WeakPasswordError("the password contains the user's name")
    if _is_common(plain):
        raise WeakPasswordError("the password is a common one with small changes; a few unrelated words do well")


def _repeats(plain: str) -> bool:
    """True for one short piece over and over."""
    return any(plain == (plain[:size] * len(plain))[: len(plain)] for size in range(1, len(plain) // 2 + 1))


def _is_run(plain: str) -> bool:
    """True when most of it is a run of the alphabet or the keyboard, forwards or backwards."""
    letters = re.sub(r"[\W_]", "", plain)
    return any(
        letters[start : start + 9] in run or letters[start : start + 9] in run[::-1]
        for run in _RUNS
        for start in range(max(len(letters) - 8, 0))
    )


def _is_common(plain: str) -> bool:
    """True when one or two common words are left once digits, symbols and look-alikes are taken away."""
    words = common_words()
    core = re.sub(r"^[\W\d_]+|[\W\d_]+$", "", plain)  # a year at the end is no look-alike
    for text in {re.sub(r"[\W\d_]", "", core), re.sub(r"[\W\d_]", "", core.translate(_LEET))}:
        if len(text) < 4 or text in words:
            return True
        if any(text[:cut] in words and text[cut:] in words for cut in range(2, len(text) - 1)):
            return True
    return False


def hash_password(password: str, hasher: PasswordHasher = HASHER) -> str:
    return hasher.hash(unicodedata.normalize("NFKC", password))


def matches(stored: str, password: str, hasher: PasswordHasher = HASHER) -> bool:
    """Takes as long for a wrong password as for the right one."""
    try:
        return hasher.verify(stored, unicodedata.normalize("NFKC", password[: 4 * LONGEST]))
    except (VerificationError, InvalidHashError):
        return False


@cache
def dummy_hash(hasher: PasswordHasher = HASHER) -> str:
    """What an unknown user's password is compared with, so that the answer takes as long."""
    return hasher.hash("the password of nobody")
