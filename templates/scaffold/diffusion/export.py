"""Export what was trained for diffusers' pipelines, and check that it says the same.

Usage:
    python export.py --data PATH    after train.py --data PATH
    python export.py --smoke        after train.py --smoke
"""

from __future__ import annotations

from typing import Any

import torch

from settings import parse_arguments, read_settings
from task import DATA, export_model, load_data
from train import load_best

TOLERANCE = 0.05  # between outputs before and after, relative to the largest: the base may be held in 16 bits


def main() -> None:
    arguments = parse_arguments("Export what was trained.", DATA)
    settings = read_settings(arguments.smoke)
    load_data(settings, arguments.data)
    model: Any = load_best(settings, arguments.output, torch.device("cpu"))
    folder, asked = arguments.output / "exported", []
    watching = model.denoiser.register_forward_pre_hook(lambda module, given, named: asked.append((given, named)), with_kwargs=True)
    sample = model.encode(torch.rand(1, 3, *[settings["recipe"]["input"]["imageSize"]] * 2))
    tokens = [torch.ones(1, len(model.encoders), 77, dtype=torch.long)] if hasattr(model, "encoders") else []
    with torch.no_grad():
        model(sample, torch.tensor([500]), *tokens)
        watching.remove()
        (given, named) = asked[0]
        before, after = (one(*given, **named).sample.float() for one in export_model(model, settings, folder))
    difference = float((before - after).abs().max() / before.abs().max())
    if difference > TOLERANCE:
        raise SystemExit(f"{folder}: its outputs differ by {difference:.2g} of the largest from the model's")
    print(f"wrote {folder}: its outputs differ by at most {difference:.2g} of the largest")


if __name__ == "__main__":
    main()
