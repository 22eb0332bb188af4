"""Where a smoke-train runs, and when what it showed is the moment's."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from advisor.verify.evidence import Build, Job, Target
from advisor.verify.hardware import Gpu, Hardware
from advisor.verify.placing import choose_device, choose_gpu, convolves_in_depth, is_makeshift, is_on_target
from advisor.verify.reduce import GIB, Limits, operations, reduce_job
from advisor.verify.smoke import stand_in
from tests.verify.jobs import make_recipe, mlp_job, timm_job

CPU = torch.device("cpu")


@pytest.fixture
def with_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def test_the_least_busy_of_the_gpus_that_hold_the_job_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    small = mlp_job().model_copy(update={"target": Target(kind="gpu")})
    large = small.model_copy(update={"seed": 1})
    monkeypatch.setattr("advisor.verify.placing.training_bytes", lambda job: (15 if job is large else 0.1) * GIB)
    idle, busy = Gpu("GPU-1", "RTX 3060", 12, 8, "8.6"), Gpu("GPU-2", "A100", 80, 70, "8.0", ("python (7)",), 95.0)
    machine = Hardware("CPU", 2, 16, 8, (busy, idle))
    assert choose_gpu(small, machine) == idle, "both hold it, and the other computes"
    assert choose_gpu(large, machine) == busy, "the other is too small"
    assert choose_gpu(large, Hardware("CPU", 2, 16, 8, (idle, Gpu("GPU-3", "RTX 3050", 8, 7, "8.6")))) == idle, "for a reduced copy"


@pytest.mark.parametrize(
    ("machine", "sentence"),
    [
        (Hardware("CPU", 2, 16, 8), "it has no GPU"),
        (Hardware("CPU", 2, 16, 8, gpu_reason="no NVIDIA driver is installed"), "no NVIDIA driver is installed"),
        (Hardware("CPU", 2, 16, 8, driver="580.12", gpu_reason="the NVIDIA driver is there but finds no GPU"), "but finds no GPU"),
        (Hardware("CPU", 2, 16, 8, driver="580.12", gpu_reason="GPU 0: the GPU was lost: reset it"), "GPU 0: the GPU was lost"),
        (Hardware("CPU", 2, 16, 8, (Gpu("GPU-1", "RTX 3060", 12, 0.5, "8.6"),)), "its RTX 3060 has only 0.5 GiB free"),
        (Hardware("CPU", 2, 16, 8, (Gpu("GPU-1", "RTX 3060", 12, 11, "8.6"),)), "cannot use its RTX 3060"),
    ],
)
def test_why_no_gpu_is_used_is_said_in_a_sentence(machine: Hardware, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    device, _, _, said = choose_device(mlp_job().model_copy(update={"target": Target(kind="gpu")}), machine)
    assert device.type == "cpu"
    assert said[0].startswith("it ran on this machine's CPU: ") and sentence in said[0]


@pytest.mark.usefixtures("with_cuda")
def test_the_run_is_on_the_target_where_the_request_means_this_machine_or_names_its_gpu() -> None:
    machine = Hardware("CPU", 2, 16, 8, (Gpu("GPU-1", "NVIDIA GeForce RTX 3060", 12, 11, "8.6"),))

    def on_target(target: Target, device: str) -> bool:
        return is_on_target(mlp_job().model_copy(update={"target": target}), torch.device(device), machine)

    assert on_target(Target(kind="cpu", is_here=True), "cpu")
    assert not on_target(Target(kind="cpu"), "cpu")
    assert not on_target(Target(kind="gpu", is_here=True), "cpu"), "it fell back to the CPU"
    assert on_target(Target(kind="gpu", name="NVIDIA GeForce RTX 3060 12GB"), "cuda")
    assert not on_target(Target(kind="gpu", name="NVIDIA GeForce RTX 4090"), "cuda")


def test_the_gpu_with_most_free_memory_is_used_and_a_busy_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    job = mlp_job().model_copy(update={"target": Target(kind="gpu")})
    gpus = (Gpu("GPU-1", "RTX 3060", 12, 1.5, "8.6", ("python (7)",)), Gpu("GPU-2", "A100", 80, 70, "8.0"))
    machine = Hardware("CPU", 2, 16, 8, gpus)
    device, name, free, said = choose_device(job, machine)
    assert (device.type, name, free, said) == ("cuda", "A100", 70 * 2**30, [])
    device, _, _, said = choose_device(job, Hardware("CPU", 2, 16, 8, gpus[:1]))
    assert (device.type, said) == ("cpu", ["it ran on this machine's CPU: its RTX 3060 has only 1.5 GiB free, used by python (7)"])
    assert choose_device(mlp_job(), machine)[0].type == "cpu"


def makeshift(job: Job, free_gib: float, step_flops: float = 1e18) -> bool:
    """On a machine with 4 GiB."""
    limits = Limits(free_gib * GIB, step_flops)
    return is_makeshift(job, reduce_job(job, limits)[1], limits, CPU, Hardware("CPU", 2, 4, free_gib))


def test_a_run_is_makeshift_where_memory_that_others_held_cut_it() -> None:
    job = timm_job("resnet18", 224, batch={"per_device": 64, "effective": 64})
    assert makeshift(job, free_gib=0.8)
    assert not makeshift(job, free_gib=3.9)
    assert not makeshift(job, free_gib=0.8, step_flops=3 * operations(job) * 4)  # time cuts as far, whatever is free
    assert not makeshift(mlp_job(), free_gib=0.8)


def test_a_run_beside_a_gpu_in_use_is_makeshift() -> None:
    machine = Hardware("CPU", 2, 16, 15, (Gpu("GPU-1", "RTX 3060", 12, 1.5, "8.6"),))
    limits = Limits(12 * GIB, 1e18)
    assert is_makeshift(mlp_job().model_copy(update={"target": Target(kind="gpu")}), [], limits, CPU, machine)
    assert not is_makeshift(mlp_job(), [], limits, CPU, machine)


@pytest.mark.parametrize(
    ("task", "sample", "library", "factory", "config", "expected"),
    [
        ("video_classification", {"kind": "video", "image_size": 112, "sequence_length": 16}, "torchvision", "r2plus1d_18", {}, True),
        ("image_classification", {"kind": "image", "image_size": 64}, "timm", "create_model", {"name": "test_resnet"}, False),
    ],
    ids=["video", "image"],
)
def test_on_a_cpu_no_3d_convolution_is_trained_in_16_bits(
    task: str, sample: dict[str, Any], library: str, factory: str, config: dict[str, Any], *, expected: bool
) -> None:
    """R(2+1)D-18 was rejected for gradients that are no numbers: its last stage convolves three frames deep over two, and what oneDNN
    gives for that in bf16 is memory that nothing wrote."""
    recipe = make_recipe({"channels": 3, "outputs": 12, **sample}, model={"library": library}, precision="bf16")
    build = Build(library=library, factory=factory, config=config)
    job = Job(check="smoke", task=task, build=build, recipe=recipe, target=Target(kind="gpu"))
    assert convolves_in_depth(job) == expected
    here, said = stand_in(job, CPU)
    assert here.recipe.precision == ("fp32" if expected else "bf16")
    assert any("gradients of 3D convolutions" in words for words in said) == expected
