"""The words for groups of people that the event models know."""

from __future__ import annotations

from pipeline import languages
from pipeline.stages.event_features import participants


def test_words_belong_to_one_group() -> None:
    """Every word names one group, without diacritics and in lower case, as a portal may write."""
    pack = languages.load("sq")
    listed = [word for words in pack.table("participants.toml").values() for word in words]
    people = participants(pack)
    assert len(people) == len(listed)
    assert people["lidereve"] == "leaders"
    assert people["ministrat"] == "officials"
    assert people["aleatet"] == "groups"
    assert all(word == word.lower() and word.isalpha() for word in people)
