"""What a sink is, and how an answer over HTTP decides an alert's fate."""

from __future__ import annotations

from typing import Final, Protocol

import aiohttp

from pipeline.errors import AlertRefused, SinkUnavailable
from pipeline.records import SummitAlert

# A receiver that takes longer is as good as down; it gets the alert again.
TIMEOUT_S: Final = 10.0
# What these say is about the alert itself: another try would say the same. All else may be mended
# without it, a wrong password (401, 403) or address (404) by a person; the alert waits for that.
_REFUSALS: Final = frozenset({400, 405, 413, 414, 415, 422, 501})
_ANSWER_CHARS: Final = 200


class Sink(Protocol):
    """Tells alerts to somebody."""

    name: str

    async def tell(self, alert: SummitAlert) -> None:
        """Tell an alert; the same one may be told again, with the same id.

        Raises:
            SinkUnavailable: it was not told; try again later.
            AlertRefused: it was not told, and another try would end the same.
        """


async def post(url: str, body: bytes, headers: dict[str, str]) -> None:
    """POST, and return when the answer is 2xx.

    Redirects are not followed: they would lose the body.

    Raises:
        SinkUnavailable: no answer, or one that may be another in a while.
        AlertRefused: the body was refused.
    """
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    headers = {"Content-Type": "application/json", "User-Agent": "kasnec", **headers}
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(url, data=body, headers=headers, allow_redirects=False) as answer,
        ):
            text = (await answer.content.read(_ANSWER_CHARS)).decode(errors="replace")
    except (aiohttp.ClientError, OSError, ValueError) as error:  # TimeoutError is an OSError
        # Of the error its class alone: some quote the address, which can be a secret.
        raise SinkUnavailable(f"no answer ({type(error).__name__})") from None
    if answer.status in _REFUSALS:
        raise AlertRefused(f"HTTP {answer.status}: {text}")
    if not answer.ok or answer.status >= 300:
        raise SinkUnavailable(f"HTTP {answer.status}: {text}")
