"""Export the best agent's policy, and check that what was exported does the same.

Usage:
    python export.py --data NAME    after train.py --data NAME
    python export.py --smoke        after train.py --smoke
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from settings import parse_arguments, read_settings
from task import DATA, build_model, make_environment


class Exported(nn.Module):
    """The policy as a function of tensors: one observation, as the policy sees it, to the action that it holds best."""

    def __init__(self, policy: Any) -> None:
        super().__init__()
        self.policy = policy

    def forward(self, observation: Tensor) -> Tensor:
        return self.policy._predict(observation, deterministic=True)


def main() -> None:
    arguments = parse_arguments("Export the best agent's policy.", DATA)
    settings = read_settings(arguments.smoke)
    torch.distributions.Distribution.set_default_validate_args(False)  # which would look at values
    built = build_model(settings, make_environment(settings, arguments.data), arguments.output)
    model = type(built).load(arguments.output / "best.zip", device="cpu")
    policy = Exported(model.policy).eval()
    observation = torch.as_tensor(model.observation_space.sample())[None]
    with torch.no_grad():
        expected = policy(observation)
        program = torch.export.export(policy, (observation,))
        path = arguments.output / "model.pt2"
        torch.export.save(program, path)
        said = torch.export.load(path).module()(observation)
    if not torch.allclose(said.float(), expected.float(), atol=1e-4):
        raise SystemExit(f"{path}: its action differs from the policy's")
    print(f"wrote {path}: its actions are the policy's")


if __name__ == "__main__":
    main()
