"""Export the best checkpoint as a folder of safetensors, which transformers and vLLM load, and check that it says the same.

Usage:
    python export.py --data PATH    after train.py --data PATH
    python export.py --smoke        after train.py --smoke
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from settings import parse_arguments, read_settings
from task import DATA
from train import load_best

TOLERANCE = 0.05  # between logits before and after, relative to the largest: the base may be held in 16 bits


def main() -> None:
    arguments = parse_arguments("Export the best checkpoint.", DATA)
    settings = read_settings(arguments.smoke)
    model: Any = load_best(settings, arguments.output, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    ids = torch.randint(5, 500, (1, 16), device=model.device)
    with torch.no_grad():
        expected = model(input_ids=ids).logits.float()
        whole = model.merge_and_unload() if hasattr(model, "merge_and_unload") else model
        folder = arguments.output / "exported"
        whole.save_pretrained(folder)
        if not settings["smoke"]:
            AutoTokenizer.from_pretrained(settings["recipe"]["model"]["id"]).save_pretrained(folder)
        again: Any = AutoModelForCausalLM.from_pretrained(folder)
        again = again.to(ids.device).eval()
        difference = float((again(input_ids=ids).logits.float() - expected).abs().max() / expected.abs().max())
    if difference > TOLERANCE:
        raise SystemExit(f"{folder}: its outputs differ by {difference:.2g} of the largest from the model's")
    print(f"wrote {folder}: its outputs differ by at most {difference:.2g} of the largest")


if __name__ == "__main__":
    main()
