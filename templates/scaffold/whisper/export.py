"""Export the best checkpoint as a folder of safetensors, which transformers loads, and check that it says the same.

CTranslate2 makes a model for faster-whisper of the folder: ct2-transformers-converter --model FOLDER --output_dir OTHER.

Usage:
    python export.py --data PATH    after train.py --data PATH
    python export.py --smoke        after train.py --smoke
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoModelForSpeechSeq2Seq

from settings import parse_arguments, read_settings
from task import DATA, load_data, make_extractor, make_loader
from train import load_best

TOLERANCE = 1e-3  # between the logits before and after


def main() -> None:
    arguments = parse_arguments("Export the best checkpoint.", DATA)
    settings = read_settings(arguments.smoke)
    test = load_data(settings, arguments.data)["test"]
    batch = next(iter(make_loader(test, settings)))
    folder = arguments.output / "exported"
    model: Any = load_best(settings, arguments.output, torch.device("cpu"))
    model.save_pretrained(folder)
    make_extractor(settings).save_pretrained(folder)
    if not settings["smoke"]:
        settings["tokenizer"].save_pretrained(folder)
    again: Any = AutoModelForSpeechSeq2Seq.from_pretrained(folder).eval()
    with torch.no_grad():
        before, after = (one(batch["inputs"], decoder_input_ids=batch["start"]).logits for one in (model, again))
    difference = float((before - after).abs().max())
    if difference > TOLERANCE:
        raise SystemExit(f"{folder}: its outputs differ by {difference:.2g} from the model's")
    print(f"wrote {folder}: its outputs differ by at most {difference:.2g}")


if __name__ == "__main__":
    main()
