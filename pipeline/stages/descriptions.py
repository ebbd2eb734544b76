"""Who is described rather than named: "kancelarja gjermane", "presidenti i Estonisë".

A description is a role word (``roles.toml``) with the state or organisation that it acts for, as an
adjective or a name. An adjective of a state alone ("palën amerikane", "serbët") counts too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.languages import LanguagePack
from pipeline.stages.gazetteer import Gazetteer, fold, gazetteer
from pipeline.stages.values import Mention, ResolvedMention, Sentence

_WORD: Final = re.compile(r"[^\W_]+(?:[-'’][^\W_]+)*")
# Words between a role and the name of its state: "ministri i ri i Punëve të Jashtme dhe Diasporës".
_REACH: Final = 9
# What may stand between a description and the person that it describes.
_BEFORE: Final = re.compile(r"[\s,“”\"„«»'’‘(–-]{0,4}")
_AFTER: Final = re.compile(r"\s*[,(–]\s*")


@dataclass(frozen=True, slots=True)
class Description:
    """A description: ``[start, end)`` in the text, whom it acts for, its role in English.

    ``code`` is None where the words do not tell; ``role`` is None for a bare adjective.
    """

    start: int
    end: int
    sentence: int
    code: str | None
    role: str | None


@dataclass(frozen=True, slots=True)
class _Role:
    head: str
    then: tuple[str, ...]
    role: str
    acts_for: str | None


class Describer:
    """Finds the descriptions in a sentence."""

    def __init__(self, pack: LanguagePack) -> None:
        table = pack.table("roles.toml")
        self._gazetteer: Gazetteer = gazetteer(pack)
        self._articles = self._gazetteer.morphology.articles
        self._between = frozenset(table["between"]["words"])
        self._former = tuple(table["former"]["prefixes"])
        self._together = frozenset(table["together"]["words"])
        self._roles: dict[str, list[_Role]] = {}
        for entry in table["role"]:
            role = _Role(
                entry["head"], tuple(entry.get("then", ())), entry["role"], entry.get("acts_for")
            )
            for form in {entry["head"] + ending for ending in table["endings"]}:
                self._roles.setdefault(form, []).append(role)
        for roles in self._roles.values():
            # Of two heads that fit the longer one, then the one that asks for more words after it.
            roles.sort(key=lambda role: (-len(role.head), -len(role.then)))

    def __call__(
        self, text: str, sentence: Sentence, index: int, names: Sequence[ResolvedMention]
    ) -> tuple[Description, ...]:
        """The descriptions in a sentence, in reading order; ``names`` are the sentence's own."""
        words = list(_WORD.finditer(text, sentence.start, sentence.end))
        folded = [fold(word.group()) for word in words]
        starts = {name.mention.start: name for name in names}
        inside = {
            at
            for name in names
            for at, word in enumerate(words)
            if name.mention.start <= word.start() < name.mention.end
        }
        found: list[Description] = []
        at = 0
        while at < len(words):
            description = None
            end = at + 1
            if at not in inside:
                description, end = self._at(text, words, folded, at, starts, index)
            if description is not None:
                found.append(description)
            at = end
        return tuple(found)

    def _at(
        self,
        text: str,
        words: list[re.Match[str]],
        folded: list[str],
        at: int,
        starts: dict[int, ResolvedMention],
        index: int,
    ) -> tuple[Description | None, int]:
        """The description that begins at word ``at``, if any, and where to go on."""
        word, former = folded[at], False
        for prefix in self._former:
            if word.startswith(prefix) and len(word) > len(prefix) + 3:
                word, former = word.removeprefix(prefix).lstrip("-"), True
        roles = self._roles.get(word)
        if roles is None:
            code = self._gazetteer.demonyms.get(folded[at])
            if code is None:
                return None, at + 1
            return Description(words[at].start(), words[at].end(), index, code, None), at + 1
        code, end, last, seen = None, at + 1, words[at].end(), []
        while end < min(len(words), at + _REACH):
            gap = text[words[end - 1].end() : words[end].start()]
            if gap.strip():
                break
            name = starts.get(words[end].start())
            if name is not None:
                if code is None and name.mention.type != "PER" and name.code is not None:
                    code, last = name.code, name.mention.end
                    while end < len(words) and words[end].start() < name.mention.end:
                        end += 1
                    continue
                if code is None and name.mention.type == "ORG":
                    last = name.mention.end
                break
            here = folded[end]
            if code is None and here in self._gazetteer.demonyms:
                code, last = self._gazetteer.demonyms[here], words[end].end()
            elif here in self._between:
                seen.append(here)
                last = words[end].end()
            elif here not in self._articles or here in self._together:
                break
            end += 1
        role = next((r for r in roles if set(r.then) <= set(seen)), None)
        if role is None:
            return None, at + 1
        name_of_role = f"former {role.role}" if former and "former" not in role.role else role.role
        while end > at + 1 and words[end - 1].start() >= last:
            end -= 1
        return (
            Description(words[at].start(), last, index, code or role.acts_for, name_of_role),
            end,
        )


def described(text: str, description: Description, people: Sequence[Mention]) -> int | None:
    """Which of the people a description stands beside: the next one, else the one before."""
    for index, mention in enumerate(people):
        gap = text[description.end : mention.start]
        if mention.start >= description.end and _BEFORE.fullmatch(gap):
            return index
    for index, mention in enumerate(people):
        gap = text[mention.end : description.start]
        if mention.end <= description.start and _AFTER.fullmatch(gap):
            return index
    return None
