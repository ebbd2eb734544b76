"""What the event models see of a document: hashed words, and names only by their type.

Words are cut by a pattern of their own, so that trained weights do not depend on the tokeniser's
version. All text is folded (lower case, no diacritics): portals leave out ë and ç at will.
Features are hashed with MurmurHash3 and spread by a multiplicative hash; no vocabulary is kept.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final, TypeAlias

import mmh3
import numpy as np
from numpy.typing import NDArray

from pipeline.languages import LanguagePack
from pipeline.stages.values import Document

Hashes: TypeAlias = NDArray[np.uint64]
Rows: TypeAlias = NDArray[np.int64]

SENTENCE_BITS: Final = 16  # 65,536 rows x 16 types in half precision are 2 MB
TOKEN_BITS: Final = 15
ATTRIBUTE_BITS: Final = 15

_WORD: Final = re.compile(r"\d+|[^\W\d_]+(?:'[^\W\d_]+)*|[^\w\s]")
_APOSTROPHES: Final = str.maketrans("’‘`´", "''''")
_STEM: Final = 5  # Albanian inflects at the end: the first letters stand for the lexeme
_WINDOW: Final = 8  # words on each side of the trigger that its status and mode may depend on
_TOPIC: Final = 0.4  # weight of the whole sentence beside them
_SHORT: Final = 4  # letters of a short word
_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio (Knuth, TAOCP 6.4)
_CHAIN: Final = np.uint64(0x100000001B3)  # the prime of FNV-1a
_SALT: Final = 0x51ED270B27


@dataclass(frozen=True, slots=True)
class Words:
    """A sentence's words: offsets, folded forms, and forms with each name as one type symbol."""

    starts: tuple[int, ...]
    ends: tuple[int, ...]
    folded: tuple[str, ...]
    masked: tuple[str, ...]
    named: tuple[bool, ...]
    names: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Matrix:
    """A sparse matrix by rows: of row ``n`` the parts ``[starts[n], starts[n + 1])``.

    Without SciPy and scikit-learn the imports of the chain take 3.3 s of processor time, with them
    10.4 s (measured on a slow core); training turns it into SciPy's.
    """

    columns: Rows
    values: NDArray[np.float32]
    starts: Rows

    def __len__(self) -> int:
        return len(self.starts) - 1

    def times(self, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """The product with a dense matrix (columns x classes): rows x classes."""
        product = np.zeros((len(self), weights.shape[1]), dtype=np.float32)
        for row, (start, end) in enumerate(pairwise(self.starts.tolist())):
            product[row] = self.values[start:end] @ weights[self.columns[start:end]]
        return product


@lru_cache(maxsize=50_000)
def _fold(word: str) -> str:
    marks = unicodedata.normalize("NFD", word.lower())
    return "".join(mark for mark in marks if not unicodedata.combining(mark)) or word


@lru_cache(maxsize=50_000)
def _hash(text: str) -> int:
    return mmh3.hash(text, signed=False)


@lru_cache(maxsize=50_000)
def _grams(word: str) -> tuple[int, ...]:
    bounded = f"<{word}>"
    return tuple(_hash(bounded[at : at + 4]) for at in range(max(1, len(bounded) - 3)))


def _hashes(texts: Sequence[str]) -> Hashes:
    return np.fromiter((_hash(text) for text in texts), dtype=np.uint64, count=len(texts))


def _rows(hashes: Hashes, space: int, bits: int) -> Rows:
    """Row numbers of a weight matrix; equal hashes in other feature spaces get other rows."""
    mixed = (hashes ^ np.uint64(space * _SALT)) * _SPREAD
    return (mixed >> np.uint64(64 - bits)).astype(np.int64)


def _joined(*parts: Hashes) -> Hashes:
    joined = parts[0]
    for part in parts[1:]:
        joined = joined * _CHAIN + part
    return joined


def words(document: Document) -> list[Words]:
    """The words of every sentence of a document."""
    text = document.article.text.translate(_APOSTROPHES)
    found = []
    for index, sentence in enumerate(document.sentences):
        names = [mention for mention in document.mentions if mention.sentence == index]
        starts, ends, folded, masked, named = [], [], [], [], []
        last = -1
        for match in _WORD.finditer(text, sentence.start, sentence.end):
            name = next(
                (n for n, m in enumerate(names) if m.start < match.end() and match.start() < m.end),
                -1,
            )
            word = "0" if match[0].isdigit() else _fold(match[0])
            starts.append(match.start())
            ends.append(match.end())
            folded.append(word)
            masked.append(word if name < 0 else "_" if name == last else f"#{names[name].type}")
            named.append(name >= 0)
            last = name
        types = [name.type for name in names]
        counts = (types.count("PER"), types.count("LOC"), types.count("ORG"))
        found.append(
            Words(tuple(starts), tuple(ends), tuple(folded), tuple(masked), tuple(named), counts)
        )
    return found


def _stems(sentence: Words) -> list[str]:
    """The sentence with names masked, the rest cut to stems, between border marks."""
    return ["^", *(word[:_STEM] for word in sentence.masked if word != "_"), "$"]


def _content(sentence: Words) -> list[str]:
    return [
        word
        for word, name in zip(sentence.folded, sentence.named, strict=True)
        if not name and word.isalpha()
    ]


class _Row:
    """One sparse row: spaces of features, each scaled to its own length."""

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._columns: list[Rows] = []
        self._values: list[NDArray[np.float32]] = []

    def add(self, space: int, hashes: Hashes, weight: float) -> None:
        if len(hashes):
            columns = np.unique(_rows(hashes, space, self._bits))
            self._columns.append(columns)
            scale = weight / np.sqrt(len(columns))
            self._values.append(np.full(len(columns), scale, dtype=np.float32))

    def parts(self) -> tuple[Rows, NDArray[np.float32]]:
        if not self._columns:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
        return np.concatenate(self._columns), np.concatenate(self._values)


def _matrix(rows: Sequence[_Row]) -> Matrix:
    parts = [row.parts() for row in rows]
    return Matrix(
        np.concatenate([np.zeros(0, dtype=np.int64), *(columns for columns, _ in parts)]),
        np.concatenate([np.zeros(0, dtype=np.float32), *(values for _, values in parts)]),
        np.cumsum([0, *(len(columns) for columns, _ in parts)]),
    )


def _shape(sentence: Words, index: int) -> list[str]:
    persons, places, bodies = (min(count, 3) for count in sentence.names)
    return [
        f"at{min(index, 4)}",
        f"words{min(len(sentence.folded) // 8, 6)}",
        f"names{persons}{places}{bodies}",
        f"question{sentence.folded[-1:] == ('?',)}",
    ]


def _describe(row: _Row, sentence: Words, index: int, *, share: float = 1.0) -> None:
    content = _content(sentence)
    stems = _hashes(_stems(sentence))
    row.add(1, _hashes(content), share)
    row.add(2, _hashes([word[:_STEM] for word in content]), share)
    row.add(3, np.array([g for word in content for g in _grams(word)], dtype=np.uint64), share)
    row.add(4, _joined(stems[:-1], stems[1:]), share)
    row.add(5, _joined(stems[:-2], stems[1:-1], stems[2:]), 0.7 * share)
    row.add(6, _hashes(_shape(sentence, index)), 0.5 * share)
    names = [w[:_STEM] for w, name in zip(sentence.folded, sentence.named, strict=True) if name]
    row.add(7, _hashes(names), 0.4 * share)


def sentence_matrix(sentences: Sequence[Words]) -> Matrix:
    """Sentences x 2**SENTENCE_BITS: each sentence with its neighbours and the title."""
    rows = []
    bags = [_hashes([word[:_STEM] for word in _content(sentence)]) for sentence in sentences]
    for index, sentence in enumerate(sentences):
        row = _Row(SENTENCE_BITS)
        _describe(row, sentence, index)
        if index:
            row.add(8, bags[index - 1], 0.4)
            row.add(9, bags[0], 0.4)
        if index + 1 < len(sentences):
            row.add(10, bags[index + 1], 0.3)
        rows.append(row)
    return _matrix(rows)


def token_rows(sentence: Words) -> Rows:
    """Words x features: rows of the token model's weights, which are summed."""
    full = _hashes([word[:12] for word in sentence.masked])
    stem = np.pad(_hashes([word[:_STEM] for word in sentence.masked]), 2, constant_values=1)
    ending = _hashes([word[-3:] for word in sentence.masked])
    before2, before, here, after, after2 = (stem[k : k + len(full)] for k in range(5))
    spaces = [
        full, here, ending, before, after, before2, after2, _joined(before, here),
        _joined(here, after), _joined(before2, before), _joined(after, after2),
        _joined(before, after),
    ]  # fmt: skip
    columns = [_rows(hashes, space, TOKEN_BITS) for space, hashes in enumerate(spaces, start=1)]
    return np.stack(columns, axis=1)


Participants: TypeAlias = Mapping[str, str]


def participants(pack: LanguagePack) -> Participants:
    """Folded words of ``participants.toml`` to the group of people that they name.

    Raises:
        ModelError: the file is missing, or is not TOML.
    """
    groups = pack.table("participants.toml")
    return {_fold(word): group for group, listed in groups.items() for word in listed}


def attribute_matrix(
    sentences: Sequence[Words], found: Sequence[tuple[int, int, int, str]], people: Participants
) -> Matrix:
    """Detections x 2**ATTRIBUTE_BITS, for status and mode.

    Args:
        sentences: the words of the article.
        found: sentence index, first and last word of the trigger, and type of each detection.
        people: as :func:`participants` gives them.
    """
    article = _hashes(sorted({w[:_STEM] for s in sentences for w in _content(s)}))
    rows = []
    for index, first, last, kind in found:
        sentence, row = sentences[index], _Row(ATTRIBUTE_BITS)
        # The whole sentence counts for less than what stands around the trigger: its topic says
        # little about whether the act took place.
        _describe(row, sentence, index, share=_TOPIC)
        full = list(sentence.masked)
        stems = [word[:_STEM] for word in full]
        trigger = stems[first : last + 1]
        before = stems[max(0, first - _WINDOW) : first]
        after = stems[last + 1 : last + 1 + _WINDOW]
        near = _hashes([*before, *trigger, *after])
        row.add(11, _hashes(trigger), 1.0)
        row.add(12, _hashes(full[first : last + 1]), 1.0)
        row.add(13, _hashes(before), 1.0)
        row.add(14, _hashes(after), 0.7)
        row.add(15, _joined(near[:-1], near[1:]), 1.0)
        row.add(16, _hashes([kind]), 0.5)
        row.add(17, article, 0.5)
        row.add(19, _joined(near[:-2], near[1:-1], near[2:]), 0.7)
        # Auxiliaries and particles ("do të", "u", "po", "nuk") are short words and endings.
        row.add(20, _hashes([word[-3:] for word in full[max(0, first - 3) : last + 4]]), 0.7)
        row.add(21, _hashes([word for word in full if len(word) <= _SHORT]), 0.7)
        lead = _hashes(["^", *full[max(0, first - 3) : last + 1]])
        row.add(22, _joined(lead[:-1], lead[1:]), 1.0)
        around = full[max(0, first - _WINDOW) : last + 1 + _WINDOW]
        groups = {people[word] for word in full if word in people}
        groups |= {f"near {people[word]}" for word in around if word in people}
        row.add(23, _hashes(sorted(groups)), 1.0)
        if index:
            row.add(18, _hashes([word[:_STEM] for word in _content(sentences[index - 1])]), 0.3)
        rows.append(row)
    return _matrix(rows)
