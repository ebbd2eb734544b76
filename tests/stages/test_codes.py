"""The codes of the older schemes: total, and true to the published tables."""

from __future__ import annotations

import itertools

import pytest

from pipeline import reference
from pipeline.records import EVENT_TYPES, MODES, STATUSES, EventType, Mode, Status
from pipeline.stages.codes import codes

# Quad class of each CAMEO root (GDELT event codebook 2.0).
QUAD_CLASS = dict.fromkeys(range(1, 6), 1) | dict.fromkeys(range(6, 9), 2)
QUAD_CLASS |= dict.fromkeys(range(9, 14), 3) | dict.fromkeys(range(14, 21), 4)

TRIPLES = [
    (kind, mode, status)
    for kind, status in itertools.product(EVENT_TYPES, STATUSES)
    for mode in (MODES if kind == "CONSULT" else (None,))
]


@pytest.mark.parametrize(("kind", "mode", "status"), TRIPLES)
def test_every_triple_is_consistent(kind: EventType, mode: Mode | None, status: Status) -> None:
    """Every triple has a PLOVER root, and the quad class and scale of its CAMEO code."""
    found = codes(kind, mode, status)
    assert found.plover in EVENT_TYPES
    assert found.quad_class == QUAD_CLASS[int(found.cameo[:2])]
    assert found.goldstein == reference.table("codes.toml")["goldstein"][found.cameo]
    assert -10 <= found.goldstein <= 10


def test_planned_summit() -> None:
    """A summit that is planned is filed under AGREE, as PLOVER does."""
    found = codes("CONSULT", "summit", "planned")
    assert (found.plover, found.cameo, found.quad_class, found.goldstein) == ("AGREE", "036", 1, 4)


@pytest.mark.parametrize(
    ("mode", "cameo"),
    [("call", "041"), ("visit", "042"), ("mediation", "045"), ("negotiation", "046")],
)
def test_mode_of_consultation(mode: Mode, cameo: str) -> None:
    """A consultation that took place has the CAMEO code of its mode."""
    assert codes("CONSULT", mode, "actual").cameo == cameo


def test_done_acts_keep_their_root() -> None:
    """What was done has its own PLOVER root; only CONSULT and conflict that was planned do not."""
    assert all(codes(t, None, "actual").plover == t for t in EVENT_TYPES if t != "CONSULT")
    assert codes("SANCTION", None, "planned").plover == "THREATEN"
    assert codes("AID", None, "proposed").plover == "REQUEST"
    assert codes("SANCTION", None, "cancelled").plover == "CONCEDE"
