"""Trains the tokeniser and sentence splitter of ``stanza.models.tokenization``.

Tokens follow Universal Dependencies (STAF, TSA, Albanian-POS). NTREX, SIB and the gold articles
have no tokens; a rule makes them, corrected by the gold names, whose borders are always borders of
tokens ("SHBA-Kinë" is three, "SHBA-së" is one). Sentences of the gold articles are an automatic
split; :func:`resplit` repairs it where a portal left out the space after a full stop.

Everything is written twice, as it is and damaged as portals damage it: glued sentences and words,
no diacritics, headlines in capitals, datelines, credits.

Stanza's network, vocabulary and trainer are used as they are. Its data loader is not: it leaves out
sentences longer than a window, and takes longer than the network on a processor without a GPU.
"""

from __future__ import annotations

import random
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from stanza.models import tokenizer
from stanza.models.tokenization.trainer import Trainer
from stanza.models.tokenization.vocab import Vocab

from pipeline import languages
from pipeline.languages import LanguagePack
from pipeline.stages.tokenise import Characters, Tokeniser
from pipeline.training import data as sources
from pipeline.training.manifest import preview
from pipeline.training.packed import linear_time

# On a held-out fifth 500 steps give tokens 0.992, sentences 0.921; 900 give 0.9945 and 0.9484.
_STEPS: Final = 900
_WINDOW: Final = 120  # code points
_BATCH: Final = 24
_GRID: Final = 20  # code points
_BLIND: Final = 12  # code points
_UNIT_DROPOUT: Final = 0.05
_RATE: Final = 3e-3
_SEED: Final = 1234


@dataclass(frozen=True, slots=True)
class Labelled:
    """A sentence: its text, the end of each token, and whether no space stands before it."""

    text: str
    ends: tuple[int, ...]
    glued: bool = False

    def labels(self) -> str:
        """One digit a code point: 1 ends a token, 2 ends the sentence."""
        marks = ["0"] * len(self.text)
        for end in self.ends:
            marks[end - 1] = "1"
        marks[self.ends[-1] - 1] = "2"
        return "".join(marks)


Paragraph = list[Labelled]


def rule(abbreviations: Sequence[str]) -> re.Pattern[str]:
    """A token by rule, for text whose tokens nobody has annotated."""
    short = "|".join(re.escape(a) for a in sorted(abbreviations, key=len, reverse=True))
    return re.compile(
        rf"(?<!\w)(?:(?i:{short})|[A-ZÇË][a-zë]?\.(?=\s?[A-ZÇË]))"  # abbreviation, initial
        r"|\w+(?:[.-]\w+)*\.(?:com|net|org|info|al|eu)\b"  # outlet.com
        r"|\d+(?:[.,:/-]\d+)*(?:[-’']\w+)?"  # 27.06.2020, 12:30, 95-të
        r"|[\w\u00ad]+(?:[-’'‘]\w+)*"  # word, t'i, SHBA-së
        r"|([^\w\s])\1*"  # mark, also repeated
    )


def label(text: str, token: re.Pattern[str], borders: Sequence[int] = ()) -> Labelled:
    """Tokens of a sentence by rule, cut at ``borders`` too."""
    ends: list[int] = []
    cuts = [0, *sorted(set(borders) - {0, len(text)}), len(text)]
    for start, end in pairwise(cuts):
        ends += [match.end() + start for match in token.finditer(text[start:end])]
    return Labelled(text, tuple(ends))


# More than in the news, for the model must learn from few thousand sentences what a reader knows.
_ABBREVIATED: Final = 0.15
_SPOKEN: Final = 0.1
_FULL_NAME: Final = re.compile(
    r"(?<![\w.])(?P<first>(?P<initial>(?:Dh|Gj|Ll|Nj|Rr|Sh|Th|Xh|Zh|[A-ZÇË]))[a-zëç]{2,})"
    r"(?= [A-ZÇË][a-zëç]+)"
)
_GLUED: Final = re.compile(r"(?<=[a-zëç0-9”\"’»)])[.!?]+(?=[“\"„‘’«”]*[A-ZÇË“„][a-zëç])")


