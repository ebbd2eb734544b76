"""Train the event models on annotated articles.

``train(data, out)`` reads ``data/gold/train.jsonl`` and ``authored.jsonl`` and writes
``events.npz`` and ``events.json`` into ``out``. Its figures are of cross-validation over articles:
every article is judged by models that have not seen it, given gold sentences and gold names. The
events are matched as ``gold/score.py`` does it: same type, evidence in a gold sentence, one to one.
"""

from __future__ import annotations

import json
import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from pipeline import languages
from pipeline.records import EVENT_TYPES, MODES, STATUSES, Party
from pipeline.stages.entities import EntityTagger
from pipeline.stages.event_features import (
    ATTRIBUTE_BITS,
    SENTENCE_BITS,
    TOKEN_BITS,
    Matrix,
    Words,
    attribute_matrix,
    participants,
    sentence_matrix,
    token_rows,
    words,
)
from pipeline.stages.events import (
    SETTINGS,
    WEIGHTS,
    Attributes,
    Scores,
    Settings,
    Weights,
    probability,
    read_out,
    stacked,
    token_scores,
)
from pipeline.stages.merge import merge
from pipeline.stages.names import NameResolver
from pipeline.stages.tokenise import Tokeniser
from pipeline.stages.values import CodedEvent, Detection, Document, Sentence
from pipeline.training import data as gold_data

_FOLDS: Final = 3  # two thirds of the articles train; five folds cost twice the time
_ALWAYS: Final = -1  # the fold of articles that are never held out
_FALSE_ALLOWED: Final = 0.10  # false events an eventless article: the bar of the project
_TYPES: Final = len(EVENT_TYPES)
_FICTION: Final = 0.2  # weight of an authored article where probabilities are fitted
_DROP: Final = 1.5  # log-odds: see Settings.trigger
# Inverse strengths of regularisation. Chosen, not tuned.
_STRENGTH: Final = {"sentence": 10.0, "token": 0.5, "attribute": 10.0}
_GRID: Final = (
    (0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6),
    (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
)
# Three sentences in five state nothing; a third of them, counted three times, trains the word model
# as well in half the time.
_KEPT: Final = 3


def csr(matrix: Matrix, bits: int) -> sparse.csr_matrix:
    """A matrix of features as SciPy's."""
    parts = (matrix.values, matrix.columns, matrix.starts)
    return sparse.csr_matrix(parts, shape=(len(matrix), 1 << bits))


@dataclass(frozen=True, slots=True)
class Case:
    """An article with its features, its gold events and its fold (``_ALWAYS``: never held out)."""

    document: Document
    sentences: list[Words]
    matrix: sparse.csr_matrix
    codes: list[tuple[Party, ...]]
    gold: list[dict[str, Any]]
    real: bool
    fold: int


@dataclass(frozen=True, slots=True)
class Models:
    """The models that read words; the fifth reads their scores."""

    sentence: Weights
    token: Weights
    attributes: Attributes


def fit(
    matrix: sparse.csr_matrix,
    targets: NDArray[np.float32],
    weights: NDArray[np.float32],
    strength: float,
) -> Weights:
    """One logistic regression for each column of ``targets`` with L2, by L-BFGS, all at once.

    scikit-learn fits one-against-rest classes one after the other, which takes ten times as long.
    """
    used = np.unique(matrix.indices)
    dense = matrix[:, used]
    turned, shape = dense.T.tocsr(), (len(used) + 1, targets.shape[1])

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        at = flat.astype(np.float32).reshape(shape)
        scores = dense @ at[:-1] + at[-1]
        value = (weights * (np.logaddexp(0, scores) - targets * scores)).sum(dtype=np.float64)
        error = weights * (1 / (1 + np.exp(-scores)) - targets)
        slope = np.vstack([turned @ error + at[:-1] / strength, error.sum(axis=0)])
        penalty = float((at[:-1] ** 2).sum(dtype=np.float64)) / (2 * strength)
        return float(value) + penalty, slope.astype(np.float64).ravel()

    start = np.zeros(shape)
    start[-1] = -3  # about the prior of a type: saves iterations
    options = {"maxiter": 25, "maxcor": 5}
    found = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options=options)
    fitted = found.x.astype(np.float32).reshape(shape)
    full = np.zeros((matrix.shape[1], shape[1]), dtype=np.float32)
    full[used] = fitted[:-1]
    return Weights(full, fitted[-1])


