"""Imports without the compiler: quicker, and everything still works, the compiler included. Each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_BEGIN = "import sys; from advisor.verify.light_imports import import_without_compiler as load\n"
_WITHOUT_COMPILER = "assert type(sys.modules['torch._dynamo']).__name__ == '_StandIn'; assert 'torch._inductor' not in sys.modules\n"

TIMM = """
assert load(("torch", "timm", "no_such_library")) == ["no_such_library"]
import timm, torch, torch._refs
from torch.utils.checkpoint import checkpoint
model = timm.create_model("resnet18", num_classes=3).train()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
losses = []
for _ in range(4):
    optimizer.zero_grad()
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = checkpoint(model, torch.randn(4, 3, 32, 32), use_reentrant=False)
    loss = torch.nn.functional.cross_entropy(outputs.float(), torch.tensor([0, 1, 2, 0]))
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    losses.append(float(loss))
assert losses[-1] < losses[0], losses
with torch.device("meta"):
    meta = timm.create_model("vit_tiny_patch16_224")
meta(torch.empty(2, 3, 224, 224, device="meta")).sum().backward()
torch._refs.sum(torch.empty(2, 3, 4, device="meta", dtype=torch.bfloat16), dim=1)
assert "sympy.core" not in sys.modules
"""

TRANSFORMERS = """
load(("torch", "transformers.modeling_utils", "peft"))
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig
config = LlamaConfig(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, vocab_size=64)
model = AutoModelForCausalLM.from_config(config)
model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
model = get_peft_model(model, LoraConfig(target_modules="all-linear")).train()
tokens = torch.randint(0, 64, (2, 8))
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad])
model(input_ids=tokens, labels=tokens, use_cache=False).loss.backward()
optimizer.step()
"""

COMPILES = """
load(("torch",))
import torch
def double(x):
    return 2 * x
assert torch.equal(torch.compile(double, backend="eager")(torch.ones(2)), 2 * torch.ones(2))
assert torch._dynamo.__spec__ is not None and sys.modules["sympy"].Integer(2) + 1 == 3
"""

SYMBOLIC = """
load(("torch",))
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv, sym_eq
with FakeTensorMode(shape_env=ShapeEnv()) as mode:
    fake = mode.from_tensor(torch.ones(3, 4))
    assert (fake @ fake.T).shape == (3, 3) and sym_eq((3, 4), (3, 4)) is True
import sympy.core.numbers
assert sys.modules["torch._dynamo"].exc is sys.modules["torch._dynamo.exc"]
assert isinstance(sympy.Integer(1), sympy.core.numbers.Integer)
"""


CHECKS = """
load(("torch", "timm", "advisor.verify.static", "advisor.verify.smoke"))
assert not {"transformers", "triton", "sympy.core", "torch._inductor"} & sys.modules.keys()  # not None either: it may be wanted
"""


def run(script: str) -> None:
    subprocess.run([sys.executable, "-c", _BEGIN + script], check=True, cwd=_ROOT, timeout=120, env={**os.environ, "OMP_NUM_THREADS": "1"})


def test_a_convolutional_net_trains_without_the_compiler() -> None:
    run(TIMM + _WITHOUT_COMPILER)


def test_checks_of_a_convolutional_net_import_no_other_library() -> None:
    run(CHECKS)


@pytest.mark.slow
def test_adapters_train_without_the_compiler() -> None:
    run(TRANSFORMERS + _WITHOUT_COMPILER)


@pytest.mark.slow
@pytest.mark.parametrize("script", [COMPILES, SYMBOLIC], ids=["compiles", "symbolic"])
def test_whoever_wants_the_real_modules_gets_them(script: str) -> None:
    run(script)


@pytest.mark.slow
def test_a_failing_import_is_tried_again_without_stand_ins(tmp_path: Path) -> None:
    (tmp_path / "picky.py").write_text(
        "import torch._dynamo, torch\nif not hasattr(torch._dynamo, '__file__'): raise TypeError('stand-in')\n"
    )
    script = f"sys.path.insert(0, {str(tmp_path)!r})\nload(('torch', 'picky'))\nassert sys.modules['torch._dynamo'].__file__"
    run(script)
