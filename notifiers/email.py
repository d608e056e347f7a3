"""E-mail over SMTP with TLS: plain text and HTML side by side, reports attached."""

from __future__ import annotations

import hashlib
import html
import smtplib
import ssl
from datetime import timedelta
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Literal

import anyio
from pydantic import SecretStr
from pydantic.dataclasses import dataclass

from watchkeeper.config.types import Duration
from watchkeeper.errors import DeliveryError
from watchkeeper.model import Message
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Receipt

from .base import STRICT, Language, secret_of
from .text import clean, clip, safe_url


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Email:
    """Sends through one mail server; never in the clear unless told to."""

    host: str
    port: int = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    ca_file: Path | None = None  #: PEM file of an authority of one's own
    username: str = ""
    password: SecretStr | None = None
    password_file: Path | None = None
    sender: str  #: address in From
    recipients: tuple[str, ...]
    language: Language = "zh-CN"
    timeout: Duration = timedelta(seconds=20)

    def __post_init__(self) -> None:
        if not self.recipients:
            raise ValueError("give at least one recipient")
        for address in (self.sender, *self.recipients):
            if address != clean(address) or address.count("@") != 1 or any(char in address for char in " ,;<>"):
                raise ValueError("an address must be one plain mail address, like ops@example.com")
        secret_of(self.password, self.password_file, "password")

    async def send(self, message: Message, *, key: str, outbound: Outbound) -> Receipt:  # noqa: ARG002 - not HTTP
        """The Message-ID comes from the key, so a repeat is recognised by the reader's mail system."""
        mail = self.mail(message, key)
        return await anyio.to_thread.run_sync(self._deliver, mail, abandon_on_cancel=True)

    def mail(self, message: Message, key: str) -> EmailMessage:
        mail = EmailMessage(policy=SMTP.clone(cte_type="7bit"))
        mail["Subject"] = clip(clean(message.title), 400)
        mail["From"], mail["To"] = self.sender, ", ".join(self.recipients)
        mail["Date"] = message.at
        mail["Message-ID"] = f"<{hashlib.sha256(key.encode()).hexdigest()[:32]}@{self.sender.partition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"
        links = [
            (clean(text), url) for text, url in ((text, safe_url(url)) for text, url in message.links.items()) if url
        ]
        lines = [clean(line) for line in message.lines]
        mail.set_content("\n".join([clean(message.title), "", *lines, "", *(f"{text}: {url}" for text, url in links)]))
        mail.add_alternative(_html(clean(message.title), lines, links, message.language), subtype="html")
        for name, mime, content in message.attachments:
            main, _, sub = mime.partition("/")
            mail.add_attachment(content, maintype=main, subtype=sub or "octet-stream", filename=clean(name))
        return mail

    def _deliver(self, mail: EmailMessage) -> Receipt:
        try:
            with self._connect() as server:
                if self.username:
                    server.login(self.username, secret_of(self.password, self.password_file, "password"))
                refused = server.send_message(mail)
        except smtplib.SMTPException as error:
            raise _failed(error) from None
        except (OSError, ssl.SSLError) as error:
            code = (
                "timeout"
                if isinstance(error, TimeoutError)
                else "tls"
                if isinstance(error, ssl.SSLError)
                else "connect"
            )
            raise DeliveryError(f"mail server: {type(error).__name__}", code=code) from None
        detail = f"refused for {len(refused)} of {len(self.recipients)} recipients" if refused else "ok"
        return Receipt(code="250", detail=detail)

    def _connect(self) -> smtplib.SMTP:
        context = ssl.create_default_context(cafile=self.ca_file)
        patience = self.timeout.total_seconds()
        if self.security == "tls":
            return smtplib.SMTP_SSL(self.host, self.port, timeout=patience, context=context)
        server = smtplib.SMTP(self.host, self.port, timeout=patience)
        try:
            if self.security == "starttls":
                server.starttls(context=context)
        except BaseException:
            server.close()
            raise
        return server


def _failed(error: smtplib.SMTPException) -> DeliveryError:
    """5xx is for ever, 4xx for now; the server's words may hold what we sent, so they stay out."""
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return DeliveryError("the mail server offers no STARTTLS or no log-in", permanent=True, code="unsupported")
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = [code for code, _ in error.recipients.values()]
        return DeliveryError("all recipients were refused", permanent=min(codes) >= 500, code=str(min(codes)))
    if isinstance(error, smtplib.SMTPResponseException):
        code = int(error.smtp_code)
        return DeliveryError(f"mail server answered {code}", permanent=code >= 500, code=str(code))
    return DeliveryError("the mail server hung up", code="broken")


def _html(title: str, lines: list[str], links: list[tuple[str, str]], language: str) -> str:
    rows = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    ends = "".join(f'<p><a href="{html.escape(url)}">{html.escape(text)}</a></p>' for text, url in links)
    return (
        f'<!doctype html><html lang="{language}"><meta charset="utf-8"><body>'
        f"<h2>{html.escape(title)}</h2><ul>{rows}</ul>{ends}</body></html>"
    )
