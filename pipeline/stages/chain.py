"""The stages in sequence: valid articles in, records out; one article's failure stays its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pipeline import languages
from pipeline.errors import BadInput, StageFailed
from pipeline.languages import LanguagePack
from pipeline.records import (
    AnnotatedArticle,
    ArticleRef,
    DiplomaticEvent,
    Entity,
    Evidence,
    RawArticle,
    SentenceSpan,
    Trigger,
)
from pipeline.stages import codes, language
from pipeline.stages.dates import DateResolver
from pipeline.stages.entities import EntityTagger
from pipeline.stages.events import EventClassifier
from pipeline.stages.merge import merge
from pipeline.stages.names import NameResolver
from pipeline.stages.parties import PartyFinder
from pipeline.stages.places import PlaceResolver
from pipeline.stages.teasers import Teasers
from pipeline.stages.timings import Timings
from pipeline.stages.tokenise import Tokeniser
from pipeline.stages.values import CodedEvent, Document, Extraction, ResolvedMention
from pipeline.stories.identity import event_id, story_id


class _LanguageStages:
    """The loaded stages of one language."""

    def __init__(self, pack: LanguagePack, kosovo_code: str) -> None:
        self.model = pack.model
        self.tokenise = Tokeniser(pack)
        self.teasers = Teasers(pack)
        self.entities = EntityTagger(pack)
        self.events = EventClassifier(pack)
        self.names = NameResolver(pack, kosovo_code=kosovo_code)
        self.parties = PartyFinder(pack, kosovo_code=kosovo_code)
        self.dates = DateResolver(pack)
        self.places = PlaceResolver(pack, kosovo_code=kosovo_code)


class Chain:
    """All stages, loaded.

    The records of an article depend on that article alone: the models see one article at a time,
    because padding sentences of several articles into one matrix changes the last bits of their
    scores, and with them, now and then, a record. Equal input gives equal bytes, however the
    articles were batched.

    Args:
        enabled: codes of the languages to read, each a folder under ``languages``.
        kosovo_code: how Kosovo is written (``language.kosovo_code``).

    Raises:
        ModelError: a model is missing, corrupted or does not load.
    """

    def __init__(self, enabled: Sequence[str] = ("sq",), *, kosovo_code: str = "XKX") -> None:
        packs = [languages.load(code) for code in enabled]
        self._languages = {pack.code: _LanguageStages(pack, kosovo_code) for pack in packs}
        self._supported = {name: pack.code for pack in packs for name in (pack.code, *pack.aliases)}
        self.timings = Timings()

    def run(self, articles: Sequence[RawArticle]) -> list[Extraction | BadInput]:
        """One result an article, in order: its records, or why it has none."""
        return [self._guarded(article) for article in articles]

    def _guarded(self, article: RawArticle) -> Extraction | BadInput:
        try:
            return self._run(article)
        except BadInput as error:
            return error
        except Exception as error:  # noqa: BLE001 - whatever a model raises is this article's fate
            stage = self.timings.stage
            return StageFailed("stage-raised", f"{type(error).__name__}: {error}", stage=stage)

    def _run(self, article: RawArticle) -> Extraction:
        timings = self.timings
        with timings.measure("language"):
            code = language.identify(article, self._supported)
        stages = self._languages[code]
        with timings.measure("tokenise"):
            (sentences,) = stages.tokenise([article])
            document = stages.teasers.split(Document(article, code, sentences))
        with timings.measure("entities"):
            (mentions,) = stages.entities([document])
        document = replace(document, mentions=mentions)
        with timings.measure("names"):
            names = stages.names(document)
        told = stages.teasers.silenced(document)
        kept = set(told.mentions)
        told_names = tuple(name for name in names if name.mention in kept)
        with timings.measure("events"):
            (detections,) = stages.events([told])
        coded = []
        for detection in detections:
            with timings.measure("parties"):
                actors, recipients = stages.parties(told, told_names, detection)
            with timings.measure("dates"):
                date = stages.dates(told, detection)
            with timings.measure("places"):
                place = stages.places(told, told_names, detection)
            coded.append(CodedEvent(detection, actors, recipients, date, place))
        with timings.measure("merge"):
            merged = merge(coded)
        ref = ArticleRef(
            id=article.id,
            source=article.source,
            url=article.url,
            language=code,
            title=article.title,
            published_at=article.published_at,
        )
        return Extraction(
            annotated=_annotated(ref, document, names),
            events=tuple(_event(ref, document, event, stages.model) for event in merged),
        )


def _annotated(
    ref: ArticleRef, document: Document, names: Sequence[ResolvedMention]
) -> AnnotatedArticle:
    return AnnotatedArticle(
        article=ref,
        sentences=tuple(SentenceSpan(start=s.start, end=s.end) for s in document.sentences),
        entities=tuple(
            Entity(
                start=name.mention.start,
                end=name.mention.end,
                text=name.mention.text,
                type=name.mention.type,
                name=name.name,
                code=name.code,
                sentence=name.mention.sentence,
            )
            for name in names
        ),
    )


def _event(ref: ArticleRef, document: Document, event: CodedEvent, model: str) -> DiplomaticEvent:
    found = event.detection
    sentence = document.sentences[found.sentence]
    text = document.article.text
    return DiplomaticEvent(
        event_id=event_id(ref.id, found.type, sentence.start, sentence.end),
        story_id=story_id(event, ref.published_at),
        article=ref,
        type=found.type,
        mode=found.mode,
        status=found.status,
        actors=event.actors,
        recipients=event.recipients,
        date=event.date,
        place=event.place,
        evidence=Evidence(
            start=sentence.start,
            end=sentence.end,
            text=text[sentence.start : sentence.end],
            trigger=Trigger(
                start=found.trigger_start,
                end=found.trigger_end,
                text=text[found.trigger_start : found.trigger_end],
            ),
        ),
        codes=codes.codes(found.type, found.mode, found.status),
        # Two decimals: more would promise a precision that the calibration does not have.
        confidence=round(found.confidence, 2),
        model=model,
    )
