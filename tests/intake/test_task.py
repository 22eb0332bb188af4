from __future__ import annotations

import pytest

from advisor.engine.facts import Origin


@pytest.mark.parametrize(
    ("type_", "domain", "said", "kind"),
    [
        ("classification", "CV", None, "image_classification"), ("classification", "CV", "defect classification", "image_classification"),
        ("classification", "CV", "plant disease classification", "image_classification"),
        ("classification", "CV", "few-shot image classification", "image_classification"),
        ("detection", "CV", None, "object_detection"), ("detection", "CV", "custom detection, <=10k iterations", "object_detection"),
        ("segmentation", "CV", None, "semantic_segmentation"), ("segmentation", "CV", "instance segmentation", "instance_segmentation"),
        ("segmentation", "CV", "3D medical segmentation, 24GB GPU, trained from scratch", "volume_segmentation"),
        ("generation", "CV", None, "image_generation"),
        ("classification", "audio", "spoken language identification", "audio_classification"),
        ("sequence-modeling", "NLP", "sentence embeddings from NLI pairs", "text_embedding"),
        ("sequence-modeling", "NLP", "fine-tune embeddings for retrieval in our documents", "text_embedding"),
        ("classification", "NLP", "semantic textual similarity STS-B", "text_regression"),
        ("classification", "multimodal", "contrastive image-text pretraining", "contrastive_pretraining"),
        ("RL", "RL", "LunarLander", "reinforcement_discrete"), ("RL", "RL", "Procgen generalization", "reinforcement_discrete"),
        ("RL", "RL", "robot arm control", "reinforcement_continuous"), ("RL", "RL", "D4RL hopper", "reinforcement_offline"),
        ("sequence-modeling", "NLP", "sequence tagging", "token_classification"),
        ("sequence-modeling", "NLP", "masked language modelling for Icelandic", "masked_language_modeling"),
        ("generation", "NLP", "domain-adaptive pretraining of BERT on clinical notes", "masked_language_modeling"),
        ("sequence-modeling", "NLP", "NER with a pretrained BERT encoder", "token_classification"),
        ("generation", "CV", "text-to-image style adaptation (LoRA)", "image_generation"),
        ("classification", "video", "action recognition", "video_classification"),
        ("classification", "NLP", None, "text_classification"), ("classification", "NLP", "sentiment", "text_classification"),
        ("classification", "NLP", "ticket routing into 5 categories", "text_classification"),
        ("classification", "NLP", "NLI MNLI (large)", "text_pair_classification"),
        ("classification", "NLP", "sentence-pair classification MRPC", "text_pair_classification"),
        ("sequence-modeling", "NLP", "NER", "token_classification"),
        ("sequence-modeling", "NLP", "extractive QA SQuAD1.1", "question_answering"),
        ("generation", "NLP", "abstractive summarisation", "summarization"),
        ("generation", "NLP", "machine translation", "translation"), ("generation", "NLP", None, "text_generation"),
        ("generation", "NLP", "fine-tune LLM", "instruction_tuning"),
        ("generation", "NLP", "language-model pretraining, trained from scratch", "text_generation"),
        ("generation", "NLP", "instruction tuning, QLoRA", "instruction_tuning"),
        ("generation", "NLP", "preference alignment (DPO)", "preference_tuning"), ("embedding", "NLP", "semantic search", "text_embedding"),
        ("sequence-modeling", "audio", "ASR CTC low-resource", "speech_recognition"),
        ("classification", "audio", "environmental sound ESC-50", "audio_classification"),
        ("classification", "audio", "wake word", "keyword_spotting"), ("sequence-modeling", "time-series", None, "forecasting"),
        ("sequence-modeling", "time-series", "sales forecasting", "forecasting"),
        ("classification", "time-series", None, "series_classification"),
        ("detection", "time-series", "anomalies in sensor data", "anomaly_detection"),
        ("generation", "multimodal", "image captioning COCO", "image_captioning"),
        ("generation", "multimodal", "visual question answering", "visual_question_answering"),
        ("classification", "tabular", None, "tabular_classification"),
        ("regression", "tabular", None, "tabular_regression"),
        ("classification", "graph", "node classification Cora (transductive)", "node_classification"),
        ("classification", "graph", "graph classification", "graph_classification"),
        ("RL", "RL", "Atari, discrete, sample efficiency", "reinforcement_discrete"),
        ("RL", "RL", "continuous control MuJoCo", "reinforcement_continuous"), ("RL", "robotics", "offline RL", "reinforcement_offline"),
        ("recommendation", "e-commerce", None, "recommendation"), ("classification", "point cloud", None, "point_cloud"),
        ("regression", "CV", "age estimation", "image_regression"),
        ("NER", "NLP", None, "token_classification"), ("image classification", "computer vision", None, "image_classification"),
        ("classification", "NLP", "fine-tune an LLM for sentiment", "text_classification"),
        ("generation", "multimodal", "COCO", "image_captioning"),
        ("classification", "NLP", "MNLI", "text_pair_classification"),
    ],
)  # fmt: skip
def test_kinds(intake, type_: str, domain: str, said: str | None, kind: str) -> None:
    task = {"type": type_, "domain": domain} | ({"specificTask": said} if said else {})
    assert intake(task=task).facts["task.kind"].value == kind


