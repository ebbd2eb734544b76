"""Where an event takes place."""

from __future__ import annotations

import pytest

from pipeline import languages
from pipeline.records import Place
from pipeline.stages.names import NameResolver
from pipeline.stages.places import PlaceResolver
from pipeline.stages.values import Detection, Document
from tests.stages.marked import detection, document

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def names() -> NameResolver:
    """The resolver of names."""
    return NameResolver(languages.load("sq"))


@pytest.fixture(scope="module")
def resolve() -> PlaceResolver:
    """The resolver with the shipped model."""
    return PlaceResolver(languages.load("sq"))


def place(
    resolve: PlaceResolver, names: NameResolver, article: Document, event: Detection
) -> Place | None:
    """The place of an event."""
    return resolve(article, names(article), event)


def test_city_of_a_meeting(resolve: PlaceResolver, names: NameResolver) -> None:
    """The city after "në" is the place, with its English name and coordinates."""
    article = document("Takim", "Presidentët e dy vendeve u takuan të hënën në [Vjenë|LOC].")
    event = detection(article, "u takuan", "CONSULT", mode="meeting")
    found = place(resolve, names, article, event)
    assert found is not None
    assert (found.text, found.name, found.code) == ("Vjenë", "Vienna", "AUT")
    assert found.latitude == pytest.approx(48.2, abs=0.1)
    assert found.longitude == pytest.approx(16.4, abs=0.1)


def test_no_place_is_assumed(resolve: PlaceResolver, names: NameResolver) -> None:
    """A state that is only accused is no place."""
    article = document("Kritika", "[Franca|LOC] dënoi veprimet e [Rusisë|LOC].")
    assert place(resolve, names, article, detection(article, "dënoi", "ACCUSE")) is None


def test_an_organisation_is_no_place(resolve: PlaceResolver, names: NameResolver) -> None:
    """Not even where the tagger took its name for a place's."""
    article = document("Takim", "Presidentët u takuan të hënën në [NATO|LOC].")
    event = detection(article, "u takuan", "CONSULT", mode="meeting")
    assert place(resolve, names, article, event) is None


def test_kosovo_code(names: NameResolver) -> None:
    """Kosovo is written as the settings say."""
    resolve = PlaceResolver(languages.load("sq"), kosovo_code="KOS")
    article = document("Takim", "Ministrat u takuan dje në [Prishtinë|LOC].")
    event = detection(article, "u takuan", "CONSULT", mode="meeting")
    found = place(resolve, names, article, event)
    assert found is not None
    assert found.code == "KOS"
