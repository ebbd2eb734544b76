"""Names of people, places and organisations: Stanza's NER tagger over our own tokens.

Stanza gets its batches directly, without a Document: the offsets are already known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, cast

import torch
from stanza.models.ner.data import DataLoader

from pipeline.languages import LanguagePack
from pipeline.records import EntityType
from pipeline.stages.stanza_local import load
from pipeline.stages.values import Document, Mention, Sentence

# Sentences of like length run together, about this many tokens at once. Chosen to bound memory,
# not tuned.
_BATCH_TOKENS: Final = 1200

# Typography that carries no meaning for a name, so that the tagger meets one form of each mark.
_FORMS: Final = str.maketrans(
    "’‘ʼ`´“”„«»‟–—\u2011", '\'\'\'\'\'""""""---', "\u00ad\u200b\u200c\u200d\u2060\ufeff"
)


def form(token: str) -> str:
    """A token as the tagger sees it, in training and at run time; never empty."""
    return token.translate(_FORMS) or "-"


class Batches(DataLoader):  # type: ignore[misc]
    """Stanza's batches from plain lists of token forms (and tags, for training)."""

    def _load_doc(
        self, doc: Iterable[Sequence[tuple[str, str]]], scheme: str | None
    ) -> list[list[list[Any]]]:
        """What Stanza reads from a Document: for each token its form and its columns of tags."""
        del scheme  # the tags are BIOES already
        return [[[word, (tag,)] for word, tag in sentence] for sentence in doc]


def spans(tags: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """``(first, last + 1, type)`` of the names that a sentence's BIOES tags mark."""
    first = 0
    for at, tag in enumerate(tags):
        position, _, kind = tag.partition("-")
        if position in {"B", "S"}:
            first = at
        if position in {"E", "S"}:
            yield first, at + 1, kind


class EntityTagger:
    """Finds the names in the sentences of documents."""

    def __init__(self, pack: LanguagePack) -> None:
        """Load ``ner.pt``.

        Raises:
            ModelError: the model is missing, corrupted or unusable.
        """
        self._processor = load(pack, "ner", "ner.pt")

    def __call__(self, documents: Sequence[Document]) -> list[tuple[Mention, ...]]:
        """The names of each document in text order, flat; all documents in one run of the model."""
        sentences = [sentence for document in documents for sentence in document.sentences]
        tags = iter(self.tags(sentences))
        return [
            tuple(
                Mention(
                    start=sentence.tokens[first].start,
                    end=sentence.tokens[last - 1].end,
                    text=document.article.text[
                        sentence.tokens[first].start : sentence.tokens[last - 1].end
                    ],
                    type=cast("EntityType", kind),
                    sentence=number,
                )
                for number, sentence in enumerate(document.sentences)
                for first, last, kind in spans(next(tags))
            )
            for document in documents
        ]

    def tags(self, sentences: Sequence[Sentence]) -> list[list[str]]:
        """BIOES tags of the tokens of each sentence."""
        order = sorted(range(len(sentences)), key=lambda at: len(sentences[at].tokens))
        if not order:
            return []
        words = [[(form(t.text), "O") for t in sentences[at].tokens] for at in order]
        trainer = self._processor.trainers[0]
        batches = Batches(
            words,
            len(words),
            self._processor.config,
            vocab=trainer.vocab,
            evaluation=True,
            preprocess_tags=False,
            max_batch_words=_BATCH_TOKENS,
        )
        tags: list[list[str]] = [[] for _ in sentences]
        at = iter(order)
        with torch.inference_mode():
            for batch in batches:
                for found in trainer.predict(batch):
                    tags[next(at)] = found
        return tags
