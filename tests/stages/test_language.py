"""Which language an article is in."""

from __future__ import annotations

import pytest

from pipeline.errors import UnsupportedLanguage
from pipeline.records import RawArticle
from pipeline.stages.language import identify

SUPPORTED = {"sq": "sq", "sqi": "sq"}


def article(body: str, language: str | None = None) -> RawArticle:
    """An article that may declare its language."""
    return RawArticle(id="a", body=body, published_at="2026-11-23T08:00:00Z", language=language)


@pytest.mark.parametrize("declared", ["sq", "SQ", "sq-XK", "sq_AL", "sqi"])
def test_a_declared_language_is_believed(declared: str) -> None:
    """BCP 47 tags and ISO 639-3 codes of a supported language are that language."""
    assert identify(article("Hello world", declared), SUPPORTED) == "sq"


@pytest.mark.parametrize(
    "body",
    [
        "Kryeministrja priti sot homologun e saj grek në Tiranë.",
        "Kryeministrja priti sot homologun e saj grek ne Tirane per te biseduar.",
    ],
)
def test_an_undeclared_language_is_detected(body: str) -> None:
    """Albanian is recognised, with its diacritics and without."""
    assert identify(article(body), SUPPORTED) == "sq"


@pytest.mark.parametrize(
    ("body", "declared"),
    [
        ("The prime minister received her Greek counterpart in Tirana today.", None),
        ("Premijerka je danas primila grčkog kolegu u Tirani.", None),
        ("Kryeministrja priti sot homologun e saj grek.", "en"),
    ],
)
def test_other_languages_are_refused(body: str, declared: str | None) -> None:
    """An article in a language without a folder is bad input, with its language in the detail."""
    with pytest.raises(UnsupportedLanguage) as caught:
        identify(article(body, declared), SUPPORTED)
    assert caught.value.reason == "unsupported-language"