def resplit(text: str, keep: Sequence[tuple[int, int]]) -> list[int]:
    """Where further sentences begin inside a gold sentence whose full stops lost their space.

    ``keep`` are spans that must not be cut (names such as "K2.Rron").
    """
    starts = []
    for match in _GLUED.finditer(text):
        at = match.end()
        before = text[:at]
        if text[at] in "”’»" or (text[at] == '"' and before.count('"') % 2):
            at += 1  # the mark closes what was said
        if not any(start < at < end for start, end in keep):
            starts.append(at)
    return starts


def gold_paragraphs(gold: sources.GoldArticle, token: re.Pattern[str]) -> list[Paragraph]:
    """The title and the lines of the body, each a list of sentences."""
    text = gold.article.text
    paragraphs: list[Paragraph] = []
    previous = -2
    for (start, end), names in zip(gold.sentences, gold.names, strict=True):
        spans = [(name.start - start, name.end - start) for name in names]
        cuts = [0, *resplit(text[start:end], spans), end - start]
        # A few gold names leave off an ending ("Vuçiq" of "Vuçiqi"): no border inside a word.
        borders = [
            b
            for span in spans
            for b in span
            if not text[start + b : start + b + 1].islower() or not text[start + b - 1].islower()
        ]
        for first, last in pairwise(cuts):
            part = text[start + first : start + last]
            lead = len(part) - len(part.lstrip())
            here = label(
                part.strip(),
                token,
                [b - first - lead for b in borders if first + lead <= b <= last],
            )
            if not here.ends:
                continue
            gap = text[previous : start + first + lead] if previous >= 0 else "\n"
            if "\n" in gap:
                paragraphs.append([])
            paragraphs[-1].append(replace(here, glued=gap == ""))
            previous = start + first + lead + len(here.text)
    return paragraphs


def conllu_sentence(tokens: Sequence[tuple[str, bool]]) -> Labelled:
    """A sentence of a treebank."""
    text, ends = "", []
    for form, space in tokens:
        text += form
        ends.append(len(text))
        text += " " if space else ""
    return Labelled(text.rstrip(), tuple(ends))


def _grouped(sentences: Sequence[Labelled], most: int, rng: random.Random) -> Iterator[Paragraph]:
    at = 0
    while at < len(sentences):
        size = rng.randint(1, most)
        yield list(sentences[at : at + size])
        at += size


