"""Which language an article is in: what it says itself, else what its words look like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import py3langid

from pipeline.errors import UnsupportedLanguage
from pipeline.records import RawArticle

STAGE: Final = "language"
# A language is plain from its first few hundred words; reading 200,000 characters costs 40 ms.
_CHARS: Final = 4_000


def identify(article: RawArticle, supported: Mapping[str, str]) -> str:
    """The code of the supported language of the article.

    A declared language (BCP 47, so ``sq-XK`` is Albanian) is believed. Where none is declared,
    py3langid decides among all the languages it knows, so that an article in another language is
    set aside instead of being forced into ours; it was right on short headlines and on text
    without diacritics.

    Args:
        article: the article.
        supported: language subtag to the code of its language folder (``sqi`` to ``sq``).

    Raises:
        UnsupportedLanguage: ``unsupported-language``.
    """
    declared = (article.language or "").replace("_", "-").split("-")[0].lower()
    code = declared or py3langid.classify(article.text[:_CHARS])[0]
    if code not in supported:
        how = "declares" if declared else "seems to be in"
        raise UnsupportedLanguage(
            "unsupported-language",
            f"The article {how} the language {code!r}, which is not enabled (language.enabled).",
            stage=STAGE,
        )
    return supported[code]
