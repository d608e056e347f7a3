"""Numbers that name a person: found among the runs of digits, and believed only when their check digits are right."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

import numpy as np

#: Weights and check characters of GB 11643 (ISO 7064 MOD 11-2).
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = b"10X98765432"
_CARD = re.compile(rb"[3-6]\d{3}(?:([ -])\d{4})(?:\1\d{4}){2}(?:\1?\d{1,3})?(?!\d)")
_PHONE = re.compile(rb"1[3-9]\d([ -])\d{4}\1\d{4}(?!\d)")
_WORDY = frozenset(b"0123456789_.abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def _runs(text: bytes, shortest: int, longest: int) -> Iterator[tuple[int, int]]:
    """(begin, end) of runs of so many digits that belong to no longer word."""
    octets = np.frombuffer(text, np.uint8)
    digit = np.zeros(len(octets) + 2, np.int8)
    np.less(octets - np.uint8(48), 10, out=digit[1:-1].view(bool))
    edges = np.flatnonzero(digit[1:] != digit[:-1])
    begins, ends = edges[::2], edges[1::2]
    lengths = ends - begins
    chosen = (lengths >= shortest) & (lengths <= longest)
    for begin, end in zip(begins[chosen].tolist(), ends[chosen].tolist(), strict=True):
        if not begin or text[begin - 1] not in _WORDY:
            yield begin, end


def phones(text: bytes, _lower: bytes) -> Iterator[tuple[int, int]]:
    """Chinese mobile numbers: 13812345678, 138-1234-5678, +86 138 1234 5678."""
    for begin, end in _runs(text, 11, 13):
        start = begin + 2 if text[begin:end].startswith(b"86") and end - begin == 13 else begin
        if end - start == 11 and text[start] == 0x31 and text[start + 1] >= 0x33 and not _letter(text, end):
            yield start, end
    for begin, _ in _runs(text, 3, 3):
        matched = _PHONE.match(text, begin)
        if matched is not None:
            yield matched.span()


def identity_cards(text: bytes, _lower: bytes) -> Iterator[tuple[int, int]]:
    """Chinese identity card numbers of 18 characters: a date of birth that exists, and the right check character."""
    for begin, end in _runs(text, 17, 18):
        number = text[begin : begin + 18].upper()
        if len(number) == 18 and (end - begin == 18 or number[17:] == b"X") and is_identity_card(number):
            yield begin, begin + 18


def is_identity_card(number: bytes) -> bool:
    """Of 17 digits and a check character."""
    try:
        date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    total = sum(weight * (digit - 48) for weight, digit in zip(_WEIGHTS, number[:17], strict=True))
    return number[17] == _CHECKS[total % 11]


def bank_cards(text: bytes, _lower: bytes) -> Iterator[tuple[int, int]]:
    """Bank cards of 13 to 19 digits, in one piece or in fours, whose Luhn digit is right."""
    for begin, end in _runs(text, 13, 19):
        if text[begin] in b"3456" and not _letter(text, end) and luhn(text[begin:end]):
            yield begin, end
    for begin, _ in _runs(text, 4, 4):
        matched = _CARD.match(text, begin) if text[begin] in b"3456" else None
        if matched is not None and luhn(bytes(byte for byte in matched[0] if 48 <= byte < 58)):
            yield matched.span()


def luhn(digits: bytes) -> bool:
    """Whether the last digit is the check digit of the others (ISO/IEC 7812-1)."""
    values = [byte - 48 for byte in reversed(digits)]
    doubled = [value * 2 - 9 * (value > 4) for value in values[1::2]]
    return (sum(values[::2]) + sum(doubled)) % 10 == 0


def _letter(text: bytes, at: int) -> bool:
    return at < len(text) and text[at] in _WORDY and text[at] != 0x2E
