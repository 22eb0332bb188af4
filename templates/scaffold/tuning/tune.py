"""Search the settings named under `search` in config.yaml, with Optuna: trials that fall behind are pruned.

Usage:
    python tune.py --data PATH    go through the trials; started again, it goes on where it stopped
    python tune.py --smoke        two tiny trials

Every trial stands in the SQLite file study.db of the output folder; `optuna-dashboard` shows it.
"""

from __future__ import annotations

import copy
from typing import Any

import optuna
import yaml

from settings import HERE, LOWER_IS_BETTER, Settings, parse_arguments, read_settings
from task import DATA
from train import Trainer


def draw(trial: optuna.Trial, settings: Settings) -> Settings:
    """The settings with a value of its own for each path of the search space."""
    drawn = copy.deepcopy(settings)
    for path, space in settings["search"]["space"].items():
        *way, last = path.split(".")
        place: Any = drawn
        for name in way:  # of a list of techniques, the one of that name
            place = place[name] if isinstance(place, dict) else next(one for one in place if one["name"] == name)
        if "choices" in space:
            place[last] = trial.suggest_categorical(path, space["choices"])
        elif isinstance(space["low"], int):
            place[last] = trial.suggest_int(path, space["low"], space["high"], log=space.get("log", False))
        else:
            place[last] = trial.suggest_float(path, space["low"], space["high"], log=space.get("log", False))
    return drawn


def main() -> None:
    arguments = parse_arguments(
        "Search for better settings.", DATA, trials={"type": int, "help": "how many in all (default: config.yaml's)"}
    )
    settings = read_settings(arguments.smoke)
    folder = arguments.output.with_name(arguments.output.name + "-tune")
    folder.mkdir(parents=True, exist_ok=True)

    def objective(trial: optuna.Trial) -> float:
        trainer = Trainer(draw(trial, settings), arguments.data, folder / f"trial-{trial.number}")

        def report(step: int, score: float) -> None:
            trial.report(score, step)
            if trial.should_prune():
                raise optuna.TrialPruned

        return trainer.fit(report)

    study = optuna.create_study(
        study_name="tune",
        storage=f"sqlite:///{folder.resolve() / 'study.db'}",
        load_if_exists=True,
        direction="minimize" if settings["project"]["watch"] in LOWER_IS_BETTER else "maximize",
        sampler=optuna.samplers.TPESampler(seed=settings["project"]["seed"]),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=settings["search"]["startupTrials"]),
    )
    done = [trial for trial in study.trials if trial.state.is_finished()]
    study.optimize(objective, n_trials=max(0, (arguments.trials or settings["search"]["trials"]) - len(done)))
    best = {"score": study.best_value, "settings": study.best_params}
    (folder / "best.yaml").write_text(yaml.safe_dump(best, sort_keys=False), encoding="utf-8")
    print(f"best validation {settings['project']['watch']} of {len(study.trials)} trials: {study.best_value:.4f} with {study.best_params}")
    print(f"put these into {HERE / 'config.yaml'} and train anew")


if __name__ == "__main__":
    main()
