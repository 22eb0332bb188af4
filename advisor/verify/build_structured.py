"""Which function builds what for graphs, agents, networks for tables and pretrained forecasters."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from advisor.verify.agents import build_agent
from advisor.verify.evidence import Job
from advisor.verify.forecasters import build_chronos
from advisor.verify.graphs import build_graph_network
from advisor.verify.tables import build_table_network

BUILDERS_STRUCTURED: dict[str, Callable[[Job], nn.Module]] = {
    "torch_geometric": build_graph_network,
    "stable_baselines3": build_agent,
    "rtdl_revisiting_models": build_table_network,
    "tabm": build_table_network,
    "chronos": build_chronos,
}
