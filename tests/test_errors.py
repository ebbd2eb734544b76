"""The error tree."""

from __future__ import annotations

import pickle

import pytest

from pipeline import errors


@pytest.mark.parametrize(
    "kind",
    [
        errors.NotDecodable,
        errors.InvalidArticle,
        errors.UnsupportedLanguage,
        errors.StageFailed,
    ],
)
def test_bad_input_crosses_processes(kind: type[errors.BadInput]) -> None:
    """The process of the models sends its refusals to the worker with all that they say."""
    error = kind("a-reason", "A detail.", stage="entities")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert (copy.reason, copy.detail, copy.stage) == ("a-reason", "A detail.", "entities")
    assert str(copy) == "a-reason (entities): A detail."


def test_every_error_has_a_fate() -> None:
    """Whatever we raise is one of the five fates."""
    fates = (
        errors.ConfigurationError,
        errors.BadInput,
        errors.AlertRefused,
        errors.TransientError,
        errors.InfrastructureError,
    )

    def leaves(kind: type[BaseException]) -> list[type[BaseException]]:
        below = [leaf for child in kind.__subclasses__() for leaf in leaves(child)]
        return below or [kind]

    assert all(issubclass(leaf, fates) for leaf in leaves(errors.KasnecError))
