"""How long each stage took, and which one runs now."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Timings:
    """Seconds spent in each stage since the last ``take``."""

    seconds: dict[str, float] = field(default_factory=dict)
    stage: str = ""

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Count the time of the body for ``stage``, and remember which stage runs."""
        self.stage = stage
        started = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - started
            self.seconds[stage] = self.seconds.get(stage, 0.0) + spent

    def take(self) -> dict[str, float]:
        """The seconds so far, and start anew."""
        seconds, self.seconds = self.seconds, {}
        return seconds
