"""Names to canonical names and codes: who or what a mention stands for (codebook section 4).

States and organisations come from the gazetteer. A person's state is read from the text first
("presidenti i Estonisë, Alar Karis"), anywhere in the article; a table of office holders with dates
of validity comes second; otherwise the person stays unresolved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pipeline.languages import LanguagePack
from pipeline.stages.descriptions import Describer, Description, described
from pipeline.stages.gazetteer import KOSOVO, UNKNOWN, Office, Thing, fold, gazetteer
from pipeline.stages.values import Document, Mention, ResolvedMention


class NameResolver:
    """Resolves every mention of a document.

    Args:
        pack: the language.
        kosovo_code: how Kosovo is written in records.
    """

    def __init__(self, pack: LanguagePack, *, kosovo_code: str = KOSOVO) -> None:
        self._gazetteer = gazetteer(pack)
        self._morphology = self._gazetteer.morphology
        self._describe = Describer(pack)
        self._kosovo_code = kosovo_code

    def __call__(self, document: Document) -> tuple[ResolvedMention, ...]:
        """One a mention, in the same order; ``name`` and ``code`` are None where not resolvable."""
        day = document.article.published_at[:10]
        names = [self._named(mention) for mention in document.mentions]
        self._bare_bodies(names)
        people = _People(document.mentions, self)
        for index, description in self._appositions(document, names):
            people.describe(index, description)
        for index, mention in enumerate(document.mentions):
            if mention.type == "PER":
                names[index] = people.resolve(index, day)
        return tuple(
            ResolvedMention(n.mention, n.name, self._kosovo_code, n.role) if n.code == KOSOVO else n
            for n in names
        )

    def _named(self, mention: Mention) -> ResolvedMention:
        """A place or an organisation by its own name."""
        if mention.type == "PER":
            return ResolvedMention(mention, None, None)
        if mention.type == "LOC":
            place = self._gazetteer.place(mention.text)
            if place is None:
                return ResolvedMention(mention, None, None)
            return ResolvedMention(mention, place.name, _code(place))
        found = self._gazetteer.lookup(mention.text)
        if found is not None and found.kind != "country":
            return ResolvedMention(mention, found.name, found.code)
        body = self._gazetteer.body(mention.text)
        if body is not None:
            kind, owner, _ = body
            if owner is not None:
                return ResolvedMention(mention, f"{kind} of {owner.name}", owner.code)
            return ResolvedMention(mention, None, None)
        owner = found or self._gazetteer.owner(mention.text)
        if owner is None:
            return ResolvedMention(mention, None, None)
        return ResolvedMention(mention, mention.text, owner.code)

    def _bare_bodies(self, names: list[ResolvedMention]) -> None:
        """A bare "Qeveria" is the government of the state that the article names most."""
        states = Counter(
            name.code
            for name in names
            if name.code is not None and len(name.code) == 3 and name.mention.type == "LOC"
        )
        if not states:
            return
        code = states.most_common(1)[0][0]
        state = self._gazetteer.thing(code)
        for index, name in enumerate(names):
            if name.code is None and name.mention.type == "ORG" and state is not None:
                body = self._gazetteer.body(name.mention.text)
                if body is not None and body[2]:
                    names[index] = ResolvedMention(name.mention, f"{body[0]} of {state.name}", code)

    def _appositions(
        self, document: Document, names: Sequence[ResolvedMention]
    ) -> list[tuple[int, Description]]:
        """Descriptions with the index of the person that each describes, in reading order."""
        text = document.article.text
        found = []
        of_sentence: dict[int, list[int]] = {}
        for index, name in enumerate(names):
            of_sentence.setdefault(name.mention.sentence, []).append(index)
        for at, indices in of_sentence.items():
            people = [i for i in indices if names[i].mention.type == "PER"]
            if not people:
                continue
            own = [names[i] for i in indices]
            for description in self._describe(text, document.sentences[at], at, own):
                if description.role is None:
                    continue
                person = described(text, description, [names[i].mention for i in people])
                if person is not None:
                    found.append((people[person], description))
        return found

    def office(self, mention: Mention, day: str) -> Office | None:
        """The public office on ``day`` of the person that ``mention`` names by itself."""
        words = self._morphology.words(mention.text)
        if not words:
            return None
        sound = self._morphology.sound
        head = tuple(map(sound, words[:-1]))
        bases = self._morphology.bases(words[-1])
        keys = [(*head, sound(base)) for base in bases]
        return self._gazetteer.office(tuple(keys), day)

    def bases(self, word: str) -> tuple[str, ...]:
        return self._morphology.bases(word)

    def words(self, text: str) -> tuple[str, ...]:
        return self._morphology.words(text)

    def spelling(self, mention: Mention, others: Sequence[Mention], code: str | None) -> str:
        """The citation form of a person's name: as spelt where the article has it unended."""
        words = mention.text.split()
        forms = Counter(word for other in others for word in other.text.split())
        last = words[-1]
        bases = self._morphology.bases(fold(last))
        plain = [form for form in forms if fold(form) in bases and len(form) <= len(last)]
        if plain:
            last = min(plain, key=lambda form: (len(form), form))
        for written, latin, codes in self._morphology.respelling:
            if code in codes and last.endswith(written):
                last = last.removesuffix(written) + latin
        return " ".join([*words[:-1], last])


