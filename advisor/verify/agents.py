"""Reinforcement-learning agents: the policies of stable-baselines3 and sb3-contrib with all their networks, targets included."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from advisor.errors import CheckError, did_you_mean
from advisor.verify.evidence import Job

AGENT_TASKS = ("reinforcement_discrete", "reinforcement_continuous", "reinforcement_offline")
_VALUE_ONLY = ("DQN", "QRDQN")
_CONTRIB = ("QRDQN", "TQC")
_KNOWN = ("DQN", "QRDQN", "PPO", "SAC", "TQC", "TD3", "IQL")
_BRIGHTEST = 255  # of a pixel


class Agent(nn.Module):
    """One agent's networks. `never_trained` names its target networks, which follow the others without gradients.

    `forward` takes observations, [B, F] or bytes [B, C, S, S], and actions, int64 [B] or float [B, A] in (-1, 1). It returns
    `values`, the estimates of the return: [B, Q] (quantiles of distributional critics one after another); and for an agent with an
    actor `log_likelihood` [B] of the actions, or where the actor is deterministic its `actions` [B, A].
    """

    def __init__(self, policy: nn.Module, kind: str, value: nn.Module | None = None) -> None:
        super().__init__()
        self.policy, self.kind, self.value = policy, kind, value
        self.never_trained = tuple(f"policy.{name}" for name, _ in policy.named_children() if name.endswith("_target"))

    def forward(self, observations: Tensor, actions: Tensor) -> dict[str, Tensor]:
        policy: Any = self.policy
        if self.kind in _VALUE_ONLY:
            values = (policy.q_net if self.kind == "DQN" else policy.quantile_net)(observations)
            place = actions.view(-1, *[1] * (values.ndim - 1)).expand(*values.shape[:-1], 1)
            return {"values": values.gather(-1, place).flatten(1)}
        if self.kind == "PPO":
            values, likelihood, _ = policy.evaluate_actions(observations, actions)
            return {"values": values, "log_likelihood": likelihood}
        critics = policy.critic(observations, actions)
        values = torch.cat(critics, -1) if isinstance(critics, tuple) else critics.flatten(1)
        if self.value is not None:
            values = torch.cat([values, self.value(observations)], -1)
        if self.kind == "TD3":
            return {"values": values, "actions": policy.actor(observations)}
        mean, log_std, _ = policy.actor.get_action_dist_params(observations)
        return {"values": values, "log_likelihood": policy.actor.action_dist.proba_distribution(mean, log_std).log_prob(actions)}


def build_agent(job: Job) -> nn.Module:
    """The library's policy for the recipe's observations and actions. Raises CheckError for an algorithm that it does not have."""
    import sb3_contrib
    import stable_baselines3

    torch.distributions.Distribution.set_default_validate_args(False)  # it would look at values, which meta tensors lack
    name = job.build.factory
    if name not in _KNOWN:
        raise CheckError(f"there is no agent {name!r}{did_you_mean(name, _KNOWN)}; known are {', '.join(_KNOWN)}")
    settings = dict(job.build.config)
    policy_name = settings.pop("policy", "MlpPolicy")
    observations, actions = _spaces(job)
    algorithm = getattr(sb3_contrib if name in _CONTRIB else stable_baselines3, "SAC" if name == "IQL" else name)
    rate = job.recipe.optimizer.learning_rate or 0.0
    try:
        policy = algorithm.policy_aliases[policy_name](observations, actions, lambda _: rate, **settings)
    except TypeError as error:
        raise CheckError(f"{name}'s {policy_name} does not take its settings: {error}") from error
    return Agent(policy, "SAC" if name == "IQL" else name, _value_network(job) if name == "IQL" else None)


def _value_network(job: Job) -> nn.Module:
    """The value of a state, beside its critics: arXiv:2110.06169."""
    from stable_baselines3.common.torch_layers import create_mlp

    return nn.Sequential(*create_mlp(job.recipe.input.features or 1, 1, list(job.build.config.get("net_arch", [256, 256]))))


def _spaces(job: Job) -> tuple[Any, Any]:
    """What is seen and what can be done, in gymnasium's words."""
    import numpy as np
    from gymnasium import spaces

    sample = job.recipe.input
    outputs = sample.outputs or 1
    if sample.image_size is not None:
        seen: Any = spaces.Box(0, _BRIGHTEST, (sample.channels or 1, sample.image_size, sample.image_size), np.uint8)
    elif sample.features is not None:
        seen = spaces.Box(-np.inf, np.inf, (sample.features,), np.float32)
    else:
        raise CheckError("recipe.input.features or .image_size is needed to build an agent, and both are missing")
    done: Any = spaces.Discrete(outputs) if job.task == "reinforcement_discrete" else spaces.Box(-1.0, 1.0, (outputs,), np.float32)
    return seen, done
