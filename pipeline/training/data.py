"""Reads what the models are trained on. Nothing of it is ever written into the repository.

The folder is named by the environment variable ``KASNEC_TRAINING_DATA`` (default ``../shared``
beside the repository) and holds ``gold/``, ``data/`` and ``corpus/`` as their own README files say.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from pipeline.records import EntityType, RawArticle
from pipeline.stages.values import Document, Mention, Sentence

REPOSITORY: Final = Path(__file__).resolve().parents[2]
GOLD: Final = ("train", "authored")  # dev is for the final measurement only
ANNOTATED: Final = Path(__file__).parent / "annotated"  # our own; see its README


def folder() -> Path:
    """The folder of the training data.

    Raises:
        FileNotFoundError: there is none; the message names the variable that must be set.
    """
    path = Path(os.environ.get("KASNEC_TRAINING_DATA", REPOSITORY.parent / "shared"))
    if not (path / "gold").is_dir():
        raise FileNotFoundError(f"no gold/ in {path}: set KASNEC_TRAINING_DATA to the data folder")
    return path


@dataclass(frozen=True, slots=True)
class Name:
    """A gold entity, ``[start, end)`` in the article's text."""

    start: int
    end: int
    type: EntityType


@dataclass(frozen=True, slots=True)
class GoldArticle:
    """An article with its sentence spans and the names of each sentence."""

    article: RawArticle
    sentences: tuple[tuple[int, int], ...]
    names: tuple[tuple[Name, ...], ...]

    def document(self) -> Document:
        """The article as the stages after the name tagger get it, with the gold names."""
        text = self.article.text
        return Document(
            article=self.article,
            language="sq",
            sentences=tuple(Sentence(start, end, ()) for start, end in self.sentences),
            mentions=tuple(
                Mention(name.start, name.end, text[name.start : name.end], name.type, index)
                for index, names in enumerate(self.names)
                for name in names
            ),
        )


def read_articles(path: Path) -> Iterator[tuple[RawArticle, dict[str, object]]]:
    """Each line of a JSON-lines file of raw articles: the article, and the whole line as read."""
    with path.open("rb") as lines:
        for line in lines:
            row = orjson.loads(line)
            yield (
                RawArticle(
                    id=row["id"],
                    title=row["title"],
                    body=row["body"],
                    published_at=row["published_at"],
                ),
                row,
            )


def read_gold(path: Path) -> list[GoldArticle]:
    """The articles of a gold file, in its order; names are found in reading order as score.py does.

    Raises:
        ValueError: a name does not stand in its sentence.
    """
    found = []
    for article, row in read_articles(path):
        sentences: list[list[int]] = row["sentences"]  # type: ignore[assignment]
        entities: list[list[list[str]]] = row["entities"]  # type: ignore[assignment]
        names = []
        for (start, end), listed in zip(sentences, entities, strict=True):
            at, here = start, []
            for text, kind in listed:
                at = article.text.find(text, at, end)
                if at < 0:
                    raise ValueError(f"{path.name}: {article.id}: {text!r} is not in its sentence")
                here.append(Name(at, at + len(text), kind))  # type: ignore[arg-type]
                at += len(text)
            names.append(tuple(here))
        spans = tuple((start, end) for start, end in sentences)
        found.append(GoldArticle(article, spans, tuple(names)))
    return found


def gold(data: Path) -> list[GoldArticle]:
    """All gold articles to train on, in a fixed order."""
    return [article for name in GOLD for article in read_gold(data / "gold" / f"{name}.jsonl")]


def authored() -> list[GoldArticle]:
    """Our own authored articles (``annotated/authored.jsonl``), never held out."""
    return read_gold(ANNOTATED / "authored.jsonl")


def annotated_news(data: Path) -> list[tuple[RawArticle, dict[str, Any]]]:
    """The articles of ``corpus/`` whose events we annotated, with rows as in a gold file.

    ``annotated/news-2020.jsonl`` holds offsets in the place of words: the text is its outlets'.
    """
    corpus = {a.id: a for a, _ in read_articles(data / "corpus" / "news-2020.jsonl")}
    rows = []
    for line in (ANNOTATED / "news-2020.jsonl").read_bytes().splitlines():
        annotation = orjson.loads(line)
        article = corpus[annotation["id"]]
        rows.append((article, _worded(annotation, article.text)))
    return rows


def _worded(value: Any, text: str, key: str = "") -> Any:
    """The annotation with the words that its offsets stand for."""
    if isinstance(value, dict):
        return {name: _worded(inner, text, name) for name, inner in value.items()}
    if key in {"trigger", "text", "date_text"}:
        return text[value[0] : value[1]] if value else ""
    if isinstance(value, list) and key in {"events", "actors", "recipients"}:
        return [_worded(inner, text) for inner in value]
    return value


def fifths(articles: Sequence[GoldArticle]) -> list[set[str]]:
    """Five disjoint sets of article ids, the same in every run."""
    ids = sorted(article.article.id for article in articles)
    random.Random(20).shuffle(ids)
    return [set(ids[i::5]) for i in range(5)]


def read_conllu(path: Path) -> list[list[tuple[str, bool]]]:
    """Sentences of a CoNLL-U file as surface tokens: (form, whether a space follows).

    A multi-word token stands for its words. Sentences with malformed rows or with gaps in their
    numbers are dropped (39 of them in Albanian-POS).
    """
    sentences = []
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        rows = [row.split("\t") for row in block.splitlines() if row and not row.startswith("#")]
        if not rows or any(
            len(row) != 10 or not row[1].strip() or not re.fullmatch(r"\d+(-\d+)?", row[0])
            for row in rows
        ):
            continue
        words = [int(row[0]) for row in rows if "-" not in row[0]]
        if words != list(range(1, len(words) + 1)):
            continue
        tokens, covered = [], 0
        for row in rows:
            first, _, last = row[0].partition("-")
            if last:
                covered = int(last)
            elif int(first) <= covered:
                continue
            tokens.append((row[1].strip(), "SpaceAfter=No" not in row[9]))
        sentences.append(tokens)
    return sentences


def read_ntrex(data: Path) -> list[list[str]]:
    """NTREX-128 in Albanian: the lines of each article."""
    root = data / "data" / "ntrex"
    ids = (root / "DOCUMENT_IDS.tsv").read_text(encoding="utf-8").splitlines()
    lines = (root / "newstest2019-ref.sqi.txt").read_text(encoding="utf-8").split("\n")
    articles: dict[str, list[str]] = {}
    for document, line in zip(ids, lines, strict=False):
        if line.strip():
            articles.setdefault(document, []).append(line.strip())
    return list(articles.values())


def read_sib(data: Path) -> list[str]:
    """SIB-200 in Albanian: single sentences."""
    return [
        row.split("\t")[2].strip().strip('"').replace('""', '"')
        for name in ("train", "dev", "test")
        for row in (data / "data" / "sib" / f"{name}.tsv")
        .read_text(encoding="utf-8")
        .splitlines()[1:]
    ]
