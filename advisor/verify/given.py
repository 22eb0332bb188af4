"""Workloads of models that nothing is known of but their inputs, as `--input` describes them: `[name=][dtype:]3x224x224`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from advisor.errors import CheckError, did_you_mean
from advisor.verify.batches import Batch
from advisor.verify.workload import Workload

_DTYPES = {"float": torch.float32, "fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16,
           "int": torch.int64, "int64": torch.int64, "bool": torch.bool}  # fmt: skip
_IMAGE = 224  # pixels: ImageNet's usual crop
_CLIP = 160_000  # 10 seconds at 16 kHz, as AudioSet's
_INPUT = re.compile(r"(?:(?P<name>[A-Za-z_]\w*)=)?(?:(?P<dtype>[a-z]+\d*):)?(?P<shape>\d+(?:x\d+)*)?")


def given_workload(inputs: Sequence[str]) -> Workload:
    """Named inputs are passed by name, the others in order. The loss is the mean of every number that comes out, in fp32."""
    shapes = [_parse(text) for text in inputs]
    if not shapes:
        raise CheckError("nothing is known of this model's inputs; say what one sample is: --input 3x224x224, or --input ids=int64:128")

    def batch(size: int) -> Batch:
        return {name or str(place): torch.empty(size, *shape, dtype=dtype, device="meta")
                for place, (name, dtype, shape) in enumerate(shapes)}  # fmt: skip

    def forward(model: nn.Module, batch: Batch) -> Any:
        named = {name: value for name, value in batch.items() if not name.isdigit()}
        return model(*(value for name, value in batch.items() if name.isdigit()), **named)

    return Workload(batch, forward, lambda outputs, _: mean_of(outputs), ", ".join(inputs))


def usual_inputs(model: nn.Module, length: int | None) -> list[str]:
    """A sample for a model of transformers by the name of its main input; none where that says too little."""
    config: Any = getattr(model, "config", None)
    name = getattr(model, "main_input_name", None)
    size = getattr(config, "image_size", None) or getattr(getattr(config, "vision_config", None), "image_size", None) or _IMAGE
    height, width = size if isinstance(size, Sequence) else (size, size)
    return {
        "input_ids": [f"input_ids=int64:{length}"],
        "pixel_values": [f"pixel_values={getattr(config, 'num_channels', 3)}x{height}x{width}"],
        "input_values": [f"input_values={_CLIP}"],
    }.get(name or "", [])


def mean_of(outputs: Any) -> Tensor:
    """The mean over all floating-point tensors of a model's output. Raises CheckError where there is none."""
    tensors = list(_floats(outputs))
    if not tensors:
        raise CheckError(f"the model returns a {type(outputs).__name__} without a floating-point tensor, so that there is nothing to train")
    return torch.stack([tensor.float().mean() for tensor in tensors]).sum()


def _floats(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        if value.is_floating_point() and value.numel():
            yield value
    elif isinstance(value, dict):
        yield from _all(value.values())
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        yield from _all(value)


def _all(values: Iterable[Any]) -> Iterator[Tensor]:
    for value in values:
        yield from _floats(value)


def _parse(text: str) -> tuple[str | None, torch.dtype, tuple[int, ...]]:
    found = _INPUT.fullmatch(text)
    if not found:
        raise CheckError(f"--input {text!r} is not understood; write [name=][dtype:]3x224x224, such as ids=int64:128")
    dtype = found["dtype"] or "float"
    if dtype not in _DTYPES:
        raise CheckError(f"--input {text!r}: there is no type {dtype!r}{did_you_mean(dtype, _DTYPES)}; known are {', '.join(_DTYPES)}")
    shape = tuple(int(part) for part in (found["shape"] or "").split("x") if part)
    if 0 in shape:
        raise CheckError(f"--input {text!r}: a dimension of 0 leaves no sample")
    return found["name"], _DTYPES[dtype], shape
