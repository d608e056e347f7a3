"""E-mail, webhook and console."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from support.mail import mail_server
from support.robots import SECRET, TOKEN, robots
from support.servers import free_port

from notifiers import BUILTIN
from watchkeeper.errors import ConfigError, DeliveryError
from watchkeeper.model import Message, Severity
from watchkeeper.outbound import Outbound
from watchkeeper.registry import Registry

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MESSAGE = Message(
    kind="report", title="容量报告 <b>", lines=("disk: <script>alert(1)</script>", "b"), severity=Severity.P2, at=NOON,
    language="en", links={"Open": "https://watch.example/?a=1&b=2", "bad": "javascript:x"},
    attachments=(("容量.csv", "text/csv", b"a,b\n"), ("r.html", "text/html", b"<p>")),
)  # fmt: skip


@pytest.fixture
async def out() -> AsyncIterator[Outbound]:
    found = Outbound(allow_private=True)
    yield found
    await found.aclose()


def build(kind: str, **options: Any) -> Any:
    return Registry("notifiers", BUILTIN).build(kind, options)


def mailer(port: int, ca: Path | None, **more: Any) -> Any:
    options = {"host": "127.0.0.1", "port": port, "sender": "watch@example.com", "recipients": ("ops@example.com",)}
    return build("email", **{**options, "ca_file": ca, "timeout": timedelta(seconds=5), **more})


async def test_mail_arrives_over_tls_with_text_html_and_attachments(out: Outbound, tmp_path: Path) -> None:
    with mail_server(tmp_path) as (box, port, ca):
        receipt = await mailer(port, ca).send(MESSAGE, key="k1", outbound=out)
    assert receipt.detail == "ok"
    mail = box.mails[0]
    assert (mail["Subject"], mail["To"]) == ("容量报告 <b>", "ops@example.com")
    text, page = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert page is not None
    assert "<script>" in text.get_content()
    assert "<script>" not in page.get_content()
    assert "javascript" not in text.get_content() + page.get_content()
    assert "a=1&amp;b=2" in page.get_content()
    assert [(part.get_filename(), part.get_content_type()) for part in mail.iter_attachments()] == [
        ("容量.csv", "text/csv"),
        ("r.html", "text/html"),
    ]


async def test_the_same_key_gives_the_same_message_id(tmp_path: Path) -> None:
    sender = mailer(1, None)
    first, again, other = (sender.mail(MESSAGE, key)["Message-ID"] for key in ("k1", "k1", "k2"))
    assert first == again != other


def test_the_mail_is_the_one_on_file() -> None:
    plain = Message(
        kind="firing",
        title="CPU 高",
        lines=("a", "b"),
        severity=Severity.P1,
        at=NOON,
        links={"Open": "https://x.example/"},
    )
    mail = mailer(1, None).mail(plain, "k1")
    mail.as_bytes()  # makes the boundary, a random one
    mail.set_boundary("BOUNDARY")
    golden = (Path(__file__).parents[2] / "golden" / "email" / "firing.eml").read_bytes().replace(b"\n", b"\r\n")
    assert mail.as_bytes() == golden
    assert message_from_bytes(golden, policy=policy.default)["Subject"] == "CPU 高"


@pytest.mark.parametrize(
    "title", ["x\r\nBcc: eve@example.com", "x\nBcc: eve@example.com", "x\r\n\r\nbody", "\u2028Bcc: a@b"]
)
async def test_a_hostile_title_adds_no_header(title: str, tmp_path: Path) -> None:
    evil = Message(kind="firing", title=title, lines=(title,), severity=None, at=NOON)
    mail = message_from_bytes(mailer(1, None).mail(evil, "k").as_bytes(), policy=policy.default)
    assert mail["Bcc"] is None
    assert mail["Subject"].startswith("x ") or mail["Subject"].startswith("Bcc")


@pytest.mark.parametrize("address", ["a@b\r\nBcc: c@d", "a b@c", "nobody", "a@b,c@d", "A <a@b>"])
def test_addresses_that_would_inject_are_refused(address: str) -> None:
    for where in ({"sender": address}, {"recipients": (address,)}):
        with pytest.raises(ConfigError, match="plain mail address"):
            mailer(1, None, **where)


@pytest.mark.parametrize(("answer", "permanent"), [("451 later", False), ("554 spam", True)])
async def test_the_mail_servers_no_is_for_now_or_for_ever(
    out: Outbound, answer: str, permanent: bool, tmp_path: Path
) -> None:
    with mail_server(tmp_path) as (box, port, ca):
        box.answer = answer
        with pytest.raises(DeliveryError) as caught:
            await mailer(port, ca).send(MESSAGE, key="k", outbound=out)
    assert (caught.value.permanent, caught.value.code) == (permanent, answer[:3])


async def test_refused_recipients_are_told(out: Outbound, tmp_path: Path) -> None:
    with mail_server(tmp_path) as (box, port, ca):
        box.refused = {"gone@example.com"}
        both = mailer(port, ca, recipients=("ops@example.com", "gone@example.com"))
        assert (await both.send(MESSAGE, key="k", outbound=out)).detail == "refused for 1 of 2 recipients"
        with pytest.raises(DeliveryError, match="all recipients") as caught:
            await mailer(port, ca, recipients=("gone@example.com",)).send(MESSAGE, key="k", outbound=out)
    assert caught.value.permanent


async def test_mail_never_goes_in_the_clear_or_to_a_stranger(out: Outbound, tmp_path: Path) -> None:
    with mail_server(tmp_path) as (box, port, _):
        with pytest.raises(DeliveryError) as caught:
            await mailer(port, None).send(MESSAGE, key="k", outbound=out)
        assert (caught.value.code, caught.value.permanent) == ("tls", False)
        assert box.mails == []
    with mail_server(tmp_path, tls=False) as (box, port, ca):
        with pytest.raises(DeliveryError, match="STARTTLS") as caught:
            await mailer(port, ca, username="u", password=SECRET).send(MESSAGE, key="k", outbound=out)
        assert caught.value.permanent
        assert box.mails == []
        await mailer(port, None, security="none").send(MESSAGE, key="k", outbound=out)
        assert len(box.mails) == 1


async def test_no_mail_server_is_trouble_that_may_pass_and_shows_no_password(out: Outbound) -> None:
    sender = mailer(free_port(), None, username="u", password=SECRET, security="tls")
    with pytest.raises(DeliveryError) as caught:
        await sender.send(MESSAGE, key="k", outbound=out)
    assert (caught.value.code, caught.value.permanent) == ("connect", False)
    assert SECRET not in repr(sender) + repr(caught.value)


async def test_a_webhook_is_signed_over_time_and_body(out: Outbound) -> None:
    async with robots() as double:
        sender = build("webhook", url=f"{double.base}/hook", secret=SECRET, bearer=TOKEN, now=lambda: NOON)
        await sender.send(MESSAGE, key="k9", outbound=out)
        got = double.accepted[0]
    stamp = got.headers["x-watchkeeper-timestamp"]
    right = hmac.new(SECRET.encode(), f"{stamp}.".encode() + got.body, hashlib.sha256).hexdigest()
    assert stamp == str(int(NOON.timestamp()))
    assert got.headers["x-watchkeeper-signature"] == f"v1={right}"
    assert (got.headers["idempotency-key"], got.headers["authorization"]) == ("k9", f"Bearer {TOKEN}")
    body = json.loads(got.body)
    assert (body["key"], body["severity"], body["attachments"][0]["name"]) == ("k9", "P2", "容量.csv")


async def test_a_webhook_without_secrets_sends_none(out: Outbound) -> None:
    async with robots() as double:
        await build("webhook", url=f"{double.base}/hook").send(MESSAGE, key="k", outbound=out)
        assert not {"authorization", "x-watchkeeper-signature"} & set(double.accepted[0].headers)
    with pytest.raises(ConfigError, match="http or https"):
        build("webhook", url="ftp://x")


async def test_the_console_writes_one_line_whatever_the_message(
    out: Outbound, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = Message(kind="firing", title="a\n2026 forged\x1b[31m", lines=("b\r\nc",), severity=None, at=NOON)
    await build("console").send(evil, key="k", outbound=out)
    said = capsys.readouterr().err
    assert said == "2026-03-01T12:00:00+00:00 firing - a 2026 forged[31m | b c key=k\n"
    for _ in range(2):
        await build("console", path=tmp_path / "log").send(evil, key="k", outbound=out)
    assert (tmp_path / "log").read_text().count("\n") == 2
    with pytest.raises(DeliveryError, match="cannot write"):
        await build("console", path=tmp_path).send(evil, key="k", outbound=out)
