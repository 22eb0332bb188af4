"""Generated projects on real data that installed packages ship: what the test part says, with seeds and processor time.

    python benchmarks/real_data.py [digits] [masks] [cancer] [wine] [docstrings] [prices]

Each project is what `advisor scaffold` writes for the request. Where its settings were changed, as a user would in config.yaml,
the changes stand below with their reason. No pretrained weights: they would have to be downloaded.
"""

from __future__ import annotations

import ast
import contextlib
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from matplotlib.cbook import get_sample_data
from PIL import Image
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import BertProcessing
from tokenizers.trainers import WordPieceTrainer
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from advisor import design, scaffold

SEEDS = (0, 1, 2)
BRIGHTEST = 16  # of the digits' grey levels
INK = 4  # grey level from which a pixel is part of its digit
CELL, ENLARGED = 32, 3  # pixels of a cell of a scene, which has two by two, and of a digit's pixel in it
PACKAGES, EACH, SHORTEST = ("sympy", "sklearn", "torch", "matplotlib"), 1_000, 30  # docstrings of a package, and characters of one
SPECIAL, VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"], 4_000
CPU = {"computeResources": "CPU only"}


@dataclass(frozen=True)
class Case:
    """A request, the data that it is about, and the settings that were changed, by their path in config.yaml."""

    request: dict[str, Any]
    write: Callable[[Path], Path]
    changes: dict[str, Any] = field(default_factory=dict)
    measures: tuple[str, ...] = ("accuracy", "macro_f1")


def write_digits(folder: Path) -> Path:
    """scikit-learn's 1,797 digits of 8 x 8 pixels as PNGs, a folder for each class."""
    digits = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        place = folder / "digits" / str(label)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * (255 / BRIGHTEST)).astype("uint8")).save(place / f"{number}.png")
    return folder / "digits"


def write_scenes(folder: Path) -> Path:
    """scikit-learn's digits by fours, each anywhere in its quarter of an image, and in none twice; 0 is the ground, n + 1 a digit's n."""
    digits, drawn = load_digits(), np.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / "scenes" / name).mkdir(parents=True)
    for scene in range(len(digits.images) // 4):
        image, mask = np.zeros((2, 2 * CELL, 2 * CELL), dtype=np.uint8)
        for place in range(4):
            pixels = np.kron(digits.images[4 * scene + place], np.ones((ENLARGED, ENLARGED)))
            top, left = CELL * np.array(divmod(place, 2)) + drawn.integers(0, CELL - len(pixels), 2)
            within = np.s_[top : top + len(pixels), left : left + len(pixels)]
            image[within] = pixels * (255 / BRIGHTEST)
            mask[within] = np.where(pixels >= INK, digits.target[4 * scene + place] + 1, 0)
        Image.fromarray(image).save(folder / "scenes" / "images" / f"{scene}.png")
        Image.fromarray(mask).save(folder / "scenes" / "masks" / f"{scene}.png")
    return folder / "scenes"


def write_table(folder: Path, data: Any) -> Path:
    path = folder / "table.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*data.feature_names, "class"])
        writer.writerows([*row, data.target_names[label]] for row, label in zip(data.data, data.target, strict=True))
    return path


def write_prices(folder: Path) -> Path:
    """The S&P 500 by the month from 1990, from matplotlib's sample data."""
    text = Path(str(get_sample_data("Stocks.csv", asfileobj=False))).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    rows = [(row["Date"], row["^GSPC"]) for row in csv.DictReader(lines) if row["^GSPC"]]
    path = folder / "prices.csv"
    path.write_text("date,price\n" + "".join(f"{date},{price}\n" for date, price in rows), encoding="utf-8")
    return path


def write_docstrings(folder: Path) -> Path:
    """The first paragraphs of the docstrings in four packages; beside them a small BERT of random weights and a tokenizer made of them."""
    rows = [(text, package) for package in PACKAGES for text in _paragraphs(package)]
    path = folder / "docstrings.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    words = Tokenizer(WordPiece(unk_token="[UNK]"))
    words.normalizer, words.pre_tokenizer = BertNormalizer(), BertPreTokenizer()
    words.train_from_iterator((text for text, _ in rows), WordPieceTrainer(vocab_size=VOCABULARY, special_tokens=SPECIAL))
    words.post_processor = BertProcessing(("[SEP]", SPECIAL.index("[SEP]")), ("[CLS]", SPECIAL.index("[CLS]")))
    PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder / "encoder")
    config = BertConfig(vocab_size=VOCABULARY, hidden_size=128, num_hidden_layers=2, num_attention_heads=4, intermediate_size=512)
    BertModel(config).save_pretrained(folder / "encoder")
    return path


def _paragraphs(package: str) -> list[str]:
    """Distinct, in the order of the files, as many as every package has."""
    found: dict[str, None] = {}
    root = Path(next(iter(find_spec(package).submodule_search_locations)))  # type: ignore[union-attr, arg-type]
    for path in sorted(root.rglob("*.py")):
        with contextlib.suppress(SyntaxError, UnicodeDecodeError):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                said = ast.get_docstring(node) if isinstance(node, ast.FunctionDef | ast.ClassDef) else None
                found |= {" ".join(said.split("\n\n")[0].split()): None} if said else {}
    return [text for text in found if len(text) >= SHORTEST][:EACH]


