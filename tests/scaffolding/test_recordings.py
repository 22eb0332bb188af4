"""What projects for sounds and speech make of recordings and transcripts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.io import wavfile

from tests.scaffolding.scripts import load
from tests.scaffolding.test_projects import run, write_project

TRAINING = """
import runpy, sys
for name in ("train", "evaluate"):
    sys.argv = [f"{name}.py", "--data", ".."]
    runpy.run_path(f"{name}.py", run_name="__main__")
"""
PITCHES = {"low": 200, "middle": 400, "high": 800}


def tone(pitch: float, rate: int, seconds: float = 1.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * pitch * np.arange(int(rate * seconds)) / rate)


@pytest.mark.parametrize(("kind", "scale", "shift"), [("int16", 32767, 0), ("int32", 2**31 - 1, 0), ("uint8", 127, 128), ("float32", 1, 0)])
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_a_recording_is_read_alike_whatever_its_file_has(kind: str, scale: float, shift: float, rate: int, tmp_path: Path) -> None:
    wave = tone(200, rate)
    stereo = np.stack([wave, wave], 1) * scale + shift
    wavfile.write(tmp_path / "one.wav", rate, stereo.astype(kind))
    found = load("audio", "recordings").read_wav(tmp_path / "one.wav").numpy()
    assert found.shape == (16_000,)
    assert np.abs(found - tone(200, 16_000))[200:-200].max() < 0.02  # eight bits are a hundredth apart


def test_a_file_that_is_no_wav_is_told_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "one.wav").write_bytes(b"ID3 something else altogether")
    with pytest.raises(SystemExit, match=r"one\.wav.*ffmpeg"):
        load("audio", "recordings").read_wav(tmp_path / "one.wav")


@pytest.mark.parametrize(
    ("said", "true", "edits"), [("a b c", "a b c", 0), ("a x c", "a b c", 1), ("", "a b", 2), ("a b b c", "a b c", 1), ("b c", "a b c", 1)]
)
def test_edits_are_counted(said: str, true: str, edits: int) -> None:
    assert load("speech", "transcripts").count_edits(said.split(), true.split()) == edits


def test_errors_are_shares_of_all_that_was_said_after_one_normalization() -> None:
    transcripts = load("speech", "transcripts")
    pairs = [(transcripts.normalize("The cat, sat!"), transcripts.normalize("the  CAT sat")), ("one", "one two")]
    assert transcripts.error_rates(pairs) == {"wer": 1 / 5, "cer": 4 / 18}
    assert transcripts.list_errors(pairs)["worst"][0] == {"said": "one", "true": "one two"}


@pytest.mark.slow
def test_a_keyword_spotter_learns_from_wav_files(tmp_path: Path) -> None:
    drawn, lines = np.random.default_rng(0), ["file,label,group"]
    for number in range(60):
        label = list(PITCHES)[number % 3]
        wave = tone(PITCHES[label] * drawn.uniform(0.95, 1.05), 8_000, drawn.uniform(0.7, 1.3))
        wavfile.write(tmp_path / f"{number}.wav", 8_000, (wave * 32767).astype("int16"))
        lines.append(f"{number}.wav,{label},{number // 3}")
    (tmp_path / "manifest.csv").write_text("\n".join(lines), encoding="utf-8")
    folder = write_project("keyword_spotting", tmp_path / "project")
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    config["recipe"]["input"]["outputs"] = 3
    config["recipe"] |= {"epochs": 10, "batch": {"perDevice": 6, "accumulation": 1, "devices": 1, "effective": 6}}
    config["recipe"]["optimizer"]["learningRate"] = 3e-3
    config["project"]["workers"] = 0
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    done = run(TRAINING, folder)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads((folder / "runs" / "train" / "evaluation.json").read_text(encoding="utf-8"))["accuracy"] >= 0.8
