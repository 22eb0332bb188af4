"""What a trained model takes when it is used: memory for one sample, and the size of its file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from advisor.verify.caching import cached_elements
from advisor.verify.cuda_choices import CudaChoices
from advisor.verify.evidence import Job, Memory
from advisor.verify.memory import CONTEXT, CONTEXT_RANGE
from advisor.verify.peak import live_peak
from advisor.verify.priced import NF4_BLOCK, SCALE_BLOCK
from advisor.verify.trace import Recorder
from advisor.verify.workload import Workload, workload_of
from advisor.wire import Wire

INT4_GROUP = 128
"""Weights that share an fp16 scale in int4: the usual group of GPTQ (arXiv:2210.17323) and AWQ (arXiv:2306.00978)."""

INTERVAL = 1.1
"""Convolution and cuBLAS workspaces, and the allocator's rounding, on top of one sample's live bytes: a tenth."""

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_QUANTIZED_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_CONV1D = "Conv1D"  # transformers' linear layer of GPT-2
_EXPERTS = 3  # dimensions of the weights of a mixture of experts, in one tensor
_GENERATIVE = ("text_generation", "instruction_tuning")


def file_bytes(model: nn.Module) -> dict[str, int]:
    """Bytes of the saved tensors by format: fp32, fp16, int8, int4, nf4. Shared weights count once.

    In int8 and the 4-bit formats only the weights of linear and convolution layers are quantized, with one fp32 scale per
    output row in int8, an fp16 scale per 128 weights in int4, and QLoRA's double quantization in nf4. The rest (embeddings, a
    language model's output layer, norms, biases, buffers) stays in fp32 beside int8, in 16 bits beside 4 bits. Headers are left out.
    """
    layers: list[Any] = [module for module in model.modules() if isinstance(module, _QUANTIZED_LAYERS) or type(module).__name__ == _CONV1D]
    output = getattr(model, "get_output_embeddings", lambda: None)()
    kept: list[Any] = [module for module in model.modules() if isinstance(module, nn.Embedding) or module is output]
    tied = {id(module.weight) for module in kept}
    quantized = {id(layer.weight): layer.weight for layer in layers if id(layer.weight) not in tied}
    quantized |= {id(weights): weights for weights in _experts(model)}
    tensors = {id(tensor): tensor for tensor in model.state_dict(keep_vars=True).values()}
    rest = sum(tensor.numel() for key, tensor in tensors.items() if key not in quantized)
    weights = list(quantized.values())
    count = sum(weight.numel() for weight in weights)
    blocks = math.ceil(count / NF4_BLOCK)
    return {
        "fp32": 4 * (rest + count),
        "fp16": 2 * (rest + count),
        "int8": 4 * rest
        + count
        + 4 * sum(weight.shape[:-1].numel() if weight.dim() == _EXPERTS else weight.shape[0] for weight in weights),
        "int4": 2 * rest + count // 2 + 2 * math.ceil(count / INT4_GROUP),
        "nf4": 2 * rest + count // 2 + blocks + 4 * math.ceil(blocks / SCALE_BLOCK),
    }


def _experts(model: nn.Module) -> Iterator[nn.Parameter]:
    """The matrices of mixtures of experts, which transformers holds in one tensor of three dimensions each."""
    for module in model.modules():
        if "expert" in type(module).__name__.lower():
            yield from (parameter for parameter in module.parameters(recurse=False) if parameter.dim() == _EXPERTS)


def deployed_format(job: Job) -> str:
    """The format that the weights are used in: the recipe's quantization, the base's own under LoRA, else fp32."""
    chosen = job.recipe.compression.quantization
    if chosen != "none":
        return {"bf16": "fp16", "fp16": "fp16", "nf4": "nf4"}.get(chosen, chosen[:4])
    if job.recipe.lora is not None and job.recipe.model.adaptation in ("lora", "qlora"):
        return {"bf16": "fp16", "fp16": "fp16", "nf4": "nf4", "int8": "int8"}.get(job.recipe.lora.base_precision, "fp32")
    return "fp32"


class Served(Wire):
    """Bytes that a forward pass takes by category, but for a CUDA context, and the moment of its peak."""

    categories: dict[str, int]
    peak_at: str


def predict_inference_memory(job: Job, model: nn.Module, workload: Workload | None = None, batch_size: int = 1) -> Memory:
    """Peak memory of `batch_size` samples' forward pass on the target, weights in the format they are deployed in.

    A decoder's sample is a prompt of the recipe's length, whose keys and values stay cached. Activations are in 16 bits
    where the weights are stored in 16 or 4 bits, in fp32 otherwise; `model`, the job's own on `meta`, is cast so.
    """
    format_ = deployed_format(job)
    served = trace_serving(job, model, format_, job.target.capability, workload, batch_size)
    return price_serving(served, format_, job)


def trace_serving(
    job: Job, model: nn.Module, format_: str, capability: float, workload: Workload | None = None, batch_size: int = 1
) -> Served:
    """What `predict_inference_memory` is made of, on any device with the kernels of this compute capability."""
    dtype = torch.float16 if format_ in ("fp16", "int4", "nf4") else torch.float32
    weights = file_bytes(model)[format_]
    model.to(dtype)
    workload = workload or workload_of(job)
    batch = {name: value.to(dtype) if value.is_floating_point() else value for name, value in workload.batch(batch_size).items()}
    if job.task in _GENERATIVE:
        batch = {name: value for name, value in batch.items() if name != "labels"}
    recorder = Recorder(model, workspace=0)
    with CudaChoices(None, capability), recorder, torch.no_grad():
        recorder.enter("forward")
        outputs = _answer(model, batch, job, workload)
    del outputs
    peak = live_peak(recorder.trace)
    kinds = {"weights": weights, "activations": peak.total - peak.categories["weights"]}
    if job.task in _GENERATIVE:
        kinds["kv_cache"] = batch_size * cache_bytes(model, job.recipe.input.sequence_length or 0, dtype)
    if format_ in ("int4", "nf4"):
        kinds["temporaries"] = _largest_weight(model, dtype)
    return Served(categories=kinds, peak_at=peak.place)


def price_serving(served: Served, format_: str, job: Job) -> Memory:
    """What serving takes on the job's very device."""
    kinds, total = dict(served.categories), sum(served.categories.values())
    on_gpu = job.target.has_cuda
    kinds |= {"context": CONTEXT} if on_gpu else {}
    return Memory(
        total=sum(kinds.values()),
        low=total + (CONTEXT_RANGE[0] if on_gpu else 0),
        high=int(total * INTERVAL) + (CONTEXT_RANGE[1] if on_gpu else 0),
        categories=kinds,
        peak_at=served.peak_at,
        method=f"every allocation of one sample's forward pass on meta tensors; weights as {format_}",
        notes=["without the process and its libraries"] if not on_gpu else [],
    )


