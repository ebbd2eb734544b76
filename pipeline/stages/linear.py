"""Linear classifiers over named features: the weights are plain arrays, loading runs no code.

``parties.json`` names the features and classes of each model, ``parties.npz`` holds its weights
(features x classes, float32) and bias (classes).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pipeline.errors import ModelError
from pipeline.languages import LanguagePack

NAMES: Final = "parties.json"
WEIGHTS: Final = "parties.npz"


@dataclass(frozen=True, slots=True)
class Linear:
    """A multinomial logistic regression over binary features."""

    features: Mapping[str, int]
    classes: tuple[str, ...]
    weights: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    threshold: float

    def probabilities(self, features: Iterable[str]) -> dict[str, float]:
        """Probability of each class; features that training never saw count nothing."""
        rows = [self.features[name] for name in features if name in self.features]
        scores = (self.weights[rows].sum(axis=0) + self.bias).astype(np.float64)
        odds = np.exp(scores - scores.max())
        return dict(zip(self.classes, (odds / odds.sum()).tolist(), strict=True))


def load(pack: LanguagePack, name: str) -> Linear:
    """The model called ``name`` (party, date, place) of a language.

    Raises:
        ModelError: a file is missing, corrupted or without this model.
    """
    try:
        names: dict[str, Any] = json.loads(pack.model_file(NAMES).read_text(encoding="utf-8"))
        with np.load(pack.model_file(WEIGHTS), allow_pickle=False) as arrays:
            weights, bias = arrays[f"{name}.weights"], arrays[f"{name}.bias"]
        entry = names[name]
        return Linear(
            features={feature: row for row, feature in enumerate(entry["features"])},
            classes=tuple(entry["classes"]),
            weights=weights,
            bias=bias,
            threshold=entry["threshold"],
        )
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{pack.folder / 'models' / NAMES}, model {name}: {error!r}") from error