@pytest.mark.parametrize(
    ("type_", "domain"),
    [("quantum", "CV"), ("classification", "healthcare"), ("RL", "RL"), ("sequence-modeling", "NLP"), ("classification", "graph")],
)
def test_a_kind_that_is_not_plain_stays_unknown(intake, type_: str, domain: str) -> None:
    assert "task.kind" not in intake(task={"type": type_, "domain": domain}).facts


def test_where_a_kind_comes_from_is_told(intake) -> None:
    assert intake().facts["task.kind"].origin is Origin.DERIVED
    said = intake(task={"type": "classification", "domain": "CV", "specificTask": "defect classification"}).facts["task.kind"]
    assert (said.origin, said.detail) == (Origin.STATED, 'task.specificTask: "defect classification"')


def test_a_task_against_its_domain_is_noticed(intake) -> None:
    found = intake(task={"type": "classification", "domain": "NLP", "specificTask": "image classification"})
    assert found.facts["task.kind"].value == "image_classification"
    assert any(notice.kind == "contradiction" and "task.domain says nlp" in notice.text for notice in found.notices)


@pytest.mark.parametrize(
    ("type_", "domain", "words", "kind"),
    [
        ("classification", "audio", "bird species classification", "audio_classification"),
        ("classification", "tabular", "income prediction with a retrieval-based network", "tabular_classification"),
        ("classification", "graph", "movie collaboration graphs (IMDB-BINARY)", "graph_classification"),
        ("RL", "RL", "BipedalWalkerHardcore", "reinforcement_continuous"),
    ],
)
def test_words_of_another_domain_describe_where_type_and_domain_tell_the_task(
    intake, type_: str, domain: str, words: str, kind: str
) -> None:
    assert intake(task={"type": type_, "domain": domain, "specificTask": words}).facts["task.kind"].value == kind


def test_two_tasks_in_one_are_noticed(intake) -> None:
    found = intake(task={"type": "segmentation", "domain": "CV", "specificTask": "semantic segmentation and volumetric segmentation"})
    assert any("volume_segmentation" in notice.text for notice in found.notices)


@pytest.mark.parametrize(
    ("said", "wants"),
    [
        ("XGBoost on house prices", "boosted_trees"), ("gradient boosted trees", "boosted_trees"), ("a random forest", "classical_model"),
        ("linear regression", "classical_model"),
        ("only statistics", "statistics"), ("ARIMA only", "statistics"), ("feature engineering only", "preprocessing"),
        ("MLOps platform setup", "platform"),
        ("churn; beat our XGBoost baseline", "deep_learning"), ("better than random forest", "deep_learning"),
        ("not XGBoost", "deep_learning"), ("churn", "deep_learning"),
    ],
)  # fmt: skip
def test_what_is_wanted_is_told_from_what_is_compared_with(intake, said: str, wants: str) -> None:
    assert intake(task={"type": "regression", "domain": "tabular", "specificTask": said}).facts["task.wants"].value == wants


def test_adaptation_and_scratch_are_read_from_the_task(intake) -> None:
    scratch = intake(task={"type": "classification", "domain": "CV", "specificTask": "image-classification, trained from scratch"}).facts
    assert (scratch["task.scratch"].value, scratch["setup.adaptation"].value) == (True, "scratch")
    qlora = intake(task={"type": "generation", "domain": "NLP", "specificTask": "instruction tuning, QLoRA"}).facts
    assert (qlora["task.scratch"].value, qlora["setup.adaptation"].value) == (False, "qlora")
    assert intake().facts["setup.adaptation"].value == "any"


def test_numbers_in_the_task_are_facts(intake) -> None:
    facts = intake(
        task={"type": "sequence-modeling", "domain": "time-series", "specificTask": "predict next 7 days of sales from the past 30 days"}
    ).facts
    assert (facts["data.horizon"].value, facts["data.context"].value) == (7, 30)


def test_a_known_dataset_gives_benchmark_samples_and_classes(intake) -> None:
    facts = intake(task={"type": "classification", "domain": "CV", "specificTask": "image-classification → CIFAR-10"}).facts
    assert [facts[name].value for name in ("task.benchmark", "data.samples", "data.classes", "data.samples_per_class")] == [
        "cifar-10",
        50_000,
        10,
        5_000,
    ]
    assert facts["data.samples"].origin is Origin.DERIVED


def test_a_dataset_of_another_size_is_noticed_and_the_request_counts(intake) -> None:
    found = intake(
        task={"type": "classification", "domain": "CV", "specificTask": "image classification on ImageNet"}, data={"size": "5k images"}
    )
    assert found.facts["data.samples"].value == 5_000
    assert any("1,281,167" in notice.text for notice in found.notices)