def _code(thing: Thing) -> str | None:
    """The code of a thing, None for a continent or another region without one."""
    return None if thing.code == UNKNOWN else thing.code


class _People:
    """The people of one article: short mentions joined to full names, with what is said of them."""

    def __init__(self, mentions: Sequence[Mention], resolver: NameResolver) -> None:
        self._mentions = mentions
        self._resolver = resolver
        self._words = {i: resolver.words(m.text) for i, m in enumerate(mentions) if m.type == "PER"}
        self._bases = {
            i: frozenset(resolver.bases(words[-1])) for i, words in self._words.items() if words
        }
        self._full = {i: self._full_name(i) for i in self._bases}
        self._said: dict[int, list[Description]] = {}

    def _full_name(self, index: int) -> int:
        """The first mention of the same person with the most words."""
        words, bases = self._words[index], self._bases[index]
        best = index
        for other, others in self._words.items():
            if not others or len(others) < len(words):
                continue
            same_last = not bases.isdisjoint(self._bases[other])
            if len(words) == 1:
                first = len(others) > 1 and others[0] in bases
                if len(others) > 1 and (same_last or first):
                    return other
            elif (
                same_last
                and words[0] == others[0]
                and (len(others), -other)
                > (
                    len(self._words[best]),
                    -best,
                )
            ):
                best = other
        if len(words) == 1:
            same = [o for o, b in self._bases.items() if not bases.isdisjoint(b)]
            return min(same)
        return best

    def describe(self, index: int, description: Description) -> None:
        """Take down what the text says of the person at ``index``."""
        if index in self._full:
            self._said.setdefault(self._full[index], []).append(description)

    def resolve(self, index: int, day: str) -> ResolvedMention:
        """The person's canonical name, code and role."""
        mention = self._mentions[index]
        if index not in self._full:
            return ResolvedMention(mention, None, None)
        full = self._full[index]
        said = self._said.get(full, [])
        with_code = [d for d in said if d.code is not None]
        office = self._resolver.office(self._mentions[full], day)
        if with_code:
            code, role = with_code[0].code, with_code[0].role
        elif office is not None:
            code, role = office.code, office.role if office.held(day) else f"former {office.role}"
        else:
            code, role = None, said[0].role if said else None
        if office is not None and (code == office.code or not with_code):
            name = office.name
        else:
            same = [self._mentions[i] for i, f in self._full.items() if f == full]
            name = self._resolver.spelling(self._mentions[full], same, code)
        return ResolvedMention(mention, name, code, role)
