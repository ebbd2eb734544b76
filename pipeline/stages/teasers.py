"""Headlines of other articles inside the text ("Read also: ..."), which state nothing of this one.

Portals put them between two paragraphs and lose the line breaks: the headline is glued to what
follows ("...e VeselitKjo konferencë vije..."). Such a headline becomes a sentence of its own; it is
annotated like any other, but no event, party, date or place is taken from it. One article in ten of
the unlabelled news has one: of the ten alerts raised on them one was a headline's, and another had
its place from a headline.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from pipeline.languages import LanguagePack
from pipeline.stages.values import Document, Sentence, Token

# Where a lost line break shows: a word, a number or a closing mark, and at once a capital or an
# opening quotation mark. A headline can have quotation marks of its own, after a space.
_GLUE: Final = re.compile(r"(?<=[^\W\d_A-ZÀ-ÞŠŽČĆĐ]|[0-9)!?…”])(?=[A-ZÀ-ÞŠŽČĆĐ“„])")


class Teasers:
    """The headlines of other articles in a text.

    Args:
        pack: the language whose ``teasers.toml`` names their cues.
    """

    def __init__(self, pack: LanguagePack) -> None:
        cues = map(re.escape, pack.table("teasers.toml")["cues"])
        self._cue = re.compile(rf"(?:{'|'.join(cues)})\s*:", re.IGNORECASE)

    def split(self, document: Document) -> Document:
        """The document with every such headline as a sentence of its own; its names are not kept.

        The title is left alone. A headline ends with its sentence, or before, at a lost line break.
        """
        return replace(
            document,
            sentences=tuple(
                part for sentence in document.sentences for part in self._parts(document, sentence)
            ),
            mentions=(),
        )

    def _parts(self, document: Document, sentence: Sentence) -> Iterator[Sentence]:
        text, body = document.article.text, len(document.article.title) + 2
        cuts: list[int] = []
        at = max(sentence.start, body)
        while cue := self._cue.search(text, at, sentence.end):
            glue = _GLUE.search(text, cue.end() + 1, sentence.end)
            at = glue.start() if glue else sentence.end
            cuts += [cue.start(), at]
        rest = sentence.tokens
        for cut in cuts:
            before, rest = _cut(rest, cut)
            if before:
                yield _sentence(before)
        if rest:
            yield _sentence(rest)

    def silenced(self, document: Document) -> Document:
        """The document with nothing in such headlines: their sentences are empty."""
        silent = [self.is_teaser(document, sentence) for sentence in document.sentences]
        return replace(
            document,
            sentences=tuple(
                replace(sentence, end=sentence.start, tokens=()) if quiet else sentence
                for sentence, quiet in zip(document.sentences, silent, strict=True)
            ),
            mentions=tuple(m for m in document.mentions if not silent[m.sentence]),
        )

    def is_teaser(self, document: Document, sentence: Sentence) -> bool:
        """Whether the sentence of a split document is such a headline."""
        body = len(document.article.title) + 2
        start, text = sentence.start, document.article.text
        return start >= body and bool(self._cue.match(text, start, sentence.end))


def _cut(tokens: Sequence[Token], at: int) -> tuple[tuple[Token, ...], tuple[Token, ...]]:
    """The tokens before a position and those after it; one across it is cut in two."""
    before, after = [], []
    for token in tokens:
        if token.end <= at:
            before.append(token)
        elif token.start >= at:
            after.append(token)
        else:
            length = at - token.start
            before.append(Token(token.start, at, token.text[:length]))
            after.append(Token(at, token.end, token.text[length:]))
    return tuple(before), tuple(after)


def _sentence(tokens: tuple[Token, ...]) -> Sentence:
    return Sentence(tokens[0].start, tokens[-1].end, tokens)
