"""`advisor estimate`: what a model takes to train and to use, without the device and without its weights."""

from __future__ import annotations

import argparse
import os
import re
import sys
from typing import Any

from advisor.errors import UsageError
from advisor.estimating.asking import estimate

_LORA = re.compile(r"(?:r=)?(\d+)")
_PLAIN = ("library", "batch", "optimizer", "precision", "image_size", "sequence_length", "checkpointing", "accumulation", "samples",
          "inference")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    options = {name: getattr(arguments, name) for name in _PLAIN}
    options |= {"inputs": arguments.input, "config": read_config(arguments.config), "sharding": arguments.sharding}
    options |= {"lora_rank": read_rank(arguments.lora)} if arguments.lora is not None else {}
    options |= {"devices": arguments.devices} if arguments.devices is not None else {}
    answer = estimate(arguments.model, on=arguments.on, **options)
    if arguments.format == "json":
        print(answer.model_dump_json(by_alias=True, exclude_none=True, indent=2))
        return 0
    from advisor.render.estimate import render_estimate

    on_terminal = sys.stdout.isatty()
    width = min(os.get_terminal_size().columns, 100) if on_terminal else 80
    print(render_estimate(answer, width=width, color=on_terminal and "NO_COLOR" not in os.environ), end="")
    return 0


def read_rank(text: str) -> int:
    """`r=16` or `16`. Raises UsageError for anything else."""
    found = _LORA.fullmatch(text)
    if not found:
        raise UsageError(f"--lora {text}: is no rank; write --lora r=16")
    return int(found[1])


def read_config(settings: list[str]) -> dict[str, Any]:
    """`key=value` pairs, values read as YAML. Raises UsageError where a pair has no `=`."""
    from advisor.located import parse_yaml

    config = {}
    for setting in settings:
        key, separator, value = setting.partition("=")
        if not separator or not key:
            raise UsageError(f"--config {setting}: is no KEY=VALUE")
        config[key] = parse_yaml(value, f"--config {key}").data
    return config
