"""What an operator without a price does to a prediction: it is named, and the interval widens."""

from __future__ import annotations

import torch
from torch import nn

from advisor.verify.given import given_workload
from advisor.verify.memory import UNPRICED, safety
from advisor.verify.trace import Trace
from advisor.verify.unpriced import unpriced_name
from advisor.verify.valued import count_by_values, with_values


def test_operators_from_outside_pytorch_and_a_known_few_have_no_price() -> None:
    assert unpriced_name(torch.ops.aten._fft_r2c.default) == {"aten._fft_r2c"}
    assert unpriced_name(torch.ops.aten.mm.default) == set()


def test_an_operator_without_a_price_raises_the_upper_end_and_says_so() -> None:
    factor, reason = safety(Trace(unpriced={"mine.kernel"}))
    assert factor == safety(Trace())[0] * UNPRICED
    assert "no price" in reason


def test_values_are_random_and_every_index_is_in_range() -> None:
    batch = with_values(given_workload(["x=4", "ids=int64:3", "mask=bool:3"])).batch(2)
    assert batch["x"].std() > 0
    assert batch["ids"].sum() == 0
    assert batch["mask"].all()


def test_both_passes_of_a_real_model_are_counted() -> None:
    assert count_by_values(nn.Linear(8, 4), with_values(given_workload(["8"]))) == (2 * 8 * 4, 2 * 8 * 4)
