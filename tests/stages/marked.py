"""Documents written with their names marked: ``[Emmanuel Macron|PER] u takua me ...``."""

from __future__ import annotations

import re
from typing import cast, get_args

from pipeline.records import EntityType, EventType, Mode, RawArticle, Status
from pipeline.stages.values import Detection, Document, Mention, Sentence

_MARK = re.compile(r"\[([^\]|]+)\|([A-Z]{3})\]")


def document(*marked: str, published_at: str = "2025-09-03T10:00:00+02:00") -> Document:
    """A document of these sentences; the first one is the title."""
    texts, mentions, sentences = [], [], []
    at = 0
    for index, sentence in enumerate(marked):
        plain, end = "", 0
        for mark in _MARK.finditer(sentence):
            plain += sentence[end : mark.start()]
            name, kind = mark.groups()
            assert kind in get_args(EntityType)
            start = at + len(plain)
            mentions.append(
                Mention(start, start + len(name), name, cast("EntityType", kind), index)
            )
            plain, end = plain + name, mark.end()
        plain += sentence[end:]
        texts.append(plain)
        sentences.append(Sentence(at, at + len(plain), ()))
        # "\n\n" parts the title from the body, one space the other sentences.
        at += len(plain) + (2 if index == 0 else 1)
    article = RawArticle(
        id="a", title=texts[0], body=" ".join(texts[1:]), published_at=published_at, language="sq"
    )
    return Document(article, "sq", tuple(sentences), tuple(mentions))


def detection(
    of: Document,
    trigger: str,
    kind: EventType,
    status: Status = "actual",
    mode: Mode | None = None,
    sentence: int = 1,
) -> Detection:
    """An event in ``sentence`` that ``trigger`` expresses."""
    span = of.sentences[sentence]
    at = of.article.text.index(trigger, span.start, span.end)
    return Detection(kind, mode, status, sentence, at, at + len(trigger), 1.0)
