"""What a model says of data, outside of training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from settings import Settings
from task import Data


def predict(answer: Callable[[Any], Any], data: Data, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    """What the model's `answer` to a batch of inputs says of every sample, and what is true."""
    size, found = settings["recipe"]["batch"]["perDevice"], []
    for start in range(0, len(data), size):
        inputs, targets = data.batch(list(range(start, min(start + size, len(data)))), 0)
        found.append((np.asarray(answer(inputs), dtype=np.float32), targets))
    outputs, targets = (np.concatenate(side) for side in zip(*found, strict=True))
    return outputs.reshape(targets.shape), targets
