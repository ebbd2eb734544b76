"""``/metrics`` of the processes that have no probes of their own."""

from __future__ import annotations

import logging
from collections.abc import Callable

from prometheus_client import start_http_server

from pipeline.errors import ConfigurationError

log = logging.getLogger(__name__)


def serve(setting: str, host: str, port: int) -> Callable[[], None]:
    """Serve ``/metrics`` on a thread; call the answer to stop.

    Args:
        setting: the variable that says which port, for what a person is told.
        host: where to listen.
        port: 0 takes a free one.

    Raises:
        ConfigurationError: the port is taken.
    """
    try:
        server, _thread = start_http_server(port, host)
    except OSError as error:
        raise ConfigurationError(
            [
                (
                    f"/metrics: cannot listen on {host}:{port}: {error.strerror}. Set {setting} "
                    "to another port, or to 0 for a free one."
                )
            ]
        ) from error
    log.info("metrics on http://%s:%d", host, server.server_port)

    def stop() -> None:
        server.shutdown()
        server.server_close()

    return stop
