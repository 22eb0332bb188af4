"""Train the designed model with JAX: a Flax NNX module and an optax optimizer.

Usage:
    python train.py --smoke                 a tiny run on synthetic data with random weights: does everything work here?
    python train.py --data PATH             train; checkpoints and TensorBoard logs go to runs/train
    python train.py --data PATH --resume    go on where the last checkpoint stands

Every number is read from config.yaml, whose `recipe` is the design report's. What is special to the task stands in task.py.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax import numpy as jnp
from tensorboard.summary import Writer
from tqdm import tqdm

from optimizer import make_optimizer
from prediction import predict
from progress import Progress
from schedule import rate_factor
from settings import Settings, parse_arguments, read_settings
from task import DATA, build_model, compute_loss, load_data, measure, trained

Batch = tuple[np.ndarray, np.ndarray]


class Trainer:
    """One run: the model, what trains it, and the checkpoints last.npz and best.npz in its folder."""

    def __init__(self, settings: Settings, data: Path | None, folder: Path) -> None:
        self.settings, self.recipe, self.folder = settings, settings["recipe"], folder
        self.sets, self.watch, self.progress = load_data(settings, data), settings["project"]["watch"], Progress()
        batch = self.recipe["batch"]
        self.accumulation = max(1, batch["effective"] // batch["perDevice"])  # one device takes the steps of all
        self.size = min(batch["perDevice"], len(self.sets["train"]))
        self.batches_per_epoch = max(1, len(self.sets["train"]) // self.size)
        self.steps_per_epoch = max(1, len(self.sets["train"]) // batch["effective"])
        self.total = self.recipe.get("steps") or max(1, round(self.recipe["epochs"] * self.steps_per_epoch))
        epochs = self.total / self.steps_per_epoch
        factors = [rate_factor(step, self.total, self.recipe["schedule"], epochs) for step in range(self.total)]
        self.model = build_model(settings)
        self.optimizer = nnx.Optimizer(self.model, make_optimizer(self.model, settings, factors), wrt=trained(settings))
        self.average = nnx.state(self.model, nnx.Param) if self.recipe.get("ema") else None
        self.train_step = make_train_step(settings)

    def fit(self, on_evaluation: Callable[[int, float], None] | None = None) -> float:
        """Train to the end or until nothing improves any more; returns the best validation score."""
        writer, project = Writer(str(self.folder / "tensorboard")), self.settings["project"]
        patience = project["patience"] or math.inf
        while self.progress.step < self.total and self.progress.stale < patience:
            self._epoch(writer)
            scores = measure(*predict(answer(self._shown()), self.sets["validation"], self.settings), self.settings)
            for name, value in scores.items():
                writer.add_scalar(f"validation/{name}", value, self.progress.step)
            writer.flush()
            if self.watch not in scores:
                raise SystemExit(
                    f"the validation part does not allow {self.watch}: write one of {sorted(scores)} at project.watch in config.yaml"
                )
            print(f"step {self.progress.step}: " + ", ".join(f"{name} {value:.4f}" for name, value in scores.items()))
            if self.progress.judge(scores[self.watch], self.settings):
                self.save("best")
            self.save("last")
            if on_evaluation:
                on_evaluation(self.progress.step, scores[self.watch])
        assert self.progress.best is not None
        return self.progress.best

    def _epoch(self, writer: Writer) -> None:
        """The steps of an epoch, or what is left of it."""
        epoch, done = divmod(self.progress.step, self.steps_per_epoch)
        steps = min(self.steps_per_epoch - done, self.total - self.progress.step)
        start = self.progress.step * self.accumulation
        batches = prefetch(self._batch, range(start, start + steps * self.accumulation), self.settings["project"]["workers"])
        bar = tqdm(range(steps), f"epoch {epoch + 1}", disable=None, leave=False)
        for _ in bar:
            loss = sum(self._part(*next(batches)) for _ in range(self.accumulation)) / self.accumulation
            if not math.isfinite(loss):
                raise SystemExit(f"the loss is {loss} at step {self.progress.step}: lower the learning rate, or look at the last batch")
            if self.average is not None:
                self.average = average(self.average, nnx.state(self.model, nnx.Param), self.recipe["ema"] if self.progress.step else 0.0)
            bar.set_postfix(loss=f"{loss:.4f}")
            writer.add_scalar("train/loss", loss, self.progress.step)
            self.progress.step += 1
            if self.progress.step % self.settings["project"]["checkpointSteps"] == 0:
                self.save("last")

    def _batch(self, number: int) -> tuple[int, Batch]:
        """The batch of that number in the run, in an order that the seed and the epoch determine."""
        epoch, done = divmod(number, self.batches_per_epoch)
        order = np.random.default_rng([self.settings["project"]["seed"], epoch]).permutation(len(self.sets["train"]))
        return number, self.sets["train"].batch(order[done * self.size : (done + 1) * self.size].tolist(), number)

    def _part(self, number: int, batch: Batch) -> float:
        key = jax.random.fold_in(jax.random.key(self.settings["project"]["seed"]), number)
        return float(self.train_step(self.model, self.optimizer, batch, key, self.progress.rate_scale))

    def _shown(self) -> nnx.Module:
        """The model with its moving average where one is kept."""
        if self.average is None:
            return self.model
        shown = nnx.clone(self.model)
        nnx.update(shown, self.average)
        return shown

    def save(self, name: str) -> None:
        """Write beside the target, then move: a run that is killed leaves a whole checkpoint."""
        shown = self.average if self.average is not None else nnx.state(self.model, nnx.Param)
        state = {**named("shown", shown), **named("trained", nnx.state((self.model, self.optimizer)))}
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.folder / "part.npz"
        np.savez(part, **state, progress=np.array(json.dumps(asdict(self.progress))))
        part.replace(self.folder / f"{name}.npz")

    def restore(self) -> None:
        with np.load(self.folder / "last.npz") as kept:
            nnx.update((self.model, self.optimizer), filled("trained", nnx.state((self.model, self.optimizer)), kept))
            self.average = filled("shown", self.average, kept) if self.average is not None else None
            self.progress = Progress(**json.loads(str(kept["progress"])))


def named(prefix: str, tree: Any) -> dict[str, Any]:
    """The arrays of a tree by their places in it."""
    return {prefix + jax.tree_util.keystr(place): np.asarray(one) for place, one in jax.tree_util.tree_leaves_with_path(tree)}


def filled(prefix: str, tree: Any, kept: Mapping[str, np.ndarray]) -> Any:
    """The tree with the arrays that `named` has kept."""
    return jax.tree_util.tree_map_with_path(lambda place, _: jnp.asarray(kept[prefix + jax.tree_util.keystr(place)]), tree)


def make_train_step(settings: Settings) -> Callable[..., jax.Array]:
    """One step of the optimizer, or of its accumulation, over one batch; returns the loss."""

    @nnx.jit
    def train_step(model: nnx.Module, optimizer: nnx.Optimizer, batch: Batch, key: jax.Array, rate_scale: float) -> jax.Array:
        def loss_of(model: nnx.Module) -> jax.Array:
            return compute_loss(model, batch, settings, key)

        loss, gradients = nnx.value_and_grad(loss_of, argnums=nnx.DiffState(0, trained(settings)))(model)
        optimizer.update(model, gradients, rate_scale=rate_scale)
        return loss

    return train_step


@jax.jit
def average(kept: nnx.State, new: nnx.State, decay: float) -> nnx.State:
    return jax.tree.map(lambda old, now: decay * old + (1 - decay) * now, kept, new)


def prefetch(make: Callable[[int], Any], numbers: range, workers: int) -> Iterator[Any]:
    """What `make` gives for each number, in order, worked out ahead of time by threads."""
    with ThreadPoolExecutor(max(1, workers)) as pool:
        waiting: deque[Future[Any]] = deque()
        for number in numbers:
            waiting.append(pool.submit(make, number))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def answer(model: nnx.Module) -> Callable[[Any], jax.Array]:
    """What the model says of a batch of inputs."""
    return partial(forward, model)


@nnx.jit
def forward(model: Any, inputs: Any) -> jax.Array:
    return model(inputs).astype(jnp.float32)


def load_best(settings: Settings, folder: Path) -> nnx.Module:
    """The model with the weights of the best checkpoint: their moving average where one was kept; computes in fp32."""
    model = build_model(settings, start=False)
    with np.load(folder / "best.npz") as kept:
        nnx.update(model, filled("shown", nnx.state(model, nnx.Param), kept))
    return model


def main() -> None:
    resume = {"action": "store_true", "help": "go on with the last checkpoint in the output folder"}
    arguments = parse_arguments("Train the designed model.", DATA, resume=resume)
    trainer = Trainer(read_settings(arguments.smoke), arguments.data, arguments.output)
    if arguments.resume and (arguments.output / "last.npz").exists():
        trainer.restore()
        print(f"resumed at step {trainer.progress.step} of {trainer.total}")
    score = trainer.fit()
    print(f"best validation {trainer.watch}: {score:.4f}; checkpoints in {arguments.output}")


if __name__ == "__main__":
    main()
