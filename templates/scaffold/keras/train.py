"""Train the designed model with Keras 3, on the backend that KERAS_BACKEND names: tensorflow, jax or torch.

Usage:
    python train.py --smoke                 a tiny run on synthetic data with random weights: does everything work here?
    python train.py --data PATH             train; checkpoints and TensorBoard logs go to runs/train
    python train.py --data PATH --resume    go on where the last checkpoint stands

Every number is read from config.yaml, whose `recipe` is the design report's. What is special to the task stands in task.py.
A Keras epoch here is an epoch of the data, or a part of it where it has more steps than project.checkpointSteps.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
from tensorboard.summary import Writer

from optimizer import make_optimizer
from prediction import predict
from schedule import rate_factor
from settings import LOWER_IS_BETTER, Settings, parse_arguments, read_settings
from task import DATA, Data, build_model, compute_loss, load_data, measure

POLICIES = {"fp32": "float32", "bf16": "mixed_bfloat16", "fp16": "mixed_float16"}


class Batches(keras.utils.PyDataset):
    """The batches of one Keras epoch, in an order that the seed and the epoch of the data determine."""

    def __init__(self, data: Data, settings: Settings, length: int, start: int) -> None:
        super().__init__(workers=settings["project"]["workers"])
        self.data, self.settings, self.length, self.start = data, settings, length, start
        self.size = min(settings["recipe"]["batch"]["perDevice"], len(data))
        self.per_epoch = max(1, len(data) // self.size)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        number = self.start + index
        epoch, done = divmod(number, self.per_epoch)
        order = np.random.default_rng([self.settings["project"]["seed"], epoch]).permutation(len(self.data))
        return self.data.batch(order[done * self.size : (done + 1) * self.size].tolist(), number)

    def on_epoch_end(self) -> None:
        self.start += self.length


@dataclass
class Progress:
    """Where a run stands, as its checkpoints keep it. `stale` counts the evaluations since the best one."""

    epoch: int = 0
    best: float | None = None
    stale: int = 0


class Keeper(keras.callbacks.Callback):
    """Evaluates, logs, keeps the last and the best weights, and stops where nothing improves any more."""

    def __init__(self, trainer: Trainer, on_evaluation: Callable[[int, float], None] | None) -> None:
        super().__init__()
        self.trainer, self.on_evaluation = trainer, on_evaluation
        self.writer = Writer(str(trainer.folder / "tensorboard"))

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """What is drawn in an epoch hangs on its number alone, so that a run that is resumed draws the same."""
        drawn = np.random.default_rng([self.trainer.settings["project"]["seed"], epoch])
        keras.utils.set_random_seed(int(drawn.integers(2**31)))
        for variable in self.model.variables:
            if variable.path.endswith("seed_generator_state"):
                variable.assign(drawn.integers(2**31, size=2, dtype=np.uint32))

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        loss = (logs or {})["loss"]
        if not math.isfinite(loss):
            raise SystemExit(f"the loss is {loss}: lower the learning rate, or look at the last batch")
        step = self.trainer.progress.epoch * self.trainer.length + batch // self.trainer.accumulation
        self.writer.add_scalar("train/loss", float(loss), step)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        trainer, progress = self.trainer, self.trainer.progress
        progress.epoch = epoch + 1
        if progress.epoch % trainer.epochs_per_evaluation == 0 or progress.epoch == trainer.epochs:
            own = self.model.get_weights()
            if trainer.recipe.get("ema"):
                self.model.optimizer.finalize_variable_values(self.model.trainable_variables)
            scores = measure(*predict(answer(self.model), trainer.sets["validation"], trainer.settings), trainer.settings)
            self._judge(scores)
            self.model.set_weights(own)
        trainer.save("last")

    def _judge(self, scores: dict[str, float]) -> None:
        trainer, progress = self.trainer, self.trainer.progress
        step = progress.epoch * trainer.length
        for name, value in scores.items():
            self.writer.add_scalar(f"validation/{name}", value, step)
        self.writer.add_scalar("train/learning_rate", float(self.model.optimizer.learning_rate), step)
        self.writer.flush()
        if trainer.watch not in scores:
            raise SystemExit(
                f"the validation part does not allow {trainer.watch}: write one of {sorted(scores)} at project.watch in config.yaml"
            )
        print(f"\nstep {step}: " + ", ".join(f"{name} {value:.4f}" for name, value in scores.items()))
        score, sign = scores[trainer.watch], -1 if trainer.watch in LOWER_IS_BETTER else 1
        if progress.best is None or sign * score > sign * progress.best:
            progress.best, progress.stale = score, 0
            trainer.save("best")
        else:
            progress.stale += 1
        self.model.stop_training = progress.stale >= (trainer.settings["project"]["patience"] or math.inf)
        if self.on_evaluation:
            self.on_evaluation(step, score)


class Trainer:
    """One run: the compiled model, its data, and the checkpoints last.weights.h5 and best.weights.h5 in its folder."""

    def __init__(self, settings: Settings, data: Path | None, folder: Path) -> None:
        self.settings, self.recipe, self.folder = settings, settings["recipe"], folder
        keras.utils.set_random_seed(settings["project"]["seed"])
        keras.config.set_dtype_policy(POLICIES[self.recipe["precision"]])
        self.sets, self.watch, self.progress = load_data(settings, data), settings["project"]["watch"], Progress()
        batch = self.recipe["batch"]
        self.accumulation = max(1, batch["effective"] // batch["perDevice"])  # one device takes the steps of all
        steps_per_epoch = max(1, len(self.sets["train"]) // batch["effective"])
        self.epochs_per_evaluation = math.ceil(steps_per_epoch / settings["project"]["checkpointSteps"])
        self.length = math.ceil(steps_per_epoch / self.epochs_per_evaluation)  # optimizer steps in a Keras epoch
        total = self.recipe.get("steps") or max(1, round(self.recipe["epochs"] * steps_per_epoch))
        self.epochs = math.ceil(total / self.length)
        factors = [rate_factor(step, total, self.recipe["schedule"], total / steps_per_epoch) for step in range(total)]
        self.model = build_model(settings)
        self.model.compile(make_optimizer(self.model, settings, factors), compute_loss(settings))
        self.model.optimizer.build(self.model.trainable_variables)

    def fit(self, on_evaluation: Callable[[int, float], None] | None = None) -> float:
        """Train to the end or until nothing improves any more; returns the best validation score."""
        self.folder.mkdir(parents=True, exist_ok=True)
        length, project = self.length * self.accumulation, self.settings["project"]
        batches = Batches(self.sets["train"], self.settings, length, self.progress.epoch * length)
        callbacks = [Keeper(self, on_evaluation)]
        if self.recipe["schedule"]["name"] == "plateau":
            callbacks.append(keras.callbacks.ReduceLROnPlateau("loss", mode="min", **project["plateau"]))
        if self.progress.stale < (project["patience"] or math.inf):
            self.model.fit(batches, initial_epoch=self.progress.epoch, epochs=self.epochs, callbacks=callbacks)
        assert self.progress.best is not None
        return self.progress.best

    def save(self, name: str) -> None:
        """Weights, optimizer and progress in one file, written beside the target, then moved: a kill leaves a whole checkpoint."""
        path = self.folder / f"{name}.weights.h5"
        part = self.folder / "part.weights.h5"
        self.model.save_weights(part)
        with h5py.File(part, "r+") as file:
            file.attrs["progress"] = json.dumps(asdict(self.progress))
        part.replace(path)

    def restore(self) -> None:
        self.model.load_weights(self.folder / "last.weights.h5")
        with h5py.File(self.folder / "last.weights.h5") as file:
            self.progress = Progress(**json.loads(str(file.attrs["progress"])))


def answer(model: keras.Model) -> Callable[[Any], Any]:
    """What the model says of a batch of inputs."""
    return model.predict_on_batch  # type: ignore[no-any-return]


def load_best(settings: Settings, folder: Path) -> keras.Model:
    """The model with the weights of the best checkpoint, in fp32."""
    keras.config.set_dtype_policy("float32")
    model = build_model({**settings, "recipe": {**settings["recipe"], "model": {**settings["recipe"]["model"], "pretrained": False}}})
    model.load_weights(folder / "best.weights.h5")
    return model


def main() -> None:
    resume = {"action": "store_true", "help": "go on with the last checkpoint in the output folder"}
    arguments = parse_arguments("Train the designed model.", DATA, resume=resume)
    trainer = Trainer(read_settings(arguments.smoke), arguments.data, arguments.output)
    if arguments.resume and (arguments.output / "last.weights.h5").exists():
        trainer.restore()
        print(f"resumed at step {trainer.progress.epoch * trainer.length} of {trainer.epochs * trainer.length}")
    score = trainer.fit()
    print(f"best validation {trainer.watch}: {score:.4f}; checkpoints in {arguments.output}")


if __name__ == "__main__":
    main()
