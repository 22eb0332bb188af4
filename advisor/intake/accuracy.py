"""The accuracy target: a metric and a bound, as a fraction where the metric is one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from advisor.intake.text import ABOUT, LOWER, UPPER, Text, words
from advisor.quantity import NUMBER, number

FORMS = ("top-1 acc >90%", "F1 ≥ 0.85")
DEFAULT = "accuracy"

_VALUE = re.compile(rf"(?P<value>{NUMBER})\s*(?P<percent>%|percent\b|pct\b)?")
_VAGUE = re.compile(
    r"\W*(?:as (?:high|good|accurate) as possible|(?:the )?(?:best|highest)(?: possible)?(?: accuracy)?|"
    r"state[- ]of[- ]the[- ]art|sota|maximi[sz]e|max|high(?: accuracy)?|good enough|"
    r"human[- ]level(?: accuracy| performance)?|"
    r"(?:beat|better than|improve on|match)(?: the| our)?(?: current| existing)? "
    r"(?:baseline|model|xgboost|lightgbm|catboost|humans?|experts?))\W*"
)
_ERROR = re.compile(r"\b(?:misclassification|(?:classification )?errors?)(?: rate)?\b")
_OR_BETTER = re.compile(r"\bor (?:better|more|higher|above|over)\b")
_WORDS = words(
    """
    score target of on the test set validation val held out holdout data a at is should be must reach and goal class per average
    averaged overall mean macro weighted model for error rate
    """
)


@dataclass(frozen=True)
class Metric:
    """How a metric is written: as a fraction or a raw figure, and which way is better."""

    name: str
    fraction: bool
    lower: bool


@dataclass(frozen=True)
class Target:
    """The least acceptable value of a metric; 0 and `none` where no number is named."""

    value: float = 0.0
    metric: str = "none"
    remark: str = ""


class Metrics:
    """The metrics by the ways they are written."""

    def __init__(self, entries: Mapping[str, Mapping[str, object]]) -> None:
        self._of: dict[str, Metric] = {}
        for name, entry in entries.items():
            metric = Metric(name, entry.get("scale") != "raw", entry.get("better") == "lower")
            words = entry["words"]
            self._of.update({str(word).lower(): metric for word in (words if isinstance(words, list) else [])})
        choice = "|".join(re.escape(word) for word in sorted(self._of, key=len, reverse=True))
        self._pattern = re.compile(rf"(?<!\w)(?:{choice})(?!\w)")

    def take(self, text: Text) -> list[Metric]:
        """Every metric that the text names; `top-1` and `accuracy` together are one."""
        found = list(dict.fromkeys(self._of[match[0]] for match in text.take_all(self._pattern)))
        return [metric for metric in found if metric.name != DEFAULT] or found


def read_accuracy(field: str, said: str, metrics: Metrics) -> Target:
    """ "top-1 acc >90%", "F1 ≥ 0.85", "mAP@0.5 > 50", "WER < 10%", "95%"."""
    text = Text(field, said, FORMS)
    if text.is_unlimited():
        return Target()
    if _VAGUE.fullmatch(text.left):
        return Target(remark="names no number, so nothing is held to it")
    named = metrics.take(text)
    if len(named) > 1:
        text.fail("names more than one metric; keep the one that decides")
    is_error = not named and text.take(_ERROR) is not None
    metric = named[0] if named else Metric(DEFAULT, fraction=True, lower=is_error)
    text.refuse_negative()
    text.take_all(_OR_BETTER)
    values = text.take_all(_VALUE)
    _check_direction(text, metric)
    text.take_all(ABOUT)
    aside = text.leave(_WORDS)
    if len(values) != 1:
        text.fail("names no number" if not values else "names more than one number; keep the one that decides")
    target = _scaled(text, values[0], metric)
    if is_error:
        target = 1 - target
        aside = [f"is an error; held to an accuracy of {target:.4g}", *aside]
    elif not named:
        aside = ["names no metric; read as accuracy", *aside]
    return Target(target, metric.name, "; ".join(aside))


def _check_direction(text: Text, metric: Metric) -> None:
    allowed, wrong = (UPPER, LOWER) if metric.lower else (LOWER, UPPER)
    text.take_all(allowed)
    found = text.take(wrong)
    if found:
        better = "lower" if metric.lower else "higher"
        text.fail(f"bounds {metric.name} from the wrong side: {better} is better", [found.span()])


def _scaled(text: Text, found: re.Match[str], metric: Metric) -> float:
    """A percentage as a fraction: with a sign, or where the number is above one and the metric is a fraction."""
    value = number(found["value"])
    if not metric.fraction:
        if found["percent"]:
            text.fail(f"gives {metric.name} in per cent, and it has a unit of its own", [found.span()])
        return value
    fraction = value / 100 if found["percent"] or value > 1 else value
    if fraction > 1:
        text.fail("is above 100 %", [found.span()])
    if fraction == 0 and not metric.lower:
        text.fail("is no target: anything reaches zero", [found.span()])
    return fraction
