"""Liveness and readiness that tell the truth, and ``/metrics``, on a thread of their own.

Faust's health page is always OK and its consumer's heartbeats come from another thread, so a worker
whose event loop is frozen looks healthy. Here ``/livez`` fails when there is work and no progress,
or when the event loop stands still; ``/readyz`` passes only when the models are loaded and
partitions are assigned. The server runs outside the event loop, so it answers in either case.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from typing import Any, Final, Literal, get_args
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import orjson
from prometheus_client import make_wsgi_app

from pipeline.errors import ConfigurationError
from pipeline.settings import Health

# The loop's timer ticks every second; thirty missed ticks are no garbage collection.
LOOP_STALL_S: Final = 30.0


Part = Literal["articles", "mentions"]


@dataclass(slots=True)
class _Work:
    """What one agent has to do, and when it last went on."""

    progressed: float
    in_hand: int = 0
    lag: int = 0

    @property
    def left(self) -> int:
        return self.in_hand + self.lag


class Progress:
    """What the worker is doing, told by the event loop and read by the probes' thread."""

    def __init__(self, stall_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stall_s = stall_s
        self._clock = clock
        self._lock = threading.Lock()
        now = clock()
        self._work: dict[Part, _Work] = {part: _Work(now) for part in get_args(Part)}
        self._ticked = now
        self._models_loaded = False
        self._assigned: int | None = None
        self._waiting_since: float | None = None

    def models_loaded(self) -> None:
        """The models are loaded."""
        with self._lock:
            self._models_loaded = True
            self._waiting_since = self._clock()

    def assigned(self, partitions: int) -> None:
        """The group has met and gave us this many partitions of ``articles.raw``."""
        with self._lock:
            self._assigned = partitions
            self._waiting_since = None

    def revoked(self) -> None:
        """A rebalance has begun."""
        with self._lock:
            self._assigned = None
            self._waiting_since = self._clock()

    def tick(self, lag: int, *, mentions: int = 0) -> None:
        """The event loop runs; so many articles and mentions wait in our partitions."""
        with self._lock:
            self._ticked = self._clock()
            self._begun("articles").lag = lag
            self._begun("mentions").lag = mentions

    def took(self, messages: int, part: Part = "articles") -> None:
        """A batch was taken in hand."""
        with self._lock:
            self._begun(part).in_hand = messages

    def progressed(self, part: Part = "articles") -> None:
        """A step forward: an article came out of the models, or was given up; a mention is done."""
        with self._lock:
            self._work[part].progressed = self._clock()

    def finished(self, part: Part = "articles") -> None:
        """The batch in hand is confirmed and acknowledged."""
        with self._lock:
            self._work[part].in_hand = 0
            self._work[part].progressed = self._clock()

    def _begun(self, part: Part) -> _Work:
        work = self._work[part]
        if not work.left:
            work.progressed = self._clock()  # idleness is no stall
        return work

    def live(self) -> tuple[bool, dict[str, Any]]:
        """Whether to let the worker live, and why."""
        with self._lock:
            now = self._clock()
            parts = self._work.values()
            stalled = max(
                [now - part.progressed for part in parts if part.left],
                default=now - max(part.progressed for part in parts),
            )
            loop = now - self._ticked
            work = sum(part.left for part in parts)
            state = {
                "work": work,
                "in_hand": sum(part.in_hand for part in parts),
                "seconds_since_progress": round(stalled, 1),
                "seconds_since_loop_tick": round(loop, 1),
            }
            # Before the models are loaded nobody ticks; a load that hangs has its own time limit.
            if self._models_loaded and loop > LOOP_STALL_S:
                return False, {**state, "reason": "the event loop stands still"}
            # A consumer whose group refused it stays quiet for ever.
            waiting = self._waiting_since
            if waiting is not None and now - waiting > self._stall_s:
                return False, {**state, "reason": "the group has assigned no partitions"}
            if work and stalled > self._stall_s:
                return False, {**state, "reason": "there is work and no progress"}
            return True, state

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether articles are being taken, and what is missing."""
        with self._lock:
            state = {"models_loaded": self._models_loaded, "partitions": self._assigned}
            return self._models_loaded and bool(self._assigned), state


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Probes every second are no news."""


class ProbeServer:
    """Serves ``/livez``, ``/readyz`` and ``/metrics``; ``port`` is the one that was taken."""

    def __init__(self, settings: Health, progress: Progress) -> None:
        try:
            self._server = make_server(
                settings.host,
                settings.port,
                _application(progress),
                server_class=_Server,
                handler_class=_Quiet,
            )
        except OSError as error:
            raise ConfigurationError(
                [
                    (
                        f"health: cannot listen on {settings.host}:{settings.port}: "
                        f"{error.strerror}. Set KASNEC_HEALTH_PORT to another port, or to 0 for a "
                        "free one."
                    )
                ]
            ) from error
        self.port: int = self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="probes", daemon=True
        )

    def start(self) -> None:
        """Serve from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving; without effect before ``start``."""
        if self._thread.is_alive():  # shutdown() waits for ever for a loop that never ran
            self._server.shutdown()
        self._server.server_close()


def _application(progress: Progress) -> Callable[[dict[str, Any], Any], Iterable[bytes]]:
    metrics = make_wsgi_app()

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            answer: Iterable[bytes] = metrics(environ, start_response)
            return answer
        probes = {"/livez": progress.live, "/readyz": progress.ready}
        if path not in probes:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"/livez, /readyz or /metrics\n"]
        good, state = probes[path]()
        status = "200 OK" if good else "503 Service Unavailable"
        start_response(status, [("Content-Type", "application/json")])
        return [orjson.dumps(state), b"\n"]

    return application