CASES = {
    "digits": Case(
        {
            "task": {"type": "classification", "domain": "CV", "specificTask": "handwritten digits"},
            "data": {"size": "1,797 labelled images", "distribution": "10 balanced classes"},
            "constraints": CPU,
        },
        write_digits,
        # From scratch, so a tiny network at a rate for that, on images of near their own size. Digits must not be flipped.
        {
            "recipe.model": {"id": "test_resnet", "pretrained": False, "adaptation": "scratch"},
            "recipe.input.imageSize": 32,
            "recipe.optimizer.learningRate": 2e-3,
            "recipe.optimizer.parameterGroups": [{"name": "norm_and_bias", "learningRateScale": 1.0, "weightDecay": 0.0}],
            "recipe.batch": {"perDevice": 64, "effective": 64},
            "recipe.epochs": 40,
            "recipe.augmentation": [{"name": "random_resized_crop", "value": 0.7}],
            "project.workers": 0,
        },
    ),
    "masks": Case(
        {
            "task": {"type": "segmentation", "domain": "CV", "specificTask": "semantic segmentation of handwritten digits"},
            "data": {"size": "449 labelled images", "distribution": "11 classes"},
            "constraints": CPU,
            "existingSetup": {"baseModel": "unet_mobilenet_v2"},
        },
        write_scenes,
        # From scratch, at a rate for that, on images of their own size. Digits must not be flipped.
        {
            "recipe.model": {"pretrained": False, "adaptation": "scratch"},
            "recipe.input.imageSize": 2 * CELL,
            "recipe.optimizer.learningRate": 2e-3,
            "recipe.epochs": 15,
            "recipe.augmentation": [],
            "project.workers": 0,
        },
        ("miou", "dice", "accuracy"),
    ),
    "cancer": Case(
        {
            "task": {"type": "classification", "domain": "tabular", "specificTask": "tumour classification from measurements"},
            "data": {"size": "569 rows, 30 columns", "distribution": "2 classes"},
            "constraints": CPU,
            "existingSetup": {"baseModel": "MLP"},
        },
        lambda folder: write_table(folder, load_breast_cancer()),
        {"project.workers": 0},
    ),
    "wine": Case(
        {
            "task": {"type": "classification", "domain": "tabular", "specificTask": "cultivar of a wine from its chemistry"},
            "data": {"size": "178 rows, 13 columns", "distribution": "3 classes"},
            "constraints": CPU,
            "existingSetup": {"baseModel": "FT-Transformer"},
        },
        lambda folder: write_table(folder, load_wine()),
        {"project.workers": 0},
    ),
    "docstrings": Case(
        {
            "task": {"type": "classification", "domain": "NLP", "specificTask": "text classification: the library of a docstring"},
            "data": {"size": f"{EACH * len(PACKAGES):,} labelled texts", "distribution": f"{len(PACKAGES)} balanced classes"},
            "constraints": CPU,
            "existingSetup": {"baseModel": "bert-base-uncased"},
        },
        write_docstrings,
        # From scratch, so a tiny network at a rate for that, on texts of their own length.
        {
            "recipe.model": {"id": "../encoder", "adaptation": "full"},
            "recipe.input.sequenceLength": 64,
            "recipe.optimizer.learningRate": 5e-4,
            "recipe.batch": {"perDevice": 64, "accumulation": 1, "effective": 64},
            "recipe.epochs": 10,
            "project.workers": 0,
        },
    ),
    "prices": Case(
        {
            "task": {"type": "forecasting", "domain": "time series", "specificTask": "forecast an index"},
            "data": {"size": "28 years of monthly prices"},
            "constraints": CPU,
            "existingSetup": {"baseModel": "NLinear"},
            "facts": {"data.horizon": 6},
        },
        write_prices,
        {"project.workers": 0},
        ("mase", "mape"),
    ),
}


def change(settings: dict[str, Any], changes: dict[str, Any]) -> None:
    for path, value in changes.items():
        *way, last = path.split(".")
        place = settings
        for name in way:
            place = place[name]
        place[last] = {**place[last], **value} if isinstance(value, dict) else value


def run_case(case: Case, seed: int) -> dict[str, Any]:
    """Scaffold, change, train, evaluate; what evaluate.py found, and the processor's seconds."""
    with tempfile.TemporaryDirectory() as name:
        folder, data = Path(name) / "project", case.write(Path(name))
        scaffold(design(case.request, "none"), folder)
        settings = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        change(settings, {**case.changes, "project.seed": seed})
        (folder / "config.yaml").write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        for script in ("train.py", "evaluate.py"):
            command = [sys.executable, script, "--data", str(data)]
            subprocess.run(command, cwd=folder, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found: dict[str, Any] = json.loads((folder / "runs" / "train" / "evaluation.json").read_text(encoding="utf-8"))
        return {**found, "seconds": after.ru_utime - before.ru_utime}


def main() -> None:
    for name in sys.argv[1:] or CASES:
        case = CASES[name]
        for seed in SEEDS:
            found = run_case(case, seed)
            told = ", ".join(f"{measure} {found[measure]:.4f}" for measure in case.measures)
            print(
                f"{name}, seed {seed}: {found['samples']} in the test part, {told}, {found['seconds']:.0f} s of processor time", flush=True
            )


if __name__ == "__main__":
    main()
