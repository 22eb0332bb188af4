"""The operations of a model are those that its source publishes, as multiply-adds of one sample."""

from __future__ import annotations

import pytest

from advisor.catalogue import models
from advisor.verify.batches import make_batch
from advisor.verify.build import build_model
from advisor.verify.flops import count_flops
from tests.catalogue.test_builds import job_of

PUBLISHED = 0.03  # how far two counters may differ in what they call an operation
ROUNDING = 0.005  # the source prints two decimals
# Depthwise networks do so little in convolutions that the norms and squeezes, which timm counts and we name as uncounted, show.
DEPTHWISE = {
    "mobilenetv3_large_100.miil_in21k_ft_in1k": 0.06,
    "efficientnet_b0.ra_in1k": 0.04,
    "ghostnetv2_100.in1k": 0.08,
    "mobileone_s1.apple_in1k": 0.04,
}
COUNTED = [entry.id for entry in models().values() if entry.gmacs]
FAST = COUNTED[:3]


@pytest.mark.parametrize("model", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in COUNTED])
def test_the_counted_operations_are_the_published_ones(model: str) -> None:
    entry, job = models()[model], job_of(model)
    assert entry.gmacs
    flops = count_flops(build_model(job, "meta"), make_batch(job, 1, "meta"), job)[0]
    assert flops / 2e9 == pytest.approx(entry.gmacs.value, rel=DEPTHWISE.get(model, PUBLISHED), abs=ROUNDING)
