"""Train the designed model.

Usage:
    python train.py --smoke                 a tiny run on synthetic data with random weights: does everything work here?
    python train.py --data PATH             train; checkpoints and TensorBoard logs go to runs/train
    python train.py --data PATH --resume    go on where the last checkpoint stands

Every number is read from config.yaml, whose `recipe` is the design report's. What is special to the task stands in task.py.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from optimizer import make_optimizer
from prediction import half_of, predict, to_device
from progress import Progress
from schedule import rate_factor
from settings import Settings, parse_arguments, read_settings
from task import (
    DATA,
    Batch,
    build_model,
    compute_loss,
    load_data,
    load_weights,
    make_loader,
    measure,
    parameter_groups,
    set_mode,
    weights_of,
)


class Trainer:
    """One run: the model, what trains it, and the checkpoints `last.pt` and `best.pt` in its folder."""

    def __init__(self, settings: Settings, data: Path | None, folder: Path) -> None:
        self.settings, self.recipe, self.folder = settings, settings["recipe"], folder
        seed_everything(settings["project"]["seed"])
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.sets = load_data(settings, data)
        self.model = build_model(settings).to(self.device)
        self.optimizer = make_optimizer(parameter_groups(self.model, settings), settings)
        ema = self.recipe.get("ema")
        self.average = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(ema), use_buffers=True) if ema else None
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=half_of(settings, self.device) is torch.float16)
        self.progress, self.watch = Progress(), settings["project"]["watch"]
        batch = self.recipe["batch"]
        self.accumulation = max(1, batch["effective"] // batch["perDevice"])  # one device takes the steps of all
        self.steps_per_epoch = max(1, len(self.sets["train"]) // batch["effective"])
        self.total = self.recipe.get("steps") or max(1, round(self.recipe["epochs"] * self.steps_per_epoch))

    def fit(self, on_evaluation: Callable[[int, float], None] | None = None) -> float:
        """Train to the end or until nothing improves any more; returns the best validation score."""
        writer = SummaryWriter(str(self.folder / "tensorboard"), purge_step=self.progress.step)
        patience = self.settings["project"]["patience"] or math.inf
        while self.progress.step < self.total and self.progress.stale < patience:
            self._epoch(writer)
            shown = self.average.module if self.average else self.model
            scores = evaluate(shown, make_loader(self.sets["validation"], self.settings), self.settings, self.device)
            for name, value in scores.items():
                writer.add_scalar(f"validation/{name}", value, self.progress.step)
            if self.watch not in scores:
                raise SystemExit(
                    f"the validation part does not allow {self.watch}: write one of {sorted(scores)} at project.watch in config.yaml"
                )
            score = scores[self.watch]
            print(f"step {self.progress.step}: " + ", ".join(f"{name} {value:.4f}" for name, value in scores.items()))
            if self.progress.judge(score, self.settings):
                self.save("best.pt")
            self.save("last.pt")
            if on_evaluation:
                on_evaluation(self.progress.step, score)
        writer.close()
        assert self.progress.best is not None
        return self.progress.best

    def _epoch(self, writer: SummaryWriter) -> None:
        """The steps of an epoch, or what is left of it, up to the next evaluation."""
        epoch, done = divmod(self.progress.step, self.steps_per_epoch)
        shuffled = torch.Generator().manual_seed(self.settings["project"]["seed"] + epoch)
        order = torch.randperm(len(self.sets["train"]), generator=shuffled).tolist()
        part = math.ceil(self.steps_per_epoch / self.settings["project"]["evaluationsPerEpoch"])
        until = min(self.steps_per_epoch, (done // part + 1) * part)
        batch = self.recipe["batch"]["effective"]
        with torch.random.fork_rng(devices=[]):  # a loader draws a seed when it starts, which a run that is resumed does once more
            batches = iter(make_loader(self.sets["train"], self.settings, order[done * batch : self.steps_per_epoch * batch]))
        set_mode(self.model)
        bar = tqdm(range(done, until), f"epoch {epoch + 1}", disable=None, leave=False)
        for _ in bar:
            if self.progress.step == self.total:
                break
            loss = self._step(list(itertools.islice(batches, self.accumulation)))
            bar.set_postfix(loss=f"{loss:.4f}")
            writer.add_scalar("train/loss", loss, self.progress.step)
            writer.add_scalar("train/learning_rate", self.optimizer.param_groups[-1]["lr"], self.progress.step)
            if self.progress.step % self.settings["project"]["checkpointSteps"] == 0:
                self.save("last.pt")

    def _step(self, parts: list[Batch]) -> float:
        """One step of the optimizer over the parts of one batch; returns the mean loss."""
        factor = rate_factor(self.progress.step, self.total, self.recipe["schedule"], self.total / self.steps_per_epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor * self.progress.rate_scale
        half, total = half_of(self.settings, self.device), 0.0
        for part in parts:
            with torch.autocast(self.device.type, half, enabled=half is not None):
                loss = compute_loss(self.model, to_device(part, self.device), self.settings) / len(parts)
            self.scaler.scale(loss).backward()
            total += loss.item()
        if not math.isfinite(total):
            raise SystemExit(f"the loss is {total} at step {self.progress.step}: lower the learning rate, or look at the last batch")
        self.scaler.unscale_(self.optimizer)
        if norm := self.recipe.get("gradientClipNorm"):
            nn.utils.clip_grad_norm_(self.model.parameters(), norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average:
            self.average.update_parameters(self.model)
        self.progress.step += 1
        return total

    def save(self, name: str) -> None:
        """Write beside the target, then move: a run that is killed leaves a whole checkpoint."""
        state = {
            "model": weights_of(self.model),
            "average": weights_of(self.average.module) if self.average else None,
            "averaged": self.average.n_averaged if self.average else None,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "progress": asdict(self.progress),
            "random": torch.get_rng_state(),
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        torch.save(state, self.folder / f"{name}.part")
        (self.folder / f"{name}.part").replace(self.folder / name)

    def restore(self) -> None:
        state = torch.load(self.folder / "last.pt", map_location=self.device, weights_only=True)
        load_weights(self.model, state["model"])
        if self.average:
            load_weights(self.average.module, state["average"])
            self.average.n_averaged.copy_(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.progress = Progress(**state["progress"])
        torch.set_rng_state(state["random"].cpu())


def seed_everything(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def evaluate(model: nn.Module, loader: DataLoader[Batch], settings: Settings, device: torch.device) -> dict[str, float]:
    with torch.random.fork_rng(devices=[]):  # a run that is killed while it is evaluated goes on with the next step
        return measure(predict(model, loader, settings, device), settings)


def load_best(settings: Settings, folder: Path, device: torch.device) -> nn.Module:
    """The model with the weights of the best checkpoint: their moving average where one was kept."""
    seed_everything(settings["project"]["seed"])
    state = torch.load(folder / "best.pt", map_location="cpu", weights_only=True)
    model = build_model(settings)
    load_weights(model, state["average"] or state["model"])
    return model.to(device).eval()


def main() -> None:
    resume = {"action": "store_true", "help": "go on with the last checkpoint in the output folder"}
    arguments = parse_arguments("Train the designed model.", DATA, resume=resume)
    trainer = Trainer(read_settings(arguments.smoke), arguments.data, arguments.output)
    if arguments.resume and (arguments.output / "last.pt").exists():
        trainer.restore()
        print(f"resumed at step {trainer.progress.step} of {trainer.total}")
    score = trainer.fit()
    print(f"best validation {trainer.watch}: {score:.4f}; checkpoints in {arguments.output}")


if __name__ == "__main__":
    main()
