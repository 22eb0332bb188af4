"""Reports of every status, as the rest of the package makes them, and one in which every free text attacks its reader."""

from __future__ import annotations

from typing import Any

from advisor.report import Report
from advisor.request import Request

PROVENANCE = {
    "advisor": "0.1.0",
    "rules": "sha256:3f1c9a70",
    "catalogue": "2026-11-21",
    "versions": {"torch": "2.15.0", "timm": "1.0.31"},
    "device": "CPU, 2 cores",
    "seed": 0,
    "seconds": {"rules": 0.0041, "static checks": 0.62, "smoke-train": 21.4},
}

ATTACK = (
    "# Owned memory\n\n<script>alert(1)</script><img src=x onerror=alert(1)> [click](javascript:alert(1)) ![x](https://evil.example/x.png) "
    "| a | b |\n|---|---|\n> quote\n```sh\nrm -rf /\n``` `tick` {{ 7*7 }} {% for x in y %} "
    "&lt;b&gt; &#x41; *bold* __strong__ ~~gone~~ $x^2$ "
    "https://evil.example/a www.evil.example <https://evil.example> <a@evil.example> \x1b[31mred\x07 \u202egnp.exe\u2066 \u200bzero "
    "\n---\n===\n- [ ] item\n1. one\n\n    code\n<!-- comment -->\n[More Information Needed]"
)

# What is not free text: the wire types allow only their own words here, or numbers alone.
_ENUMERATED = {
    "sampler",
    "pruner",
    "direction",
    "resource",
    "topic",
    "schemaVersion",
    "slot",
    "status",
    "basis",
    "library",
    "architectureFamily",
    "adaptation",
    "precision",
    "kind",
    "basePrecision",
    "target",
    "quantization",
    "verdict",
    "unit",
    "origin",
    "path",
}


