"""Trains the name tagger: ``stanza.models.ner`` on the gold articles and on its own silver labels.

A BiLSTM-CRF over word vectors and a character BiLSTM. Stanza's model, batches and trainer are used
as they are; the loop around them is ours because ``ner_tagger`` has neither weight averaging nor
changes to the text from epoch to epoch, and needs a set aside to steer its learning rate.

1. Word vectors come from counts in all Albanian text at hand (:func:`word_vectors`).
2. A teacher is trained on the gold articles.
3. It labels the unlabelled news; the shipped model is trained on gold and these labels.

Tokens are those of our own tokeniser, so the tagger learns with the faults it will meet.
"""

from __future__ import annotations

import random
import tempfile
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from scipy.sparse import csr_matrix
from sklearn.utils.extmath import randomized_svd
from stanza.models import ner_tagger
from stanza.models.common.vocab import UNK, CharVocab, CompositeVocab
from stanza.models.ner.trainer import Trainer
from stanza.models.ner.vocab import MultiVocab
from stanza.models.pos.vocab import WordVocab

from pipeline import languages
from pipeline.languages import LanguagePack
from pipeline.records import RawArticle
from pipeline.stages.entities import Batches, EntityTagger, form
from pipeline.stages.tokenise import Tokeniser
from pipeline.stages.values import Document, Sentence
from pipeline.training import data as sources
from pipeline.training.manifest import preview
from pipeline.training.packed import linear_time

_AVERAGE_EVERY: Final = 5  # steps
_WINDOW: Final = 4  # words to each side that count as company of a word
Tagged = list[tuple[str, str]]  # forms and BIOES tags of a sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Sizes and schedule."""

    word: int = 100
    character: int = 50
    character_hidden: int = 64
    hidden: int = 160
    dropout: float = 0.4
    batch: int = 32
    epochs: float = 14
    rate: float = 2e-3
    seed: int = 1234


def align(gold: sources.GoldArticle, sentences: Sequence[Sentence]) -> list[Tagged]:
    """BIOES tags for our tokens: a token belongs to the name that its middle stands in."""
    names = sorted((n for listed in gold.names for n in listed), key=lambda n: n.start)
    starts = [name.start for name in names]
    result = []
    for sentence in sentences:
        owners: list[int] = []
        for token in sentence.tokens:
            middle = (token.start + token.end - 1) // 2
            at = bisect_right(starts, middle) - 1
            owners.append(at if at >= 0 and middle < names[at].end else -1)
        tags = []
        for before, owner, after in zip([-1, *owners], owners, [*owners[1:], -1], strict=False):
            if owner < 0:
                tags.append("O")
                continue
            mark = {(True, True): "S", (True, False): "B", (False, True): "E", (False, False): "I"}
            tags.append(f"{mark[before != owner, after != owner]}-{names[owner].type}")
        result.append([(form(t.text), tag) for t, tag in zip(sentence.tokens, tags, strict=True)])
    return result


def word_vectors(
    sentences: Sequence[Sequence[str]], words: Sequence[str], size: int
) -> dict[str, np.ndarray]:
    """Vectors from counts: positive PMI of words near each other, factored (Levy et al. 2015).

    Args:
        sentences: lower-case forms.
        words: the words to give vectors for; everything else is left out.
        size: length of a vector.
    """
    index = {word: at for at, word in enumerate(words)}
    gap = [-1] * _WINDOW  # no pairs across sentences
    ids = np.array([i for s in sentences for i in [*(index.get(w, -1) for w in s), *gap]])
    counts = csr_matrix((len(words), len(words)))
    for distance in range(1, _WINDOW + 1):
        left, right = ids[:-distance], ids[distance:]
        both = (left >= 0) & (right >= 0)
        weights = np.full(int(both.sum()), 1 / distance)
        counts += csr_matrix((weights, (left[both], right[both])), shape=counts.shape)
    counts = (counts + counts.T).tocoo()
    totals = np.asarray(counts.sum(axis=1)).ravel()
    context = totals**0.75 / np.sum(totals**0.75)
    pmi = np.log(counts.data / (totals[counts.row] * context[counts.col]))
    keep = pmi > 0
    positive = csr_matrix((pmi[keep], (counts.row[keep], counts.col[keep])), shape=counts.shape)
    factors, values, _ = randomized_svd(positive, size, n_iter=4, random_state=0)
    vectors = factors * np.sqrt(values)
    vectors /= np.sqrt(np.mean(vectors**2)) * 4  # the scale of what the character network gives
    return {word: vectors[at] for word, at in index.items()}


def _vocabulary(train: Sequence[Tagged], words: Sequence[str], code: str) -> MultiVocab:
    known = WordVocab([[(w, "O") for w in words]], code, cutoff=1, lower=True)
    return MultiVocab(
        {
            "char": CharVocab([list(s) for s in train], code),
            "delta": known,
            "tag": CompositeVocab([[((t,),) for _, t in s] for s in train], code, idx=0, sep=None),
        }
    )