class Noise:
    """What portals do to a text. Keeps tokens and sentences right while the text changes."""

    def __init__(self, table: dict[str, Any], token: re.Pattern[str], rng: random.Random) -> None:
        self._table = table
        self._token = token
        self._rng = rng
        self._plain = str.maketrans(table["undiacritic"])
        self._quotes = [str.maketrans("“”„", form) for form in ('"""', "”“„", "«»«", "''‘")]

    def _filled(self, template: str) -> str:
        pick = self._rng.choice
        place = pick(self._table["places"])
        month = self._rng.randint(1, 12)
        return template.format(
            outlet=pick(self._table["outlets"]),
            place=place,
            PLACE=place.upper(),
            day=self._rng.randint(1, 28),
            number=f"{month:02}",
            month=self._table["months"][month - 1],
        )

    def _mapped(self, sentence: Labelled, table: Mapping[int, int | str]) -> Labelled:
        return replace(sentence, text=sentence.text.translate(table))

    def _glue_words(self, sentence: Labelled) -> Labelled:
        """Drop one space before a capital: "të Rusisë" becomes "tëRusisë"."""
        spots = [m.start() for m in re.finditer(r"(?<=[^\W\d_A-ZÇË]) (?=[A-ZÇË])", sentence.text)]
        if not spots:
            return sentence
        at = self._rng.choice(spots)
        ends = tuple(end - (end > at) for end in sentence.ends)
        return replace(sentence, text=sentence.text[:at] + sentence.text[at + 1 :], ends=ends)

    def _replaced(self, sentence: Labelled, start: int, end: int, token: str) -> Labelled:
        """One token in the place of ``[start, end)``; ``token`` may end with a space."""
        growth = len(token) - (end - start)
        ends = [e for e in sentence.ends if e <= start]
        ends.append(start + len(token.rstrip()))
        ends += [e + growth for e in sentence.ends if e > end]
        text = sentence.text[:start] + token + sentence.text[end:]
        return replace(sentence, text=text, ends=tuple(ends))

    def _abbreviate(self, sentence: Labelled) -> Labelled:
        """A first name becomes an initial, or a title goes before it: "Z. Bregu", "E. Dushku"."""
        pairs = list(_FULL_NAME.finditer(sentence.text))
        if not pairs:
            return sentence
        match = self._rng.choice(pairs)
        if self._rng.random() < 0.5:
            initial = f"{match['initial']}."
            return self._replaced(sentence, match.start("first"), match.end("first"), initial)
        title = self._rng.choice(self._table["titles"])
        if match.start() == 0 or self._rng.random() < 0.2:
            title = title[0].upper() + title[1:]
        return self._replaced(sentence, match.start(), match.start(), f"{title} ")

    def _spoken(self, sentence: Labelled) -> Labelled:
        """Another end: a question, a call, or the whole sentence in quotes."""
        text, ends = sentence.text, sentence.ends
        if text[-1] != "." or len(ends) < 3 or ends[-2] != len(text) - 1:
            return sentence
        text = text[:-1] + self._rng.choice(".??!")
        if "“" not in text and self._rng.random() < 0.5:
            text = f"“{text}”"
            ends = (1, *(end + 1 for end in ends), len(text))
        return replace(sentence, text=text, ends=ends)

    def _upper(self, sentence: Labelled) -> Labelled:
        upper = sentence.text.upper()
        return replace(sentence, text=upper) if len(upper) == len(sentence.text) else sentence

    def damage(self, paragraphs: Sequence[Paragraph]) -> list[Paragraph]:
        """One damaged copy of a document. The shares are guesses from reading portal articles."""
        rng = self._rng
        plain, quotes = rng.random() < 0.3, rng.choice([*self._quotes, None])
        capitals = rng.random() < 0.3
        glue = rng.choice([0.0, 0.2, 0.8])
        result = []
        for number, paragraph in enumerate(paragraphs):
            copy: list[Any] = []
            for sentence in paragraph:
                new = sentence
                if rng.random() < _ABBREVIATED:
                    new = self._abbreviate(new)
                if rng.random() < _SPOKEN:
                    new = self._spoken(new)
                if quotes is not None:
                    new = self._mapped(new, quotes)
                if plain:
                    new = self._mapped(new, self._plain)
                if rng.random() < 0.1:
                    new = self._glue_words(new)
                if copy and copy[-1].text[-1] in ".!?" and rng.random() < glue:
                    new = replace(new, glued=True)
                copy.append(new)
            if len(paragraph) == 1 and (
                (capitals and number == 0)
                or (paragraph[0].text[-1].isalpha() and rng.random() < 0.2)
            ):
                copy = [self._upper(copy[0])]
            elif rng.random() < 0.08:
                line = self._filled(rng.choice(self._table["datelines"]))
                first = label(line, self._token)
                ends = (*first.ends, *(end + len(line) for end in copy[0].ends))
                copy[0] = replace(copy[0], text=line + copy[0].text, ends=ends)
            result.append(copy)
        if rng.random() < 0.3:
            credit = label(self._filled(rng.choice(self._table["credits"])), self._token)
            form = rng.random()
            if form < 0.4:
                result.append([credit])
            else:
                result[-1].append(replace(credit, glued=form < 0.7))
        return result


