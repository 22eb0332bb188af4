"""Plots as inline SVG that takes its page's colours, is told to a screen reader in words, and needs no script."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes

# Stand-ins that no plot uses for itself: in the SVG each becomes a variable of the page's style, light or dark.
INK, MUTED, PAPER, ACCENT, LIMIT = "#010101", "#010102", "#010103", "#010104", "#010105"
_VARIABLES = {INK: "--ink", MUTED: "--muted", PAPER: "--paper", ACCENT: "--accent", LIMIT: "--limit"}

_WIDTH = 4.2  # inches, 302 units of the drawing: its 8-point text is still 9 px high on a screen of 375 px
_MARGINS = {"left": 0.5, "right": 0.12, "bottom": 0.45, "top": 0.2}  # inches
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "advisor",  # the same report gives the same file
    "text.parse_math": False,
    "font.size": 8.0,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": "none",
}
_NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))


@dataclass(frozen=True)
class Plot:
    """A drawing with what it is called and what it shows, in words."""

    title: str
    description: str
    svg: Markup


def draw(key: str, title: str, description: str, paint: Callable[[Axes], None], *, height: float = 2.4) -> Plot:
    """What `paint` puts on the axes, `height` inches high. `key` names the drawing within its page."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    written = StringIO()
    with rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, height))
        left, bottom = _MARGINS["left"] / _WIDTH, _MARGINS["bottom"] / height
        right, top = _MARGINS["right"] / _WIDTH, _MARGINS["top"] / height
        paint(figure.add_axes((left, bottom, 1 - left - right, 1 - bottom - top)))
        figure.savefig(written, format="svg", metadata=_NO_METADATA)
    return Plot(title, description, _for_a_page(written.getvalue(), key, title, description))


def _for_a_page(svg: str, key: str, title: str, description: str) -> Markup:
    from markupsafe import Markup

    box = re.search(r'viewBox="([^"]+)"', svg)
    if box is None:
        raise ValueError("an SVG without a viewBox cannot be scaled to its page")
    body = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg[svg.index(">", box.end()) + 1 :], flags=re.DOTALL)
    body = re.sub(r'\bid="', f'id="{key}-', body).replace("url(#", f"url(#{key}-").replace('xlink:href="#', f'href="#{key}-')
    body = re.sub(r"(font: [\d.]+px) [^;\"]+", r"\1 system-ui, sans-serif", body)
    for stand_in, variable in _VARIABLES.items():
        body = body.replace(stand_in, f"var({variable})")
    opening = Markup(
        '<svg role="img" viewBox="{box}" aria-labelledby="{key}-title {key}-desc">'
        '<title id="{key}-title">{title}</title><desc id="{key}-desc">{description}</desc>'
    ).format(box=box[1], key=key, title=title, description=description)
    return opening + Markup(body)  # every text in it was escaped by the library that drew it
