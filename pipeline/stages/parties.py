"""Who does it, and towards whom: the parties of one event.

Every state and organisation that the article names or describes is a candidate. A linear model
tells actors, recipients and the rest apart by where and how the evidence sentence speaks of them,
and, for the candidates of other sentences, by how much the article is about them.
"""

from __future__ import annotations

import bisect
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pipeline import reference
from pipeline.languages import LanguagePack
from pipeline.records import EntityType, Party
from pipeline.stages import linear
from pipeline.stages.descriptions import Describer, Description, described
from pipeline.stages.gazetteer import KOSOVO, UNKNOWN, fold, gazetteer
from pipeline.stages.linear import Linear
from pipeline.stages.values import Detection, Document, ResolvedMention

_WORD: Final = re.compile(r"[^\W_]+(?:[-'’][^\W_]+)*|[^\w\s]")
_QUOTES: Final = frozenset('“”„"«»')


@dataclass(frozen=True, slots=True)
class Instance:
    """One place in the text that names or describes a possible party."""

    start: int
    end: int
    sentence: int
    key: str
    name: str | None
    code: str
    kind: EntityType | None
    role: str | None
    described: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """A possible party with every place that speaks of it; ``key`` is its code where it has one."""

    key: str
    instances: tuple[Instance, ...]

    def inside(self, sentence: int) -> tuple[Instance, ...]:
        return tuple(i for i in self.instances if i.sentence == sentence)


class Candidates:
    """The candidates of an article, and what the model is told about each."""

    def __init__(self, pack: LanguagePack) -> None:
        self._gazetteer = gazetteer(pack)
        self._describe = Describer(pack)
        self._seats: dict[str, str] = reference.table("countries.toml")["seats"]
        self._last: tuple[Document, tuple[Candidate, ...]] | None = None

    def __call__(
        self, document: Document, names: Sequence[ResolvedMention]
    ) -> tuple[Candidate, ...]:
        """Every candidate of the article, in the order in which it first appears."""
        # The events of one article come one after another, and share its candidates.
        if self._last is None or self._last[0] is not document:
            found: dict[str, list[Instance]] = {}
            for instance in self._instances(document, names):
                found.setdefault(instance.key, []).append(instance)
            candidates = tuple(Candidate(key, tuple(own)) for key, own in found.items())
            self._last = document, candidates
        return self._last[1]

    def _instances(
        self, document: Document, names: Sequence[ResolvedMention]
    ) -> Iterator[Instance]:
        text = document.article.text
        of_sentence: defaultdict[int, list[ResolvedMention]] = defaultdict(list)
        for name in names:
            of_sentence[name.mention.sentence].append(name)
        for index, sentence in enumerate(document.sentences):
            own = of_sentence[index]
            found = self._describe(text, sentence, index, own)
            people = [n.mention for n in own if n.mention.type == "PER"]
            kept = [
                d
                for d in found
                if d.code is not None and (d.role is None or described(text, d, people) is None)
            ]
            spans = [(d.start, d.end) for d in found if d.role is not None]
            here = [self._described(d) for d in kept]
            here += [
                self._named(n)
                for n in own
                if not any(a <= n.mention.start and n.mention.end <= b for a, b in spans)
            ]
            yield from sorted(here, key=lambda instance: instance.start)

    def _named(self, name: ResolvedMention) -> Instance:
        mention = name.mention
        code = self._seats.get(name.name or "", name.code)
        seat = code != name.code
        thing = self._gazetteer.thing(code) if code is not None else None
        is_state = thing is not None and (seat or mention.type == "LOC")
        return Instance(
            start=mention.start,
            end=mention.end,
            sentence=mention.sentence,
            key=code or f"?{fold(name.name or mention.text)}",
            name=thing.name if is_state and thing else name.name,
            code=code or UNKNOWN,
            kind=mention.type,
            role=name.role,
            described=False,
        )

    @staticmethod
    def _described(description: Description) -> Instance:
        code = description.code or UNKNOWN
        return Instance(
            start=description.start,
            end=description.end,
            sentence=description.sentence,
            key=code,
            name=None,
            code=code,
            kind=None,
            role=description.role,
            described=True,
        )


