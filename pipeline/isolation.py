"""The chain in a process of its own: a stage that hangs or dies takes one article with it, no more.

The models need the processor for tenths of a second at a time. In the process that talks to Kafka
that would freeze producing, commits and timers; one spawned process keeps the 99th percentile of
the event loop's lag under 4 ms, and unlike a thread it can be killed when it hangs.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from pipeline.errors import BadInput, ModelError, StageFailed
from pipeline.processes import die_with_parent
from pipeline.records import RawArticle, encode
from pipeline.stages.timings import Timings
from pipeline.stages.values import Extraction

if TYPE_CHECKING:
    from pipeline.settings import Language  # the child needs no pydantic

log = logging.getLogger(__name__)


class ChainLike(Protocol):
    """What runs in the process: the real chain, or a test's."""

    timings: Timings

    def run(self, articles: Sequence[RawArticle]) -> list[Extraction | BadInput]: ...


# Given the codes of the languages and how Kosovo is written (settings, section `language`).
ChainFactory = Callable[[tuple[str, ...], str], ChainLike]


@dataclass(frozen=True, slots=True)
class Coded:
    """The records of one article as bytes, ready for their topics.

    Attributes:
        annotated: an ``annotated-article`` record.
        events: (story id, ``diplomatic-event`` record) in the order of the text.
        kinds: (type, status) of each event, for the metrics.
    """

    annotated: bytes
    events: tuple[tuple[str, bytes], ...]
    kinds: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one article, the seconds that each stage took for it, and the tries."""

    result: Coded | BadInput
    seconds: dict[str, float]
    attempts: int


def real_chain(enabled: tuple[str, ...], kosovo_code: str) -> ChainLike:
    """The chain that the settings ask for."""
    # Here and not above: the process that talks to Kafka never needs Stanza and its gigabyte.
    from pipeline.stages.chain import Chain  # noqa: PLC0415

    return Chain(enabled, kosovo_code=kosovo_code)


# A process can die or stall through no fault of its article (the kernel's out-of-memory killer, a
# paused machine); the second time it is the article.
ATTEMPTS: Final = 2


class IsolatedChain:
    """A chain in a child process, or in several.

    Args:
        language: which languages to load.
        factory: makes the chain in the child; must be importable there.
        processes: how many chains to load.
        timeout_s: an article that takes longer is given up, its process replaced.
        load_timeout_s: how long loading the models may take.
        on_step: called whenever an article came out, with None, or had to be tried again or given
            up, with the reason.
    """

    def __init__(
        self,
        language: Language,
        *,
        factory: ChainFactory = real_chain,
        processes: int = 1,
        timeout_s: float,
        load_timeout_s: float,
        on_step: Callable[[str | None], None] = lambda _reason: None,
    ) -> None:
        self._on_step = on_step
        self._timeout_s = timeout_s
        self._load_timeout_s = load_timeout_s
        self._loading: ProcessFuture | None = None
        # Spawned, not forked: the parent has threads, and a fork would copy their locks.
        self._pool = ProcessPool(
            max_workers=processes,
            context=multiprocessing.get_context("spawn"),
            initializer=_initialise,
            initargs=(factory, language.enabled, language.kosovo_code, os.getpid()),
        )

    def start(self) -> None:
        """Begin to load the models, and return at once."""
        self._loading = self._pool.schedule(_problem)

    def load(self) -> None:
        """Wait until the models are loaded.

        Raises:
            ModelError: they do not load, or not in time.
        """
        loading, self._loading = self._loading or self._pool.schedule(_problem), None
        try:
            problem = loading.result(self._load_timeout_s)
        except TimeoutError:
            raise ModelError(
                f"The models were not loaded within {self._load_timeout_s:g} s "
                "(worker.model_load_timeout_s)."
            ) from None
        except (BrokenProcessPool, ProcessExpired) as error:
            raise ModelError(f"The process of the models died while loading: {error}") from error
        if problem is not None:
            raise ModelError(problem)

    async def run(self, article: RawArticle) -> Outcome:
        """Annotate and code one article; several wait in line, in order.

        Raises:
            ModelError: a replaced process cannot load its models. That is no fault of the article.
        """
        for attempt in range(1, ATTEMPTS + 1):
            task = self._pool.schedule(_run, args=(article,), timeout=self._timeout_s)
            try:
                result, seconds = await asyncio.wrap_future(task)
            except TimeoutError:
                reason = "stage-timeout"
                detail = f"It took longer than {self._timeout_s:g} s (worker.stage_timeout_s)."
            except ProcessExpired as error:
                reason, detail = "stage-crashed", f"The process of the models died: {error}."
            else:
                self._on_step(None)
                return Outcome(result, seconds, attempt)
            log.warning("article %s, attempt %d: %s", article.id, attempt, detail)
            self._on_step(reason)
            await asyncio.to_thread(self.load)
        return Outcome(StageFailed(reason, detail, stage="models"), {}, ATTEMPTS)

    def stop(self) -> None:
        """Kill what runs and end the process."""
        self._pool.stop()
        self._pool.join()


_chain: ChainLike | None = None
_load_problem: str | None = None


def _initialise(
    factory: ChainFactory, enabled: tuple[str, ...], kosovo_code: str, parent: int
) -> None:
    global _chain, _load_problem  # noqa: PLW0603 - the process's one chain
    die_with_parent(parent)
    # Ctrl-C reaches the whole terminal group; the parent decides when we end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # One thread a process: unpinned threads make several processes slower than one (stanza 552).
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    # Models and tables live as long as the process: the collector need not look through their
    # objects again and again, three seconds each time (measured on a starved core).
    gc.disable()
    try:
        _chain = factory(enabled, kosovo_code)
    except Exception as error:  # noqa: BLE001 - told to the parent by _problem, in its words
        _load_problem = (
            str(error) if isinstance(error, ModelError) else f"{type(error).__name__}: {error}"
        )
    gc.freeze()
    gc.enable()


def _problem() -> str | None:
    return _load_problem


def _run(article: RawArticle) -> tuple[Coded | BadInput, dict[str, float]]:
    if _chain is None:
        raise ModelError(_load_problem or "no chain")
    (result,) = _chain.run([article])
    return _bytes(result), _chain.timings.take()


def _bytes(result: Extraction | BadInput) -> Coded | BadInput:
    if isinstance(result, BadInput):
        return result
    return Coded(
        annotated=encode(result.annotated),
        events=tuple((event.story_id, encode(event)) for event in result.events),
        kinds=tuple((event.type, event.status) for event in result.events),
    )
