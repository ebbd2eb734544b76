"""Ten thousand open summits and a million mentions of them, to time the register.

``python -m tests.stories.crowd [MENTIONS]`` prints one line of JSON: what a mention costs by
processor time (mean, 99th percentile, worst; milliseconds), at the start and at the end of the
stream, and the memory that the register has taken (MB).

The crowd is made to be hard: parties are as unevenly popular as in the news (by Zipf's law, so that
the first sits at every fourth summit), one summit in ten is of a group of 27 or 30 states, one
mention in five has no date, one in five only a week.
"""

from __future__ import annotations

import itertools
import json
import random
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import click

from pipeline import reference
from pipeline.records import DiplomaticEvent, Status
from pipeline.stories.register import Register
from tests.stories.builders import CITIES, summit_event

SUMMITS = 10_000
_START = date(2027, 1, 1)
_SPAN_DAYS = 180  # open at once: held up to 60 days ago, or announced for the next four months
_GROUPS = ("EUR", "NAT")


@dataclass(frozen=True, slots=True)
class _Planned:
    parties: tuple[str, ...]
    day: date
    city: str


def crowd(
    mentions: int, *, summits: int = SUMMITS, seed: int = 8
) -> tuple[Register, Iterator[DiplomaticEvent]]:
    """A register with that many open summits, and then ``mentions`` events that mention them."""
    chance = random.Random(seed)
    register = Register()
    planned: list[_Planned] = []
    states = sorted(reference.states("iso"))
    weights = list(itertools.accumulate(1 / rank for rank in range(4, len(states) + 4)))
    while len(register) < summits:
        size = chance.choice((2, 2, 3, 3, 4, 5, 6, 8))
        parties = set(chance.choices(states, cum_weights=weights, k=size))
        if chance.random() < 0.1:
            parties.add(chance.choice(_GROUPS))
        if len(parties) < 2:
            continue
        day = _START + timedelta(days=chance.randrange(_SPAN_DAYS))
        summit = _Planned(tuple(sorted(parties)), day, chance.choice(list(CITIES)))
        # Too like another one, it is taken for a mention of that.
        if register.observe(
            _event(f"o{len(planned)}-{day}", summit, "planned", day.isoformat())
        ).alert:
            planned.append(summit)
    return register, (_mention(f"m{n}", chance, planned) for n in range(mentions))


def _mention(article: str, chance: random.Random, planned: list[_Planned]) -> DiplomaticEvent:
    summit = chance.choice(planned)
    named = chance.sample(summit.parties, chance.randint(2, len(summit.parties)))
    year, week, _ = summit.day.isocalendar()
    day = chance.choice(
        (None, f"{year}-W{week:02}", *[summit.day.isoformat()] * 3),
    )
    shown = _Planned(tuple(named), summit.day, summit.city)
    return _event(article, shown, chance.choice(("planned", "planned", "proposed")), day)


def _event(article: str, summit: _Planned, status: Status, day: str | None) -> DiplomaticEvent:
    published = min(summit.day - timedelta(days=1), _START + timedelta(days=60))
    return summit_event(
        article,
        published.isoformat(),
        summit.parties,
        status=status,
        date=day,
        place=summit.city if day else None,
    )


def _cost(register: Register, events: Iterator[DiplomaticEvent]) -> list[float]:
    """Processor time of each mention, in milliseconds, lowest first."""
    costs = []
    for event in events:
        started = time.process_time_ns()
        register.observe(event)
        costs.append((time.process_time_ns() - started) / 1e6)
    return sorted(costs)


def main(mentions: int) -> None:
    """Run the benchmark."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    register, stream = crowd(mentions)
    told: dict[str, object] = {"open": len(register)}
    part = max(1, mentions // 10)
    while costs := _cost(register, itertools.islice(stream, part)):
        figures = {
            "mean_ms": round(sum(costs) / len(costs), 3),
            "p99_ms": round(costs[int(len(costs) * 0.99)], 3),
            "worst_ms": round(costs[-1], 3),
        }
        told.setdefault("first", figures)
        told["last"] = figures
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told |= {"mentions": mentions, "open_after": len(register), "mb": (peak - before) // 1024}
    click.echo(json.dumps(told))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