class PartyFinder:
    """Finds the parties of an event.

    Args:
        pack: the language.
        kosovo_code: how Kosovo is written in records.

    Raises:
        ModelError: the model is missing, corrupted or unusable.
    """

    def __init__(self, pack: LanguagePack, *, kosovo_code: str = KOSOVO) -> None:
        self._gazetteer = gazetteer(pack)
        self._candidates = Candidates(pack)
        self._features = Features(pack)
        self._model: Linear = linear.load(pack, "party")
        self._kosovo_code = kosovo_code
        self._article_names = reference.table("countries.toml")["article"]["codes"]

    def __call__(
        self, document: Document, names: Sequence[ResolvedMention], detection: Detection
    ) -> tuple[tuple[Party, ...], tuple[Party, ...]]:
        """Actors and recipients in reading order, each party once; both may be empty."""
        names = [_canonical(name, self._kosovo_code) for name in names]
        candidates = self._candidates(document, names)
        described = self._features(document, candidates, detection)
        scored = [
            (candidate, self._model.probabilities(features))
            for candidate, features in zip(candidates, described, strict=True)
        ]
        chosen = [(c, p) for c, p in scored if 1 - p["none"] >= self._model.threshold]
        if not chosen and scored:
            # An event has a party: the likeliest one, however unlikely.
            chosen = [min(scored, key=lambda one: one[1]["none"])]
        actors: list[Party] = []
        recipients: list[Party] = []
        day = document.article.published_at[:10]
        for candidate, odds in chosen:
            side = actors if odds["actor"] >= odds["recipient"] else recipients
            side.extend(self._parties(document, candidate, detection, day))
        return _in_order(actors), _in_order(recipients)

    def _parties(
        self, document: Document, candidate: Candidate, detection: Detection, day: str
    ) -> Iterator[Party]:
        """The parties behind one code: the people named in the evidence, else its best mention."""
        inside = candidate.inside(detection.sentence)
        trigger = detection.trigger_start
        people = [i for i in inside if i.kind == "PER"]
        shown = (
            people or sorted(inside, key=lambda i: (not i.described, abs(i.start - trigger)))[:1]
        )
        seen = set()
        for instance in shown or candidate.instances[:1]:
            name = self._name(instance, candidate, day)
            if name in seen:
                continue
            seen.add(name)
            yield Party(
                text=document.article.text[instance.start : instance.end] if shown else "",
                name=name,
                code=self._kosovo_code if instance.code == KOSOVO else instance.code,
                kind=instance.kind,
                role=instance.role,
                start=instance.start if shown else None,
                end=instance.end if shown else None,
            )

    def _name(self, instance: Instance, candidate: Candidate, day: str) -> str:
        """The canonical name: as resolved, else who holds the office, else the office or state."""
        if instance.name is not None:
            return instance.name
        if instance.role is not None:
            for other in candidate.instances:
                if other.kind == "PER" and other.role == instance.role and other.name is not None:
                    return other.name
            office = self._gazetteer.holder(instance.code, instance.role, day)
            if office is not None:
                return office.name
        thing = self._gazetteer.thing(instance.code)
        if thing is None:
            return instance.role or instance.key.removeprefix("?")
        if instance.role is None:
            return thing.name
        the = "the " if instance.code in self._article_names else ""
        return f"{instance.role[0].upper()}{instance.role[1:]} of {the}{thing.name}"


def _canonical(name: ResolvedMention, kosovo_code: str) -> ResolvedMention:
    """The name with Kosovo's code as the models know it."""
    if name.code != kosovo_code:
        return name
    return ResolvedMention(name.mention, name.name, KOSOVO, name.role)


def _in_order(parties: list[Party]) -> tuple[Party, ...]:
    """Those of the evidence as they stand in the text, then those of other sentences."""
    return tuple(sorted(parties, key=lambda p: (p.start is None, p.start or 0)))


@dataclass(frozen=True, slots=True)
class _Article:
    """What the candidates of one event share.

    ``gap`` tells whether the evidence names anyone before and after its trigger: where nobody
    stands, a party was left to the reader.
    """

    counts: Counter[str]
    inside: list[Instance]
    subject: str | None
    title: str | None
    gap: str


