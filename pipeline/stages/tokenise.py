"""Tokens and sentences: Stanza's trained tokeniser with exact offsets.

Stanza's network is asked for a label a character; its Document is not built, for that costs more
time than the network and finds offsets again by searching. The text is fed in overlapping windows,
so that many short sequences run at once instead of a long one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray
from stanza.models.tokenization.data import PER_CHAR_FEAT_FUNCS
from stanza.models.tokenization.utils import MASK_RE

from pipeline.languages import LanguagePack
from pipeline.records import RawArticle
from pipeline.stages.stanza_local import load
from pipeline.stages.values import Sentence, Token

# Windows: labels nearer than CONTEXT to a window's border are taken from the next window. Training
# windows have 120 code points, so half of one is the company a label has learned to need. Chosen,
# not tuned: labels with and without windows have not been compared.
_WINDOW: Final = 448
_CONTEXT: Final = 64
_BATCH: Final = 64  # windows run at once; chosen to bound memory, not tuned
# A longer run without a space is no word (base64, a line of dashes); its pieces keep the tagger's
# memory bounded. The longest run in the gold train and authored articles has 78 code points.
_LONGEST_TOKEN: Final = 100
# The longest sentence there has 163 tokens (by rule); longer ones are lists that lost their lines.
_LONGEST_SENTENCE: Final = 250
_SENTENCE_PIECE: Final = 200
# Where a too long sentence is cut, best first: after one of these, else where it must be.
_CUTS: Final = (frozenset(".;:!?…"), frozenset(",–—|)/"))

# What may hold a link: a run with no white space. A longer one is none, and the time of Stanza's
# pattern grows with its square.
_RUN: Final = re.compile(r"(?<!\S)\S{6,400}(?!\S)")

# A mark that can only close what was said belongs to the sentence before it, also where the next
# sentence is glued to it.
_CLOSED: Final = re.compile(r"[.!?…][”»]")

# What is not white space. Stanza counts the C1 controls as white space.
_INK: Final = re.compile(r"[^\s\u0080-\u009f]+")

Labels: TypeAlias = NDArray[np.int64]
_WORD_END: Final = 1
_SENTENCE_END: Final = 2


@dataclass(frozen=True, slots=True)
class _Line:
    """A line as the model sees it: runs of white space are one space, none at the ends."""

    title: bool
    text: str
    offsets: tuple[int, ...]


def _line(article_text: str, start: int, end: int, *, title: bool) -> _Line | None:
    runs = list(_INK.finditer(article_text, start, end))
    if not runs:
        return None
    offsets: list[int] = []
    for run in runs:
        offsets += range(run.start(), run.end() + 1)  # one more for the space that follows
    return _Line(title, " ".join(run.group() for run in runs), tuple(offsets[:-1]))


def _lines(article: RawArticle) -> Iterator[_Line]:
    """The title, then the lines of the body; blank ones are left out."""
    text, border = article.text, len(article.title)
    title = _line(text, 0, border, title=True)
    if title is not None:
        yield title
    start = border + 2
    for line in article.body.split("\n"):
        found = _line(text, start, start + len(line), title=False)
        if found is not None:
            yield found
        start += len(line) + 1


@dataclass(frozen=True, slots=True)
class _Window:
    """``[start, end)`` of a line, of which ``[first, last)`` takes its labels from here."""

    line: int
    start: int
    end: int
    first: int
    last: int


def _windows(number: int, length: int) -> Iterator[_Window]:
    start = first = 0
    while True:
        end = min(length, start + _WINDOW)
        last = length if end == length else end - _CONTEXT
        yield _Window(number, start, end, first, last)
        if end == length:
            return
        first, start = last, last - _CONTEXT


def _parts(tokens: list[Token]) -> Iterator[list[Token]]:
    """A sentence, cut where it is too long."""
    while len(tokens) > _LONGEST_SENTENCE:
        cut = next(
            (
                at + 1
                for marks in _CUTS
                for at in range(_SENTENCE_PIECE - 1, _SENTENCE_PIECE // 2, -1)
                if tokens[at].text[-1] in marks
            ),
            _SENTENCE_PIECE,
        )
        yield tokens[:cut]
        tokens = tokens[cut:]
    if tokens:
        yield tokens


def _sentences(article_text: str, line: _Line, labels: Labels) -> Iterator[Sentence]:
    """The sentences of a line; a title is one sentence whatever the model says."""
    spaces = np.fromiter((c == " " for c in line.text), dtype=bool, count=len(line.text))
    last = (labels > 0) & ~spaces
    last[:-1] |= spaces[1:]
    last[-1] = True
    tokens: list[Token] = []
    first = 0
    for at in np.flatnonzero(last).tolist():
        first += int(spaces[first])
        for piece in range(first, at + 1, _LONGEST_TOKEN):
            start = line.offsets[piece]
            end = line.offsets[min(at, piece + _LONGEST_TOKEN - 1)] + 1
            tokens.append(Token(start, end, article_text[start:end]))
        first = at + 1
        if first == len(line.text) or (labels[at] == _SENTENCE_END and not line.title):
            for part in _parts(tokens):
                yield Sentence(part[0].start, part[-1].end, tuple(part))
            tokens = []


class Tokeniser:
    """Splits articles into sentences and tokens.

    Sentence 0 is the whole title where it is not blank (unless it is longer than any sentence may
    be). No sentence crosses a line; no token contains white space; a sentence has at most 250
    tokens, a token at most 100 code points. Sentences and tokens are in text order, do not overlap,
    and cover everything but white space.
    """

    def __init__(self, pack: LanguagePack) -> None:
        """Load ``tokenise.pt``.

        Raises:
            ModelError: the model is missing, corrupted or unusable.
        """
        self._processor = load(pack, "tokenize", "tokenise.pt")
        self._characters = Characters(self._processor.trainer)

    def __call__(self, articles: Sequence[RawArticle]) -> list[tuple[Sentence, ...]]:
        """The sentences of each article, all articles in one run of the model."""
        lines = [list(_lines(article)) for article in articles]
        labels = iter(self._labels([line.text for group in lines for line in group]))
        return [
            tuple(
                sentence
                for line in group
                for sentence in _sentences(article.text, line, next(labels))
            )
            for article, group in zip(articles, lines, strict=True)
        ]

    def _labels(self, texts: Sequence[str]) -> list[Labels]:
        """For each line a label a code point: 0 inside a token, 1 its end, 2 end of a sentence."""
        windows = [w for number, text in enumerate(texts) for w in _windows(number, len(text))]
        windows.sort(key=lambda w: w.start - w.end)  # Stanza packs sequences, longest first
        labels: list[Labels] = [np.zeros(len(text), dtype=np.int64) for text in texts]
        found: Labels
        with torch.inference_mode():
            for at in range(0, len(windows), _BATCH):
                batch = windows[at : at + _BATCH]
                for window, found in zip(batch, self._predict(batch, texts), strict=True):
                    labels[window.line][window.first : window.last] = found[
                        window.first - window.start : window.last - window.start
                    ]
        for text, found in zip(texts, labels, strict=True):
            for match in _links(text):
                found[match.start() : match.end() - 1] = 0
                found[match.end() - 1] = max(found[match.end() - 1], _WORD_END)
            for match in _CLOSED.finditer(text):
                if found[match.start()] == _SENTENCE_END:
                    found[match.start() : match.end()] = _WORD_END, _SENTENCE_END
        return labels

    def _predict(self, batch: Sequence[_Window], texts: Sequence[str]) -> Labels:
        """Labels of windows of falling length, ``(windows, longest)``."""
        parts = [texts[w.line][w.start : w.end] for w in batch]
        units = torch.zeros((len(batch), len(parts[0])), dtype=torch.int64)
        features = torch.zeros((len(batch), len(parts[0]), self._characters.width))
        for row, (window, part) in enumerate(zip(batch, parts, strict=True)):
            ids, values = self._characters.encode(part)
            units[row, : len(part)] = ids
            features[row, : len(part)] = values
            if window.start == 0:
                features[row, 0, self._characters.start_of_line] = 1
            if window.end == len(texts[window.line]):
                features[row, len(part) - 1, self._characters.end_of_line] = 1
        scores = self._processor.trainer.predict((units, None, features, parts))
        return cast("Labels", np.argmax(scores, axis=2))


def _links(text: str) -> Iterator[re.Match[str]]:
    """Links and e-mail addresses by Stanza's pattern, which is only fit for short runs of text."""
    for run in _RUN.finditer(text):
        yield from MASK_RE.finditer(text, run.start(), run.end())


