from __future__ import annotations

import pytest

from advisor.errors import RequestError
from advisor.intake.accuracy import Target, read_accuracy
from advisor.intake.words import load_words


def read(said: str) -> Target:
    return read_accuracy("constraints.accuracyTarget", said, load_words().metrics)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("accuracy 150%", "above 100"), ("-5%", "negative"), ("accuracy < 90%", "higher is better"), ("WER > 5%", "lower is better"),
        ("accuracy 0%", "anything reaches"),
        ("precision > 90%, recall > 80%", "more than one metric"), ("90% or 95%", "not understood"),
        ("accuracy of 90-95%", "more than one number"),
        ("F1", "no number"), ("RMSE < 10%", "unit of its own"),
        ("very good", "no number"), ("90% unless rare", "not understood"), ("error > 5%", "lower is better"), ("  ", "empty"),
    ],
)  # fmt: skip
def test_what_is_no_target_is_an_error(said: str, why: str) -> None:
    with pytest.raises(RequestError, match=why):
        read(said)


@pytest.mark.parametrize(
    ("said", "value", "metric"),
    [
        ("top-1 acc >90%", 0.9, "top1"), ("F1 ≥ 0.85", 0.85, "f1"), ("macro F1 > 0.8", 0.8, "macro_f1"), ("mAP@0.5 > 50", 0.5, "map"),
        ("mAP@[.5:.95] 0.45", 0.45, "map"),
        ("mAP50-95 > 40%", 0.4, "map"), ("WER < 10%", 0.1, "wer"), ("95%", 0.95, "accuracy"), ("90", 0.9, "accuracy"),
        ("acc 0.9", 0.9, "accuracy"), ("RMSE < 3.5", 3.5, "rmse"),
        ("perplexity below 20", 20, "perplexity"), ("at least 30 BLEU", 0.3, "bleu"), ("R² > 0.9", 0.9, "r2"),
        ("MAPE under 10", 0.1, "mape"), ("mIoU > 75", 0.75, "miou"),
        ("top-5 accuracy at least 95 % on the test set", 0.95, "top5"), ("AUC 0.9", 0.9, "auc"), ("dice>=0.9", 0.9, "dice"),
        ("90% or better", 0.9, "accuracy"),
        ("< 5% error", 0.95, "accuracy"), ("error rate below 0.02", 0.98, "accuracy"),
        ("none", 0, "none"),
        ("as high as possible", 0, "none"),
    ],
)  # fmt: skip
def test_targets(said: str, value: float, metric: str) -> None:
    target = read(said)
    assert (target.value, target.metric) == (pytest.approx(value), metric)


def test_a_number_without_a_metric_says_what_it_is_read_as() -> None:
    assert "read as accuracy" in read("95%").remark
    assert "no number" in read("state of the art").remark
