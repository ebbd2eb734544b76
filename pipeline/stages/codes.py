"""The codes of the older schemes for an event: PLOVER, CAMEO, quad class, Goldstein scale.

One table decides, ``pipeline/reference/codes.toml``; its comments name the published sources.
"""

from __future__ import annotations

from functools import cache

from pipeline import reference
from pipeline.records import Codes, EventType, Mode, Status


@cache
def codes(type: EventType, mode: Mode | None, status: Status) -> Codes:  # noqa: A002 (the record's word)
    """The codes of an event of this type, mode (None unless CONSULT) and status.

    The Goldstein value runs from -10 (conflict) to +10 (cooperation). Every triple has codes.
    """
    table = reference.table("codes.toml")
    pair: str = table["modes"].get(mode, {}).get(status) or table["codes"][type][status]
    plover, cameo = pair.split()
    quad_class = next(
        int(quad) for quad, roots in table["quad_class"].items() if cameo[:2] in roots
    )
    return Codes(
        plover=plover,
        cameo=cameo,
        quad_class=quad_class,
        goldstein=float(table["goldstein"][cameo]),
    )
