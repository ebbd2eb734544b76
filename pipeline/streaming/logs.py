"""Logs of the processes that run for long."""

from __future__ import annotations

import logging
import sys


def to_stderr(loglevel: str) -> None:
    """Log to stderr, a line each; what the libraries say only from warnings on."""
    logging.basicConfig(
        level=loglevel,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
    )
    for library in ("aiokafka", "faust", "mode", "asyncio"):
        logging.getLogger(library).setLevel(logging.WARNING)
