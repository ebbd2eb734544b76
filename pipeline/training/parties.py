"""Train the linear models of parties, dates and places on annotated articles.

``train(data, out)`` reads ``data/gold/train.jsonl`` and ``authored.jsonl`` and writes
``parties.json`` and ``parties.npz`` into ``out``. The figures that it returns are of five-fold
cross-validation over articles, given the gold sentences, names, types, statuses and triggers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression

from pipeline import languages
from pipeline.records import RawArticle
from pipeline.stages.dates import DateFeatures
from pipeline.stages.linear import NAMES, WEIGHTS
from pipeline.stages.names import NameResolver
from pipeline.stages.parties import Candidates, Features
from pipeline.stages.places import PlaceFeatures
from pipeline.stages.values import Detection, Document, Mention, ResolvedMention, Sentence
from pipeline.training import data as gold_data

# Inverse strengths of regularisation, chosen by the cross-validation below (see _figures).
_STRENGTH: Final = {"party": 0.1, "date": 0.3, "place": 0.1}
# NTREX articles carry no publication date of their own, so that no relative date can be checked.
_STAND_IN_DATES: Final = "ntrex-"
# A feature must occur in so many examples: rarer ones only remember names of the training articles.
_SUPPORT: Final = 3
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
    found = []
    for name in gold_data.GOLD:
        path = data / "gold" / f"{name}.jsonl"
        rows = [row for _, row in gold_data.read_articles(path)]
        for article, row in zip(gold_data.read_gold(path), rows, strict=True):
            document = _document(article)
            names = resolve(document)
            for event in row["events"]:  # type: ignore[attr-defined]
                found.append(Event(document, names, _detection(document, event), event))
    return found


def _document(article: gold_data.GoldArticle) -> Document:
    raw: RawArticle = article.article
    return Document(
        article=raw,
        language="sq",
        sentences=tuple(Sentence(start, end, ()) for start, end in article.sentences),
        mentions=tuple(
            Mention(name.start, name.end, raw.text[name.start : name.end], name.type, index)
            for index, names in enumerate(article.names)
            for name in names
        ),
    )


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


class Model:
    """A fitted classifier with its vocabulary."""

    def __init__(self, cases: Sequence[Case], strength: float) -> None:
        examples = [example for case in cases for example in case.examples]
        rows = [dict.fromkeys(example.features, 1) for example in examples]
        self._vectors = DictVectorizer(dtype=np.float32)
        matrix = self._vectors.fit_transform(rows)
        kept = np.asarray((matrix > 0).sum(axis=0)).ravel() >= _SUPPORT
        self._vectors.restrict(kept)
        self._fit = LogisticRegression(C=strength, max_iter=300, tol=1e-4)
        self._fit.fit(self._vectors.transform(rows), [example.label for example in examples])
        self.classes: list[str] = self._fit.classes_.tolist()

    def probabilities(self, cases: Sequence[Case]) -> list[list[dict[str, float]]]:
        """For each case, for each candidate, the probability of each class."""
        found = []
        for case in cases:
            if not case.examples:
                found.append([])
                continue
            rows = [dict.fromkeys(example.features, 1) for example in case.examples]
            odds = self._fit.predict_proba(self._vectors.transform(rows))
            found.append([dict(zip(self.classes, row.tolist(), strict=True)) for row in odds])
        return found

    def arrays(self) -> tuple[list[str], list[str], np.ndarray, np.ndarray]:
        """Feature names, classes, weights (features x classes) and bias."""
        weights, bias = self._fit.coef_.T, self._fit.intercept_
        if len(self.classes) == 2:
            weights, bias = np.hstack([-weights, weights]) / 2, np.array([-bias[0], bias[0]]) / 2
        return (
            self._vectors.get_feature_names_out().tolist(),
            self.classes,
            weights.astype(np.float32),
            bias.astype(np.float32),
        )


def crossed(
    cases: Sequence[Case], folds: Sequence[set[str]], strength: float
) -> list[list[dict[str, float]]]:
    """Probabilities of every case by a model that has not seen its article."""
    found: dict[int, list[dict[str, float]]] = {}
    for fold in folds:
        model = Model([case for case in cases if case.article not in fold], strength)
        held = [index for index, case in enumerate(cases) if case.article in fold]
        found.update(zip(held, model.probabilities([cases[i] for i in held]), strict=True))
    return [found[index] for index in range(len(cases))]


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


def train(data: Path, out: Path) -> dict[str, object]:
    """Write ``parties.json`` and ``parties.npz`` into ``out``; return cross-validated figures."""
    found = events(data)
    tasks: list[tuple[str, list[Case], _Choice, _Figures, str]] = [
        ("party", party_cases(found), party_choice, party_figures, "f1"),
        ("date", date_cases(found), single_choice, single_figures, "accuracy"),
        ("place", place_cases(found), single_choice, single_figures, "accuracy"),
    ]
    folds = gold_data.fifths(gold_data.gold(data))
    names: dict[str, Any] = {}
    arrays: dict[str, Any] = {}
    figures: dict[str, object] = {}
    for name, cases, choose, measure, aim in tasks:
        odds = crossed(cases, folds, _STRENGTH[name])
        by_threshold = {
            threshold: measure(
                cases, [choose(c, o, threshold) for c, o in zip(cases, odds, strict=True)]
            )
            for threshold in _THRESHOLDS
        }
        threshold = max(by_threshold, key=lambda t: (by_threshold[t][aim], -t))
        figures[name] = {"threshold": threshold, **by_threshold[threshold]}
        features, classes, weights, bias = Model(cases, _STRENGTH[name]).arrays()
        names[name] = {"classes": classes, "threshold": threshold, "features": features}
        arrays |= {f"{name}.weights": weights, f"{name}.bias": bias}
    (out / NAMES).write_text(json.dumps(names, ensure_ascii=False), encoding="utf-8")
    with (out / WEIGHTS).open("wb") as file:
        np.savez_compressed(file, **arrays)
    return figures
