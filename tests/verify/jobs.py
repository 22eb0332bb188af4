"""Jobs for the tests of the sandbox and the smoke-train: small models of every library, with recipes that suit them."""

from __future__ import annotations

from typing import Any

from advisor.recipe import Recipe
from advisor.verify.evidence import Build, Job, Target

ADAMW = {"name": "adamw", "learning_rate": 1e-3, "weight_decay": 0.01}


def make_recipe(task_input: dict[str, Any], **changes: Any) -> Recipe:
    """A recipe that trains every parameter with AdamW in fp32; `changes` replace its fields, `model` updates it."""
    model = {
        "id": "test",
        "library": "torch",
        "architecture_family": "mlp",
        "pretrained": False,
        "adaptation": "scratch",
        "license": "MIT",
        **changes.pop("model", {}),
    }
    fields: dict[str, Any] = {
        "model": model,
        "input": task_input,
        "loss": [{"name": "cross_entropy"}],
        "metric": "accuracy",
        "split": "stratified",
        "optimizer": ADAMW,
        "schedule": {"name": "cosine", "warmup_fraction": 0.1},
        "batch": {"per_device": 8, "effective": 8},
        "epochs": 3,
        "precision": "fp32",
        **changes,
    }
    return Recipe.model_validate(fields)


def mlp_job(**changes: Any) -> Job:
    """A multilayer perceptron over rows."""
    recipe = make_recipe({"kind": "table", "features": 6, "outputs": 3}, **changes)
    return Job(
        check="smoke",
        task="tabular_classification",
        build=Build(library="torch", factory="mlp", config={"hidden": 32}),
        recipe=recipe,
        target=Target(kind="cpu"),
        time_limit_s=20,
    )


def timm_job(name: str, size: int = 64, **changes: Any) -> Job:
    """An image classifier with ten classes."""
    changes["model"] = {"library": "timm", "architecture_family": "cnn", **changes.get("model", {})}
    recipe = make_recipe({"kind": "image", "image_size": size, "channels": 3, "outputs": 10}, **changes)
    return Job(
        check="smoke",
        task="image_classification",
        build=Build(library="timm", factory="create_model", config={"name": name}),
        recipe=recipe,
        target=Target(kind="cpu"),
        time_limit_s=30,
    )


def bert_job(config: dict[str, Any], **changes: Any) -> Job:
    """A text classifier with two classes."""
    changes["model"] = {"library": "transformers", "architecture_family": "transformer", **changes.get("model", {})}
    recipe = make_recipe({"kind": "text", "sequence_length": 16, "outputs": 2}, **changes)
    build = Build(library="transformers", factory="AutoModelForSequenceClassification", config={"model_type": "bert", **config})
    return Job(check="smoke", task="text_classification", build=build, recipe=recipe, target=Target(kind="cpu"), time_limit_s=30)


def decoder_job(config: dict[str, Any], **changes: Any) -> Job:
    """A language model."""
    changes["model"] = {"library": "transformers", "architecture_family": "transformer", **changes.get("model", {})}
    recipe = make_recipe({"kind": "text", "sequence_length": 32}, **changes)
    build = Build(library="transformers", factory="AutoModelForCausalLM", config={"model_type": "llama", **config})
    return Job(check="smoke", task="instruction_tuning", build=build, recipe=recipe, target=Target(kind="cpu"), time_limit_s=30)


TINY_BERT = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128, "vocab_size": 200}
TINY_DECODER = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 128,
    "vocab_size": 200,
}