def cases(data: Path) -> list[Case]:
    """Every article to train on, in a fixed order; those of ``gold/`` with a fold each.

    The news that we annotated ourselves has the names that our own tagger finds.
    """
    pack, found = languages.load("sq"), []
    resolve = NameResolver(pack)
    for name in gold_data.GOLD:
        path = data / "gold" / f"{name}.jsonl"
        rows = [row for _, row in gold_data.read_articles(path)]
        order = list(range(len(rows)))
        random.Random(7).shuffle(order)
        folds = {at: index % _FOLDS for index, at in enumerate(order)}
        for at, (article, row) in enumerate(zip(gold_data.read_gold(path), rows, strict=True)):
            found.append(_case(article.document(), row, resolve, name == "train", folds[at]))
    ours = gold_data.ANNOTATED / "authored.jsonl"
    for article, (_, row) in zip(gold_data.authored(), gold_data.read_articles(ours), strict=True):
        found.append(_case(article.document(), row, resolve, False, _ALWAYS))
    tokenise, tag = Tokeniser(pack), EntityTagger(pack)
    for raw, news in gold_data.annotated_news(data):
        (sentences,) = tokenise([raw])
        (mentions,) = tag([Document(article=raw, language="sq", sentences=sentences)])
        spans = [Sentence(start, end, ()) for start, end in news["sentences"]]
        starts = [span.start for span in spans]
        document = Document(
            article=raw,
            language="sq",
            sentences=tuple(spans),
            mentions=tuple(
                replace(m, sentence=max(0, bisect_right(starts, m.start) - 1)) for m in mentions
            ),
        )
        found.append(_case(document, news, resolve, True, _ALWAYS))
    return found


def _case(
    document: Document, row: dict[str, Any], resolve: NameResolver, real: bool, fold: int
) -> Case:
    codes: list[list[Party]] = [[] for _ in document.sentences]
    for one in resolve(document):
        if one.code:
            m = one.mention
            codes[m.sentence].append(
                Party(
                    text=m.text, name=one.name or m.text, code=one.code, kind=m.type,
                    role=None, start=m.start, end=m.end,
                )
            )  # fmt: skip
    sentences = words(document)
    matrix = csr(sentence_matrix(sentences), SENTENCE_BITS)
    return Case(document, sentences, matrix, [tuple(c) for c in codes], row["events"], real, fold)


def _stated(case: Case) -> NDArray[np.int8]:
    """Sentences x types: 1 where the evidence of an event stands, 2 where it is only repeated."""
    stated: NDArray[np.int8] = np.zeros((len(case.sentences), _TYPES), dtype=np.int8)
    for event in case.gold:
        column = EVENT_TYPES.index(event["type"])
        for index in event["also"]:
            stated[index, column] = stated[index, column] or 2
        stated[event["s"], column] = 1
    return stated


def _span(case: Case, event: dict[str, Any]) -> tuple[int, int] | None:
    """First and last word of a gold trigger."""
    sentence, span = case.sentences[event["s"]], case.document.sentences[event["s"]]
    start = case.document.article.text.find(event["trigger"], span.start, span.end)
    end = start + len(event["trigger"])
    inside = [
        n
        for n, (a, b) in enumerate(zip(sentence.starts, sentence.ends, strict=True))
        if a < end and start < b
    ]
    return (inside[0], inside[-1]) if start >= 0 and inside else None


def _tokens(found: Sequence[Case]) -> Weights:
    rows, targets, weights = [], [], []
    for case in found:
        stated = _stated(case)
        for index, sentence in enumerate(case.sentences):
            empty = not stated[index].any()
            if not sentence.folded or (empty and index % _KEPT):
                continue
            here: Scores = np.zeros((len(sentence.folded), _TYPES), dtype=np.float32)
            for event in case.gold:
                if event["s"] == index and (span := _span(case, event)):
                    here[span[0] : span[1] + 1, EVENT_TYPES.index(event["type"])] = 1
            rows.append(token_rows(sentence))
            targets.append(here)
            # Where an event is only repeated nobody marked its trigger: that counts neither way.
            counted = (stated[index] != 2) * np.float32(_KEPT if empty else 1)
            weights.append(np.repeat(counted[None], len(here), 0))
    columns = np.concatenate(rows)
    ends = np.arange(0, columns.size + 1, columns.shape[1])
    values = np.ones(columns.size, dtype=np.float32)
    matrix = sparse.csr_matrix(
        (values, columns.ravel(), ends), shape=(len(columns), 1 << TOKEN_BITS)
    )
    return fit(matrix, np.concatenate(targets), np.concatenate(weights), _STRENGTH["token"])