def joined(paragraph: Paragraph) -> tuple[str, str]:
    """Text and labels of a paragraph."""
    text, marks = "", ""
    for number, sentence in enumerate(paragraph):
        gap = "" if number == 0 or sentence.glued else " "
        text += gap + sentence.text
        marks += "0" * len(gap) + sentence.labels()
    return text, marks


def paragraphs(data: Path, pack: LanguagePack, held_out: set[str]) -> list[tuple[str, str]]:
    """Text and labels of all paragraphs to train on, half of the documents also damaged."""
    rng = random.Random(_SEED)
    table = pack.table("tokenise.toml")
    token = rule(table["abbreviations"])
    train: list[list[Paragraph]] = []
    for name in ("ud/staf_train", "ud/tsa_mwt_branch", "albpos/devel", "albpos/test"):
        rows = sources.read_conllu(data / "data" / f"{name}.conllu")
        train += [[p] for p in _grouped([conllu_sentence(row) for row in rows], 6, rng)]
    train += [[p] for p in _grouped([label(s, token) for s in sources.read_sib(data)], 4, rng)]
    for lines in sources.read_ntrex(data):  # a title, then the body in paragraphs
        sentences = [label(line, token) for line in lines]
        train.append([sentences[:1], *_grouped(sentences[1:], 8, rng)])
    for gold in sources.gold(data):
        if gold.article.id not in held_out:
            train.append(gold_paragraphs(gold, token))
    noise = Noise(table, token, rng)
    train += [noise.damage(document) for document in train[::2]]
    return [joined(paragraph) for document in train for paragraph in document if paragraph]


