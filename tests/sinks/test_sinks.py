"""What each sink sends, and what becomes of an alert that is not taken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from typing import Any

import orjson
import pytest
import pytest_asyncio
from aiosmtpd.smtp import SMTP, Envelope
from pydantic import SecretStr
from standardwebhooks.webhooks import Webhook as StandardWebhook

from pipeline.errors import AlertRefused, SinkUnavailable
from pipeline.records import SummitAlert, encode
from pipeline.settings import Alertmanager, Mail, Webhook
from pipeline.sinks import alertmanager
from pipeline.sinks.alertmanager import AlertmanagerSink
from pipeline.sinks.mail import MailSink
from pipeline.sinks.webhook import WebhookSink
from pipeline.streaming.notify import Pace
from tests.sinks.receivers import Receiver
from tests.stories.stream2027 import perfect_alerts

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """An HTTP server."""
    with Receiver() as running:
        yield running


@pytest.fixture(scope="module")
def alert() -> SummitAlert:
    """A new summit."""
    return perfect_alerts()[0]


def webhook(receiver: Receiver, **fields: Any) -> WebhookSink:
    """A sink that posts to the receiver."""
    return WebhookSink(Webhook(url=SecretStr(receiver.url + "/hook"), **fields))


async def test_the_webhook_posts_the_record_signed(receiver: Receiver, alert: SummitAlert) -> None:
    """A receiver that follows the standard reads it; the body is the record of alerts.summits."""
    await webhook(receiver, secret=SecretStr(SECRET)).tell(alert)
    (request,) = receiver.taken
    headers = {name.lower(): value for name, value in request.headers.items()}
    StandardWebhook(SECRET).verify(request.body, headers)
    assert request.body == encode(alert)
    assert request.path == "/hook"
    assert headers["webhook-id"] == alert.alert_id


async def test_slack_gets_text_that_cannot_mention_anybody(
    receiver: Receiver, alert: SummitAlert
) -> None:
    """Headline, evidence and source; an article's own angle brackets are escaped."""
    evidence = replace(alert.event.evidence, text="<!channel> takimi & samiti")
    hostile = replace(alert, event=replace(alert.event, evidence=evidence))
    await webhook(receiver, format="slack").tell(hostile)
    text = orjson.loads(receiver.taken[0].body)["text"]
    assert text.startswith(f"*New summit: {alert.summit.name}")
    assert "&lt;!channel&gt; takimi &amp; samiti" in text
    assert "webhook-signature" not in receiver.taken[0].headers


@pytest.mark.parametrize("status", [302, 401, 404, 408, 429, 500, 503])
async def test_what_may_be_mended_is_tried_again(
    receiver: Receiver, alert: SummitAlert, status: int
) -> None:
    """Overload, faults, wrong addresses and passwords: the alert waits."""
    receiver.answers.append(status)
    with pytest.raises(SinkUnavailable, match=f"HTTP {status}"):
        await webhook(receiver).tell(alert)


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_what_is_refused_is_not_tried_again(
    receiver: Receiver, alert: SummitAlert, status: int
) -> None:
    """The alert itself is at fault: another try would hold up all that follow."""
    receiver.answers.append(status)
    with pytest.raises(AlertRefused, match=f"HTTP {status}"):
        await webhook(receiver).tell(alert)


async def test_no_answer_quotes_no_address(alert: SummitAlert) -> None:
    """Nobody listens: tried again, and the address, which may be a secret, stays untold."""
    sink = WebhookSink(Webhook(url=SecretStr("http://127.0.0.1:9/T0/B0/secret")))
    with pytest.raises(SinkUnavailable) as error:
        await sink.tell(alert)
    assert "secret" not in str(error.value)
    assert error.value.__cause__ is None