def _attributes(found: Sequence[Case]) -> Attributes:
    people = participants(languages.load("sq"))
    matrices, statuses, modes = [], [], []
    for case in found:
        marked = [(event, span) for event in case.gold if (span := _span(case, event))]
        if marked:
            described = [(event["s"], *span, event["type"]) for event, span in marked]
            described_rows = attribute_matrix(case.sentences, described, people)
            matrices.append(csr(described_rows, ATTRIBUTE_BITS))
            statuses += [STATUSES.index(event["status"]) for event, _ in marked]
            modes += [MODES.index(e["mode"]) if e.get("mode") else -1 for e, _ in marked]
    matrix = sparse.vstack(matrices).tocsr()
    status: Scores = np.eye(len(STATUSES), dtype=np.float32)[statuses]
    consult = np.flatnonzero(np.array(modes) >= 0)
    mode = np.eye(len(MODES), dtype=np.float32)[np.array(modes)[consult]]
    strength = _STRENGTH["attribute"]
    return Attributes(
        fit(matrix, status, np.ones_like(status), strength),
        fit(matrix[consult], mode, np.ones_like(mode), strength),
        people,
    )


def _fitted(found: Sequence[Case]) -> Models:
    matrix = sparse.vstack([case.matrix for case in found]).tocsr()
    stated = np.concatenate([_stated(case) for case in found])
    # A repetition states the event too, but often by a word alone.
    weights = np.where(stated == 2, 0.5, 1.0).astype(np.float32)
    targets = (stated > 0).astype(np.float32)
    sentence = fit(matrix, targets, weights, _STRENGTH["sentence"])
    return Models(sentence, _tokens(found), _attributes(found))


def _odds(model: Weights, matrix: sparse.csr_matrix) -> Scores:
    return np.asarray(matrix @ model.weights + model.bias, dtype=np.float32)


def _stack(features: Sequence[Scores], found: Sequence[Case]) -> Weights:
    rows = np.concatenate(features)
    stated = np.concatenate([_stated(case) for case in found]).ravel()
    weights = np.where(stated == 2, 0.5, 1.0)
    # Confidence must hold on the news that comes in; fiction is denser in events.
    weights *= np.repeat(
        [1.0 if c.real else _FICTION for c in found], [len(c.sentences) * _TYPES for c in found]
    )
    model = LogisticRegression(C=1.0, max_iter=300).fit(rows, stated > 0, sample_weight=weights)
    return Weights(model.coef_[0].astype(np.float32), model.intercept_.astype(np.float32))


@dataclass(frozen=True, slots=True)
class Judged:
    """An article judged by models not trained on it: all detections a threshold may keep."""

    case: Case
    highest: float
    detections: tuple[Detection, ...]

    def events(self, settings: Settings) -> tuple[CodedEvent, ...]:
        """The merged events under thresholds; the names of a sentence stand for its parties."""
        if self.highest < settings.article:
            return ()
        return merge(
            [
                CodedEvent(found, self.case.codes[found.sentence], (), None, None)
                for found in self.detections
                if found.confidence >= settings.sentence
            ]
        )


