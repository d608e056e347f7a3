"""The rules that come along. Each looks only around its anchors: short byte strings that are quick to find.

Every pattern is matched at one place, never searched for, and takes time linear in what it takes away.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from watchkeeper.masking.arguments import arguments
from watchkeeper.masking.numbers import bank_cards, identity_cards, phones

#: (begin, end) of what must go.
Spans = Iterator[tuple[int, int]]
Rule = Callable[[bytes, bytes], Spans]  #: text, and the same in lower case

_QUOTED = rb'\\"((?:[^"\\\n]|\\[^"\n])*)|"((?:[^"\\\n]|\\[^\n])*)|' + rb"'([^'\n]*)|"
_NAMES = (
    *(b"password", b"passwd", b"pwd", b"passphrase", b"secret", b"token", b"apikey", b"api_key", b"api-key"),
    *(b"accesskey", b"access_key", b"access-key", b"accesskeyid", b"accesskeysecret", b"secretkey", b"secret_key"),
    *(b"privatekey", b"private_key", b"credential", b"sessionid", b"session_id", b"authkey", b"auth_key"),
    *(b"accountkey", "密码".encode(), "口令".encode(), "密钥".encode(), "验证码".encode()),
)
#: ：, 是 but not 是否 (whether), 为 but not 为空 (empty).
_CHINESE = rb"\xef\xbc\x9a|\xe6\x98\xaf(?!\xe5\x90\xa6)|\xe4\xb8\xba(?!\xe7\xa9\xba)"
_IS = rb"""(?:[_-]?(?:id|key|secret|value))?(?:\\?["'])?[ \t]*(?:[:=]|=>|""" + _CHINESE + rb""")[ \t]*"""
_VALUE = re.compile(_IS + rb"(?:" + _QUOTED + rb"""((?:(?:bearer|basic)[ \t]+)?[^\s"'&,;)}\]]+))""", re.IGNORECASE)
_HEADER = re.compile(rb"""(?:\\?["'])?[ \t]*[:=][ \t]*(?:\\?["'])?((?:[a-z]+[ \t]+)?[^\s"',;\\]+)""", re.IGNORECASE)
_COOKIE = re.compile(rb"""s?(?:\\?["'])?[ \t]*:[ \t]*(?:\\?["'])?([^\n"'\\]+)""")
_BEARER = re.compile(rb"[ \t]+([A-Za-z0-9._~+/=-]{8,})")
_JWT = re.compile(rb"(?<![\w.-])eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?")
_USER = re.compile(rb"[^\s/@:\"']{0,200}:([^\s/@\"']{1,500})@")
_KEY_BLOCK = re.compile(rb"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----([^-]*)(?:-----END|\Z)?")
_DOMAIN = re.compile(rb"(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}")
_LOCAL = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._%+-"
_IP = re.compile(rb"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
_CLOUD = {
    b"akia": re.compile(rb"AKIA[0-9A-Z]{16}"),
    b"asia": re.compile(rb"ASIA[0-9A-Z]{16}"),
    b"ltai": re.compile(rb"LTAI[0-9A-Za-z]{12,30}"),
    b"akid": re.compile(rb"AKID[0-9A-Za-z]{32}"),
    b"ghp_": re.compile(rb"ghp_[0-9A-Za-z]{36}"),
    b"github_pat_": re.compile(rb"github_pat_[0-9A-Za-z_]{22,}"),
    b"glpat-": re.compile(rb"glpat-[0-9A-Za-z_-]{20,}"),
    b"aiza": re.compile(rb"AIza[0-9A-Za-z_-]{35}"),
    b"hvs.": re.compile(rb"hvs\.[0-9A-Za-z_-]{20,}"),
    b"sk_live_": re.compile(rb"[sr]k_live_[0-9A-Za-z]{16,}"),
    b"xox": re.compile(rb"xox[abprs]-[0-9A-Za-z-]{10,}"),
    b"sk-": re.compile(rb"sk-[0-9A-Za-z_-]{20,}"),
}
#: A line of nothing else is the middle of a key whose beginning was read before.
_KEY_LINE = re.compile(rb"(?m)^[A-Za-z0-9+/]{60,76}$")


def _beside(text: bytes, where: bytes, anchor: bytes, pattern: re.Pattern[bytes], step: int = 0) -> Spans:
    """What the pattern takes at each anchor in ``where``; anchors inside of it are passed over, so no byte twice."""
    at = where.find(anchor)
    while at >= 0:
        matched, end = pattern.match(text, at + step), at + len(anchor)
        if matched is not None:
            yield from _group(matched)
            end = max(end, matched.end())
        at = where.find(anchor, end)


def secret_fields(text: bytes, lower: bytes) -> Spans:
    """password=..., "token": "...", ?api_key=..., --password ..."""
    for name in _NAMES:
        yield from _beside(text, lower, name, _VALUE, len(name))
    yield from arguments(text, lower)


def authorization(text: bytes, lower: bytes) -> Spans:
    """Authorization headers, cookies, and bearer tokens wherever they stand."""
    yield from _beside(text, lower, b"authorization", _HEADER, 13)
    yield from _beside(text, lower, b"cookie", _COOKIE, 6)
    yield from _beside(text, lower, b"bearer", _BEARER, 6)


def url_passwords(text: bytes, _lower: bytes) -> Spans:
    """scheme://user:password@host"""
    yield from _beside(text, text, b"://", _USER, 3)


def jwt(text: bytes, _lower: bytes) -> Spans:
    """JSON web tokens."""
    yield from _beside(text, text, b"eyJ", _JWT)


def private_keys(text: bytes, _lower: bytes) -> Spans:
    """PEM private keys: what stands between their lines, and lines that are the middle of one."""
    for begin, end in _beside(text, text, b"-----BEGIN ", _KEY_BLOCK):
        yield from _lines(text, begin, end)
    if b"-----END " in text or b"MII" in text:
        for matched in _KEY_LINE.finditer(text):
            yield matched.span()


def cloud_keys(text: bytes, lower: bytes) -> Spans:
    """Access keys of AWS, Aliyun, Tencent Cloud, GitHub, Slack and model providers."""
    for anchor, pattern in _CLOUD.items():
        yield from _beside(text, lower, anchor, pattern)


def email(text: bytes, _lower: bytes) -> Spans:
    """E-mail addresses."""
    at = text.find(b"@")
    while at >= 0:
        before = text[max(0, at - 64) : at]
        local = len(before) - len(before.rstrip(_LOCAL))
        matched = _DOMAIN.match(text, at + 1) if local else None
        if matched is not None:
            yield at - local, matched.end()
        at = text.find(b"@", at + 1)


def ip(text: bytes, _lower: bytes) -> Spans:
    """IPv4 addresses."""
    for matched in _IP.finditer(text):
        yield matched.span()


def _lines(text: bytes, begin: int, end: int) -> Spans:
    """Each line of a span by itself: line ends stay."""
    while begin < end:
        stop = text.find(b"\n", begin, end)
        stop = end if stop < 0 else stop
        if stop > begin:
            yield begin, stop
        begin = stop + 1


def _group(matched: re.Match[bytes]) -> Spans:
    """The group that took part; the whole match where there is none."""
    begin, end = matched.span(matched.lastindex or 0)
    if end > begin:
        yield begin, end


#: Name -> rule, in the order in which they are applied.
RULES: dict[str, Rule] = {
    "private_key": private_keys,
    "authorization": authorization,
    "secret": secret_fields,
    "url_password": url_passwords,
    "jwt": jwt,
    "cloud_key": cloud_keys,
    "email": email,
    "identity_card": identity_cards,
    "bank_card": bank_cards,
    "phone": phones,
    "ip": ip,
}
#: Off unless switched on.
OPTIONAL = frozenset({"ip"})