def test_a_size_that_only_names_a_dataset_is_that_datasets(intake) -> None:
    assert intake(data={"size": "CIFAR-10"}).facts["data.samples"].value == 50_000


@pytest.mark.parametrize(
    ("type_", "domain", "said", "size", "kind"),
    [
        ("segmentation", "medical", "liver and tumour in CT scans", "131 CT volumes", "volume_segmentation"),
        ("segmentation", "CV", "separate touching cells one by one", "700 images", "instance_segmentation"),
        ("segmentation", "CV", "outline every building in aerial photos", "700 images", "semantic_segmentation"),
        ("classification", "NLP", "does the second sentence follow from the first", "40k pairs", "text_pair_classification"),
        ("classification", "NLP", "are they about the same event", "40k pairs", "text_pair_classification"),
        ("classification", "NLP", "intents of chatbot utterances", "77 classes, 8 per class", "text_classification"),
        ("sequence-modeling", "NLP", "English to Swahili", "200k sentence pairs", "translation"),
        ("generation", "NLP", "TL;DR of contracts", "2k contracts", "summarization"),
        ("generation", "NLP", "in the tone of our shop", "1,500 dialogues", "instruction_tuning"),
        ("generation", "multimodal", "write alt texts for museum pictures", "12k pictures", "image_captioning"),
        ("generation", "multimodal", "answer questions about receipts", "8k images", "visual_question_answering"),
        ("classification", "audio", "react to 'hey robot' on a microcontroller", "20k utterances", "keyword_spotting"),
        ("classification", "graph", "which field each belongs to", "2,708 nodes, 7 classes", "node_classification"),
        ("classification", "chemistry", "does the molecule pass the blood-brain barrier", "2k molecules", "graph_classification"),
        ("prediction", "graph", "who will befriend whom", "50k nodes", "link_prediction"),
        ("classification", "graph", "toxicity of small molecules, 12 assays", "7,831 molecules", "graph_classification"),
        ("classification", "graph", "protein function, 112 binary labels", "132,534 nodes", "node_classification"),
        ("classification", "graph", "enzyme class from protein structure graphs", "600 graphs", "graph_classification"),
        ("classification", "time-series", "gesture recognition", "3,000 recordings of 200 steps", "series_classification"),
        ("generation", "multimodal", "caption cartoon characters", "833 image-caption pairs", "image_captioning"),
        ("RL", "games", "play Breakout from the screen", "10M frames", "reinforcement_discrete"),
        ("RL", "robotics", "quadruped walks, in Isaac Gym", "100M steps", "reinforcement_continuous"),
        ("RL", "RL", "from hospital logs, no exploration allowed", "200k transitions", "reinforcement_offline"),
        ("scoring", "NLP", "grade school essays", "13k essays", "text_regression"),
        ("estimation", "CV", "joints of athletes", "10k frames", "pose_estimation"),
        ("estimation", "CV", "depth from one camera", "10k frames", "depth_estimation"),
        ("verification", "audio", "is it the same speaker", "1M utterances", "identity_verification"),
        ("segmentation", "audio", "who speaks when in meetings", "100 recordings", "audio_generation"),
        ("detection", "video", "falls of elderly people", "900 clips", "video_classification"),
        ("classification", "biology", "enzyme class from the amino acid sequence", "90k proteins", "biological_sequences"),
        ("categorisation", "pictures", "beach, mountain or city", "3k snapshots", "image_classification"),
    ],
)
def test_a_task_in_the_users_own_words_is_told_by_what_they_hint_at(
    intake, type_: str, domain: str, said: str, size: str, kind: str
) -> None:
    found = intake(task={"type": type_, "domain": domain, "specificTask": said}, data={"size": size})
    assert found.facts["task.kind"].value == kind


def test_a_hint_that_decides_is_quoted(intake) -> None:
    found = intake(task={"type": "segmentation", "domain": "CV", "specificTask": "livers in CT scans"})
    assert any('is read as volume_segmentation, for "CT"' in notice.text for notice in found.notices)


@pytest.mark.parametrize(
    ("type_", "domain", "among"),
    [
        ("RL", "RL", "reinforcement_offline"),
        ("sequence-modeling", "NLP", "translation"),
        ("classification", "graph", "node_classification"),
    ],
)
def test_a_kind_that_is_not_plain_is_asked_for_with_those_it_may_be(intake, type_: str, domain: str, among: str) -> None:
    found = intake(task={"type": type_, "domain": domain})
    assert any(notice.kind == "ambiguous" and among in notice.text for notice in found.notices)


def test_a_domain_that_is_a_field_of_work_is_read_from_the_task(intake) -> None:
    found = intake(task={"type": "classification", "domain": "agriculture", "specificTask": "weeds on photos"})
    assert found.facts["task.kind"].value == "image_classification"
    assert any("is no kind of data; it is read as cv" in notice.text for notice in found.notices)


def test_a_comma_within_a_number_parts_nothing(intake) -> None:
    found = intake(task={"type": "classification", "domain": "CV", "specificTask": "image classification of 12,000 products"})
    assert not any("000 products" in notice.text for notice in found.notices)