def _batches(
    texts: Sequence[tuple[str, str]], characters: Characters, unknown: int
) -> Iterator[tuple[Any, ...]]:
    """Windows of random paragraphs as ``Trainer.update`` takes them, without end.

    They are cut as at run time: features of position only at true ends. Where a window is cut, the
    labels of its last few characters are left out, for they hang on what is not seen.
    All windows of a batch have one length, a multiple of a few code points, so that none is padded:
    of a short paragraph some characters at one end are left out.
    """
    rng = random.Random(_SEED)
    encoded = [
        (
            *characters.encode(text),
            torch.from_numpy(np.frombuffer(marks.encode(), np.uint8).astype(np.int64) - ord("0")),
        )
        for text, marks in texts
    ]
    groups: dict[int, list[int]] = {}
    for at, (text, _) in enumerate(texts):
        size = min(_WINDOW, max(len(text) // _GRID * _GRID, 1))
        groups.setdefault(size, []).append(at)
    sizes = sorted(groups)
    # Long paragraphs by their share of the text, short ones (titles, credits) about twice that.
    weights = [
        sum(len(texts[at][0]) for at in groups[size]) * (1 if size == _WINDOW else 2)
        for size in sizes
    ]
    while True:
        (size,) = rng.choices(sizes, weights)
        group = groups[size]
        lengths = [len(texts[at][0]) for at in group]
        rows = []
        for at in rng.choices(group, lengths, k=_BATCH):
            length = len(texts[at][0])
            start = max(0, min(length - size, rng.randint(-size, length)))  # ends drawn often
            ids, values, marks = (part[start : start + size].clone() for part in encoded[at])
            if start == 0:
                values[0, characters.start_of_line] = 1
            if start + size == length:
                values[-1, characters.end_of_line] = 1
            else:
                marks[-min(_BLIND, size // 2) :] = -1
            rows.append((ids, values, marks))
        units, features, labels = (torch.stack(column) for column in zip(*rows, strict=True))
        units[torch.rand(units.shape) < _UNIT_DROPOUT] = unknown
        yield units, labels, features, [range(size)] * len(rows)


def fit(data: Path, target: Path, pack: LanguagePack, held_out: set[str], steps: int) -> None:
    """Train on everything but the gold articles ``held_out``; the model goes to ``target``."""
    torch.manual_seed(_SEED)
    texts = paragraphs(data, pack, held_out)
    args = tokenizer.parse_args(
        [
            *("--lang", pack.code, "--shorthand", f"{pack.code}_kasnec", "--no_use_mwt"),
            *("--conv_res", "1,9", "--no-hierarchical", "--dropout", "0.2", "--lr0", str(_RATE)),
        ]
    )
    counts = Counter(character for text, _ in texts for character in text)
    known = [[(character, 0)] * n for character, n in counts.items() if n >= 3]
    vocab = Vocab(known, pack.code)
    args["feat_funcs"] = list(tokenizer.DEFAULT_FEAT_FUNCS)
    args |= {"feat_dim": len(args["feat_funcs"]), "vocab_size": len(vocab), "num_dict_feat": 0}
    trainer = Trainer(args=args, vocab=vocab, device="cpu")
    batches = _batches(texts, Characters(trainer), vocab.unit2id("<UNK>"))
    began, losses = time.monotonic(), 0.0
    with linear_time((trainer.model, "rnn")):
        for step, batch in zip(range(1, steps + 1), batches, strict=False):
            trainer.change_lr(_RATE * min(1.0, step / 50) * max(0.02, 1 - step / steps))
            losses += trainer.update(batch)
            if step % 50 == 0:
                print(
                    f"tokeniser {step}/{steps} loss {losses / 50:.4f} "
                    f"{time.monotonic() - began:.0f} s",
                    flush=True,
                )
                losses = 0.0
    trainer.save(str(target))


def measure(articles: Sequence[sources.GoldArticle], pack: LanguagePack) -> dict[str, float]:
    """Exact-span F1 of tokens and sentences against gold articles (repaired as in training)."""
    token = rule(pack.table("tokenise.toml")["abbreviations"])
    hits = {"tokens": [0, 0, 0], "sentences": [0, 0, 0]}
    for gold, found in zip(
        articles, Tokeniser(pack)([gold.article for gold in articles]), strict=True
    ):
        tokens, sentences, at = set(), set(), 0
        for paragraph in gold_paragraphs(gold, token):
            for sentence in paragraph:
                at = gold.article.text.index(sentence.text, at)
                start = 0
                for end in sentence.ends:
                    form = sentence.text[start:end]
                    lead = len(form) - len(form.lstrip())
                    tokens.add((at + start + lead, at + end))
                    start = end
                sentences.add((at, at + sentence.ends[-1]))
                at += len(sentence.text)
        have = {(t.start, t.end) for s in found for t in s.tokens}
        spans = {(s.start, s.end) for s in found}
        for name, ours, theirs in (("tokens", have, tokens), ("sentences", spans, sentences)):
            for i, n in enumerate((len(ours & theirs), len(ours), len(theirs))):
                hits[name][i] += n
    return {name: round(2 * tp / (ours + theirs), 4) for name, (tp, ours, theirs) in hits.items()}


def train(data: Path, out: Path) -> dict[str, object]:
    """Train on everything but a fifth of the gold articles, and measure on that fifth.

    The shipped model is the one that was measured: most of its text is not gold anyway.

    Args:
        data: the folder of ``KASNEC_TRAINING_DATA``.
        out: the folder that receives ``tokenise.pt``.

    Returns:
        F1 of tokens and sentences on the held-out fifth.
    """
    pack = languages.load("sq")
    articles = sources.gold(data)
    held_out = sources.fifths(articles)[0]
    fit(data, out / "tokenise.pt", pack, held_out, _STEPS)
    with tempfile.TemporaryDirectory() as scratch:
        models = Path(scratch)
        (models / "tokenise.pt").write_bytes((out / "tokenise.pt").read_bytes())
        unseen = [gold for gold in articles if gold.article.id in held_out]
        return dict(measure(unseen, preview(pack, models)))
