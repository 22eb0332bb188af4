"""Training and validation scores that an issue states, and what they say: too much fitted, too little, or neither."""

from __future__ import annotations

import re

from advisor.intake.notes import Notes
from advisor.intake.text import lowered, quoted
from advisor.quantity import NUMBER, number

GAP = 0.1  # training above validation by so much, as a fraction, is overfitting; what is closer is not
ACCURACIES = frozenset({"accuracy", "top1"})  # targets that scores without a metric of their own may be held against
_TRAIN, _VAL = r"\btrain\w*\b", r"\b(?:val\w*|test\w*|dev)\b"
_SCORES = (
    re.compile(rf"{_TRAIN}[^\d%]{{0,30}}(?P<train>{NUMBER})\s*(?P<percent>%?)[^\d]{{1,20}}?{_VAL}[^\d%]{{0,30}}(?P<val>{NUMBER})"),
    re.compile(rf"(?P<train>{NUMBER})\s*(?P<percent>%?)[^\d,;]{{0,20}}?{_TRAIN}[^\d]{{0,25}}?(?P<val>{NUMBER})\s*%?[^\d,;]{{0,20}}?{_VAL}"),
)
_NO_FRACTION = re.compile(r"\b(?:loss\w*|perplexity|ppl|rmse|mse|mae|mape)\b")
_ERROR = re.compile(r"\b(?:errors?|error rate|wer|cer)\b")


def note_scores(notes: Notes, path: str, issue: str, *, named: bool) -> bool:
    """What an issue's scores say; false where it states none. With `named`, its words say already what is wrong.

    Far apart is overfitting. Close is underfitting where training falls short of the accuracy that the request wants; without such a
    target nobody can tell whether 60 % is little, and the report says so instead of guessing.
    """
    if (scores := _scores(lowered(issue))) is None:
        return False
    train, val = scores
    if train - val >= GAP:
        notes.state("issue.overfitting", True, quoted(path, issue), path)
    elif not named:
        _note_close(notes, path, issue, train)
    return True


def _note_close(notes: Notes, path: str, issue: str, train: float) -> None:
    target = notes.number("limit.accuracy") if notes.value("limit.accuracy_metric") in ACCURACIES else None
    if target and train < target:
        notes.state("issue.underfitting", True, f"{quoted(path, issue)}: below the accuracy of {target:.0%} that is wanted", path)
        return
    wanted = f"the {target:.0%} that are wanted are reached in training" if target else (
        "whether they are too low, which is underfitting, depends on what is wanted: say it as constraints.accuracyTarget"
    )  # fmt: skip
    notes.notice("read as", f"{quoted(path, issue)}: training is not far above validation, which is no overfitting; {wanted}")


def _scores(issue: str) -> tuple[float, float] | None:
    """Training and validation as fractions, the higher the better; none where it speaks of a loss."""
    found = next((match for pattern in _SCORES if (match := pattern.search(issue))), None)
    if found is None or _NO_FRACTION.search(issue):
        return None
    scores = number(found["train"]), number(found["val"])
    train, val = (score / 100 for score in scores) if found["percent"] or max(scores) > 1 else scores
    if not (0 <= val <= 1 and 0 <= train <= 1):
        return None
    return (1 - train, 1 - val) if _ERROR.search(issue) else (train, val)
