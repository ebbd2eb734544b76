"""The chain in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from pipeline.errors import BadInput, ModelError
from pipeline.isolation import Coded, IsolatedChain
from pipeline.records import RawArticle
from pipeline.settings import Language
from tests.wire.fakes import broken_chain, fake_chain


def article(id_: str, body: str = "Takimi u mbajt.") -> RawArticle:
    """An article for the fake chain."""
    return RawArticle(id=id_, title="T", body=body, published_at="2026-11-23T08:00:00Z")


@pytest.fixture
def steps() -> list[str | None]:
    """What ``on_step`` was called with."""
    return []


@pytest.fixture
def chain(steps: list[str | None]) -> Iterator[IsolatedChain]:
    """A fake chain that may take five seconds an article."""
    chain = IsolatedChain(
        Language(), factory=fake_chain, timeout_s=5, load_timeout_s=60, on_step=steps.append
    )
    yield chain
    chain.stop()


async def test_one_article_fails_alone(chain: IsolatedChain, steps: list[str | None]) -> None:
    """Articles that raise, hang or kill the process are given up; those around them are coded."""
    chain.load()
    fates = {}
    for id_, body in [("a", ""), ("raise", "RAISE"), ("hang", "HANG"), ("die", "DIE"), ("b", "")]:
        outcome = await chain.run(article(id_, body))
        kind: Any = outcome.result.reason if isinstance(outcome.result, BadInput) else "coded"
        fates[id_] = (kind, outcome.attempts)
    assert fates == {
        "a": ("coded", 1),
        "raise": ("stage-raised", 1),
        "hang": ("stage-timeout", 2),
        "die": ("stage-crashed", 2),
        "b": ("coded", 1),
    }
    assert steps == [
        None, None, "stage-timeout", "stage-timeout", "stage-crashed", "stage-crashed", None,
    ]  # fmt: skip


async def test_results_are_records(chain: IsolatedChain) -> None:
    """A coded article is its encoded records, with the time of its stages."""
    outcome = await chain.run(article("a7"))
    assert isinstance(outcome.result, Coded)
    assert orjson.loads(outcome.result.annotated)["article"]["id"] == "a7"
    assert [orjson.loads(value)["story_id"] for _, value in outcome.result.events] == [
        story for story, _ in outcome.result.events
    ]
    assert set(outcome.seconds) == {"tokenise"}


def test_models_that_do_not_load() -> None:
    """What the models say while loading comes out as a ModelError."""
    chain = IsolatedChain(Language(), factory=broken_chain, timeout_s=2, load_timeout_s=60)
    try:
        with pytest.raises(ModelError, match="are corrupted"):
            chain.load()
    finally:
        chain.stop()
