"""When: the date of one event, resolved against the publication date.

A generic engine over the expressions of the language's ``dates.toml`` finds every date that the
evidence and its neighbourhood name; a linear model decides which of them, if any, is the event's.
Days are days of the article's own offset: "sot" is the date that ``published_at`` shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from pipeline.languages import LanguagePack
from pipeline.records import EventDate, Granularity, Status
from pipeline.stages import linear
from pipeline.stages.gazetteer import fold
from pipeline.stages.linear import Linear
from pipeline.stages.values import Detection, Document

# An event of this status lies ahead of the article; any other lies behind it, a denied one on
# either side.
_AHEAD: Final = frozenset({"planned", "proposed", "postponed", "hypothetical", "cancelled"})
_WORD: Final = re.compile(r"[^\W_]+|[^\w\s]")
_QUOTES: Final = frozenset('“”„"«»')
# Acts that are done by speaking: the day of the saying is the day of the act.
_SPOKEN: Final = frozenset({"REQUEST", "ACCUSE", "REJECT", "THREATEN", "SUPPORT"})
# Placeholders of the expressions that stand for the keys of a table of the same plural.
_TABLES: Final = {"weekday": "weekdays", "number": "numbers", "unit": "units", "near": "near"}


@dataclass(frozen=True, slots=True)
class Expression:
    """A date that the text names: ``[start, end)``, its value, and the rule that gave it."""

    start: int
    end: int
    sentence: int
    value: str
    granularity: Granularity
    meaning: str


class Grammar:
    """The date expressions of a language."""

    def __init__(self, pack: LanguagePack) -> None:
        table = pack.table("dates.toml")
        self._table = table
        self._months = {
            stem + ending: month
            for stem, month in table["months"].items()
            for ending in table["month_endings"]["words"]
        }
        words = {
            **{name: list(table[plural]) for name, plural in _TABLES.items()},
            **table["modifiers"],
            "month": list(self._months),
            "parts": table["parts"]["words"],
        }
        alternatives = {name: _alternatives(forms) for name, forms in words.items()}
        self._patterns = [
            (re.compile(rf"(?<!\w)(?:{_fill(e['match'], alternatives)})(?!\w)"), e["meaning"])
            for e in table["expression"]
        ]

    def __call__(self, document: Document, sentence: int, status: Status) -> tuple[Expression, ...]:
        """The dates that a sentence names, without overlap, for an event of this status."""
        span = document.sentences[sentence]
        text = fold(document.article.text[span.start : span.end])
        today = date.fromisoformat(document.article.published_at[:10])
        found = [
            (match.start(), -match.end(), order, match, meaning)
            for order, (pattern, meaning) in enumerate(self._patterns)
            for match in pattern.finditer(text)
        ]
        kept: list[Expression] = []
        free = 0
        for start, end, _, match, meaning in sorted(found, key=lambda one: one[:3]):
            if start < free:
                continue
            value = self._value(meaning, match.groupdict(), today, ahead=status in _AHEAD)
            if value is None:
                continue
            free = -end
            kept.append(
                Expression(
                    span.start + start, span.start + free, sentence, value[0], value[1], meaning
                )
            )
        return tuple(kept)

    def _value(
        self, meaning: str, words: dict[str, str | None], today: date, *, ahead: bool
    ) -> tuple[str, Granularity] | None:
        """The value that a rule gives; None where there is no such day."""
        given = {name: word for name, word in words.items() if word is not None}
        try:
            result: tuple[str, Granularity] = getattr(self, f"_{meaning}")(given, today, ahead)
        except (ValueError, OverflowError):
            return None
        return result

    def _year_of(self, words: dict[str, str], today: date) -> int | None:
        """The year that the expression itself tells."""
        if "year" in words:
            return int(words["year"])
        if "this" in words:
            return today.year
        if "last" in words:
            return today.year - 1
        return today.year + 1 if "next" in words else None

    def _month_of(self, word: str) -> int:
        return int(word) if word.isdigit() else self._months[word]

    def _date(self, words: dict[str, str], today: date, ahead: bool) -> tuple[str, Granularity]:
        month, day = self._month_of(words["month"]), int(words["day"])
        year = self._year_of(words, today)
        if year is not None:
            return date(year, month, day).isoformat(), "day"
        nearby = [date(today.year + shift, month, day) for shift in (-1, 0, 1)]
        side = [d for d in nearby if (d >= today if ahead else d <= today)]
        # News names days without a year only near themselves: a "past" day 300 days back is ahead.
        nearest = min(nearby, key=lambda d: abs(d - today))
        best = min(side, key=lambda d: abs(d - today), default=nearest)
        chosen = best if abs(best - today) <= timedelta(days=300) else nearest
        return chosen.isoformat(), "day"

    def _first_day(
        self, words: dict[str, str], today: date, ahead: bool
    ) -> tuple[str, Granularity]:
        return self._date({"day": "1", **words}, today, ahead)

    def _month(self, words: dict[str, str], today: date, ahead: bool) -> tuple[str, Granularity]:
        month = self._month_of(words["month"])
        year = self._year_of(words, today)
        if year is None:
            year = today.year
            if ahead and month < today.month:
                year += 1
            elif not ahead and month > today.month:
                year -= 1
        return f"{year:04}-{month:02}", "month"

    def _year(self, words: dict[str, str], today: date, ahead: bool) -> tuple[str, Granularity]:
        del today, ahead
        return words["year"], "year"

    def _season(self, words: dict[str, str], today: date, ahead: bool) -> tuple[str, Granularity]:
        first = next(
            month
            for stem, month in self._table["seasons"].items()
            if words["season"].startswith(stem)
        )
        if "year" in words:
            return words["year"], "year"
        forward = "next" in words or (ahead and "last" not in words)
        year = today.year
        if forward and first + 2 < today.month:
            year += 1
        elif not forward and first > today.month:
            year -= 1
        return str(year), "year"

    def _weekday(self, words: dict[str, str], today: date, ahead: bool) -> tuple[str, Granularity]:
        wanted: int = self._table["weekdays"][words["weekday"]]
        if "week" in words:
            return (today + timedelta(days=wanted - today.isoweekday())).isoformat(), "day"
        if "next" in words or ("last" in words and "next" not in words):
            days = 7 if "next" in words else -7
            week = today + timedelta(days=days)
            return (week + timedelta(days=wanted - today.isoweekday())).isoformat(), "day"
        shift = (wanted - today.isoweekday()) % 7
        return (today + timedelta(days=shift if ahead or not shift else shift - 7)).isoformat(), (
            "day"
        )

    def _near(self, words: dict[str, str], today: date, ahead: bool) -> tuple[str, Granularity]:
        del ahead
        days: int = self._table["near"][words["near"]]
        return (today + timedelta(days=days)).isoformat(), "day"

    def _last_night(
        self, words: dict[str, str], today: date, ahead: bool
    ) -> tuple[str, Granularity]:
        del words, ahead
        return (today - timedelta(days=1)).isoformat(), "day"

    def _now(self, words: dict[str, str], today: date, ahead: bool) -> tuple[str, Granularity]:
        del words, ahead
        return today.isoformat(), "day"

    def _count(self, words: dict[str, str]) -> tuple[int, str]:
        number = words["number"]
        count = int(number) if number.isdigit() else self._table["numbers"][number]
        return count, self._table["units"][words["unit"]]

    def _ago(self, words: dict[str, str], today: date, ahead: bool) -> tuple[str, Granularity]:
        del ahead
        count, unit = self._count(words)
        return _shifted(today, -count, unit)

    def _ahead(self, words: dict[str, str], today: date, ahead: bool) -> tuple[str, Granularity]:
        del ahead
        return _shifted(today, *self._count(words))

    def _within(self, words: dict[str, str], today: date, ahead: bool) -> tuple[str, Granularity]:
        """A deadline of days or weeks is as exact as its month."""
        del ahead
        value, granularity = _shifted(today, *self._count(words))
        return (value[:7], "month") if granularity == "day" else (value, granularity)

    def _this(self, words: dict[str, str], today: date, ahead: bool) -> tuple[str, Granularity]:
        return self._whole(words, today, 0, ahead=ahead)

    def _next(self, words: dict[str, str], today: date, ahead: bool) -> tuple[str, Granularity]:
        return self._whole(words, today, 1, ahead=ahead)

    def _last(self, words: dict[str, str], today: date, ahead: bool) -> tuple[str, Granularity]:
        return self._whole(words, today, -1, ahead=ahead)

    def _whole(
        self, words: dict[str, str], today: date, shift: int, *, ahead: bool
    ) -> tuple[str, Granularity]:
        """A week, month or year as a whole, so many from now; a weekend is its week."""
        unit = self._table["whole"][words["unit"]]
        if unit == "weekend":
            # Before Friday the weekend that is over is last week's.
            back = 0 if ahead or today.isoweekday() >= 5 else 1
            return _week(today + timedelta(weeks=-back if shift <= 0 else 0)), "week"
        if unit == "week":
            return _week(today + timedelta(weeks=shift)), "week"
        return _shifted(today, shift, unit)


def _alternatives(forms: list[str]) -> str:
    """A group of the forms, the longer first."""
    return f"(?:{'|'.join(sorted(map(re.escape, forms), key=len, reverse=True))})"


def _fill(match: str, alternatives: dict[str, str]) -> str:
    for name, group in alternatives.items():
        match = match.replace(f"{{{name}}}", group)
    return match


def _week(day: date) -> str:
    year, week, _ = day.isocalendar()
    return f"{year:04}-W{week:02}"


def _shifted(day: date, count: int, unit: str) -> tuple[str, Granularity]:
    """``day`` moved by so many units: days and weeks to the day, longer ones as a whole."""
    if unit in {"day", "week"}:
        moved = day + timedelta(days=count * (7 if unit == "week" else 1))
        return moved.isoformat(), "day"
    if unit == "month":
        months = day.year * 12 + day.month - 1 + count
        return f"{months // 12:04}-{months % 12 + 1:02}", "month"
    return f"{day.year + count:04}", "year"


class DateFeatures:
    """The dates near an event, and what the model is told about each."""

    def __init__(self, pack: LanguagePack) -> None:
        self._grammar = Grammar(pack)
        roles = pack.table("roles.toml")
        self._clauses = frozenset(roles["clauses"]["words"])

    def __call__(
        self, document: Document, detection: Detection
    ) -> list[tuple[Expression, list[str]]]:
        """The expressions of the evidence and its neighbourhood, with their features."""
        here = detection.sentence
        places = [here, *detection.also, here - 1, here + 1, 0]
        wanted = [s for s in dict.fromkeys(places) if 0 <= s < len(document.sentences)]
        found = [
            expression
            for sentence in wanted
            for expression in self._grammar(document, sentence, detection.status)
        ]
        own = [e for e in found if e.sentence == here]
        nearest = min(own, key=lambda e: _gap(e, detection), default=None)
        return [
            (expression, list(self._of(expression, document, detection, found, nearest)))
            for expression in found
        ]

    def _of(
        self,
        expression: Expression,
        document: Document,
        detection: Detection,
        found: list[Expression],
        nearest: Expression | None,
    ) -> Iterator[str]:
        kind, status, meaning = detection.type, detection.status, expression.meaning
        published = document.article.published_at[: len(expression.value)]
        if expression.granularity == "week":
            published = _week(date.fromisoformat(document.article.published_at[:10]))
        relation = (expression.value > published) - (expression.value < published)
        size = expression.granularity
        common = [
            f"status={status}",
            f"relation={relation}",
            f"meaning={meaning}",
            f"size={size}",
            f"status={status}|relation={relation}",
            f"status={status}|relation={relation}|size={size}",
            f"mode={detection.mode or kind}",
            f"type={kind}|relation={relation}",
            f"repeats={min(sum(e.value == expression.value for e in found), 3)}",
            f"past={status in {'actual', 'ongoing'}}|relation={relation}|size={size}",
            f"verbal={kind in _SPOKEN}|relation={relation}",
        ]
        if expression.sentence != detection.sentence:
            also = expression.sentence in detection.also
            offset = max(-2, min(2, expression.sentence - detection.sentence))
            where = f"out|also={also}|offset={offset}|own={nearest is not None}"
            yield where
            yield f"out|title={expression.sentence == 0}"
            others = len({e.value for e in found})
            yield f"out|others={min(others, 3)}"
            for feature in common:
                yield f"out|{feature}"
                yield f"out|also={also}|own={nearest is not None}|{feature}"
            return
        span = document.sentences[detection.sentence]
        text = document.article.text
        before = _WORD.findall(fold(text[span.start : expression.start]))
        after = _WORD.findall(fold(text[expression.end : span.end]))
        side = "before" if expression.end <= detection.trigger_start else "after"
        if expression.start < detection.trigger_end and expression.end > detection.trigger_start:
            side = "inside"
        if side == "before":
            between = text[expression.end : detection.trigger_start]
        else:
            between = text[detection.trigger_end : expression.start]
        gap = _WORD.findall(fold(between))
        limit = next(str(top) for top in (0, 1, 2, 3, 5, 8, 12, 18, 28, 9999) if len(gap) <= top)
        clause = sum(1 for word in gap if word in self._clauses)
        own = [e for e in found if e.sentence == detection.sentence]
        rank = [e.start for e in own].index(expression.start)
        trigger = _WORD.findall(fold(text[detection.trigger_start : detection.trigger_end]))
        yield f"in|others={min(len(own), 3)}"
        yield f"in|rank={rank}|of={min(len(own), 3)}"
        yield f"in|nearest={expression is nearest}|others={min(len(own), 3)}"
        yield f"in|side={side}|distance={limit}"
        yield f"in|distance={limit}"
        yield f"in|side={side}|clause={min(clause, 3)}|comma={',' in gap}"
        yield f"in|clause={min(clause, 3)}"
        yield f"in|quotes={any(word in _QUOTES for word in gap)}"
        yield f"in|start={not before}"
        yield f"in|end={len(after) <= 1}"
        previous = before[-1] if before else "^"
        following = after[0] if after else "$"
        first = fold(text[expression.start : expression.end]).split()[0]
        yield f"in|previous={previous}"
        yield f"in|next={following}"
        yield f"in|first={first}|meaning={meaning}"
        yield f"in|first={first}|previous={previous}"
        yield f"in|adjacent={not gap}|previous={previous}"
        yield f"in|verbal={kind in _SPOKEN}|previous={previous}"
        yield f"in|verbal={kind in _SPOKEN}|clause={min(clause, 3)}|side={side}"
        for word in trigger[:4]:
            yield f"in|trigger={word[:5]}|side={side}"
        for feature in common:
            yield f"in|{feature}"
            yield f"in|nearest={expression is nearest}|{feature}"
            yield f"in|clause={min(clause, 2)}|{feature}"


def _gap(expression: Expression, detection: Detection) -> int:
    """Characters between an expression and the trigger."""
    return max(
        expression.start - detection.trigger_end, detection.trigger_start - expression.end, 0
    )


class DateResolver:
    """Finds the date of an event.

    Raises:
        ModelError: the model is missing, corrupted or unusable.
    """

    def __init__(self, pack: LanguagePack) -> None:
        self._features = DateFeatures(pack)
        self._model: Linear = linear.load(pack, "date")

    def __call__(self, document: Document, detection: Detection) -> EventDate | None:
        """The date that the article gives for the event, None where it gives none."""
        scored = [
            (self._model.probabilities(features)["yes"], expression)
            for expression, features in self._features(document, detection)
        ]
        if not scored:
            return None
        probability, best = max(scored, key=lambda one: (one[0], -one[1].start))
        if probability < self._model.threshold:
            return None
        return EventDate(
            value=best.value,
            granularity=best.granularity,
            text=document.article.text[best.start : best.end],
        )