def _first(candidates: Sequence[Candidate], sentence: int) -> str | None:
    """The candidate that a sentence names first, most often its subject."""
    named = [(i.start, c.key) for c in candidates for i in c.inside(sentence)]
    return min(named)[1] if named else None


def _gap(inside: Sequence[Instance], detection: Detection) -> str:
    before = any(i.end <= detection.trigger_start for i in inside)
    after = any(i.start >= detection.trigger_end for i in inside)
    return f"{'x' if before else '_'}{'x' if after else '_'}"


class Features:
    """What the model is told about the candidates of one event, as named binary features."""

    def __init__(self, pack: LanguagePack) -> None:
        self._prepositions = frozenset(pack.table("roles.toml")["prepositions"]["words"])
        self._verbs = frozenset(pack.table("roles.toml")["clauses"]["words"])

    def __call__(
        self, document: Document, candidates: Sequence[Candidate], detection: Detection
    ) -> list[list[str]]:
        """One list of features a candidate."""
        sentence = document.sentences[detection.sentence]
        words = list(_WORD.finditer(document.article.text, sentence.start, sentence.end))
        view = _View(
            starts=[word.start() for word in words],
            folded=[fold(word.group()) for word in words],
            detection=detection,
        )
        inside = sorted(
            (i for c in candidates for i in c.inside(detection.sentence)), key=lambda i: i.start
        )
        article = _Article(
            counts=Counter({c.key: len(c.instances) for c in candidates}),
            inside=inside,
            subject=_first(candidates, detection.sentence - 1),
            title=_first(candidates, 0),
            gap=_gap(inside, detection),
        )
        return [list(self._of(c, detection, view, article)) for c in candidates]

    def _of(
        self, candidate: Candidate, detection: Detection, view: _View, article: _Article
    ) -> Iterator[str]:
        here, kind = detection.sentence, detection.type
        mode = detection.mode or kind
        own = candidate.inside(here)
        state = "organisation" if len(candidate.key) != 3 else "state"
        if candidate.key[0] == "?":
            state = "unknown"
        count = article.counts[candidate.key]
        share = "most" if count == max(article.counts.values()) else "less"
        keys = list(dict.fromkeys(i.key for i in article.inside))
        others = min(len(keys), 4)
        sentences = {i.sentence for i in candidate.instances}
        also = not sentences.isdisjoint(detection.also)
        where = "in" if own else "out"
        near = [
            f"title={0 in sentences}",
            f"before={here - 1 in sentences}",
            f"after={here + 1 in sentences}",
            f"also={also}",
            f"subject={article.subject == candidate.key}",
            f"heads={article.title == candidate.key}",
        ]
        base = [
            f"state={state}",
            f"share={share}",
            f"count={min(count, 4)}",
            f"first={candidate.instances[0].sentence <= 1}",
            f"person={any(i.kind == 'PER' for i in candidate.instances)}",
            *near,
        ]
        yield where
        for feature in base:
            yield f"{where}|{feature}"
            yield f"{where}|{mode}|{feature}"
            yield f"{where}|others={others}|{feature}"
        yield f"{where}|{mode}|others={others}"
        yield f"{where}|{mode}|key={candidate.key}"
        yield f"{where}|key={candidate.key}"
        yield f"{where}|{kind}|{detection.status}"
        if not own:
            yield from self._absent(candidate, detection, article, near, share, others)
            return
        nearest = min(own, key=view.distance)
        for label, instances in (("near", [nearest]), ("any", own)):
            seen = {f for i in instances for f in self._here(i, view, article.inside)}
            for feature in sorted(seen):
                yield f"{label}|{feature}"
                yield f"{label}|{mode}|{feature}"
                if mode != kind:
                    yield f"{label}|{kind}|{feature}"
        position = min(keys.index(candidate.key), 3)
        yield f"rank={position}|of={others}"
        yield f"{mode}|rank={position}|of={others}"

    @staticmethod
    def _absent(
        candidate: Candidate,
        detection: Detection,
        article: _Article,
        near: list[str],
        share: str,
        others: int,
    ) -> Iterator[str]:
        """What speaks for a party that the evidence leaves out: its gap, how near it was named."""
        mode = detection.mode or detection.type
        earlier = [
            detection.sentence - i.sentence
            for i in candidate.instances
            if i.sentence < detection.sentence
        ]
        distance = min(earlier, default=9)
        recent = (
            "none" if not earlier else "1" if distance == 1 else "3" if distance <= 3 else "far"
        )
        yield f"out|{mode}|{share}|others={others}|{'|'.join(near[:4])}"
        for feature in (*near, f"recent={recent}", f"share={share}", f"{share}|recent={recent}"):
            yield f"out|gap={article.gap}|{feature}"
            yield f"out|{mode}|gap={article.gap}|{feature}"
        yield f"out|{'|'.join(near)}|{share}"

    def _here(self, instance: Instance, view: _View, inside: list[Instance]) -> Iterator[str]:
        """What stands around one mention in the evidence sentence."""
        at = view.at(instance.start)
        end = view.at(instance.end - 1)
        trigger, trigger_end = view.trigger()
        side = "before" if end < trigger else "after" if at > trigger_end else "inside"
        gap = (
            view.folded[end + 1 : trigger]
            if side == "before"
            else view.folded[trigger_end + 1 : at]
        )
        form = (
            "desc" if instance.described and instance.role else "adj" if instance.described else ""
        )
        kind = instance.kind or form
        previous = view.word(at - 1)
        preposition = view.preposition(at, self._prepositions)
        ending = view.word(end)[-2:]
        between = sum(1 for i in inside if min(at, trigger) < view.at(i.start) < max(at, trigger))
        distance = len(gap)
        bucket = next(str(limit) for limit in (0, 1, 2, 4, 7, 11, 16, 99, 999) if distance <= limit)
        clause = any(word in self._verbs for word in gap)
        comma = "," in gap
        yield f"kind={kind}"
        yield f"side={side}"
        yield f"side={side}|kind={kind}"
        yield f"side={side}|distance={bucket}"
        yield f"side={side}|between={min(between, 3)}"
        yield f"side={side}|clause={clause}|comma={comma}"
        yield f"side={side}|preposition={preposition}"
        yield f"kind={kind}|preposition={preposition}"
        yield f"preposition={preposition}"
        yield f"previous={previous}"
        yield f"side={side}|previous={previous}"
        yield f"side={side}|ending={ending}"
        yield f"kind={kind}|ending={ending}"
        yield f"next={view.word(end + 1)}"
        yield f"side={side}|next={view.word(end + 1)}"
        yield f"previous2={view.word(at - 2)} {previous}"
        yield f"role={instance.role}"
        yield f"side={side}|role={instance.role}"
        yield f"quoted={view.quoted(at)}|side={side}"
        yield f"start={at == 0}|side={side}"
        if 0 < len(gap) <= 3:
            yield f"side={side}|gap={' '.join(gap)}"
        for word in view.folded[trigger : trigger_end + 1][:4]:
            yield f"side={side}|trigger={word[:5]}"
            yield f"side={side}|trigger={word[:5]}|preposition={preposition}"


@dataclass(frozen=True, slots=True)
class _View:
    """The words of the evidence sentence: where each begins, and its folded form."""

    starts: list[int]
    folded: list[str]
    detection: Detection

    def at(self, offset: int) -> int:
        """The word that ``offset`` lies in."""
        return max(0, bisect.bisect_right(self.starts, offset) - 1)

    def word(self, at: int) -> str:
        return self.folded[at] if 0 <= at < len(self.folded) else ""

    def trigger(self) -> tuple[int, int]:
        """First and last word of the trigger."""
        first = self.at(self.detection.trigger_start)
        return first, max(first, self.at(max(self.detection.trigger_end - 1, 0)))

    def distance(self, instance: Instance) -> int:
        first, last = self.trigger()
        at = self.at(instance.start)
        return min(abs(at - first), abs(at - last))

    def preposition(self, at: int, prepositions: frozenset[str]) -> str:
        """The nearest preposition in the three words before, up to a comma or another clause."""
        for word in reversed(self.folded[max(0, at - 3) : at]):
            if word in prepositions:
                return word
            if not word.isalnum():
                return word
        return ""

    def quoted(self, at: int) -> bool:
        return sum(1 for word in self.folded[:at] if word in _QUOTES) % 2 == 1