def designed() -> tuple[Report, Request]:
    """5,000 flowers, 10 classes, one 12 GB card, under 50 ms and 150 MB: repaired to fit, with one check skipped."""
    request = {
        "task": {"type": "classification", "domain": "CV", "specificTask": "image classification of flowers"},
        "data": {"size": "5,000 labelled images", "distribution": "10 classes, balanced", "labelAvailability": "fully-supervised"},
        "constraints": {
            "computeResources": "RTX 3060 12GB",
            "latencyRequirement": "inference <50ms",
            "modelSizeLimit": "<150MB",
            "accuracyTarget": "top-1 acc >90%",
        },
        "challenges": ["domain-shift"],
        "facts": {"license.commercial": True},
    }
    report = {
        "status": "designed",
        "headline": "Fine-tune ConvNeXt-Tiny: it fits the RTX 3060 at batch 32 and should answer in 8–16 ms.",
        "modelDesign": {
            "architecture": "ConvNeXt-Tiny, a convolutional network",
            "rationale": "With 500 images a class the locality that convolutions assume pays, and ImageNet features transfer to flowers.",
            "pretrainedModel": {
                "name": "ConvNeXt-Tiny",
                "source": "Hugging Face: timm/convnext_tiny.fb_in22k",
                "adaptation": "full fine-tuning",
            },
            "tradeoff": "Training from scratch would need some 100 times the data; a linear probe is cheaper and the baseline to beat.",
            "codeFramework": "import timm\n\n\nmodel = timm.create_model('convnext_tiny.fb_in22k', pretrained=True, num_classes=10)\n",
        },
        "trainingStrategy": {
            "dataProcessing": {
                "normalization": "ImageNet mean and deviation, as in pretraining",
                "augmentation": ["RandAugment", "random erasing"],
                "samplingStrategy": "uniform: the classes are balanced",
                "batchSize": "64, as 32 with 2 accumulation steps",
            },
            "optimizer": {"type": "AdamW", "learningRate": "5e-5", "scheduler": "cosine", "weightDecay": "0.05"},
            "trainingTechniques": {"gradientClipping": "1.0", "mixedPrecision": True, "gradientAccumulation": 2, "ema": True},
            "regularization": ["label smoothing 0.1", "stochastic depth 0.1"],
        },
        "debuggingGuidance": {
            "visualization": ["training and validation loss on one axis", "a confusion matrix each epoch"],
            "checkpoints": ["loss at step 0 is near ln(10) = 2.30", "gradient norm stays below 10"],
            "commonIssues": [
                {
                    "issue": "Validation loss rises while training loss falls",
                    "diagnosis": "Overfitting: compare the two curves.",
                    "solution": ["Stop at the best validation epoch", "Strengthen the augmentation", "Train the head alone"],
                }
            ],
        },
        "engineeringPractice": {
            "modelCompression": {"quantization": "No quantization is needed to meet the stated limits."},
            "inferenceOptimization": {"format": ["ONNX", "TensorRT"], "batching": "one image at a time: the limit is on latency"},
        },
        "expectedPerformance": {
            "accuracy": "95–98 % top-1, as published for fine-tuning on Oxford Flowers",
            "trainingTime": "25–50 min for 30 epochs on an RTX 3060",
            "inferenceLatency": "8–16 ms at batch 1",
        },
        "recipe": {
            "model": {
                "id": "convnext_tiny.fb_in22k",
                "library": "timm",
                "architectureFamily": "cnn",
                "pretrained": True,
                "adaptation": "full",
                "license": "apache-2.0",
            },
            "input": {"kind": "image", "imageSize": 224, "channels": 3, "outputs": 10},
            "loss": [{"name": "cross_entropy", "detail": "label smoothing 0.1"}],
            "metric": "accuracy",
            "split": "stratified",
            "optimizer": {
                "name": "adamw",
                "learningRate": 5e-05,
                "weightDecay": 0.05,
                "betas": [0.9, 0.999],
                "parameterGroups": [{"name": "head", "learningRateScale": 10.0}, {"name": "norm_and_bias", "weightDecay": 0.0}],
            },
            "schedule": {"name": "cosine", "warmupEpochs": 3},
            "batch": {"perDevice": 32, "accumulation": 2, "devices": 1, "effective": 64},
            "epochs": 30,
            "precision": "bf16",
            "gradientClipNorm": 1.0,
            "ema": 0.9998,
            "regularization": [{"name": "stochastic_depth", "value": 0.1}],
            "augmentation": [{"name": "randaugment", "value": 9, "detail": "2 operations"}],
            "export": ["ONNX"],
        },
        "candidates": [
            {
                "model": {"id": "convnext_tiny.fb_in22k", "library": "timm", "architectureFamily": "cnn", "license": "apache-2.0"},
                "verdict": "chosen",
                "reason": "the most accurate within every limit",
                "figures": {
                    "parameters": {"value": 27828010, "unit": "parameters", "basis": "computed"},
                    "training_memory": {"value": 5593104384, "unit": "bytes", "low": 5347316940, "high": 6012954214, "basis": "estimated"},
                },
                "repairs": [
                    {
                        "slot": "batch",
                        "before": 64,
                        "after": 32,
                        "reason": "halved the batch and accumulated two steps",
                        "figure": "training_memory",
                        "valueBefore": 13314398617,
                        "valueAfter": 5593104384,
                        "limit": 12884901888,
                        "unit": "bytes",
                        "ruleId": "REP001",
                        "qualityPoints": 0,
                        "timeFactor": 1.03,
                        "effects": [
                            {
                                "figure": "training_memory",
                                "before": 13314398617,
                                "after": 5593104384,
                                "limit": 12884901888,
                                "unit": "bytes",
                                "status": "repaired",
                            }
                        ],
                    }
                ],
            },
            {
                "model": {
                    "id": "vit_base_patch16_224.augreg_in21k",
                    "library": "timm",
                    "architectureFamily": "transformer",
                    "license": "apache-2.0",
                },
                "verdict": "rejected",
                "reason": "its file of 343 MB exceeds the limit of 150 MB",
                "figures": {"model_size": {"value": 343270000, "unit": "bytes", "basis": "computed"}},
            },
            {
                "model": {"id": "resnet50.a1_in1k", "library": "timm", "architectureFamily": "cnn", "license": "apache-2.0"},
                "verdict": "runner-up",
                "reason": "lighter, but about 2 points less accurate on ImageNet",
            },
        ],
        "baselines": [
            {
                "name": "Linear probe on the frozen ConvNeXt-Tiny",
                "why": "trains in minutes and shows what fine-tuning adds",
                "sources": [{"ref": "arXiv:1805.08974", "claim": "ImageNet features transfer across 12 datasets"}],
            }
        ],
        "clarifications": [
            {
                "fact": "data.image_size",
                "question": "How large are the images (shorter side in pixels)?",
                "why": "Details smaller than a few pixels at 224 px are lost.",
                "decisions": ["input"],
                "examples": ["224", "1024"],
            }
        ],
        "verification": [
            {"name": "parameters", "status": "passed", "value": 27828010, "unit": "parameters", "method": "counted on the meta device"},
            {
                "name": "flops",
                "status": "passed",
                "value": 8.91e9,
                "unit": "FLOPs",
                "method": "FlopCounterMode, one image, forward",
                "detail": "fvcore agrees within 0.4 %",
            },
            {
                "name": "training_memory",
                "status": "repaired",
                "value": 5593104384,
                "limit": 12884901888,
                "unit": "bytes",
                "method": "allocations of two steps replayed",
                "device": "RTX 3060 12GB",
                "detail": "at batch 64 it needed 12.4 GiB",
                "figures": {
                    "total": {"value": 5593104384, "unit": "bytes", "low": 5347316940, "high": 6012954214, "basis": "estimated"},
                    "weights": {"value": 111312040, "unit": "bytes", "basis": "computed"},
                    "gradients": {"value": 111312040, "unit": "bytes", "basis": "computed"},
                    "optimizer": {"value": 222624080, "unit": "bytes", "basis": "computed"},
                    "activations": {"value": 4294967296, "unit": "bytes", "basis": "estimated"},
                    "context": {
                        "value": 314572800,
                        "unit": "bytes",
                        "low": 262144000,
                        "high": 419430400,
                        "basis": "measured",
                        "source": "https://docs.nvidia.com/cuda/",
                    },
                },
            },
            {"name": "model_size", "status": "passed", "value": 111400000, "limit": 150000000, "unit": "bytes", "method": "fp32 file"},
            {
                "name": "latency",
                "status": "passed",
                "value": 12,
                "limit": 50,
                "unit": "ms",
                "method": "roofline",
                "device": "RTX 3060 12GB",
                "figures": {"latency": {"value": 12, "unit": "ms", "low": 8, "high": 16, "basis": "estimated"}},
            },
            {
                "name": "smoke_train",
                "status": "passed",
                "method": "8 images overfitted for 40 steps, random weights",
                "device": "CPU, 2 cores",
                "detail": "loss 2.31 → 0.04; every trainable parameter moved",
                "figures": {"step_time": {"value": 0.41, "unit": "s", "basis": "measured"}},
            },
            {"name": "smoke.overfits", "status": "passed", "detail": "loss 2.31 → 0.04", "device": "CPU, 2 cores"},
            {"name": "accuracy", "status": "skipped", "detail": "needs a pilot run: the target is on your own data"},
        ],
        "decisions": [
            {
                "slot": "adaptation",
                "value": {"name": "full"},
                "ruleId": "ADA004",
                "title": "Fine-tune everything from 100 samples a class",
                "why": "From about 100 samples a class full fine-tuning beats a frozen backbone.",
                "confidence": "high",
                "facts": [
                    {"fact": "data.samples_per_class", "value": 500.0, "origin": "derived"},
                    {"fact": "data.labels", "value": "full", "origin": "stated"},
                ],
                "sources": [{"ref": "arXiv:1805.08974", "claim": "fine-tuning wins on 12 datasets", "checked": "2026-11-21"}],
                "overrode": ["ADA001"],
            },
            {
                "slot": "optimizer",
                "value": {"name": "adamw", "learning_rate": 5e-05, "weight_decay": 0.05},
                "ruleId": "OPT007",
                "title": "AdamW for ConvNeXt",
                "why": "The authors fine-tune with AdamW at 5e-5.",
                "confidence": "high",
                "path": "recipe.optimizer",
                "facts": [{"fact": "model.line", "value": "convnext", "origin": "candidate"}],
                "sources": [{"ref": "arXiv:2201.03545"}],
            },
            {
                "slot": "expectation",
                "value": {"text": "95–98 % top-1", "low": 0.95, "high": 0.98},
                "ruleId": "EXP003",
                "title": "Flowers",
                "why": "Published for the same model on a like task.",
                "basis": "published",
                "confidence": "low",
                "path": "expectedPerformance.accuracy",
                "sources": [{"ref": "https://github.com/huggingface/pytorch-image-models"}],
            },
        ],
        "sensitivity": [
            {
                "fact": "data.samples",
                "value": 5000,
                "threshold": 1000,
                "slot": "adaptation",
                "before": "full",
                "after": "linear_probe",
                "ruleId": "ADA001",
            }
        ],
        "assumptions": [{"fact": "data.noise", "value": "clean", "why": "Nothing was said about label noise."}],
        "warnings": [
            {"kind": "bias", "text": "Web photographs over-represent some regions; measure accuracy by region and light."},
            {"kind": "text", "text": "“domain-shift” was understood; say from where to where and the validation split can follow it."},
            {"kind": "misuse", "text": "Do not use it to decide what is safe to eat."},
        ],
        "workflow": [
            {"step": 1, "name": "Understand the task", "status": "done", "evidence": "14 facts, 1 assumed"},
            {"step": 2, "name": "Assess the data", "status": "partly", "evidence": "described, not seen"},
            {
                "step": 3,
                "name": "Train",
                "status": "pending",
                "evidence": "smoke-train only",
                "feedback": [{"seen": "the loss swings", "then": "look at the batch", "backTo": 2, "ruleId": "FBK010"}],
            },
        ],
        "searchSpace": {
            "parameters": [
                {
                    "name": "learning_rate",
                    "path": "optimizer.learningRate",
                    "kind": "float",
                    "low": 2e-5,
                    "high": 2e-4,
                    "log": True,
                    "start": 7e-5,
                    "ruleId": "TUN002",
                },
                {"name": "epochs", "path": "epochs", "kind": "categorical", "choices": [10, 30], "start": 30, "ruleId": "TUN013"},
            ],
            "sampler": "tpe",
            "pruner": "hyperband",
            "trials": 30,
            "metric": "macro_f1",
            "direction": "maximize",
            "resource": "epochs",
            "minResource": 6,
            "maxResource": 30,
            "totalTime": {"value": 5.1, "low": 2.0, "high": 20.0, "unit": "h", "basis": "estimated"},
            "text": "Train the best three again with three seeds.",
            "ruleId": "SRC001",
        },
        "practices": [
            {
                "topic": "monitoring",
                "text": "Log brightness and the mix of classes.",
                "ruleId": "PRA130",
                "sources": [{"ref": "arXiv:1810.11953", "claim": "two-sample tests detect shift"}],
            }
        ],
        "departures": [{"text": "bf16 needs no scaler.", "why": "It has the range of fp32.", "ruleId": "DEP001", "sources": []}],
        "facts": [
            {"fact": "task.kind", "value": "image_classification", "origin": "derived"},
            {"fact": "data.samples", "value": 5000, "origin": "stated"},
        ],
        "provenance": PROVENANCE,
    }
    return Report.model_validate(report), Request.model_validate(request)


