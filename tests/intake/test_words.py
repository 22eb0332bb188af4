from __future__ import annotations

from collections.abc import Mapping

import pytest

from advisor.engine.vocabulary import FactSpec
from advisor.intake.words import Lexicon, Phrase, load_words, segments


def _lexicon(**phrases: str) -> Lexicon:
    return Lexicon(Phrase(tuple(words.split()), "topic", value) for value, words in phrases.items())


def _values(lexicon: Lexicon, said: str) -> list[object]:
    return [hit.value for hit in lexicon.hits(said, ["topic"])]


def test_the_weightier_of_overlapping_phrases_wins() -> None:
    assert _values(_lexicon(short="classes", long="rare classes"), "some rare-classes here") == ["long"]


def test_a_negated_phrase_says_nothing() -> None:
    assert _values(_lexicon(over="overfit*"), "no overfitting, and not really overfitted") == []
    assert _values(_lexicon(over="overfit*"), "overfits") == ["over"]


def test_a_gap_spans_four_words_and_no_more() -> None:
    lexicon = _lexicon(idle="gpu .. idle")
    assert _values(lexicon, "the GPU is most of the time idle") == []
    assert _values(lexicon, "the GPU is mostly idle") == ["idle"]
    assert _values(lexicon, "GPU one two three four idle") == ["idle"]


def test_words_match_whole() -> None:
    assert _values(_lexicon(inf="inf"), "information inferred") == []


def test_segments_are_the_parts_between_commas_and_brackets() -> None:
    said = "balanced, 10 classes (roughly); see below. End"
    assert [said[start:end] for start, end in segments(said)] == ["balanced", "10 classes", "roughly", "see below", "End"]


def test_every_fact_and_value_of_the_vocabulary_is_declared(vocabulary: Mapping[str, FactSpec]) -> None:
    words = load_words()
    hits = [
        phrase
        for phrase in words.lexicon.phrases
        if phrase.about not in ("kind", "type", "domain") and not phrase.about.startswith("hint.")
    ]
    assert len(hits) > 200
    wrong = [
        (phrase.about, phrase.value)
        for phrase in hits
        if phrase.about not in vocabulary or vocabulary[phrase.about].problem_with(phrase.value)
    ]
    wrong += [side for implication in words.implies for side in implication if vocabulary[side[0]].problem_with(side[1])]
    wrong += [(fact, value) for fact, *values in words.stronger for value in values if vocabulary[fact].problem_with(value)]
    assert wrong == []


def test_every_task_kind_but_other_has_words_or_a_type_and_domain(vocabulary: Mapping[str, FactSpec]) -> None:
    assert set(load_words().kinds) == set(vocabulary["task.kind"].values) - {"other"}


@pytest.mark.parametrize("prefix", ["challenge.", "issue.", "asked."])
def test_every_challenge_and_issue_can_be_said(vocabulary: Mapping[str, FactSpec], prefix: str) -> None:
    assert {name for name in vocabulary if name.startswith(prefix)} <= load_words().facts


def test_every_metric_is_declared(vocabulary: Mapping[str, FactSpec]) -> None:
    named = {metric.name for metric in load_words().metrics._of.values()}
    assert named == set(vocabulary["limit.accuracy_metric"].values) - {"none"}
