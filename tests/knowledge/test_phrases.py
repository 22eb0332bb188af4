"""What users write beside the documented tasks: a design of the right kind, or the tools of the field by name."""

from __future__ import annotations

import pytest

from advisor import Report, Status, design


def report_on(type_: str, domain: str, task: str) -> Report:
    return design(
        {
            "task": {"type": type_, "domain": domain, "specificTask": task},
            "data": {"size": "10k samples"},
            "constraints": {"computeResources": "one RTX 3090 24GB"},
        },
        "none",
    )


@pytest.mark.parametrize(
    ("type_", "domain", "task", "tool"),
    [
        ("detection", "CV", "face recognition", "InsightFace"),
        ("generation", "CV", "OCR of scanned invoices", "PaddleOCR"),
        ("recognition", "CV", "handwriting recognition", "TrOCR in transformers"),
        ("detection", "CV", "anomaly detection on industrial images", "anomalib (PatchCore, EfficientAD)"),
        ("detection", "CV", "oriented bounding boxes in aerial images", "MMRotate"),
        ("detection", "CV", "change detection in satellite images", "TorchGeo"),
        ("clustering", "tabular", "customer clustering", "scikit-learn (KMeans, HDBSCAN)"),
        ("clustering", "NLP", "topic modeling of reviews", "BERTopic for topics of texts"),
        ("survival", "tabular", "survival analysis", "scikit-survival"),
        ("causal", "tabular", "causal effect estimation", "DoWhy"),
        ("regression", "time series", "remaining useful life prediction", "tsai"),
        ("segmentation", "video", "video object segmentation", "SAM 2 in transformers"),
        ("translation", "audio", "speech translation", "SeamlessM4T v2 in transformers"),
        ("classification", "multimodal", "meme classification with text and image", "AutoGluon MultiModal"),
        ("regression", "multimodal", "price from photo and table", "AutoGluon MultiModal"),
        ("prediction", "biology", "protein structure prediction", "Boltz-2"),
        ("classification", "biology", "DNA sequence classification", "Nucleotide Transformer"),
        ("generation", "3D", "NeRF 3D reconstruction", "nerfstudio"),
        ("generation", "graph", "molecule generation", "REINVENT 4"),
        ("generation", "tabular", "synthetic tabular data generation", "Synthcity"),
        ("rl", "robotics", "robot arm grasping from demonstrations", "robomimic"),
        ("rl", "game", "multi-agent game", "PettingZoo"),
        ("forecasting", "CV", "weather nowcasting from radar images", "OpenSTL"),
        ("recommendation", "recsys", "movie recommendation", "RecBole"),
        ("detection", "point cloud", "3D object detection from LiDAR", "OpenPCDet"),
        ("detection", "CV", "human pose estimation", "MMPose"),
        ("generation", "CV", "super-resolution of satellite images", "SwinIR"),
        ("generation", "audio", "text to speech", "coqui-ai TTS"),
        ("tracking", "video", "multi-object tracking", "ByteTrack"),
        ("generation", "NLP", "retrieval augmented generation over company documents", "Ragas to measure"),
        ("question answering", "NLP", "chatbot that answers from our manuals (RAG)", "LlamaIndex or Haystack"),
        ("segmentation", "CV", "panoptic segmentation of streets", "instance_segmentation or semantic_segmentation here"),
        ("generation", "CV", "GAN for textures", "R3GAN"),
        ("generation", "CV", "train StyleGAN2 on faces", "StyleGAN2-ADA, StyleGAN3"),
        ("generation", "CV", "unpaired image-to-image translation, horses to zebras", "img2img-turbo"),
        ("detection", "CV", "open-vocabulary detection", "Grounding DINO or OWLv2 in transformers"),
        ("segmentation", "video", "instance segmentation of fish in underwater video", "SAM 2 in transformers"),
        ("rl", "robotics", "behaviour cloning from expert demonstrations", "robomimic"),
        ("classification", "NLP", "topics of mails by prompting an LLM", "DSPy or promptfoo to compare prompts"),
    ],
)
def test_what_is_not_designed_is_pointed_to_the_tools_of_the_field(type_: str, domain: str, task: str, tool: str) -> None:
    report = report_on(type_, domain, task)
    assert report.status is Status.NOT_APPLICABLE, report.headline
    assert tool in {baseline.name for baseline in report.baselines}