class _Changes:
    """Changes to the text of an epoch, so that the tagger does not lean on form alone."""

    def __init__(self, table: dict[str, str], rng: random.Random) -> None:
        self._plain = str.maketrans(table)
        self._rng = rng

    def __call__(self, sentence: Tagged) -> Tagged:
        draw = self._rng.random()
        if draw < 0.05:
            return [(word.upper(), tag) for word, tag in sentence]
        if draw < 0.15:
            return [(word.translate(self._plain), tag) for word, tag in sentence]
        return sentence


def fit(
    train: Sequence[Tagged],
    vectors: dict[str, np.ndarray],
    pack: LanguagePack,
    target: Path,
    settings: Settings,
    *,
    start: Path | None = None,
) -> None:
    """Train on tagged sentences and write a Stanza checkpoint in half precision to ``target``.

    With ``start``, a checkpoint of the same sizes, training goes on from its weights and with its
    vocabulary; ``vectors`` are not used then.
    """
    torch.manual_seed(settings.seed)
    rng = random.Random(settings.seed)
    code = pack.code
    args = ner_tagger.parse_args(
        [
            *("--no_pretrain", "--cpu", "--shorthand", f"{code}_kasnec", "--optim", "adam"),
            *("--word_emb_dim", str(settings.word), "--char_emb_dim", str(settings.character)),
            *("--char_hidden_dim", str(settings.character_hidden)),
            *("--hidden_dim", str(settings.hidden), "--dropout", str(settings.dropout)),
            *("--lr", str(settings.rate), "--batch_size", str(settings.batch)),
            *("--word_dropout", "0.01", "--train_scheme", "bioes"),
        ]
    )
    if start:
        trainer = Trainer(args=args, model_file=str(start), device="cpu")
        model, vocab = trainer.model, trainer.vocab
    else:
        vocab = _vocabulary(train, list(vectors), code)
        trainer = Trainer(args=args, vocab=vocab, device="cpu")
        model = trainer.model
        with torch.no_grad():
            for word, vector in vectors.items():
                row = vocab["delta"].unit2id(word)
                model.delta_emb.weight[row] = torch.from_numpy(vector).float()
    frequency = Counter(word.lower() for sentence in train for word, _ in sentence)
    change = _Changes(pack.table("tokenise.toml")["undiacritic"], rng)

    def epochs() -> Iterator[Any]:
        while True:
            rows = [change(sentence) for sentence in train]
            rows.sort(key=lambda row: len(row) + rng.random() * 4)  # like lengths together
            batches = Batches(
                rows,
                settings.batch,
                args,
                vocab=vocab,
                evaluation=True,
                preprocess_tags=False,
                max_batch_words=settings.batch * 50,
            )
            order = list(range(len(batches)))
            rng.shuffle(order)
            for at in order:
                batch = list(batches[at])
                # Half of the rare words lose their vector: the characters must do.
                batch[0] = [
                    [UNK if frequency[w.lower()] < 3 and rng.random() < 0.5 else w for w in row]
                    for row in batch[0]
                ]
                yield batch

    steps = int(settings.epochs * len(train) / settings.batch)
    weights = dict(model.named_parameters())
    average = {name: value.detach().clone() for name, value in weights.items()}
    began, losses = time.monotonic(), 0.0
    places = (model.taggerlstm, "lstm"), (model.charmodel.charlstm, "lstm")
    with linear_time(*places):
        for step, batch in zip(range(1, steps + 1), epochs(), strict=False):
            trainer.change_lr(settings.rate * min(1.0, step / 100) * max(0.02, 1 - step / steps))
            losses += trainer.update(batch)
            if step % _AVERAGE_EVERY == 0:
                new = 1 - min(0.99, step / (step + 10 * _AVERAGE_EVERY))
                with torch.no_grad():
                    for name, value in weights.items():
                        average[name].lerp_(value, new)
            if step % 100 == 0:
                print(
                    f"ner {step}/{steps} loss {losses / 100:.3f} {time.monotonic() - began:.0f} s",
                    flush=True,
                )
                losses = 0.0
    with torch.no_grad():
        for name, value in weights.items():
            value.copy_(average[name])
    _save(trainer, target)


