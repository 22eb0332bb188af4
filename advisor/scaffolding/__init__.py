"""The training project of a design: code that runs, whose numbers are the report's recipe."""

from advisor.scaffolding.project import scaffold

__all__ = ["scaffold"]
