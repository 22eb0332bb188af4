from __future__ import annotations

import pytest

from advisor.errors import RequestError
from advisor.intake import Catalogue, load_catalogue
from advisor.intake.compute import Compute, read_compute


@pytest.fixture
def read(catalogue: Catalogue):
    def read(said: str) -> Compute:
        return read_compute("constraints.computeResources", said, catalogue.device_names, catalogue.devices)

    return read


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("CPU and 8x V100", "both V100 16GB and cpu"), ("train on RTX 3090, deploy on CPU", "both RTX 3090 and cpu"),
        ("RTX 3090 and RTX 4090", "two devices"),
        ("limited", "not understood"), ("16GB", "names no device"), ("0 GPUs", "no device at all"), ("-1 GPU", "negative"),
        ("2 nodes", "names no device"),
        ("a GPU with 8 GB or 16 GB", "not understood|more than one"), ("multi-GPU, 1 GPU", "one GPU and several"),
        ("999999 GPUs", "more than 100,000"),
        ("8 H100 on 2 nodes", "in each node"), ("GPU or TPU", "not understood"), ("GPU, TPU", "names both"),
        ("no GPU, RTX 3060", "no gpu"), ("quantum computer of the future", "not understood"),
    ],
)  # fmt: skip
def test_contradictory_or_unknown_resources_are_errors(read, said: str, why: str) -> None:
    with pytest.raises(RequestError, match=why):
        read(said)


@pytest.mark.parametrize(
    ("said", "kind", "device", "devices", "memory"),
    [
        ("CPU", "cpu", None, 1, None), ("CPU only", "cpu", None, 1, None), ("no GPU", "cpu", None, 1, None),
        ("8-core CPU, 32 GB RAM", "cpu", None, 1, 32),
        ("single-GPU", "gpu", None, 1, None), ("GPU", "gpu", None, 1, None), ("multi-GPU", "multi_gpu", None, None, None),
        ("GPUs", "multi_gpu", None, None, None),
        ("8 GPUs", "multi_gpu", None, 8, None), ("single GPU 16 GB", "gpu", None, 1, 16), ("single-GPU 24GB", "gpu", None, 1, 24),
        ("one 8 GB GPU", "gpu", None, 1, 8),
        ("2x24GB GPUs", "multi_gpu", None, 2, 24), ("64 GPUs with 80GB each", "multi_gpu", None, 64, 80),
        ("8x V100", "multi_gpu", "v100-16gb", 8, None),
        ("8 V100s", "multi_gpu", "v100-16gb", 8, None), ("8x V100 32GB", "multi_gpu", "v100-32gb", 8, None),
        ("V100 16GB", "gpu", "v100-16gb", 1, None),
        ("4x A100 80GB", "multi_gpu", "a100-80gb", 4, None), ("8xA100-80G", "multi_gpu", "a100-80gb", 8, 80),
        ("A100 x8", "multi_gpu", "a100-40gb", 8, None),
        ("RTX 3060 12GB", "gpu", "rtx-3060-12gb", 1, None), ("2x RTX 3090", "multi_gpu", "rtx-3090", 2, None),
        ("dual RTX 3090", "multi_gpu", "rtx-3090", 2, None),
        ("one RTX 4090 24GB", "gpu", "rtx-4090", 1, 24), ("Colab T4", "gpu", "t4", 1, None),
        ("2 nodes with 8 H100 each", "multi_gpu", "h100", 16, None),
        ("10 A10G", "multi_gpu", "a10g", 10, None), ("TPU v4-8", "tpu", "tpu-v4", 4, None), ("128 TPU v4", "tpu", "tpu-v4", 128, None),
        ("TPU v5e-8", "tpu", "tpu-v5e", 8, None),
        ("TPU v5p-8", "tpu", "tpu-v5p", 4, None),
        ("TPU", "tpu", None, 1, None), ("32 TPU cores", "tpu", None, 16, None),
        ("M2 Max", "apple", "apple-m2-max", 1, None),
        ("Apple M2 with 16 GB", "apple", "apple-m2", 1, 16), ("Raspberry Pi 5", "edge", "raspberry-pi-5", 1, None),
        ("Jetson Orin Nano", "edge", "jetson-orin-nano", 1, None),
        ("edge device", "edge", None, 1, None), ("phone", "edge", None, 1, None), ("laptop", "cpu", "laptop-cpu", 1, None),
        ("laptop with RTX 3060", "gpu", "rtx-3060-12gb", 1, None),
        ("GTX 1080 Ti", "gpu", None, 1, None), ("1x Titan RTX", "gpu", None, 1, None), ("4x TITAN 12GB", "multi_gpu", None, 4, 12),
    ],
)  # fmt: skip
def test_resources(read, said: str, kind: str, device: str | None, devices: int | None, memory: float | None) -> None:
    compute = read(said)
    assert (compute.kind, compute.device, compute.devices) == (kind, device, devices)
    assert compute.memory_gib in (memory, None) if device else compute.memory_gib == memory


@pytest.mark.parametrize(
    ("said", "remark"),
    [
        ("RTX 3061 24GB", "the nearest is RTX 3060"), ("RTX 3060 16GB", "the stated 16 GiB count"), ("V100", "16 or 32 GiB"),
        ("FooGPU 24GB", "no device of the catalogue"),
        ("laptop with RTX 3060", "the machine around"), ("laptop with RTX 3060, no internet", "changes no figure"),
    ],
)  # fmt: skip
def test_what_is_understood_with_a_reservation_says_so(read, said: str, remark: str) -> None:
    assert any(remark in found for found in read(said).remarks)


def test_the_stated_memory_of_a_known_device_counts(read) -> None:
    assert read("RTX 3060 16GB").memory_gib == 16


@pytest.mark.parametrize(
    ("said", "devices", "nodes", "host"),
    [("RTX 4090 24GB, 128 GB RAM", 1, None, 128), ("2 nodes with 8 H100 each", 16, 2, None), ("8-core CPU, 32 GB RAM", 1, None, None)],
)
def test_machines_and_their_own_memory_are_told_from_the_devices(
    read, said: str, devices: int, nodes: int | None, host: float | None
) -> None:
    compute = read(said)
    assert (compute.devices, compute.nodes, compute.host_memory_gib) == (devices, nodes, host)


@pytest.mark.parametrize(
    ("said", "device", "devices"),
    [
        ("google colab", "t4", 1),
        ("AWS p3.8xlarge", "v100-sxm2-16gb", 4),
        ("2x g5.12xlarge", "a10g", 8),
        ("Colab with an A100 80GB", "a100-sxm4-80gb", 1),
        ("Kaggle, CPU only", None, 1),
    ],
)
def test_a_rented_machine_is_the_devices_in_it_unless_others_are_named(said: str, device: str | None, devices: int) -> None:
    shipped = load_catalogue()
    compute = read_compute("constraints.computeResources", said, shipped.device_names, shipped.devices)
    assert (compute.device, compute.devices) == (device, devices)
    assert any(remark.startswith("is read as") for remark in compute.remarks) is (said.startswith(("google", "AWS", "2x")))


@pytest.mark.parametrize("said", ["a gaming PC with RTX 3090", "university cluster with 2 RTX 3090", "my old RTX 3090"])
def test_words_beside_a_known_device_are_left_aside(read, said: str) -> None:
    compute = read(said)
    assert compute.device == "rtx-3090"
    assert any("is not understood, and decides nothing" in remark for remark in compute.remarks)


def test_hardware_that_is_not_decided_yet_is_asked_for(read) -> None:
    assert read("not decided yet").kind is None
