"""The error tree. The class of an error decides the fate of the message that met it.

::

    KasnecError
    ├── ConfigurationError     a person must change something before a start     exit status 2
    ├── BadInput               the article cannot be coded, now or later         dead letter
    │   ├── NotDecodable         the bytes are not an article
    │   ├── InvalidArticle       a field breaks the rules of record.md
    │   ├── UnsupportedLanguage  no language folder covers it
    │   └── StageFailed          a stage raised, hung or died on this article
    ├── AlertRefused           a sink will never take this alert                 log it, go on
    ├── TransientError         the same act may succeed in a moment              retry, back off
    │   ├── ProduceRefused       the broker did not take a record
    │   ├── SinkUnavailable      a sink did not take an alert
    │   └── StoreUnavailable     the database of the store does not answer
    └── InfrastructureError    going on would lose data                          crash, redeliver
        ├── ModelError           a model file is missing, corrupted or unusable
        ├── TopicMismatch        a topic is missing or has other partitions than configured
        ├── RegisterUnreadable   the register's topic holds what is no summit
        ├── BrokerUnavailable    no broker answers where one is configured
        └── DeliveryFailed       retries are used up and outputs are unconfirmed

Every message tells what happened and what to do next; none quotes a secret.
"""

from __future__ import annotations

from typing import ClassVar


class KasnecError(Exception):
    """Root of every error that Kasnec raises on purpose."""


class ConfigurationError(KasnecError):
    """The settings cannot work as they are.

    Attributes:
        problems: every fault found, each a sentence that a person can act on.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class BadInput(KasnecError):
    """An article that cannot be coded: its bytes go to the dead-letter topic.

    Attributes:
        reason: stable slug, the ``reason`` header of the dead letter and a metric label.
        detail: a sentence for the person who reads the dead letter.
        stage: the stage that refused it.
    """

    def __init__(self, reason: str, detail: str, *, stage: str) -> None:
        self.reason = reason
        self.detail = detail
        self.stage = stage
        super().__init__(f"{reason} ({stage}): {detail}")

    def __reduce__(self) -> tuple[object, ...]:
        """Survive the way back from the worker process (Exception pickles positional args only)."""
        return (_rebuild_bad_input, (type(self), self.reason, self.detail, self.stage))


def _rebuild_bad_input(kind: type[BadInput], reason: str, detail: str, stage: str) -> BadInput:
    return kind(reason, detail, stage=stage)


class NotDecodable(BadInput):
    """The bytes are not an article: wrong encoding, not JSON, not an object, too large."""


class InvalidArticle(BadInput):
    """A field of the article breaks a rule of record.md."""


class UnsupportedLanguage(BadInput):
    """The article is in a language that no folder under ``languages`` covers."""


class StageFailed(BadInput):
    """A stage raised on this article, ran past its time limit, or took its process down."""


class AlertRefused(KasnecError):
    """A sink refused an alert for good; it stays on ``alerts.summits``."""


class TransientError(KasnecError):
    """The same act may succeed in a moment: retry with back-off."""


class ProduceRefused(TransientError):
    """The broker did not confirm a record."""


class SinkUnavailable(TransientError):
    """A sink did not take an alert this time: it is down, overloaded, or wrongly set up."""


class StoreUnavailable(TransientError):
    """The database of the event store does not answer, or has no tables yet."""


class InfrastructureError(KasnecError):
    """Going on would lose data: leave the message unacknowledged and end the process."""

    exit_status: ClassVar[int] = 3


class ModelError(InfrastructureError):
    """A model file is missing, corrupted or does not load."""


class TopicMismatch(InfrastructureError):
    """A topic is missing, or has another number of partitions than configured."""


class RegisterUnreadable(InfrastructureError):
    """The topic of the summit register holds what is no summit: alerting on would repeat alerts."""


class BrokerUnavailable(InfrastructureError):
    """No broker answers at the configured address."""


class DeliveryFailed(InfrastructureError):
    """Outputs stayed unconfirmed after every retry; the input is left for redelivery."""