@pytest.mark.parametrize(
    ("type_", "domain", "task", "metric"),
    [
        ("embedding", "NLP", "retriever for our RAG pipeline, fine-tuned", "ndcg@10"),
        ("generation", "NLP", "text to SQL", "win_rate"),
        ("generation", "multimodal", "document understanding with layout", "vqa_accuracy"),
        ("segmentation", "NLP", "sentence segmentation", "entity_f1"),
        ("classification", "NLP", "relation extraction", "macro_f1"),
        ("retrieval", "CV", "image retrieval", "recall@1"),
        ("classification", "graph", "drug-drug interaction prediction", "mrr"),
        ("embedding", "CV", "self-supervised pretraining on satellite images", "linear_probe_accuracy"),
        ("embedding", "CV", "SimCLR on unlabelled photos", "linear_probe_accuracy"),
        ("classification", "CV", "zero-shot image classification", "recall@1"),
        ("regression", "tabular", "house price prediction", "rmse"),
        ("ranking", "recsys", "learning to rank search results", "ndcg@10"),
    ],
)
def test_what_another_task_serves_is_designed_as_that(type_: str, domain: str, task: str, metric: str) -> None:
    report = report_on(type_, domain, task)
    assert report.status is Status.DESIGNED and report.recipe, report.headline
    assert report.recipe.metric == metric


def test_rows_are_not_segmented_on_a_guess() -> None:
    report = report_on("segmentation", "tabular", "segmentation of table rows")
    assert report.status is Status.NEEDS_INPUT
    assert any("no task that is known is both" in warning.text for warning in report.warnings)


def test_zero_shot_classes_of_images_train_nothing() -> None:
    report = report_on("classification", "CV", "zero-shot image classification")
    assert report.recipe and report.recipe.model.adaptation == "zero_shot" and report.recipe.optimizer.name == "none"


@pytest.mark.parametrize(
    ("type_", "domain", "task", "tool"),
    [
        ("classification", "NLP", "sentiment", "zero-shot classification with DeBERTa NLI"),
        ("detection", "CV", "object detection", "Grounding DINO with SAM 2"),
        ("classification", "tabular", "churn", "a rule by an expert, and a log of what happens"),
    ],
)
def test_without_a_sample_nothing_is_trained(type_: str, domain: str, task: str, tool: str) -> None:
    request = {"task": {"type": type_, "domain": domain, "specificTask": task}, "data": {"size": "0 samples"}}
    report = design({**request, "constraints": {"computeResources": "CPU"}}, "none")
    assert report.status is Status.NOT_APPLICABLE and tool in {baseline.name for baseline in report.baselines}


@pytest.mark.parametrize(
    ("type_", "domain", "task", "topic", "says"),
    [
        ("classification", "CV", "image classification across 12 hospitals, federated", "federated", "FedProx"),
        ("classification", "NLP", "text classification, 500 labels by active learning", "active learning", "200 random samples"),
        ("generation", "CV", "DreamBooth of my dog", "subject", "prior preservation"),
    ],
)
def test_what_a_request_asks_for_beside_the_task_is_answered(type_: str, domain: str, task: str, topic: str, says: str) -> None:
    asked, plain = report_on(type_, domain, task), report_on(type_, domain, "")
    assert any(practice.topic == topic and says in practice.text for practice in asked.practices)
    assert not any(practice.topic == topic and says in practice.text for practice in plain.practices)


def test_rare_sounds_are_not_judged_by_accuracy() -> None:
    task = {"type": "classification", "domain": "audio", "specificTask": "broken bearings"}
    data = {"size": "4,000 recordings", "distribution": "95/5"}
    report = design({"task": task, "data": data, "constraints": {"computeResources": "RTX 3060"}}, "none")
    assert report.recipe and report.recipe.metric == "macro_f1"