def needs_input() -> tuple[Report, Request]:
    """A loss that turned into NaN: help with that at once, and the two questions without which there is no design."""
    request = {
        "task": {"type": "classification", "domain": "NLP"},
        "existingSetup": {"framework": "PyTorch", "trainingIssues": ["loss becomes NaN"]},
    }
    report = {
        "status": "needs_input",
        "headline": "Two answers are missing before a model can be chosen.",
        "debuggingGuidance": {
            "visualization": ["loss and gradient norm each step"],
            "checkpoints": ["the last finite batch"],
            "commonIssues": [
                {
                    "issue": "The loss becomes NaN",
                    "diagnosis": "Find the first step at which it happens and whether the inputs are finite.",
                    "solution": [
                        "Check the inputs for NaN and infinity",
                        "Train in bf16 or fp32 in place of fp16",
                        "Clip the gradient norm at 1.0",
                        "Lower the learning rate tenfold",
                    ],
                }
            ],
        },
        "clarifications": [
            {
                "fact": "data.samples",
                "question": "How many training samples are there (images, texts, rows, time steps)?",
                "why": "Below a few hundred a frozen model wins; above some thousands fine-tuning does.",
                "decisions": ["adaptation", "capacity"],
                "examples": ["5000", "20000"],
                "critical": True,
            },
            {
                "fact": "compute.kind",
                "question": "What will it be trained and run on?",
                "why": "Memory bounds the model.",
                "decisions": ["capacity"],
                "examples": ["gpu", "cpu"],
                "critical": True,
            },
            {
                "fact": "data.tokens",
                "question": "How long is a typical text in tokens?",
                "why": "Memory grows with length.",
                "decisions": ["input"],
                "examples": ["128"],
            },
        ],
        "assumptions": [{"fact": "data.labels", "value": "full", "why": "Nothing was said about labels."}],
        "provenance": PROVENANCE,
    }
    return Report.model_validate(report), Request.model_validate(request)


