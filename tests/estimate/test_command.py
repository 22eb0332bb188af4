"""`advisor estimate` at the command line."""

from __future__ import annotations

import json

import pytest

from advisor.cli.main import BAD_INPUT, main


def test_the_table_shows_a_bar_and_what_fits(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", "timm:resnet18", "--batch", "8", "--on", "RTX 3060 12GB", "--image-size", "64"]) == 0
    shown = capsys.readouterr().out
    assert all(words in shown for words in ("11.7 M", "64 x 64 pixels", "Training memory", "Largest batch", "samples/s"))
    bar = next(line for line in shown.splitlines() if line.startswith("WW"))
    assert set(bar) <= set("WGOALTwsc")
    assert max(map(len, shown.splitlines())) <= 80


def test_json_is_the_wire_form(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", "transformers:gpt2", "--config", "n_layer=2", "--sequence-length", "32", "--format", "json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["task"] == "text_generation"
    assert answer["trainingMemory"]["low"] <= answer["trainingMemory"]["total"] <= answer["trainingMemory"]["high"]


@pytest.mark.parametrize(("arguments", "words"), [(["--lora", "big"], "write --lora r=16"), (["--config", "x"], "is no KEY=VALUE")])
def test_bad_settings_are_quoted(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", "resnet18", *arguments]) == BAD_INPUT
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("name", ["gpt4", "claude-3.5-sonnet"])
def test_a_model_whose_weights_are_not_published_is_said_to_be_closed_and_no_other_is_meant(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["estimate", name]) == BAD_INPUT
    said = capsys.readouterr().err
    assert "its weights are not published" in said
    assert "did you mean" not in said