async def test_the_alertmanager_gets_one_fingerprint_a_summit(receiver: Receiver) -> None:
    """Labels are those of the summit, whatever has changed about it."""
    sink = AlertmanagerSink(
        Alertmanager(url=receiver.url + "/", username="k", password=SecretStr("p"))
    )
    alerts = perfect_alerts()
    for alert in alerts:
        await sink.tell(alert)
    assert {request.path for request in receiver.taken} == {"/api/v2/alerts"}
    assert all(r.headers["Authorization"] == "Basic azpw" for r in receiver.taken)
    labels = {orjson.dumps(orjson.loads(r.body)[0]["labels"]) for r in receiver.taken}
    assert len(labels) == len({alert.summit_id for alert in alerts})


def test_a_summit_resolves_when_it_is_over_or_off() -> None:
    """Open until its last day is over everywhere; at once when it is cancelled or denied."""
    now = datetime(2027, 3, 1, tzinfo=UTC)
    for alert in perfect_alerts():
        (sent,) = orjson.loads(alertmanager.body(alert, now))
        end = datetime.fromisoformat(sent["endsAt"])
        summit = alert.summit
        if summit.status in ("cancelled", "denied"):
            assert end == now
        elif summit.date is None:
            assert end > now + timedelta(days=100)
        else:
            assert end.date().isoformat() > summit.date.value[:10]


class Mailbox:
    """What a mail server took."""

    def __init__(self) -> None:
        self.letters: list[bytes] = []
        self.answer = "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _server: object, _session: object, envelope: Envelope
    ) -> str:
        """Take a letter, or not."""
        assert isinstance(envelope.content, bytes)
        self.letters.append(envelope.content)
        return self.answer


@pytest_asyncio.fixture
async def mailbox() -> AsyncIterator[tuple[Mailbox, Mail]]:
    """A mail server, and the settings to reach it."""
    box = Mailbox()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(box, loop=loop), "127.0.0.1", 0)
    async with server:
        yield (
            box,
            Mail(
                host="127.0.0.1",
                port=server.sockets[0].getsockname()[1],
                security="none",
                sender="Kasnec <kasnec@example.org>",
                recipients=("desk@example.org", "Redaksia <redaksia@example.org>"),
            ),
        )


async def test_a_letter_is_one_alert(mailbox: tuple[Mailbox, Mail], alert: SummitAlert) -> None:
    """Its subject is the headline, its id the alert's, and Albanian letters arrive whole."""
    box, settings = mailbox
    await MailSink(settings).tell(alert)
    letter = message_from_bytes(box.letters[0], policy=policy.default)
    assert letter["Subject"].startswith("New summit: ")
    assert letter["Message-ID"] == f"<{alert.alert_id}@kasnec>"
    assert "redaksia@example.org" in letter["To"]
    assert alert.event.evidence.text in letter.get_content()


@pytest.mark.parametrize(
    ("answer", "kind"), [("451 later", SinkUnavailable), ("554 never", AlertRefused)]
)
async def test_a_letter_that_is_not_taken(
    mailbox: tuple[Mailbox, Mail],
    alert: SummitAlert,
    answer: str,
    kind: type[Exception],
) -> None:
    """A passing fault is tried again, a refusal is not."""
    box, settings = mailbox
    box.answer = answer
    with pytest.raises(kind):
        await MailSink(settings).tell(alert)


async def test_no_mail_server(alert: SummitAlert) -> None:
    """Nobody listens: tried again."""
    settings = Mail(host="127.0.0.1", port=9, sender="a@b.c", recipients=("d@e.f",))
    with pytest.raises(SinkUnavailable):
        await MailSink(settings).tell(alert)


def test_a_minutes_worth_at_once_and_then_evenly() -> None:
    """Thirty come at once, the others every two seconds; after a minute's rest thirty again."""
    now = 1000.0
    pace = Pace(30, clock=lambda: now)
    assert [pace.turn() for _ in range(33)] == [0.0] * 30 + [2.0, 4.0, 6.0]
    now += 1000
    assert [pace.turn() for _ in range(31)] == [0.0] * 30 + [2.0]
