"""The ways to answer a batch: in this process, in several beside it, or on a cluster. All give the same rows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from advisor.batch.rows import Row, Settings, answer
from advisor.batch.stream import Done, Engine, answer_all
from advisor.batch.tasks import Task, TaskReader
from advisor.errors import UsageError
from advisor.request import Request
from advisor.verify.budget import parse_budget

if TYPE_CHECKING:
    from advisor.planning.designing import Depth
    from advisor.verify.verifier import CheckCounts, Verifier

EngineName = Literal["local", "ray"]
WORKERS_PER_CHECK = 2  # one waits for its check while another finds out what to check next


class InProcess:
    """One task after another, in the caller's thread."""

    window = 1

    def __init__(self, settings: Settings, verifier: Verifier | None) -> None:
        self._settings, self._verifier = settings, verifier

    def submit(self, task: Task, done: Done) -> None:
        done(answer(task, self._settings, self._verifier))

    def counts(self) -> CheckCounts | None:
        return self._verifier.counts if self._verifier else None


@contextlib.contextmanager
def open_engine(settings: Settings, jobs: int = 1, name: EngineName = "local", *, use_cache: bool = True) -> Iterator[Engine]:
    """The engine for a batch; leaving it ends what it started.

    Raises:
        KnowledgeError: a rule folder is faulty.
        UsageError: the engine cannot be had here, or the number of jobs makes no sense.
    """
    if jobs < 1:
        raise UsageError(f"--jobs {jobs}: at least one is needed")
    from advisor.planning.designing import Depth

    for option, said, known in (("engine", name, get_args(EngineName)), ("verify", settings.depth, get_args(Depth))):
        if said not in known:
            raise UsageError(f"--{option} {said}: is none of {', '.join(known)}")
    if name == "ray":
        from advisor.batch.cluster import open_cluster

        with open_cluster(settings, jobs, use_cache=use_cache) as cluster:
            yield cluster
        return
    with open_verifier(settings.depth, jobs, use_cache=use_cache) as verifier:
        if jobs == 1:
            settings.advice_hash  # noqa: B018 - a faulty pack is the caller's fault, not every row's
            yield InProcess(settings, verifier)
            return
        from advisor.batch.local import Workers

        with Workers(settings, jobs if verifier is None else jobs * WORKERS_PER_CHECK, verifier) as workers:
            settings.advice_hash  # noqa: B018 - read here while the workers read it too
            yield workers


@contextlib.contextmanager
def open_verifier(depth: Depth, jobs: int, *, use_cache: bool) -> Iterator[Verifier | None]:
    """What checks; its sandbox starts with the first check that the cache cannot answer."""
    if depth == "none":
        yield None
        return
    from advisor.cache import EvidenceCache
    from advisor.verify.verifier import Verifier

    with Verifier(jobs, cache=EvidenceCache() if use_cache else None) as verifier:
        yield verifier


def design_many(
    requests: Iterable[Request | Mapping[str, Any]],
    verify: Depth = "static",
    *,
    jobs: int = 1,
    engine: EngineName = "local",
    rules: Iterable[str | Path] = (),
    ordered: bool = True,
    use_cache: bool = True,
    budget: float | str | None = None,
) -> Iterator[Row]:
    """A row for each request: `row.report`, or `row.error` where it cannot be answered. Nothing that a request holds stops the others.

    Args:
        requests: each a `Request`, its wire form, or either beside its id, {"id": …, "request": …}; ids that are given must differ.
            With more than one job they are taken from another thread, a bounded number ahead of the rows.
        verify: `none`, `static` or `smoke`.
        jobs: how many are answered at once.
        engine: `local`, or `ray` for the cluster at RAY_ADDRESS or, without that, one that is started here and ended again.
        rules: folders of further rules.
        ordered: whether rows come in the order of the requests, or as soon as they are there.
        use_cache: whether evidence may come from earlier runs, and is kept for later ones.
        budget: the time for the checks of one request, in seconds or as text ("5 min"); what it does not reach is skipped.

    Raises:
        KnowledgeError: a rule folder is faulty.
        UsageError: the engine cannot be had here, or the depth, the number of jobs or the budget makes no sense.
    """
    from advisor.engine.loading import rule_paths

    settings = Settings(verify, tuple(map(str, rule_paths(rules))), None if budget is None else parse_budget(budget))
    with open_engine(settings, jobs, engine, use_cache=use_cache) as opened:
        yield from answer_all(TaskReader().from_requests(requests), opened, ordered=ordered)
