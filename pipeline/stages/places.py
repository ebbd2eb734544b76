"""Where: the place of one event, if the article says it.

Every place that the evidence and its neighbourhood name is a candidate; a linear model decides
which of them, if any, is where the event happens rather than whom it concerns.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from pipeline.languages import LanguagePack
from pipeline.records import Place
from pipeline.stages import linear
from pipeline.stages.gazetteer import KOSOVO, UNKNOWN, Thing, fold, gazetteer
from pipeline.stages.linear import Linear
from pipeline.stages.values import Detection, Document, ResolvedMention

_WORD: Final = re.compile(r"[^\W_]+|[^\w\s]")
# A tagger that takes the name of an organisation for a place does not make it one.
_KINDS: Final = frozenset({"country", "city", "place"})


class PlaceFeatures:
    """The places near an event, and what the model is told about each."""

    def __init__(self, pack: LanguagePack) -> None:
        self._gazetteer = gazetteer(pack)
        roles = pack.table("roles.toml")
        articles = self._gazetteer.morphology.articles - {"ne", "per"}
        self._prepositions = frozenset(roles["prepositions"]["words"]) - articles
        self._clauses = frozenset(roles["clauses"]["words"])

    def __call__(
        self, document: Document, names: Sequence[ResolvedMention], detection: Detection
    ) -> list[tuple[ResolvedMention, Thing, list[str]]]:
        """The mentions of known places in the evidence and around it, with their features."""
        here = detection.sentence
        wanted = {here, *detection.also, here - 1, here + 1, 0}
        of_sentence: defaultdict[int, list[tuple[ResolvedMention, Thing]]] = defaultdict(list)
        for name in names:
            if name.mention.type == "LOC" and name.mention.sentence in wanted:
                thing = self._gazetteer.place(name.mention.text)
                if thing is not None and thing.code != UNKNOWN and thing.kind in _KINDS:
                    of_sentence[name.mention.sentence].append((name, thing))
        cities = sum(thing.kind != "country" for _, thing in of_sentence[here])
        return [
            (name, thing, list(self._of(document, name, thing, detection, cities, rank)))
            for sentence in sorted(of_sentence, key=lambda s: (s != here, s))
            for rank, (name, thing) in enumerate(of_sentence[sentence])
        ]

    def _of(
        self,
        document: Document,
        name: ResolvedMention,
        thing: Thing,
        detection: Detection,
        cities: int,
        rank: int,
    ) -> Iterator[str]:
        mention = name.mention
        text = document.article.text
        span = document.sentences[mention.sentence]
        before = _WORD.findall(fold(text[span.start : mention.start]))
        after = _WORD.findall(fold(text[mention.end : span.end]))
        previous = before[-1] if before else "^"
        # Articles stand between a preposition and its place: "në aeroportin e Ankarasë".
        preposition = next(
            (w for w in reversed(before[-4:]) if w in self._prepositions or not w.isalnum()), ""
        )
        mode = detection.mode or detection.type
        # Acts that people meet for have places of another kind than acts done from afar.
        group = "consult" if detection.mode else "act"
        own = mention.sentence == detection.sentence
        label = "in" if own else f"out{mention.sentence in detection.also}{cities > 0}"
        kind = "country" if thing.kind == "country" else "city"
        dateline = mention.sentence <= 1 and not before and mention.text.isupper()
        features = [
            f"kind={kind}",
            f"previous={previous}",
            f"kind={kind}|previous={previous}",
            f"kind={kind}|preposition={preposition}",
            f"ending={fold(mention.text)[-2:]}|previous={previous}",
            f"kind={kind}|next={after[0] if after else '$'}",
            f"next={after[0] if after else '$'}",
            f"previous2={' '.join(before[-2:])}",
            f"rank={min(rank, 3)}|kind={kind}",
            f"cities={min(cities, 2)}|kind={kind}",
            f"name={thing.name}",
            f"kind={kind}|preposition={preposition}|previous={previous}",
            f"kind={kind}|dateline={dateline}",
        ]
        if own:
            if mention.end <= detection.trigger_start:
                side, gap = "before", text[mention.end : detection.trigger_start]
            else:
                side, gap = "after", text[detection.trigger_end : mention.start]
            words = _WORD.findall(fold(gap))
            limit = next(str(top) for top in (0, 1, 2, 4, 7, 11, 17, 9999) if len(words) <= top)
            clause = min(sum(word in self._clauses for word in words), 2)
            features += [
                f"side={side}|distance={limit}",
                f"side={side}|kind={kind}|previous={previous}",
                f"distance={limit}|kind={kind}|previous={previous}",
                f"side={side}|clause={clause}|previous={previous}",
                f"clause={clause}|kind={kind}",
                f"clause={clause}|kind={kind}|preposition={preposition}",
                f"side={side}|clause={clause}|kind={kind}|preposition={preposition}",
                f"distance={limit}|kind={kind}|preposition={preposition}",
            ]
            trigger = _WORD.findall(fold(text[detection.trigger_start : detection.trigger_end]))
            features += [f"trigger={w[:5]}|previous={previous}" for w in trigger[:4]]
        else:
            offset = max(-2, min(2, mention.sentence - detection.sentence))
            features += [
                f"offset={offset}",
                f"title={mention.sentence == 0}",
                f"offset={offset}|kind={kind}|preposition={preposition}",
                f"title={mention.sentence == 0}|kind={kind}|preposition={preposition}",
            ]
        yield label
        for feature in features:
            yield f"{label}|{feature}"
            yield f"{label}|{group}|{feature}"
            yield f"{label}|{mode}|{feature}"
        yield f"{label}|{mode}|{detection.status}|{kind}"


class PlaceResolver:
    """Finds the place of an event.

    Args:
        pack: the language.
        kosovo_code: how Kosovo is written in records.

    Raises:
        ModelError: the model is missing, corrupted or unusable.
    """

    def __init__(self, pack: LanguagePack, *, kosovo_code: str = KOSOVO) -> None:
        self._features = PlaceFeatures(pack)
        self._model: Linear = linear.load(pack, "place")
        self._kosovo_code = kosovo_code

    def __call__(
        self, document: Document, names: Sequence[ResolvedMention], detection: Detection
    ) -> Place | None:
        """The place that the article gives for the event, None where it gives none."""
        scored = [
            (self._model.probabilities(features)["yes"], name.mention, thing)
            for name, thing, features in self._features(document, names, detection)
        ]
        if not scored:
            return None
        probability, mention, thing = max(scored, key=lambda one: (one[0], -one[1].start))
        if probability < self._model.threshold:
            return None
        return Place(
            text=mention.text,
            name=thing.name,
            code=self._kosovo_code if thing.code == KOSOVO else thing.code,
            latitude=thing.latitude,
            longitude=thing.longitude,
        )
