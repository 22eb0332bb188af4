"""Reports for people: a summary for the terminal, Markdown, and a model card. Nothing here decides or computes."""

from advisor.render.hub import check_card
from advisor.render.markdown import render_markdown
from advisor.render.model_card import has_card, render_model_card
from advisor.render.summary import render_summary

__all__ = ["check_card", "has_card", "render_markdown", "render_model_card", "render_summary"]