def not_applicable() -> tuple[Report, Request]:
    """A thousand rows and a decision tree asked for."""
    request = {
        "task": {"type": "tabular classification", "domain": "tabular", "specificTask": "churn with a decision tree"},
        "data": {"size": "1,000 rows"},
    }
    report = {
        "status": "not_applicable",
        "headline": "1,000 rows of a table want gradient-boosted trees, not a neural network.",
        "baselines": [
            {
                "name": "Gradient-boosted trees",
                "why": "scikit-learn's HistGradientBoostingClassifier with its defaults and early stopping",
                "sources": [{"ref": "arXiv:2207.08815", "claim": "trees beat deep networks on medium-sized tables"}],
            },
            {"name": "Logistic regression", "why": "tells how much there is to gain"},
        ],
        "provenance": PROVENANCE,
    }
    return Report.model_validate(report), Request.model_validate(request)


def infeasible() -> tuple[Report, Request]:
    """Real-time detection in 2 MB on a microcontroller's budget."""
    request = {
        "task": {"type": "detection", "domain": "CV"},
        "data": {"size": "20k images"},
        "constraints": {"computeResources": "CPU", "latencyRequirement": "inference <2ms", "modelSizeLimit": "<2MB"},
    }
    report = {
        "status": "infeasible",
        "headline": "No detector in the catalogue answers within 2 ms on a CPU from a file of 2 MB.",
        "verification": [
            {
                "name": "latency",
                "status": "failed",
                "value": 38,
                "limit": 2,
                "unit": "ms",
                "method": "roofline",
                "figures": {"latency": {"value": 38, "unit": "ms", "low": 25, "high": 60, "basis": "estimated"}},
            },
            {"name": "model_size", "status": "failed", "value": 13.4, "limit": 2, "unit": "MB", "method": "fp32 file"},
        ],
        "candidates": [
            {
                "model": {
                    "id": "hustvl/yolos-tiny",
                    "library": "transformers",
                    "architectureFamily": "transformer",
                    "license": "apache-2.0",
                },
                "verdict": "rejected",
                "reason": "6.5 M parameters are 26 MB in fp32 and 6.5 MB in int8",
            }
        ],
        "relaxations": [
            {
                "changes": [
                    {"fact": "limit.latency_ms", "limit": 2, "needed": 60, "unit": "ms"},
                    {"fact": "limit.model_mb", "limit": 2, "needed": 13.4, "unit": "MB"},
                ],
                "candidate": "ssdlite320",
                "verified": True,
                "text": "Allow 60 ms and 13.4 MB on the same CPU.",
            },
            {
                "changes": [{"fact": "compute.kind", "limit": "cpu", "needed": "gpu"}],
                "verified": False,
                "text": "Use a GPU and allow 13.4 MB.",
            },
        ],
        "provenance": PROVENANCE,
    }
    return Report.model_validate(report), Request.model_validate(request)


def hostile() -> tuple[Report, Request]:
    """The design with an attack in the place of every free text, in the request as well."""
    report, request = designed()
    return Report.model_validate(_attack(report.to_wire())), Request.model_validate(_attack(request.to_wire()))


def _attack(value: Any, key: str = "") -> Any:
    match value:
        case dict():
            return {name: _attack(item, name) for name, item in value.items()}
        case list():
            return [_attack(item, key) for item in value]
        case str() if key not in _ENUMERATED:
            return "adamw" if value == "adamw" else "cosine" if value == "cosine" and key == "name" else ATTACK
        case _:
            return value


EVERY = {"designed": designed, "needs_input": needs_input, "not_applicable": not_applicable, "infeasible": infeasible, "hostile": hostile}
