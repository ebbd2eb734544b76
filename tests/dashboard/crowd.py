"""How long the API takes over many events: ``python -m tests.dashboard.crowd [URL] [EVENTS]``.

URL is an empty database; by default SQLite in a temporary folder.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pipeline.records import EVENT_TYPES, STATUSES, DiplomaticEvent
from pipeline.store import database
from pipeline.store.writing import write
from tests.dashboard.test_api import serving
from tests.store.test_store import NOW, batch
from tests.stories.builders import CITIES, summit_event

_CODES = ("ALB", "XKX", "MKD", "SRB", "MNE", "GRC", "TUR", "USA", "DEU", "FRA", "EU", "NATO", "UN")
# What a person does: nothing chosen, one thing, several, words.
QUESTIONS = (
    "overview", "overview?type=CONSULT", "overview?party=ALB&status=planned",
    "overview?since=2026-06-01&until=2026-08-31&bucket=week",
    "overview?place=TUR&party=SRB&party=EU", "overview?q=takohen",
    "events?limit=50", "events?party=ALB", "events?q=prishtin", "summits",
)  # fmt: skip


def events(count: int) -> list[DiplomaticEvent]:
    """Events of a year, of every type, two or three parties each."""
    chance = random.Random(2026)
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    found = []
    for number in range(count):
        published = begin + timedelta(seconds=chance.randrange(365 * 86_400))
        event = summit_event(
            f"a{number}",
            published.isoformat(),
            chance.sample(_CODES, chance.choice([2, 2, 3])),
            status=chance.choice(STATUSES),
            place=chance.choice([None, *CITIES]),
            text=chance.choice(["Liderët do të takohen.", "Prishtina dhe Beogradi bisedojnë."]),
            type_=chance.choice(EVENT_TYPES),
            mode=None,
        )
        found.append(replace(event, story_id=f"{number // 4:032x}"))
    return found


def main() -> None:
    """Fill, ask, print."""
    with tempfile.TemporaryDirectory() as folder:
        url = sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{folder}/store.db"
        count = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
        engine = database.connect(url)
        database.migrate(engine)
        made = events(count)
        begin = time.perf_counter()
        for at in range(0, count, 500):
            write(engine, batch(made[at : at + 500]), now=NOW)
        took = time.perf_counter() - begin
        print(f"{engine.dialect.name}: {count:,} events written in {took:.1f} s")
        begin = time.perf_counter()
        with serving(engine) as client:
            print(f"ready after {time.perf_counter() - begin:.1f} s")
            for question in QUESTIONS:
                times = []
                for _ in range(7):
                    begin = time.perf_counter()
                    answer = client.get(f"/api/v1/{question}")
                    times.append(1000 * (time.perf_counter() - begin))
                    assert answer.status_code == 200, answer.text
                print(f"{statistics.median(times):7.0f} ms, at most {max(times):4.0f}  {question}")
        engine.dispose()


if __name__ == "__main__":
    main()
