"""Passwords: argon2id, long enough, not well known; the same time for known and unknown names."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from watchkeeper.errors import AccessError

MIN_LENGTH, MAX_LENGTH = 12, 128

#: Roots of the passwords that guessing begins with; a password made of one and a few digits or signs is refused.
COMMON = frozenset(
    ["password", "passw0rd", "p@ssw0rd", "p@ssword", "welcome", "letmein", "changeme", "administrator", "admin", "root", "qwerty", "qwertyuiop", "qwerty123", "qazwsx", "qazwsxedc", "1qaz2wsx", "1qaz2wsx3edc", "zaq12wsx", "asdfgh", "asdfghjkl", "zxcvbn", "zxcvbnm", "iloveyou", "princess", "dragon", "monkey", "football", "baseball", "superman", "batman", "sunshine", "shadow", "master", "michael", "jordan", "trustno1", "whatever", "freedom", "starwars", "computer", "internet", "secret", "default", "guest", "public", "private", "system", "service", "server", "monitor", "monitoring", "prometheus", "grafana", "watchkeeper", "woaini", "woaini1314", "5201314", "abc", "abcd", "abcdef", "abcabc", "test", "testing", "tester", "demo", "user", "username", "login", "hello", "helloworld", "google", "amazon", "microsoft", "oracle", "huawei", "alibaba", "tencent", "summer", "winter", "spring", "autumn"]
)

_HASHER = PasswordHasher()


def hash_password(password: str, *, name: str = "") -> str:
    """The stored form. Raises AccessError with what is wrong with a weak password."""
    problem = weakness(password, name)
    if problem:
        raise AccessError(problem)
    return _HASHER.hash(password)


def weakness(password: str, name: str = "") -> str:
    """Why a password is refused, empty when it is fine."""
    if len(password) < MIN_LENGTH:
        return f"the password is too short: use {MIN_LENGTH} characters or more (15 is better)"
    if len(password) > MAX_LENGTH:
        return f"the password is too long: {MAX_LENGTH} characters at most"
    folded = password.casefold()
    core = folded.strip("0123456789!@#$%^&*()_-+=.,?~ ")
    if len(set(folded)) < 5 or core in COMMON or core == "" or folded in COMMON:
        return "the password is among the first that would be guessed; choose another"
    if _is_run(folded):
        return "the password is a simple sequence; choose another"
    if name and name.casefold() in folded:
        return "the password contains the user's name; choose another"
    return ""


def _is_run(text: str) -> bool:
    """One character after the other, up or down, or one short piece repeated."""
    steps = {ord(right) - ord(left) for left, right in pairwise(text)}
    repeated = any(len(text) % size == 0 and text == text[:size] * (len(text) // size) for size in range(1, 5))
    return steps in ({1}, {-1}, {0}) or repeated


def verify_password(stored: str | None, password: str) -> bool:
    """True when it fits. An unknown user (``stored`` None) costs the same work and is always False."""
    try:
        fits = _HASHER.verify(stored or _dummy(), password[: MAX_LENGTH + 1])
    except (VerificationError, InvalidHashError):
        return False
    return fits and stored is not None


@lru_cache(maxsize=1)
def _dummy() -> str:
    return _HASHER.hash("nobody has this password")