def _save(trainer: Trainer, target: Path) -> None:
    """The checkpoint as Stanza writes it, without paths of this machine, in half precision."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "ner.pt"
        trainer.save(str(path))
        checkpoint = torch.load(path, weights_only=True)
    for key in [k for k in checkpoint["config"] if k.endswith(("_file", "_dir", "_name"))]:
        checkpoint["config"][key] = None
    checkpoint["model"] = {name: value.half() for name, value in checkpoint["model"].items()}
    torch.save(checkpoint, target)


def _documents(pack: LanguagePack, articles: Sequence[RawArticle]) -> Iterator[Document]:
    """The articles, split by our tokeniser, in batches that keep memory low."""
    tokenise = Tokeniser(pack)
    for at in range(0, len(articles), 64):
        some = articles[at : at + 64]
        for article, sentences in zip(some, tokenise(some), strict=True):
            yield Document(article=article, language=pack.code, sentences=sentences)


def _silver(pack: LanguagePack, documents: Sequence[Document]) -> list[Tagged]:
    """Sentences of unlabelled articles with the teacher's tags; half of the nameless left out."""
    rng = random.Random(5)
    tag = EntityTagger(pack)
    result = []
    for at in range(0, len(documents), 64):
        sentences = [s for d in documents[at : at + 64] for s in d.sentences]
        for sentence, tags in zip(sentences, tag.tags(sentences), strict=True):
            if 4 <= len(tags) <= 80 and (any(t != "O" for t in tags) or rng.random() < 0.5):
                result.append(
                    [(form(t.text), x) for t, x in zip(sentence.tokens, tags, strict=True)]
                )
    return result


def measure(gold: Sequence[sources.GoldArticle], pack: LanguagePack) -> dict[str, float]:
    """Exact-span F1 of the names, as ``score.py`` counts it, in all and by type."""
    documents = list(_documents(pack, [g.article for g in gold]))
    hits: Counter[tuple[str, str]] = Counter()
    for one, mentions in zip(gold, EntityTagger(pack)(documents), strict=True):
        want = {(n.start, n.end, n.type) for listed in one.names for n in listed}
        have = {(m.start, m.end, m.type) for m in mentions}
        for kind in ("PER", "LOC", "ORG"):
            hits[kind, "tp"] += sum(1 for x in want & have if x[2] == kind)
            hits[kind, "all"] += sum(1 for x in [*want, *have] if x[2] == kind)
    for count in ("tp", "all"):
        hits["entities", count] = sum(hits[kind, count] for kind in ("PER", "LOC", "ORG"))
    return {
        kind: round(2 * hits[kind, "tp"] / hits[kind, "all"], 4)
        for kind in ("entities", "PER", "LOC", "ORG")
    }


def prepare(
    data: Path, pack: LanguagePack, held_out: set[str], settings: Settings
) -> tuple[list[Tagged], list[Document], dict[str, np.ndarray]]:
    """Gold sentences to train on, unlabelled documents, and word vectors of both."""
    gold = [g for g in sources.gold(data) if g.article.id not in held_out] + sources.authored()
    split = _documents(pack, [g.article for g in gold])
    train = [row for g, d in zip(gold, split, strict=True) for row in align(g, d.sentences)]
    news = [article for article, _ in sources.read_articles(data / "corpus" / "news-2020.jsonl")]
    documents = list(_documents(pack, news))
    text = [[word.lower() for word, _ in sentence] for sentence in train]
    text += [[form(t.text).lower() for t in s.tokens] for d in documents for s in d.sentences]
    text += [
        [form(w).lower() for w in line.split()]
        for lines in sources.read_ntrex(data)
        for line in lines
    ]
    counts = Counter(word for sentence in text for word in sentence)
    of_gold = Counter(word for sentence in text[: len(train)] for word in sentence)
    words = sorted(w for w, n in counts.items() if n >= 8 or of_gold[w] >= 2)
    return train, documents, word_vectors(text, words, settings.word)


def pipeline_of(data: Path, target: Path, pack: LanguagePack, held_out: set[str]) -> None:
    """Teacher, silver labels, student; the student is written to ``target``."""
    settings = Settings()
    train, documents, vectors = prepare(data, pack, held_out, settings)
    with tempfile.TemporaryDirectory() as scratch:
        fit(train, vectors, pack, Path(scratch) / "ner.pt", settings)
        silver = _silver(preview(pack, Path(scratch)), documents)
    fit([*train, *train, *silver], vectors, pack, target, settings)


def train(data: Path, out: Path) -> dict[str, object]:
    """Measure on a held-out fifth of the gold articles, then train the shipped model on all.

    Args:
        data: the folder of ``KASNEC_TRAINING_DATA``.
        out: the folder that receives ``ner.pt``; ``tokenise.pt`` must be in the language folder.

    Returns:
        F1 of exact spans on the held-out fifth, in all and by type.
    """
    pack = languages.load("sq")
    articles = sources.gold(data)
    held_out = sources.fifths(articles)[0]
    with tempfile.TemporaryDirectory() as scratch:
        pipeline_of(data, Path(scratch) / "ner.pt", pack, held_out)
        unseen = [gold for gold in articles if gold.article.id in held_out]
        figures = measure(unseen, preview(pack, Path(scratch)))
    pipeline_of(data, out / "ner.pt", pack, set())
    return dict(figures)
