"""Alerts by e-mail, over SMTP."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from email.message import EmailMessage
from typing import Final

from pipeline.errors import AlertRefused, SinkUnavailable
from pipeline.records import SummitAlert
from pipeline.settings import Mail
from pipeline.sinks.sink import TIMEOUT_S
from pipeline.stories.telling import lines
from pipeline.terminal import plain, shortened

_SUBJECT_CHARS: Final = 150


class MailSink:
    """Sends each alert as a letter."""

    name = "mail"

    def __init__(self, settings: Mail) -> None:
        self._settings = settings

    async def tell(self, alert: SummitAlert) -> None:
        """Send it; see ``Sink.tell``."""
        await asyncio.to_thread(self._send, letter(alert, self._settings))

    def _send(self, message: EmailMessage) -> None:
        settings = self._settings
        try:
            with self._connected() as smtp:
                if settings.username:
                    smtp.login(settings.username, settings.password.get_secret_value())
                refused = smtp.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            raise SinkUnavailable(f"every recipient was refused: {_codes(error)}") from None
        except smtplib.SMTPDataError as error:
            permanent = error.smtp_code >= 500
            kind = AlertRefused if permanent else SinkUnavailable
            raise kind(f"the server answered {error.smtp_code} to the letter") from None
        except (smtplib.SMTPException, OSError) as error:
            raise SinkUnavailable(f"no letter could be sent ({type(error).__name__})") from None
        if refused:
            # The others have it: to send again would double it for them.
            raise AlertRefused(f"the server refused {len(refused)} of the recipients")

    def _connected(self) -> smtplib.SMTP:
        settings = self._settings
        if settings.security == "tls":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(
                settings.host, settings.port, timeout=TIMEOUT_S, context=context
            )
        smtp = smtplib.SMTP(settings.host, settings.port, timeout=TIMEOUT_S)
        if settings.security == "starttls":
            smtp.starttls(context=ssl.create_default_context())
        return smtp


def letter(alert: SummitAlert, settings: Mail) -> EmailMessage:
    """The alert as a letter; its id is the letter's, so that a second copy is known as one."""
    head, *rest = (plain(line) for line in lines(alert))
    message = EmailMessage()
    message["Subject"] = shortened(head, _SUBJECT_CHARS)
    message["From"] = settings.sender
    message["To"] = ", ".join(settings.recipients)
    message["Message-ID"] = f"<{alert.alert_id}@kasnec>"
    message["Auto-Submitted"] = "auto-generated"
    # Letters of one summit are one thread.
    message["References"] = f"<{alert.summit_id}@kasnec>"
    message.set_content("\n\n".join([head, *rest]) + f"\n\nSummit {alert.summit_id}\n")
    return message


def _codes(error: smtplib.SMTPRecipientsRefused) -> str:
    return ", ".join(sorted({str(code) for code, _ in error.recipients.values()}))