def _answer(model: nn.Module, batch: dict[str, Tensor], job: Job, workload: Workload) -> Any:
    """A forward pass as deployment does it: a decoder keeps the logits of the last token alone."""
    if job.task in _GENERATIVE and job.build.library == "transformers":
        return model(**batch, use_cache=False, logits_to_keep=1)
    return workload.forward(model, batch)


def cache_bytes(model: nn.Module, length: int, dtype: torch.dtype) -> int:
    """Bytes of keys and values of `length` tokens, by the model's own cache.

    Where that cannot be read: 2 x layers x key heads x head width x tokens, a sliding window at most.
    """
    if (elements := cached_elements(model, length)) is not None:
        return int(elements * dtype.itemsize)
    config: Any = getattr(model, "config", None)
    layers, heads = getattr(config, "num_hidden_layers", 0), getattr(config, "num_attention_heads", 0)
    if not layers or not heads:
        return 0
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    window = getattr(config, "sliding_window", None) or length
    key_heads = getattr(config, "num_key_value_heads", None) or heads
    return int(2 * layers * key_heads * width * min(length, window) * dtype.itemsize)


def _largest_weight(model: nn.Module, dtype: torch.dtype) -> int:
    """Bytes of the largest quantized layer once it is written out to be multiplied with."""
    output = getattr(model, "get_output_embeddings", lambda: None)()
    sizes = [module.weight.numel() for module in model.modules() if isinstance(module, nn.Linear) and module is not output]
    return int(max(sizes, default=0) * dtype.itemsize)
