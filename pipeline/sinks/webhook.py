"""Alerts to an address of yours, as JSON or as Slack, Mattermost and their like read them.

Signed as https://www.standardwebhooks.com has it: ``webhook-id`` (the alert's id, the same at each
try), ``webhook-timestamp``, and ``webhook-signature`` over both and the body.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time

import orjson

from pipeline.records import SummitAlert, encode
from pipeline.settings import Webhook
from pipeline.sinks.sink import post
from pipeline.stories.telling import lines


class WebhookSink:
    """POSTs each alert."""

    name = "webhook"

    def __init__(self, settings: Webhook) -> None:
        self._url = settings.url.get_secret_value()
        self._slack = settings.format == "slack"
        self._secret = settings.secret.get_secret_value()

    async def tell(self, alert: SummitAlert) -> None:
        """Post it; see ``Sink.tell``."""
        body = slack(alert) if self._slack else encode(alert)
        headers = {"webhook-id": alert.alert_id, "webhook-timestamp": str(int(time.time()))}
        if self._secret:
            headers["webhook-signature"] = signature(
                self._secret, headers["webhook-id"], headers["webhook-timestamp"], body
            )
        await post(self._url, body, headers)


def signature(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    """``v1,`` and the base64 of HMAC-SHA256 over ``id.timestamp.body``.

    Args:
        secret: ``whsec_`` and base64, as the standard has it; any other text stands for its bytes.
        message_id: the header ``webhook-id``.
        timestamp: the header ``webhook-timestamp``, seconds since 1970.
        body: as it is sent.
    """
    prefix = "whsec_"
    if secret.startswith(prefix):
        key = base64.b64decode(secret.removeprefix(prefix))
    else:
        key = secret.encode()
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def slack(alert: SummitAlert) -> bytes:
    """The alert as Slack's incoming webhooks take it."""
    head, *rest = (_escaped(line) for line in lines(alert))
    return orjson.dumps({"text": "\n".join([f"*{head}*", *rest])})


def _escaped(text: str) -> str:
    """Slack's three control characters; without it an article could mention a whole channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
