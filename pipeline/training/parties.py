"""Train the linear models of parties, dates and places on annotated articles.

``train(data, out)`` reads ``data/gold/train.jsonl`` and ``authored.jsonl`` and writes
``parties.json`` and ``parties.npz`` into ``out``. The figures that it returns are of five-fold
cross-validation over articles, given the gold sentences, names, types, statuses and triggers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from pipeline import languages
from pipeline.stages.dates import DateFeatures
from pipeline.stages.linear import NAMES, WEIGHTS
from pipeline.stages.names import NameResolver
from pipeline.stages.parties import Candidates, Features
from pipeline.stages.places import PlaceFeatures
from pipeline.stages.values import Detection, Document, ResolvedMention
from pipeline.training import data as gold_data

# Inverse strengths of regularisation, chosen by the cross-validation below (see _figures).
_STRENGTH: Final = {"party": 0.03, "date": 0.3, "place": 1.0}
# NTREX articles carry no publication date of their own, so that no relative date can be checked.
_STAND_IN_DATES: Final = "ntrex-"
# A feature must occur in so many examples: rarer ones only remember names of the training articles.
_SUPPORT: Final = 4
_THRESHOLDS: Final = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6)


@dataclass(frozen=True, slots=True)
class Event:
    """A gold event, ready for the stages, with its gold values."""

    document: Document
    names: tuple[ResolvedMention, ...]
    detection: Detection
    gold: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Example:
    """One candidate of an event: its features, its class, and what it would put into the record."""

    features: list[str]
    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Case:
    """All candidates of one event, and the gold values that the record should have."""

    article: str
    examples: tuple[Example, ...]
    gold: frozenset[str]


def events(data: Path) -> list[Event]:
    """Every gold event of the training files."""
    resolve = NameResolver(languages.load("sq"))
    found: list[Event] = []
    for name in gold_data.GOLD:
        path = data / "gold" / f"{name}.jsonl"
        rows = [row for _, row in gold_data.read_articles(path)]
        for article, row in zip(gold_data.read_gold(path), rows, strict=True):
            document = article.document()
            names = resolve(document)
            listed: list[dict[str, Any]] = row["events"]  # type: ignore[assignment]
            found.extend(Event(document, names, _detection(document, e), e) for e in listed)
    return found


def _detection(document: Document, event: dict[str, Any]) -> Detection:
    sentence = document.sentences[event["s"]]
    at = document.article.text.find(event["trigger"], sentence.start, sentence.end)
    start, size = (at, len(event["trigger"])) if at >= 0 else (sentence.start, 0)
    return Detection(
        type=event["type"],
        mode=event.get("mode"),
        status=event["status"],
        sentence=event["s"],
        trigger_start=start,
        trigger_end=start + size,
        confidence=1.0,
        also=tuple(event.get("also", ())),
    )


def party_cases(found: Sequence[Event]) -> list[Case]:
    """The candidates of every event, labelled actor, recipient or none by the gold codes."""
    pack = languages.load("sq")
    candidates_of, features_of = Candidates(pack), Features(pack)
    cases = []
    for event in found:
        candidates = candidates_of(event.document, event.names)
        features = features_of(event.document, candidates, event.detection)
        actors = {party["code"] for party in event.gold["actors"]}
        recipients = {party["code"] for party in event.gold["recipients"]}
        examples = []
        for candidate, described in zip(candidates, features, strict=True):
            key = candidate.key
            label = "actor" if key in actors else "recipient" if key in recipients else "none"
            examples.append(Example(described, label, key))
        gold = frozenset(code for code in actors | recipients if code != "UNK")
        cases.append(Case(event.document.article.id, tuple(examples), gold))
    return cases


def date_cases(found: Sequence[Event]) -> list[Case]:
    """The dates near every event; articles with a stand-in date of publication are left out."""
    features_of = DateFeatures(languages.load("sq"))
    cases = []
    for event in found:
        if event.document.article.id.startswith(_STAND_IN_DATES):
            continue
        value = event.gold.get("date")
        examples = tuple(
            Example(features, "yes" if expression.value == value else "no", expression.value)
            for expression, features in features_of(event.document, event.detection)
        )
        gold = frozenset([value] if value else [])
        cases.append(Case(event.document.article.id, examples, gold))
    return cases


def place_cases(found: Sequence[Event]) -> list[Case]:
    """The places near every event."""
    features_of = PlaceFeatures(languages.load("sq"))
    cases = []
    for event in found:
        place = event.gold.get("place") or {}
        code, name = place.get("code"), place.get("name")
        near = features_of(event.document, event.names, event.detection)
        named = any(thing.code == code and thing.name == name for _, thing, _ in near)
        examples = tuple(
            Example(
                features,
                "yes" if thing.code == code and (thing.name == name or not named) else "no",
                thing.code,
            )
            for _, thing, features in near
        )
        gold = frozenset([code] if code else [])
        cases.append(Case(event.document.article.id, examples, gold))
    return cases


class Matrix:
    """The examples of all cases as one sparse matrix, so that their names are read only once."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self._columns: dict[str, int] = {}
        columns: list[int] = []
        ends = [0]
        for case in cases:
            for example in case.examples:
                columns.extend(
                    self._columns.setdefault(name, len(self._columns))
                    for name in dict.fromkeys(example.features)
                )
                ends.append(len(columns))
        shape = (len(ends) - 1, len(self._columns))
        self._rows = csr_matrix((np.ones(len(columns), np.float32), columns, ends), shape)
        self._labels = np.array([e.label for case in cases for e in case.examples])
        self._articles = np.array([case.article for case in cases for _ in case.examples])
        self._sizes = [len(case.examples) for case in cases]

    def _fit(
        self, rows: npt.NDArray[np.bool_], strength: float
    ) -> tuple[npt.NDArray[np.int64], LogisticRegression]:
        """A model of some rows, and the columns that it reads."""
        kept = np.flatnonzero(np.asarray(self._rows[rows].sum(axis=0)).ravel() >= _SUPPORT)
        model = LogisticRegression(C=strength, max_iter=200, tol=1e-3)
        return kept, model.fit(self._rows[rows][:, kept], self._labels[rows])

    def crossed(self, folds: Sequence[set[str]], strength: float) -> list[list[dict[str, float]]]:
        """For each case, for each example, class probabilities by a model of other articles."""
        found: list[dict[str, float]] = [{} for _ in self._labels]
        for fold in folds:
            held = np.isin(self._articles, sorted(fold))
            kept, model = self._fit(~held, strength)
            odds = model.predict_proba(self._rows[held][:, kept])
            for row, values in zip(np.flatnonzero(held).tolist(), odds.tolist(), strict=True):
                found[row] = dict(zip(model.classes_.tolist(), values, strict=True))
        rows = iter(found)
        return [[next(rows) for _ in range(size)] for size in self._sizes]

    def arrays(
        self, strength: float
    ) -> tuple[list[str], list[str], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """The model of all rows: feature names, classes, weights (features x classes), bias."""
        kept, model = self._fit(np.ones(len(self._labels), dtype=bool), strength)
        names = list(self._columns)
        weights, bias = model.coef_.T, model.intercept_
        if len(model.classes_) == 2:
            # Half each way gives the same odds as the one column that scikit-learn keeps.
            weights, bias = np.hstack([-weights, weights]) / 2, np.array([-bias[0], bias[0]]) / 2
        return (
            [names[column] for column in kept],
            model.classes_.tolist(),
            weights.astype(np.float32),
            bias.astype(np.float32),
        )


def party_choice(case: Case, odds: Sequence[dict[str, float]], threshold: float) -> frozenset[str]:
    """The codes that PartyFinder would put into the record."""
    scored = list(zip(case.examples, odds, strict=True))
    chosen = [e.value for e, p in scored if 1 - p["none"] >= threshold]
    if not chosen and scored:
        chosen = [min(scored, key=lambda one: one[1]["none"])[0].value]
    return frozenset(value for value in chosen if not value.startswith("?"))


def single_choice(case: Case, odds: Sequence[dict[str, float]], threshold: float) -> frozenset[str]:
    """The one value that DateResolver or PlaceResolver would put into the record, or none."""
    scored = [(p["yes"], e.value) for e, p in zip(case.examples, odds, strict=True)]
    best = max(scored, key=lambda one: one[0], default=(0.0, ""))
    return frozenset([best[1]] if best[0] >= threshold else [])


def party_figures(cases: Sequence[Case], chosen: Sequence[frozenset[str]]) -> dict[str, float]:
    """Precision, recall and F1 of codes, and the share of events with exactly the gold codes."""
    right = sum(len(codes & case.gold) for case, codes in zip(cases, chosen, strict=True))
    predicted, gold = sum(map(len, chosen)), sum(len(case.gold) for case in cases)
    whole = sum(codes == case.gold for case, codes in zip(cases, chosen, strict=True))
    return {
        "p": round(right / predicted, 4),
        "r": round(right / gold, 4),
        "f1": round(2 * right / (predicted + gold), 4),
        "exact": round(whole / len(cases), 4),
    }


def single_figures(cases: Sequence[Case], chosen: Sequence[frozenset[str]]) -> dict[str, float]:
    """Accuracy as score.py counts it: over the events where gold or prediction has a value."""
    pairs = [(case.gold, values) for case, values in zip(cases, chosen, strict=True)]
    counted = [(gold, values) for gold, values in pairs if gold or values]
    right = sum(gold == values for gold, values in counted)
    return {"accuracy": round(right / len(counted), 4), "of": len(counted)}


_Choice = Callable[[Case, Sequence[dict[str, float]], float], frozenset[str]]
_Figures = Callable[[Sequence[Case], Sequence[frozenset[str]]], dict[str, float]]
# How a model's probabilities become values, how these are measured, and the figure that decides.
_MEASURES: Final[dict[str, tuple[_Choice, _Figures, str]]] = {
    "party": (party_choice, party_figures, "f1"),
    "date": (single_choice, single_figures, "accuracy"),
    "place": (single_choice, single_figures, "accuracy"),
}


def train(data: Path, out: Path) -> dict[str, object]:
    """Write ``parties.json`` and ``parties.npz`` into ``out``; return cross-validated figures."""
    found = events(data)
    folds = gold_data.fifths(gold_data.gold(data))
    cases = {"party": party_cases(found), "date": date_cases(found), "place": place_cases(found)}
    return fit(cases, folds, out)


def fit(tasks: Mapping[str, list[Case]], folds: Sequence[set[str]], out: Path) -> dict[str, object]:
    """Fit and write the models of ``tasks`` with the thresholds that do best across ``folds``."""
    names: dict[str, Any] = {}
    arrays: dict[str, Any] = {}
    figures: dict[str, object] = {}
    for name, cases in tasks.items():
        choose, measure, aim = _MEASURES[name]
        matrix = Matrix(cases)
        odds = matrix.crossed(folds, _STRENGTH[name])
        by_threshold = {
            threshold: measure(
                cases, [choose(c, o, threshold) for c, o in zip(cases, odds, strict=True)]
            )
            for threshold in _THRESHOLDS
        }
        threshold = max(by_threshold, key=lambda t: (by_threshold[t][aim], -t))
        figures[name] = {"threshold": threshold, **by_threshold[threshold]}
        features, classes, weights, bias = matrix.arrays(_STRENGTH[name])
        names[name] = {"classes": classes, "threshold": threshold, "features": features}
        arrays |= {f"{name}.weights": weights, f"{name}.bias": bias}
    (out / NAMES).write_text(json.dumps(names, ensure_ascii=False), encoding="utf-8")
    with (out / WEIGHTS).open("wb") as file:
        np.savez_compressed(file, **arrays)
    return figures
