"""Data-parallel steps over gloo, sound and broken, one JSON line each. Run by test_distributed: nothing may be computed before a fork."""

from __future__ import annotations

import math
import time

from torch import nn

from advisor.verify import distributed
from advisor.verify.confine import isolate_network
from advisor.verify.evidence import SmokeCheck
from advisor.verify.overfit import Subject
from advisor.verify.reduce import Limits
from tests.verify.jobs import mlp_job

TWO = ["cpu", "cpu"]
AMPLE = Limits(2.0**40, math.inf)


def run(seconds: float = 60.0) -> SmokeCheck:
    job = mlp_job(batch={"per_device": 8, "devices": 2, "effective": 16})
    return distributed.train_together(job, TWO, AMPLE, time.monotonic() + seconds)


def main() -> None:
    isolate_network()  # as a check's process does
    print(run().model_dump_json(), flush=True)
    share, prepare = distributed.share, None
    distributed.share = lambda module, device: module  # what a script does that forgets to wrap its model
    print(run().model_dump_json(), flush=True)
    distributed.share = share
    from advisor.verify import smoke

    prepare = smoke.prepare

    def with_an_unused_layer(*arguments: object) -> Subject:
        subject = prepare(*arguments)  # type: ignore[arg-type]
        subject.model.unused = nn.Linear(2, 2)
        return subject

    smoke.prepare = with_an_unused_layer
    print(run().model_dump_json(), flush=True)
    smoke.prepare = prepare
    print(run(seconds=0.0).model_dump_json(), flush=True)


if __name__ == "__main__":
    main()
