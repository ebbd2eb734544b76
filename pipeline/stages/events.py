"""Which sentences state a diplomatic event: trained type, trigger, mode, status and confidence.

A linear model scores every sentence for every type, another every word as a trigger; a third reads
both scores together with those of the neighbours, the title and the whole article. An article in
which nothing is likely enough gives no events at all (abstention).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ModelError
from pipeline.languages import LanguagePack
from pipeline.records import EVENT_TYPES, MODES, STATUSES
from pipeline.stages.event_features import (
    Matrix,
    Participants,
    Words,
    attribute_matrix,
    participants,
    sentence_matrix,
    token_rows,
    words,
)
from pipeline.stages.values import Detection, Document

WEIGHTS: Final = "events.npz"
SETTINGS: Final = "events.json"

Scores: TypeAlias = NDArray[np.float32]

# A trigger has at most so many words on each side of its best one; 87 % of the triggers in
# gold/train have five words or fewer.
_REACH: Final = 3


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of one linear model (features x classes) and its bias (classes)."""

    weights: Scores
    bias: Scores

    def score(self, matrix: Matrix) -> Scores:
        """Log-odds, rows x classes."""
        return matrix.times(self.weights) + self.bias


@dataclass(frozen=True, slots=True)
class Attributes:
    """The models of status and mode, and the words for groups of people that they know."""

    status: Weights
    mode: Weights
    people: Participants


@dataclass(frozen=True, slots=True)
class Settings:
    """Decision thresholds, chosen by cross-validation in ``pipeline.training.events``.

    Attributes:
        sentence: a sentence states an event from this probability on.
        article: an article has events only if one of them reaches this probability.
        trigger: log-odds of a word, below those of the best, at which a trigger still goes on.
    """

    sentence: float
    article: float
    trigger: float


def token_scores(model: Weights, sentences: Sequence[Words]) -> list[Scores]:
    """For each sentence, words x types: log-odds that the word belongs to a trigger."""
    return [
        np.asarray(model.weights[token_rows(s)].sum(axis=1) + model.bias, dtype=np.float32)
        if s.folded
        else np.full((1, len(EVENT_TYPES)), -10.0, dtype=np.float32)  # an empty sentence has none
        for s in sentences
    ]


def stacked(sentences: Sequence[Words], own: Scores, tokens: Sequence[Scores]) -> Scores:
    """What the last model reads: (sentences x types) rows, type fastest, x features."""
    best = np.stack([scores.max(axis=0) for scores in tokens])
    top = own.max(axis=1)
    relevance = np.sort(top)[-3:].mean()
    border = np.full((1, own.shape[1]), -5.0, dtype=np.float32)  # about the prior of a type
    kinds: Scores = np.eye(len(EVENT_TYPES), dtype=np.float32)
    rows = []
    for index, sentence in enumerate(sentences):
        before = own[index - 1] if index else border[0]
        after = own[index + 1] if index + 1 < len(own) else border[0]
        common = [
            top[index], relevance, best.max(), float(index == 0), min(index, 5) / 5,
            *(min(count, 3) / 3 for count in sentence.names), np.log1p(len(sentence.folded)) / 4,
        ]  # fmt: skip
        scores = [own[index], best[index], before, after, own[0], own.max(axis=0), best.max(axis=0)]
        rows.append(
            np.hstack([np.stack(scores, axis=1) / 4, np.tile(common, (len(EVENT_TYPES), 1)), kinds])
        )
    return np.concatenate(rows).astype(np.float32)


def probability(scores: Scores) -> NDArray[np.float64]:
    """The logistic function."""
    return np.asarray(1 / (1 + np.exp(-scores.astype(np.float64))))


def trigger(scores: Scores, sentence: Words, drop: float) -> tuple[int, int]:
    """First and last word around the best-scored one that score at most ``drop`` below it."""
    best = int(scores.argmax())
    floor = scores[best] - drop
    first = last = best
    while first > max(0, best - _REACH) and scores[first - 1] >= floor:
        first -= 1
    while last < min(len(sentence.folded) - 1, best + _REACH) and scores[last + 1] >= floor:
        last += 1
    return first, last


def read_out(
    sentences: Sequence[Words],
    odds: NDArray[np.float64],
    tokens: Sequence[Scores],
    attributes: Attributes,
    settings: Settings,
) -> tuple[Detection, ...]:
    """The detections of an article, given sentences x types probabilities and the word scores."""
    if not odds.size or odds.max() < settings.article:
        return ()
    likely = [(int(s), int(t)) for s, t in np.argwhere(odds >= settings.sentence)]
    found = [(s, t) for s, t in likely if sentences[s].folded]
    if not found:
        return ()
    spans = [trigger(tokens[s][:, t], sentences[s], settings.trigger) for s, t in found]
    described = [(s, *span, EVENT_TYPES[t]) for (s, t), span in zip(found, spans, strict=True)]
    matrix = attribute_matrix(sentences, described, attributes.people)
    statuses = attributes.status.score(matrix).argmax(axis=1)
    modes = attributes.mode.score(matrix).argmax(axis=1)
    return tuple(
        Detection(
            type=EVENT_TYPES[t],
            mode=MODES[modes[row]] if EVENT_TYPES[t] == "CONSULT" else None,
            status=STATUSES[statuses[row]],
            sentence=s,
            trigger_start=sentences[s].starts[spans[row][0]],
            trigger_end=sentences[s].ends[spans[row][1]],
            confidence=float(odds[s, t]),
        )
        for row, (s, t) in enumerate(found)
    )


class EventClassifier:
    """Detects the events of documents.

    Args:
        pack: the language whose ``events.npz`` and ``events.json`` to load.

    Raises:
        ModelError: a model file is missing, corrupted or incomplete.
    """

    def __init__(self, pack: LanguagePack) -> None:
        try:
            settings: dict[str, Any] = json.loads(pack.model_file(SETTINGS).read_text("utf-8"))
            self._settings = Settings(**settings["thresholds"])
            with np.load(pack.model_file(WEIGHTS), allow_pickle=False) as arrays:
                models = {
                    name: Weights(
                        arrays[f"{name}.weights"].astype(np.float32),
                        arrays[f"{name}.bias"].astype(np.float32),
                    )
                    for name in ("sentence", "token", "stack", "status", "mode")
                }
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{pack.folder / 'models'}, events: {error!r}") from error
        self._models = models
        self._people = participants(pack)

    def __call__(self, documents: Sequence[Document]) -> list[tuple[Detection, ...]]:
        """The detections of each document, in the order of their sentences."""
        return [self._detect(document) for document in documents]

    def _detect(self, document: Document) -> tuple[Detection, ...]:
        sentences = words(document)
        if not sentences:
            return ()
        models = self._models
        own = models["sentence"].score(sentence_matrix(sentences))
        tokens = token_scores(models["token"], sentences)
        stack = models["stack"]
        scores = stacked(sentences, own, tokens) @ stack.weights + stack.bias
        odds = probability(scores.reshape(own.shape))
        attributes = Attributes(models["status"], models["mode"], self._people)
        return read_out(sentences, odds, tokens, attributes, self._settings)
