"""What the worker tells Prometheus. Labels are bounded: stages, reasons, types and statuses."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

# An article takes about a tenth of a second; a stage a fraction of that, a hung one twenty seconds.
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

ARTICLES: Final = Counter(
    "kasnec_articles_total", "Articles whose outcome the broker has confirmed.", ["outcome"]
)
DEAD_LETTERS: Final = Counter("kasnec_dead_letters_total", "Dead letters.", ["reason", "stage"])
EVENTS: Final = Counter("kasnec_events_total", "Event records.", ["type", "status"])
STAGE_SECONDS: Final = Histogram(
    "kasnec_stage_duration_seconds", "Time in a stage, an article.", ["stage"], buckets=_SECONDS
)
ARRIVAL_SECONDS: Final = Histogram(
    "kasnec_arrival_to_record_seconds",
    "From the message's timestamp on articles.raw to the confirmation of its records.",
    buckets=(*_SECONDS, 60, 300, 1800),
)
BATCH_ARTICLES: Final = Histogram(
    "kasnec_batch_articles", "Articles a micro-batch.", buckets=(1, 2, 4, 8, 16, 32, 64, 128)
)
ALERTS: Final = Counter("kasnec_summit_alerts_total", "Summit alerts told.", ["change"])
SUMMITS: Final = Gauge(
    "kasnec_summits", "Summits in the register when this worker last had it; one of them has it."
)
MATCH_SECONDS: Final = Histogram(
    "kasnec_summit_match_seconds", "Finding the summit that an event mentions.", buckets=_SECONDS
)
MENTION_SECONDS: Final = Histogram(
    "kasnec_mention_to_alert_seconds",
    "From the message's timestamp on summits.mentions until the register and any alert are "
    "confirmed.",
    buckets=(*_SECONDS, 60, 300, 1800),
)
NOTIFICATIONS: Final = Counter(
    "kasnec_notifications_total", "What became of alerts at a sink.", ["sink", "outcome"]
)
STORED: Final = Counter(
    "kasnec_store_messages_total",
    "What became of messages on their way into the store.",
    ["outcome"],
)
STORE_SECONDS: Final = Histogram(
    "kasnec_store_write_seconds",
    "Writing a batch, waits for the database included.",
    buckets=(*_SECONDS, 60, 300, 1800),
)
IN_HAND: Final = Gauge("kasnec_in_hand_articles", "Articles taken and not yet confirmed.")
PRODUCE_RETRIES: Final = Counter(
    "kasnec_produce_retries_total", "Records sent again because the broker did not confirm them."
)
STAGE_RESTARTS: Final = Counter(
    "kasnec_stage_restarts_total", "Model processes replaced after a hang or a death.", ["reason"]
)
LAST_PROGRESS: Final = Gauge(
    "kasnec_last_progress_timestamp_seconds", "When an article was last confirmed."
)
