"""Events in the formats of other event data sets, for researchers' own tools.

``plover`` keeps an event whole; ``gdelt`` and ``icews`` write it as CAMEO's pairs of actors (see
``dyads``). All are lossy: the record of ``events.diplomatic`` stays the source.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pipeline.exports import gdelt, icews, plover
from pipeline.exports.parties import Codes
from pipeline.records import DiplomaticEvent

Lines = Callable[[DiplomaticEvent, Codes], list[bytes]]

# Name of a format to its header, None where it has none, and to the lines of an event.
FORMATS: Final[dict[str, tuple[bytes | None, Lines]]] = {
    "plover-jsonl": (None, plover.lines),
    "gdelt": (None, gdelt.lines),
    "icews": (icews.HEADER, icews.lines),
}