class Characters:
    """Stanza's number and features of each character, looked up once a character.

    Stanza computes them anew for every character of a text, which takes longer than its network.
    """

    def __init__(self, trainer: Any) -> None:
        names: list[str] = trainer.args["feat_funcs"]
        self.width = len(names)
        self.start_of_line = names.index("start_of_para")
        self.end_of_line = names.index("end_of_para")
        self._functions = [PER_CHAR_FEAT_FUNCS.get(name, lambda _: 0) for name in names]
        self._vocab = trainer.vocab
        self._rows: dict[str, int] = {}
        self._units = torch.zeros(0, dtype=torch.int64)
        self._features = torch.zeros((0, self.width))

    def encode(self, text: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Units ``(length,)`` and features ``(length, width)``, those of position left at zero."""
        new = sorted(set(text) - self._rows.keys())
        if new:
            self._rows |= {character: at for at, character in enumerate(new, len(self._rows))}
            units = [self._vocab.unit2id(character) for character in new]
            features = [[float(f(character)) for f in self._functions] for character in new]
            self._units = torch.cat([self._units, torch.tensor(units)])
            self._features = torch.cat([self._features, torch.tensor(features)])
        numbers = map(self._rows.__getitem__, text)
        rows = torch.from_numpy(np.fromiter(numbers, dtype=np.int64, count=len(text)))
        return self._units[rows], self._features[rows]
