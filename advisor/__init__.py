"""From a description of a deep-learning problem to a checked design report.

import advisor
report = advisor.design("request.yaml")          # or a dict, or an advisor.Request
print(report.status, report.recipe.model.id)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from advisor.batch.engines import design_many
    from advisor.errors import AdvisorError, KnowledgeError, RequestError
    from advisor.estimating.answer import Estimate
    from advisor.estimating.asking import estimate
    from advisor.pipeline import design
    from advisor.report import Report, Status
    from advisor.request import Request
    from advisor.scaffolding.project import scaffold

__version__ = "0.1.0"
__all__ = [
    "AdvisorError",
    "Estimate",
    "KnowledgeError",
    "Report",
    "Request",
    "RequestError",
    "Status",
    "__version__",
    "design",
    "design_many",
    "estimate",
    "scaffold",
]

_HOMES = {
    "AdvisorError": "errors",
    "KnowledgeError": "errors",
    "RequestError": "errors",
    "design": "pipeline",
    "design_many": "batch.engines",
    "estimate": "estimating.asking",
    "Estimate": "estimating.answer",
    "Report": "report",
    "Status": "report",
    "Request": "request",
    "scaffold": "scaffolding.project",
}


def __getattr__(name: str) -> Any:
    """Import on first use: the command line starts without what it does not need."""
    if name not in _HOMES:
        raise AttributeError(f"module 'advisor' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"advisor.{_HOMES[name]}"), name)
