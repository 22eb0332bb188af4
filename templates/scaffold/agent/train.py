"""Train the designed agent.

Usage:
    python train.py --smoke                 a tiny run in a synthetic environment: does everything work here?
    python train.py --data NAME             train; checkpoints and TensorBoard logs go to runs/train
    python train.py --data NAME --resume    go on where the last checkpoint stands

Every number is read from config.yaml, whose `recipe` is the design report's. What is special to the task stands in task.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy

from settings import Settings, parse_arguments, read_settings
from task import DATA, build_model, make_environment

FURTHER = 1_000  # added to the seed for evaluation: other episodes than those trained on


def mean_return(model: Any, settings: Settings, data: Path | None, seed: int) -> tuple[float, float]:
    """Mean and standard deviation of the undiscounted return over whole episodes, the agent taking what it holds best."""
    environment = make_environment(settings, data)
    environment.reset(seed=seed)
    found = evaluate_policy(model, environment, settings["project"]["episodes"], deterministic=True)
    return float(found[0]), float(found[1])  # type: ignore[arg-type]


class Keeper(BaseCallback):
    """Keeps the last and the best agent, each whole or not at all."""

    def __init__(self, trainer: Trainer, on_evaluation: Callable[[int, float], None] | None) -> None:
        super().__init__()
        self.trainer, self.on_evaluation = trainer, on_evaluation

    def _on_step(self) -> bool:
        project = self.trainer.settings["project"]
        if self.num_timesteps % project["checkpointSteps"] == 0:
            self.trainer.save("last", memory=True)
        if self.num_timesteps % project["evaluationSteps"] == 0:
            score, deviation = mean_return(self.model, self.trainer.settings, self.trainer.data, project["seed"] + FURTHER)
            self.logger.record("validation/episode_return", score)
            print(f"step {self.num_timesteps}: episode_return {score:.2f} ± {deviation:.2f}")
            if score > self.trainer.best:
                self.trainer.best = score
                self.trainer.save("best")
            if self.on_evaluation:
                self.on_evaluation(self.num_timesteps, score)
        return True


class Trainer:
    """One run: the agent, its environment, and the checkpoints `last.zip` and `best.zip` in its folder."""

    def __init__(self, settings: Settings, data: Path | None, folder: Path) -> None:
        self.settings, self.data, self.folder = settings, data, folder
        self.watch, self.best = settings["project"]["watch"], float("-inf")
        self.environment = make_environment(settings, data)
        self.model = build_model(settings, self.environment, folder)

    def fit(self, on_evaluation: Callable[[int, float], None] | None = None) -> float:
        """Train for the steps that are left; returns the best mean return."""
        left = self.settings["project"]["steps"] - self.model.num_timesteps
        if left > 0:
            self.model.learn(left, Keeper(self, on_evaluation), reset_num_timesteps=self.model.num_timesteps == 0)
        self.save("last", memory=True)
        return self.best

    def save(self, name: str, memory: bool = False) -> None:
        """Write beside the target, then move: a run that is killed leaves a whole checkpoint. The memory is the replay buffer."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if memory and hasattr(self.model, "save_replay_buffer"):
            self.model.save_replay_buffer(self.folder / "memory.part")
            (self.folder / "memory.part").replace(self.folder / "memory.pkl")
        self.model.save(self.folder / f"{name}.part")
        (self.folder / f"{name}.part").replace(self.folder / f"{name}.zip")
        if name == "best":
            (self.folder / "best.txt").write_text(str(self.best), encoding="utf-8")

    def restore(self) -> None:
        """A pickle runs code when it is read: resume no run that you did not start."""
        self.model = type(self.model).load(self.folder / "last.zip", env=self.environment)
        if (self.folder / "memory.pkl").exists():
            self.model.load_replay_buffer(self.folder / "memory.pkl")
        if (self.folder / "best.txt").exists():
            self.best = float((self.folder / "best.txt").read_text(encoding="utf-8"))


def main() -> None:
    resume = {"action": "store_true", "help": "go on with the last checkpoint in the output folder"}
    arguments = parse_arguments("Train the designed agent.", DATA, resume=resume)
    trainer = Trainer(read_settings(arguments.smoke), arguments.data, arguments.output)
    if arguments.resume and (arguments.output / "last.zip").exists():
        trainer.restore()
        print(f"resumed at step {trainer.model.num_timesteps} of {trainer.settings['project']['steps']}")
    score = trainer.fit()
    print(f"best {trainer.watch}: {score:.2f}; checkpoints in {arguments.output}")


if __name__ == "__main__":
    main()
