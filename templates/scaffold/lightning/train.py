"""Train the designed model with Lightning.

Usage:
    python train.py --smoke                 a tiny run on synthetic data with random weights: does everything work here?
    python train.py --data PATH             train; checkpoints and TensorBoard logs go to runs/train
    python train.py --data PATH --resume    go on where the last checkpoint stands

Every number is read from config.yaml, whose `recipe` is the design report's. What is special to the task stands in task.py.
A Lightning epoch here is the way to the next evaluation: an epoch of the data, or the part of it that config.yaml asks for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping, EMAWeightAveraging, LearningRateMonitor, ModelCheckpoint
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from optimizer import make_optimizer
from schedule import rate_factor
from settings import LOWER_IS_BETTER, Settings, parse_arguments, read_settings
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
    predict_batch,
    set_mode,
    weights_of,
)

PRECISION: dict[str, Any] = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


class Rest:
    """The batches up to the next evaluation, less those that a run that is resumed has seen; its length counts them all."""

    def __init__(self, loader: DataLoader[Batch], length: int) -> None:
        self.loader, self.length = loader, length

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.loader)

    def state_dict(self) -> dict[str, Any]:
        """Nothing: the step of the optimizer, which every checkpoint holds, tells which batches are left."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


class Data(pl.LightningDataModule):
    """The parts of the data, in an order that the seed and the epoch determine."""

    def __init__(self, settings: Settings, data: Path | None) -> None:
        super().__init__()
        self.settings, self.sets = settings, load_data(settings, data)
        self.batch = settings["recipe"]["batch"]
        self.accumulation = max(1, self.batch["effective"] // self.batch["perDevice"])  # one device takes the steps of all
        self.steps_per_epoch = max(1, len(self.sets["train"]) // self.batch["effective"])

    def train_dataloader(self) -> Rest:
        assert self.trainer is not None
        step, total = self.trainer.global_step, self.trainer.max_steps
        epoch, done = divmod(step, self.steps_per_epoch)
        part = math.ceil(self.steps_per_epoch / self.settings["project"]["evaluationsPerEpoch"])
        since = done // part * part
        until = min(self.steps_per_epoch, since + part, done + total - step)
        shuffled = torch.Generator().manual_seed(self.settings["project"]["seed"] + epoch)
        order = torch.randperm(len(self.sets["train"]), generator=shuffled).tolist()
        loader = make_loader(self.sets["train"], self.settings, order[done * self.batch["effective"] : until * self.batch["effective"]])
        loader.generator = shuffled  # else a loader draws a seed when it starts, which a run that is resumed does once more
        return Rest(loader, (until - since) * self.accumulation)

    def val_dataloader(self) -> DataLoader[Batch]:
        return make_loader(self.sets["validation"], self.settings)


class Design(pl.LightningModule):
    """The model, its loss, its optimizer and its schedule, as the recipe has them."""

    def __init__(self, settings: Settings, total: int, steps_per_epoch: int) -> None:
        super().__init__()
        self.settings, self.recipe, self.total = settings, settings["recipe"], total
        self.epochs, self.watch = total / steps_per_epoch, settings["project"]["watch"]
        self.model = build_model(settings)
        self.strict_loading = False  # a checkpoint may keep adapters alone
        self.predicted: list[tuple[Any, Any]] = []
        self.rate_scale, self.best, self.stale = 1.0, math.inf, 0

    def configure_optimizers(self) -> Any:
        optimizer = make_optimizer(parameter_groups(self.model, self.settings), self.settings)
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": LambdaLR(optimizer, self.rate), "interval": "step"}}

    def rate(self, step: int) -> float:
        return rate_factor(step, self.total, self.recipe["schedule"], self.epochs) * self.rate_scale

    def on_train_start(self) -> None:
        if self.global_step:
            print(f"resumed at step {self.global_step} of {self.total}")

    def on_train_epoch_start(self) -> None:
        set_mode(self.model)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        loss = compute_loss(self.model, batch, self.settings)
        if not torch.isfinite(loss):
            raise SystemExit(f"the loss is {loss} at step {self.global_step}: lower the learning rate, or look at the last batch")
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def on_validation_epoch_start(self) -> None:
        self.random = torch.get_rng_state()  # a run that is killed while it is evaluated goes on with the next step

    def validation_step(self, batch: Batch, index: int) -> None:
        self.predicted.append(predict_batch(self.model, batch))

    def on_validation_epoch_end(self) -> None:
        scores = measure(self.predicted, self.settings)
        torch.set_rng_state(self.random)
        self.predicted.clear()
        if self.watch not in scores:
            raise SystemExit(
                f"the validation part does not allow {self.watch}: write one of {sorted(scores)} at project.watch in config.yaml"
            )
        self.log_dict({f"validation/{name}": value for name, value in scores.items()})
        print(f"step {self.global_step}: " + ", ".join(f"{name} {value:.4f}" for name, value in scores.items()))
        loss = scores[self.watch] if self.watch in LOWER_IS_BETTER else -scores[self.watch]
        self.best, self.stale = (loss, 0) if loss < self.best else (self.best, self.stale + 1)
        plateau = self.settings["project"]["plateau"]
        if self.recipe["schedule"]["name"] == "plateau" and self.stale and self.stale % plateau["patience"] == 0:
            self.rate_scale *= plateau["factor"]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["run"] = {"rate_scale": self.rate_scale, "best": self.best, "stale": self.stale, "random": torch.get_rng_state()}
        if not self.recipe.get("ema"):  # else Lightning has put the moving average there
            checkpoint["state_dict"] = {f"model.{name}": tensor for name, tensor in weights_of(self.model).items()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        kept = checkpoint["run"]
        self.rate_scale, self.best, self.stale = kept["rate_scale"], kept["best"], kept["stale"]
        torch.set_rng_state(kept["random"].cpu())
        load_weights(self.model, weights_in(checkpoint))


class Evaluated(Callback):
    """Keeps last.ckpt after every evaluation, and tells a search how it went."""

    def __init__(self, folder: Path, on_evaluation: Callable[[int, float], None] | None) -> None:
        self.folder, self.on_evaluation = folder, on_evaluation

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        trainer.save_checkpoint(self.folder / "last.ckpt", weights_only=False)
        if self.on_evaluation:
            self.on_evaluation(trainer.global_step, float(trainer.callback_metrics[f"validation/{module.watch}"]))


class Trainer:
    """One run: the design, its data and Lightning's trainer, with the checkpoints last.ckpt and best.ckpt in its folder."""

    def __init__(self, settings: Settings, data: Path | None, folder: Path) -> None:
        pl.seed_everything(settings["project"]["seed"], verbose=False)
        self.settings, self.folder, recipe = settings, folder, settings["recipe"]
        self.data = Data(settings, data)
        self.total = recipe.get("steps") or max(1, round(recipe["epochs"] * self.data.steps_per_epoch))
        self.design, self.watch = Design(settings, self.total, self.data.steps_per_epoch), settings["project"]["watch"]

    def fit(self, on_evaluation: Callable[[int, float], None] | None = None, resume: bool = False) -> float:
        """Train to the end or until nothing improves any more; returns the best validation score."""
        project, recipe = self.settings["project"], self.settings["recipe"]
        watched: dict[str, Any] = {"monitor": f"validation/{self.watch}", "mode": "min" if self.watch in LOWER_IS_BETTER else "max"}
        kept: dict[str, Any] = {"dirpath": self.folder, "enable_version_counter": False}
        best = ModelCheckpoint(filename="best", **watched, **kept)
        last = ModelCheckpoint(filename="last", every_n_train_steps=project["checkpointSteps"], **kept)
        callbacks: list[Callback] = [LearningRateMonitor("step"), best, last, Evaluated(self.folder, on_evaluation)]
        if project["patience"]:
            callbacks.append(EarlyStopping(**watched, patience=project["patience"], min_delta=0.0))
        if recipe.get("ema"):
            callbacks.append(EMAWeightAveraging(decay=recipe["ema"]))
        half = recipe["precision"] == "fp16" and not torch.cuda.is_available()  # CPUs, which do not train in float16, take bfloat16
        trainer = pl.Trainer(
            max_steps=self.total,
            devices=1,
            precision=PRECISION["bf16" if half else recipe["precision"]],
            accumulate_grad_batches=self.data.accumulation,
            gradient_clip_val=recipe.get("gradientClipNorm"),
            reload_dataloaders_every_n_epochs=1,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
            logger=TensorBoardLogger(self.folder, name="tensorboard", version=""),
            callbacks=callbacks,
            enable_model_summary=False,
        )
        trainer.fit(self.design, datamodule=self.data, ckpt_path=self.folder / "last.ckpt" if resume else None, weights_only=False)
        assert best.best_model_score is not None
        return float(best.best_model_score)


def weights_in(checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    """The model's part of a checkpoint: the moving average where one was kept."""
    return {name.removeprefix("model."): tensor for name, tensor in checkpoint["state_dict"].items()}


def load_best(settings: Settings, folder: Path, device: torch.device) -> nn.Module:
    """The model with the weights of the best checkpoint."""
    pl.seed_everything(settings["project"]["seed"], verbose=False)
    model = build_model(settings)
    load_weights(model, weights_in(torch.load(folder / "best.ckpt", map_location="cpu", weights_only=True)))
    return model.to(device).eval()


def main() -> None:
    resume = {"action": "store_true", "help": "go on with the last checkpoint in the output folder"}
    arguments = parse_arguments("Train the designed model.", DATA, resume=resume)
    trainer = Trainer(read_settings(arguments.smoke), arguments.data, arguments.output)
    again = arguments.resume and (arguments.output / "last.ckpt").exists()
    score = trainer.fit(resume=again)
    print(f"best validation {trainer.watch}: {score:.4f}; checkpoints in {arguments.output}")


if __name__ == "__main__":
    main()
