"""A batch on a Ray cluster gives the rows of the local engine, also when a node is lost in the middle."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

import advisor
from advisor.batch.engines import open_engine
from advisor.batch.rows import Settings
from advisor.batch.stream import answer_all
from advisor.batch.tasks import TaskReader
from advisor.cli import main as cli
from advisor.errors import UsageError
from tests.batch.requests import GOOD, without_times

ROWS = 60


def requests(count: int) -> list[Any]:
    made: list[Any] = [{"id": n, "request": {**GOOD, "data": {"size": f"{500 + n} images"}}} for n in range(count)]
    made[count // 2] = {"id": 0, "request": GOOD}
    return made


def test_without_ray_the_way_to_install_it_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "advisor.batch.cluster", raising=False)
    with pytest.raises(UsageError, match=r"install advisor\[ray\]"):
        next(advisor.design_many([GOOD], "none", engine="ray"))
    source = tmp_path / "in"
    source.write_text(json.dumps(GOOD), encoding="utf-8")
    assert cli.main(["batch", str(source), "--engine", "ray", "--verify", "none"]) == 2
    assert "install advisor[ray]" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:.*:FutureWarning")
def test_an_address_where_no_cluster_answers_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="install advisor[ray]", exc_type=ImportError)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(UsageError, match=r"no cluster answers at 127\.0\.0\.1:1"):
        next(advisor.design_many([GOOD], "none", engine="ray"))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Three nodes of one processor each, and this process as the driver on the first."""
    ray = pytest.importorskip("ray", reason="install advisor[ray]", exc_type=ImportError)
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    nodes.others = [nodes.add_node(num_cpus=1) for _ in range(2)]
    nodes.wait_for_nodes()
    ray.init(address=nodes.address, log_to_driver=False, logging_level="ERROR")
    yield nodes
    ray.shutdown()
    nodes.shutdown()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*:FutureWarning", "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
class TestCluster:
    def test_a_check_is_run_once_on_the_whole_cluster(self, cluster: Any) -> None:
        with open_engine(Settings("static"), 1, "ray", use_cache=False) as engine:
            tasks = TaskReader().from_requests([GOOD] * 4)
            rows = [without_times(row) for row in answer_all(tasks, engine)]
            counts = engine.counts()
        with open_engine(Settings("static"), 1, use_cache=False) as local:
            expected = [without_times(row) for row in answer_all(TaskReader().from_requests([GOOD] * 4), local)]
            assert counts == local.counts()
        assert rows == expected
        assert rows[0]["report"]["verification"][0] == {**rows[0]["report"]["verification"][0], "name": "build", "status": "passed"}

    def test_a_check_that_waits_for_a_gpu_goes_on_without_when_the_last_one_leaves(self, cluster: Any) -> None:
        import ray

        from advisor.batch.cluster import _checks_actor, _has_gpus
        from tests.verify.jobs import mlp_job

        node = cluster.add_node(num_cpus=0, num_gpus=1)
        cluster.wait_for_nodes()
        assert _has_gpus()
        held = ray.remote(num_cpus=0, num_gpus=1, max_retries=0)(lambda: time.sleep(600)).remote()
        checks = _checks_actor.remote(use_cache=False)
        answer = checks.check.remote(mlp_job().model_copy(update={"check": "smoke"}).model_dump_json())
        assert ray.wait([answer, held], timeout=3.0)[0] == []
        cluster.remove_node(node, allow_graceful=False)
        assert ray.get(answer, timeout=300)["evidence"]["checks"]
        ray.kill(checks)

    def test_a_lost_node_costs_no_row(self, cluster: Any) -> None:
        expected = [without_times(row) for row in advisor.design_many(requests(ROWS), "none")]
        found = []
        with open_engine(Settings("none"), 1, "ray") as engine:
            assert engine.window < ROWS
            for row in answer_all(TaskReader().from_requests(requests(ROWS)), engine):
                found.append(without_times(row))
                if len(found) == ROWS // 3:
                    cluster.remove_node(cluster.others.pop(), allow_graceful=False)
        assert found == expected
        assert found[ROWS // 2]["error"]["code"] == "duplicate_id"
