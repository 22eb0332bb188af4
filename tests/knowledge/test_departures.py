"""Where common advice is wrong or dated, the report says what it does instead: each such advice, met by a request that would follow it."""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest

from advisor import Report, design

IMAGES: dict[str, Any] = {"task": {"type": "classification", "domain": "CV", "specificTask": "defect classification"}}
TEXTS: dict[str, Any] = {"task": {"type": "classification", "domain": "NLP", "specificTask": "sentiment classification"}}
CHAT: dict[str, Any] = {"task": {"type": "generation", "domain": "NLP", "specificTask": "instruction tuning"}}
SALES: dict[str, Any] = {"task": {"type": "sequence", "domain": "time series", "specificTask": "daily sales forecasting"}}
ROWS: dict[str, Any] = {"task": {"type": "classification", "domain": "tabular", "specificTask": "churn"}}
NEW, OLD = "one RTX 3090 24GB", "one V100 16GB"


def ask(task: dict[str, Any], size: str, compute: str = NEW, **more: dict[str, Any]) -> str:
    request = {
        **task,
        "data": {"size": size, **more.pop("data", {})},
        "constraints": {"computeResources": compute, **more.pop("limits", {})},
    }
    return json.dumps({**request, **more})


@functools.cache
def report_on(request: str) -> Report:
    return design(json.loads(request), "none")


def told(report: Report) -> str:
    """What is said of departures, with the help for stated issues, where advice for the issue itself is meant."""
    said = [departure.text for departure in report.departures] + [notice.text for notice in report.warnings]
    if report.debugging_guidance:
        said += [" ".join((issue.issue, issue.diagnosis or "", *issue.solution)) for issue in report.debugging_guidance.common_issues]
    return " ".join(" ".join(said).split())


FROZEN = {"task": {**IMAGES["task"], "specificTask": "defect classification, frozen backbone"}}
# The advice, as tutorials and the like have it; a request that it would be given to; what must be said instead.
ADVICE: list[tuple[str, str, tuple[str, ...]]] = [
    ("requires_grad on a module", ask(FROZEN, "5,000 images, 10 classes", existingSetup={"baseModel": "resnet50"}),
     ("requires_grad_(True)", "0 parameters")),
    ("a frozen backbone left in train mode", ask(FROZEN, "5,000 images, 10 classes", existingSetup={"baseModel": "resnet50"}),
     ("BatchNorm statistics", "eval mode")),
    ("two parameter groups by hand", ask(IMAGES, "5,000 images, 10 classes"), ("0.13 %", "param_groups_layer_decay")),
    ("torch.cuda.amp", ask(IMAGES, "5,000 images, 10 classes", OLD), ('torch.amp.GradScaler("cuda")', "deprecated")),
    ("bf16 with a scaler, twice the speed for free", ask(IMAGES, "5,000 images, 10 classes"),
     ("needs no GradScaler", "activations halve")),
    ("QLoRA in float16", ask(CHAT, "20k instructions"), ("80 % of 7B runs finish",)),
    ("int8 is four times faster", ask(TEXTS, "20k texts, 3 classes", limits={"modelSizeLimit": "< 60 MB"}),
     ("Four times is the size", "torchao")),
    ("int8 costs under one per cent", ask(IMAGES, "20k images, 10 classes", "Raspberry Pi 5", existingSetup={"baseModel": "mobilenetv3"}),
     ("quantization in the loop",)),
    ("SGD for vision", ask(IMAGES, "50k images, 10 classes"), ("ConvNeXt", "out of date")),
    ("AdamW at 1e-3 without warm-up to fine-tune", ask(TEXTS, "20k texts, 3 classes"),
     ("AdamW 1e-3 to everything", "ten to fifty times too high")),
    ("from scratch beyond 100,000", ask(IMAGES, "300k images, 10 classes"), ("Beyond 100,000",)),
    ("deep learning from 10,000 on", ask(TEXTS, "800 texts, 4 classes"), ("more than 10,000",)),
    ("classical models below 10,000 rows", ask(ROWS, "5,000 rows, 20 columns"), ("no longer the domain of trees alone",)),
    ("an LSTM on one short series", ask(SALES, "2 years of daily sales"), ("naive", "ETS")),
    ("scaling before the split, MAPE on zeros", ask(SALES, "2 years of daily sales"),
     ("fitted on the training span only", "MAPE is left out")),
    ("padding to 512", ask(TEXTS, "20k texts, 3 classes"), ("pad to the longest of the batch",)),
    ("underfitting is below random", ask(IMAGES, "5,000 images, 10 classes", existingSetup={"trainingIssues": ["worse than random"]}),
     ("Worse than chance is not underfitting",)),
    ("a tenth of the rate against NaN", ask(CHAT, "20k instructions", existingSetup={"trainingIssues": ["loss turned into NaN"]}),
     ("Only then lower the learning rate", "divides it by 10 first")),
    ("accumulation trains better", ask(CHAT, "20k instructions"), ("no throughput, no accuracy",)),
    ("TorchServe", ask(IMAGES, "5,000 images, 10 classes"), ("7 August 2025",)),
    ("TorchServe for decoders", ask(CHAT, "20k instructions"), ("7 August 2025", "vLLM")),
    ("ResNet-50 and EfficientNet-B0 first", ask(IMAGES, "5,000 images, 10 classes"), ("ResNet-50 and EfficientNet-B0", "82.9 %")),
]  # fmt: skip


@pytest.mark.parametrize(("advice", "request_", "instead"), ADVICE, ids=[row[0] for row in ADVICE])
def test_common_advice_is_met_with_what_holds(advice: str, request_: str, instead: tuple[str, ...]) -> None:
    report = report_on(request_)
    said = told(report)
    assert not [words for words in instead if words not in said], (report.headline, said[:3000])


def test_against_nan_the_rate_is_lowered_last() -> None:
    said = told(report_on(next(request for advice, request, _ in ADVICE if "NaN" in advice)))
    order = [said.index(step) for step in ("Lengthen the warm-up", "Clip the norm", "Only then lower the learning rate")]
    assert order == sorted(order)


def test_departures_are_those_of_the_request() -> None:
    """None is said of everything: what is told to images is not told to sales, nor the other way round."""
    images, sales = (
        told(report_on(request)) for request in (ask(IMAGES, "5,000 images, 10 classes"), ask(SALES, "2 years of daily sales"))
    )
    for words in ("0.13 %", "ResNet-50 and EfficientNet-B0"):
        assert words in images and words not in sales
    assert "MAPE" in sales and "MAPE" not in images


def test_every_departure_has_its_reason() -> None:
    for _, request_, _ in ADVICE:
        for departure in report_on(request_).departures:
            assert departure.why and departure.rule_id, departure.text
