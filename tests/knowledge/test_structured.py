"""Graphs, agents, series and networks for tables: what the report of each example says, and that its design can be trained."""

from __future__ import annotations

from pathlib import Path

import pytest

import advisor
from advisor.reading import read_request
from advisor.report import Report, Status
from advisor.request import Request

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = [
    "node_classification", "graph_classification", "graph_regression", "link_prediction", "atari", "robot", "logged_control",
    "activity", "pump_anomalies", "many_series", "wide_table",
]  # fmt: skip


def report_on(name: str, verify: str = "none") -> Report:
    return advisor.design(read_request(EXAMPLES / f"{name}.yaml"), verify=verify)  # type: ignore[arg-type]


def asked(task: str, domain: str, words: str, **data: str) -> Report:
    request = {
        "task": {"type": task, "domain": domain, "specificTask": words},
        "data": data,
        "constraints": {"computeResources": "RTX 3060 12GB"},
    }
    return advisor.design(Request.model_validate(request), verify="none")


def names(report: Report, field: str) -> set[str]:
    assert report.recipe is not None
    return {technique.name for technique in getattr(report.recipe, field)}


@pytest.mark.parametrize("name", NAMES)
def test_each_example_is_designed_from_scratch_with_a_baseline_to_beat(name: str) -> None:
    report = report_on(name)
    assert report.status is Status.DESIGNED and report.recipe is not None
    assert report.recipe.model.adaptation == "scratch" and not report.recipe.model.pretrained
    assert report.baselines and len(report.candidates) >= 2
    assert report.recipe.precision == "fp32"


def test_few_labels_on_a_small_graph_get_a_narrow_network_on_the_whole_graph() -> None:
    recipe = report_on("node_classification").recipe
    assert recipe is not None and recipe.model.architecture_family == "gnn"
    assert recipe.optimizer.weight_decay == pytest.approx(5e-4) and recipe.epochs == 200
    assert recipe.batch.effective == 2708 and recipe.input.features == 1433 and recipe.input.outputs == 7


def test_attention_over_nodes_takes_half_the_rate_and_more_dropout() -> None:
    request = {
        "task": {"type": "classification", "domain": "graph", "specificTask": "node classification"},
        "data": {"size": "3,000 nodes"},
        "constraints": {"computeResources": "CPU"},
        "existingSetup": {"baseModel": "GAT"},
    }
    report = advisor.design(Request.model_validate(request), verify="none")
    assert report.recipe is not None and report.recipe.model.id == "gat"
    assert report.recipe.optimizer.learning_rate == pytest.approx(0.005)
    assert "attention_dropout" in names(report, "regularization")


def test_a_large_graph_is_sampled() -> None:
    report = asked("classification", "graph", "node classification", size="2M nodes")
    assert report.recipe is not None and report.recipe.model.id == "graphsage" and report.recipe.batch.effective == 1024


def test_molecules_are_split_by_scaffold_and_held_against_fingerprints() -> None:
    report = report_on("graph_classification")
    assert report.recipe is not None and report.recipe.split == "grouped" and report.recipe.metric == "roc_auc"
    assert "ingerprint" in " ".join(baseline.name for baseline in report.baselines)


def test_numbers_of_graphs_are_learnt_by_their_absolute_error_on_a_falling_rate() -> None:
    recipe = report_on("graph_regression").recipe
    assert recipe is not None and recipe.metric == "mae" and [loss.name for loss in recipe.loss] == ["mae"]
    assert recipe.schedule is not None and recipe.schedule.name == "plateau" and recipe.input.outputs in (None, 1)
    assert "dropout" not in {technique.name for technique in recipe.regularization}


def test_energies_of_molecules_are_numbers_of_graphs_whatever_the_type_says() -> None:
    report = asked("classification", "graph", "molecular property regression (energies)", size="110k molecules")
    assert report.recipe is not None and report.recipe.metric == "mae"


