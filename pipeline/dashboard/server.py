"""`kasnec dashboard`: the API on uvicorn."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from types import FrameType
from typing import Final

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from prometheus_client import Counter, Gauge, Histogram
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from pipeline import __version__, exposition
from pipeline.dashboard import api
from pipeline.dashboard.feed import Feed
from pipeline.dashboard.guard import Guard
from pipeline.dashboard.problems import problem
from pipeline.dashboard.static import FOLDER
from pipeline.errors import ConfigurationError, StoreUnavailable
from pipeline.settings import Settings, is_loopback
from pipeline.store import database
from pipeline.store.reading import Store

log = logging.getLogger(__name__)

_REQUESTS: Final = Counter(
    "kasnec_http_requests_total", "Requests of the API.", ["route", "status"]
)
_SECONDS: Final = Histogram(
    "kasnec_http_request_seconds",
    "From a request to the beginning of its answer.",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 5),
)
_STREAMS: Final = Gauge("kasnec_live_pages", "Pages that are told what is new.")

# Open pages hold a connection each. More than this many answers at once would only make all of
# them late: who comes then is asked to come again (503).
_AT_ONCE: Final = 500
# Below a thousand bytes a compressed answer is hardly smaller.
_GZIP_BYTES: Final = 1_000
_STOP_S: Final = 5


def application(settings: Settings, store: Store, feed: Feed) -> FastAPI:
    """The API, without a server.

    Args:
        settings: who may ask, and Kosovo's code.
        store: what is shown.
        feed: it runs while the application does.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        running = asyncio.create_task(feed.run())
        yield
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    app = FastAPI(
        title="Kasnec",
        version=__version__,
        summary="Diplomatic events, stories and summits as Albanian news reports them.",
        lifespan=lifespan,
        openapi_url=f"{api.PREFIX}/openapi.json",
        # FastAPI's pages of documentation load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
    )
    app.include_router(api.router(store, feed, kosovo_code=settings.language.kosovo_code))

    @app.get("/", include_in_schema=False)
    async def entrance() -> Response:
        return RedirectResponse(f"{api.PREFIX}/openapi.json")

    app.mount("/static", StaticFiles(directory=FOLDER), name="static")
    app.add_exception_handler(StoreUnavailable, _unavailable)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    # The last one added is asked first.
    app.add_middleware(GZipMiddleware, minimum_size=_GZIP_BYTES)
    app.add_middleware(Guard, settings=settings.dashboard)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=_hosts(settings))
    app.middleware("http")(_measured)
    return app


def _hosts(settings: Settings) -> list[str]:
    """Names that we are asked by: another page must not reach us by a name of its own."""
    dashboard = settings.dashboard
    own = ["localhost", "127.0.0.1", *dashboard.allowed_hosts]
    return own if dashboard.allowed_hosts or is_loopback(dashboard.host) else ["*"]


async def _measured(request: Request, call: Callable[[Request], Awaitable[Response]]) -> Response:
    started = asyncio.get_running_loop().time()
    answer = await call(request)
    route = getattr(request.scope.get("route"), "path", "other")
    _REQUESTS.labels(route, str(answer.status_code)).inc()
    _SECONDS.labels(route).observe(asyncio.get_running_loop().time() - started)
    return answer


async def _unavailable(_request: Request, error: Exception) -> Response:
    return problem(503, f"The store: {error}.", headers={"retry-after": "5"})


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = (
        f"{'.'.join(str(part) for part in fault['loc'][1:])}: {fault['msg']}"
        for fault in error.errors()
    )
    return problem(422, "; ".join(faults))


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, error.detail, headers=error.headers)


class _Server(uvicorn.Server):
    """Ends open streams when it is told to stop; otherwise it would wait for them for ever."""

    def __init__(self, config: uvicorn.Config, feed: Feed) -> None:
        super().__init__(config)
        self._feed = feed

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._feed.close()


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        ConfigurationError: a port is taken, or the store's URL is none.
    """
    own = settings.dashboard
    engine = database.connect(settings.store.url.get_secret_value())
    store = Store(engine)
    feed = Feed(store, listeners=_STREAMS.set)
    config = uvicorn.Config(
        application(settings, store, feed),
        host=own.host,
        port=own.port,
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=_AT_ONCE,
        timeout_graceful_shutdown=_STOP_S,
    )
    try:
        listening = config.bind_socket()
    except (SystemExit, OSError) as error:  # uvicorn ends the process by itself
        raise ConfigurationError(
            [
                (
                    f"dashboard: cannot listen on {own.host}:{own.port}. Set KASNEC_DASHBOARD_PORT "
                    "to another port, or to 0 for a free one."
                )
            ]
        ) from error
    # What is accepted here inherits it. asyncio sets it only on sockets that name TCP, which
    # uvicorn's do not: answers in two parts then waited 40 ms for the client's acknowledgement.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stop_metrics = exposition.serve(
        "KASNEC_DASHBOARD_METRICS_PORT", own.metrics_host, own.metrics_port
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        # uvicorn, when it has stopped, raises the signal again: to stop is no failure.
        signal.signal(number, lambda *_: None)
    try:
        log.info("the API is on http://%s:%d", own.host, listening.getsockname()[1])
        _Server(config, feed).run(sockets=[listening])
    finally:
        stop_metrics()
        engine.dispose()
