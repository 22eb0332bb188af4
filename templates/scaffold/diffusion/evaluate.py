"""Evaluate the best checkpoint on the test part, once, at the end; and draw some images with it.

Usage:
    python evaluate.py --data PATH    after train.py --data PATH
    python evaluate.py --smoke        after train.py --smoke
"""

from __future__ import annotations

import json

import torch
from torchvision.utils import save_image

from prediction import half_of, predict, to_device
from settings import parse_arguments, read_settings
from task import DATA, draw, load_data, make_loader, measure
from train import load_best

DRAWN = 8  # images


def main() -> None:
    arguments = parse_arguments("Evaluate the best checkpoint on the test part.", DATA)
    settings = read_settings(arguments.smoke)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    test = load_data(settings, arguments.data)["test"]
    model = load_best(settings, arguments.output, device)
    loader = make_loader(test, settings)
    found = {"samples": len(test), **measure(predict(model, loader, settings, device), settings)}
    for name, value in found.items():
        print(f"{name}: {value:.4f}" if isinstance(value, float) else f"{name}: {value}")
    (arguments.output / "evaluation.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    half, grid = half_of(settings, device), arguments.output / "samples.png"
    images: list[torch.Tensor] = []
    for batch in loader:
        with torch.autocast(device.type, half, enabled=half is not None):
            images += draw(model, to_device(batch, device), settings).cpu().unbind()
        if len(images) >= DRAWN:
            break
    save_image(images[:DRAWN], grid, nrow=4)
    print(f"wrote {grid}")


if __name__ == "__main__":
    main()
