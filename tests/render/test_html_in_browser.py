"""The page in a real browser: what a parser cannot see, such as width, what scrolls, and what the console says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html import escape, unescape
from pathlib import Path
from typing import Any

import pytest

from advisor.render.html import render_html
from advisor.report import Report
from advisor.request import Request

Pair = tuple[Report, Request]
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)

pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="no Chromium is on the PATH (Debian's package: chromium)"),
    pytest.mark.slow,
]

# A frame as wide as a small telephone's screen around the page; what the browser made of it is written out as JSON.
_MEASURE = """<!DOCTYPE html><meta charset="utf-8"><body style="margin:0"><iframe id="frame" width="375" height="800" style="border:0" srcdoc="PAGE"></iframe><script>
window.onload = () => {
  const page = document.getElementById("frame").contentDocument, all = [...page.body.querySelectorAll("*")];
  const scrolls = all.filter(e => e.scrollWidth > e.clientWidth + 1 && ["auto", "scroll"].includes(frame.contentWindow.getComputedStyle(e).overflowX));
  const told = {
    width: page.documentElement.scrollWidth,
    plots: [...page.querySelectorAll("svg")].map(e => [e.getBoundingClientRect().width, e.getBoundingClientRect().height]),
    unreachable: scrolls.filter(e => e.tabIndex < 0).map(e => e.outerHTML.slice(0, 80)),
    scripts: page.scripts.length,
  };
  page.querySelectorAll("details").forEach(e => { e.open = true; });
  const stops = [...page.querySelectorAll("a[href], summary, [tabindex]")];
  told.stops = stops.length;
  told.passed = stops.filter(e => { e.focus(); return page.activeElement !== e || e.tabIndex < 0; }).map(e => e.outerHTML.slice(0, 80));
  told.unmarked = stops.filter(e => { e.focus(); return frame.contentWindow.getComputedStyle(e).outlineStyle === "none" && e.matches(":focus-visible"); })
    .map(e => e.outerHTML.slice(0, 80));
  document.body.textContent = JSON.stringify(told);
};
</script></body>"""  # noqa: E501


def look_at(page: str, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """What the browser measured, and the lines of its console."""
    assert BROWSER is not None
    (folder / "measure.html").write_text(_MEASURE.replace("PAGE", escape(page)), encoding="utf-8")
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", f"--user-data-dir={folder / 'profile'}",
         "--virtual-time-budget=5000", "--dump-dom", (folder / "measure.html").as_uri()],
        capture_output=True, text=True, timeout=90, check=True,
    )  # fmt: skip
    found = re.search(r"<body[^>]*>(\{.*\})</body>", done.stdout, re.DOTALL)
    assert found, done.stdout[-500:]
    return json.loads(unescape(found[1])), [line for line in done.stderr.splitlines() if ":CONSOLE" in line]


@pytest.mark.parametrize("name", ["designed", "needs_input", "infeasible", "hostile"])
def test_a_small_screen_does_not_scroll_sideways_and_the_console_is_silent(name: str, made: Callable[[str], Pair], tmp_path: Path) -> None:
    measured, console = look_at(render_html(*made(name)), tmp_path)
    assert measured["width"] <= 375
    assert measured["unreachable"] == []
    assert measured["stops"] > 0 and measured["passed"] == [] and measured["unmarked"] == []
    assert measured["scripts"] == 0
    assert console == []
    assert all(width > 200 and height > 50 for width, height in measured["plots"])
    assert len(measured["plots"]) == {"designed": 2, "hostile": 1}.get(name, 0)  # a hostile check's name is not that of memory


def test_the_page_prints_with_every_section(made: Callable[[str], Pair], tmp_path: Path) -> None:
    assert BROWSER is not None
    (tmp_path / "report.html").write_text(render_html(*made("designed")), encoding="utf-8")
    subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}", "--no-pdf-header-footer",
         f"--print-to-pdf={tmp_path / 'report.pdf'}", (tmp_path / "report.html").as_uri()],
        capture_output=True, timeout=90, check=True,
    )  # fmt: skip
    printed = (tmp_path / "report.pdf").read_bytes()
    assert printed.startswith(b"%PDF") and len(re.findall(rb"/Type ?/Page\b", printed)) >= 3