def test_cloning_by_name_is_learnt_from_the_log() -> None:
    request = {
        "task": {"type": "RL", "domain": "RL", "specificTask": "imitation of expert demonstrations, behaviour cloning"},
        "data": {"size": "100k transitions"},
        "constraints": {"computeResources": "RTX 3060 12GB"},
        "existingSetup": {"baseModel": "BC"},
    }
    recipe = advisor.design(Request.model_validate(request), verify="none").recipe
    assert recipe is not None and recipe.batch.effective == 100 and [loss.name for loss in recipe.loss] == ["mse"]


def test_links_are_judged_against_hard_negatives() -> None:
    report = report_on("link_prediction")
    assert report.recipe is not None and report.recipe.metric == "mrr" and names(report, "loss") == {"binary_cross_entropy"}


def test_scarce_frames_get_a_replaying_agent_and_parallel_ones_get_ppo() -> None:
    scarce = report_on("atari")
    assert scarce.recipe is not None and scarce.recipe.model.id == "dqn_cnn" and scarce.recipe.batch.effective == 32
    assert {"replay_buffer", "target_update", "eps_greedy"} <= names(scarce, "regularization")
    cheap = asked("RL", "RL", "Atari with 8 parallel envs", size="10M env steps")
    assert cheap.recipe is not None and cheap.recipe.model.id == "ppo_cnn" and cheap.recipe.gradient_clip_norm == 0.5
    assert cheap.recipe.schedule is not None and cheap.recipe.schedule.name == "linear"


def test_an_agent_needs_no_stated_number_of_samples() -> None:
    report = report_on("robot")
    assert report.recipe is not None and report.recipe.model.id == "sac" and "auto_entropy" in names(report, "regularization")
    assert not any(question.critical for question in report.clarifications)


def test_small_environments_get_small_networks() -> None:
    report = asked("RL", "RL", "CartPole with discrete actions")
    assert report.recipe is not None and report.recipe.model.architecture_family == "mlp" and report.recipe.input.image_size is None


def test_logged_control_is_kept_near_the_data_and_compared_with_cloning() -> None:
    report = report_on("logged_control")
    assert report.recipe is not None and report.recipe.steps == 1_000_000 and "behaviour_constraint" in names(report, "regularization")
    assert "cloning" in " ".join(baseline.name for baseline in report.baselines)


def test_series_are_held_against_the_cheap_method_and_split_by_subject() -> None:
    report = report_on("activity")
    assert report.recipe is not None and report.recipe.split == "grouped"
    assert any("MiniRocket" in baseline.name for baseline in report.baselines)


def test_anomalies_meet_statistics_first_and_no_adjusted_score() -> None:
    report = report_on("pump_anomalies")
    assert report.recipe is not None and report.recipe.metric == "average_precision" and report.recipe.split == "time"
    assert any("isolation forest" in baseline.name for baseline in report.baselines)


def test_related_series_get_a_distribution_for_each_step() -> None:
    report = report_on("many_series")
    assert report.recipe is not None and names(report, "loss") == {"student_t_nll"} and report.recipe.model.architecture_family == "rnn"


def test_a_transformer_over_columns_trains_at_its_authors_rate() -> None:
    report = report_on("wide_table")
    assert report.recipe is not None and report.recipe.optimizer.name == "adamw"
    assert report.recipe.optimizer.learning_rate == pytest.approx(1e-4) and report.recipe.optimizer.weight_decay == pytest.approx(1e-5)


@pytest.mark.parametrize(
    ("words", "domain", "instead"),
    [("recommend items to users", "recsys", "RecBole"), ("classify point clouds", "point cloud", "Pointcept")],
)
def test_what_is_not_covered_is_sent_to_the_tools_of_its_field(words: str, domain: str, instead: str) -> None:
    report = asked("classification", domain, words, size="10,000 samples")
    assert report.status is Status.NOT_APPLICABLE
    assert instead in report.model_dump_json()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_each_example_can_be_built_and_learns(name: str) -> None:
    checks = {check.name: check.status for check in report_on(name, "smoke").verification}
    assert checks["build"] == "passed" and checks["smoke_train"] == "passed"