def score(judged: Sequence[Judged], predicted: Sequence[tuple[CodedEvent, ...]]) -> dict[str, Any]:
    """Event figures over articles, matched as ``gold/score.py`` matches them."""
    total: Counter[str] = Counter()
    kinds: dict[str, Counter[str]] = {kind: Counter() for kind in EVENT_TYPES}
    reliability: list[tuple[float, bool]] = []
    for one, events in zip(judged, predicted, strict=True):
        free = list(range(len(one.case.gold)))
        total["eventless"] += not one.case.gold
        total["false_in_eventless"] += len(events) if not one.case.gold else 0
        for truth in one.case.gold:
            kinds[truth["type"]]["gold"] += 1
        for event in events:
            found = event.detection
            kinds[found.type]["predicted"] += 1
            fitting = [
                g
                for g in free
                if (gold := one.case.gold[g])["type"] == found.type
                and found.sentence in (gold["s"], *gold["also"])
            ]
            reliability.append((found.confidence, bool(fitting)))
            if not fitting:
                continue
            agreements = [_agreement(one.case.gold[g], found) for g in fitting]
            best = fitting[agreements.index(max(agreements))]
            free.remove(best)
            gold = one.case.gold[best]
            kinds[found.type]["right"] += 1
            total["status"] += gold["status"] == found.status
            total["consult"] += found.type == "CONSULT"
            total["mode"] += found.type == "CONSULT" and gold["mode"] == found.mode
    right, guessed, gold_count = (
        sum(c[key] for c in kinds.values()) for key in ("right", "predicted", "gold")
    )
    bins = [[r for r in reliability if int(r[0] * 5) == b] for b in range(6)]
    gap = sum(abs(sum(p for p, _ in b) - sum(hit for _, hit in b)) for b in bins if b)
    return {
        "f1": round(2 * right / max(1, guessed + gold_count), 3),
        "precision": round(right / max(1, guessed), 3),
        "recall": round(right / max(1, gold_count), 3),
        "status": round(total["status"] / max(1, right), 3),
        "mode": round(total["mode"] / max(1, total["consult"]), 3),
        "false_per_eventless": round(total["false_in_eventless"] / max(1, total["eventless"]), 3),
        "calibration_error": round(gap / max(1, len(reliability)), 3),
        "types": {k: [c["right"], c["predicted"], c["gold"]] for k, c in kinds.items()},
    }


def _agreement(gold: dict[str, Any], found: Detection) -> int:
    return (
        int(gold["s"] == found.sentence)
        + 2 * int(gold["status"] == found.status)
        + 2 * int(gold.get("mode") == found.mode)
    )


def _thresholds(judged: Sequence[Judged]) -> Settings:
    """The pair of best event F1 on real articles among those within ``_FALSE_ALLOWED``."""
    best, chosen = -1.0, Settings(0.5, 0.9, _DROP)
    for sentence, article in product(*_GRID):
        if article < sentence:
            continue
        settings = Settings(sentence, article, _DROP)
        figures = score(judged, [one.events(settings) for one in judged])
        if figures["false_per_eventless"] <= _FALSE_ALLOWED and figures["f1"] > best:
            best, chosen = figures["f1"], settings
    return chosen


def train(data: Path, out: Path) -> dict[str, object]:
    """Fit on all articles, choose thresholds by cross-validation, write, and tell the figures."""
    found = cases(data)
    fitted: list[tuple[Models, list[Case]]] = []
    for fold in range(_FOLDS):
        models = _fitted([case for case in found if case.fold != fold])
        fitted.append((models, [case for case in found if case.fold == fold]))
    held = [(m, case) for m, fold_cases in fitted for case in fold_cases]
    tokens = [token_scores(m.token, case.sentences) for m, case in held]
    features = [
        stacked(case.sentences, _odds(m.sentence, case.matrix), scores)
        for (m, case), scores in zip(held, tokens, strict=True)
    ]
    judged, lowest = [], Settings(_GRID[0][0], 0.0, _DROP)
    for fold in range(_FOLDS):
        rest = [n for n, (_, case) in enumerate(held) if case.fold != fold]
        stack = _stack([features[n] for n in rest], [held[n][1] for n in rest])
        for n, (m, case) in enumerate(held):
            if case.fold == fold:
                scores = (features[n] @ stack.weights + stack.bias).reshape(-1, _TYPES)
                odds = probability(scores)
                detections = read_out(case.sentences, odds, tokens[n], m.attributes, lowest)
                judged.append(Judged(case, float(odds.max()), detections))
    real = [one for one in judged if one.case.real]
    authored = [one for one in judged if not one.case.real]
    settings = _thresholds(real)
    final = _fitted(found)
    arrays = {
        "sentence": final.sentence,
        "token": final.token,
        "status": final.attributes.status,
        "mode": final.attributes.mode,
        "stack": _stack(features, [case for _, case in held]),
    }
    np.savez_compressed(
        out / WEIGHTS,
        **{f"{name}.weights": model.weights.astype(np.float16) for name, model in arrays.items()},
        **{f"{name}.bias": model.bias for name, model in arrays.items()},
    )
    thresholds = {
        "sentence": settings.sentence,
        "article": settings.article,
        "trigger": settings.trigger,
    }
    (out / SETTINGS).write_text(json.dumps({"thresholds": thresholds}) + "\n", encoding="utf-8")
    return {
        "thresholds": thresholds,
        "real": score(real, [one.events(settings) for one in real]),
        "authored": score(authored, [one.events(settings) for one in authored]),
    }
