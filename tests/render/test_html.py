from __future__ import annotations

import re
import time
from collections.abc import Callable
from html.parser import HTMLParser

import pytest

from advisor.render.html import render_html
from advisor.render.markdown import render_markdown
from advisor.report import Report
from advisor.request import Request

Pair = tuple[Report, Request]
VOID = {"meta", "br", "link", "img", "hr", "input"}
MEGABYTE = 1_000_000


class Page(HTMLParser):
    """A page's elements in order and its text, with what is left open, which must be nothing."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    def with_tag(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join(self.words)


def structure(text: str) -> list[str]:
    """The tags outside the drawings, less links: hostile sources make none."""
    return [tag for tag, _ in Page(re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL)).elements if tag != "a"]


def with_losses(pair: Pair, losses: list[float]) -> Pair:
    report, request = pair
    checks = [check.model_copy(update={"losses": losses}) if check.name == "smoke_train" else check for check in report.verification]
    return report.model_copy(update={"verification": checks}), request


def test_every_status_makes_a_whole_page_that_leads_with_its_headline(every: Pair) -> None:
    page = Page(render_html(*every))
    assert page.open == []
    assert page.with_tag("html") == [{"lang": "en"}]
    assert len(page.with_tag("h1")) == 1
    assert every[0].headline in page.text or "Owned" in page.text


def test_the_page_needs_nothing_else_and_runs_nothing(every: Pair) -> None:
    page = Page(render_html(*every))
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "form", "base", "image"}
    for tag, attributes in page.elements:
        assert not any(name.startswith("on") or name == "src" for name in attributes), tag
        address = attributes.get("href") or ""
        assert not address or address.startswith(("#", "https://") if tag == "a" else "#"), address
    assert "url(http" not in render_html(*every)


def test_hostile_text_does_not_change_the_structure_of_the_page(designed: Pair, hostile: Pair) -> None:
    names = [check.name for check in designed[0].verification]  # they say which check a plot is drawn from
    checks = [check.model_copy(update={"name": name}) for check, name in zip(hostile[0].verification, names, strict=True)]
    report = hostile[0].model_copy(update={"verification": checks})
    assert structure(render_html(report, hostile[1])) == structure(render_html(*designed))


def test_hostile_text_is_shown_and_not_evaluated(hostile: Pair) -> None:
    text = Page(render_html(*hostile)).text
    assert "<script>alert(1)</script>" in text
    assert "{{ 7*7 }}" in text
    assert not any(mark in text for mark in "\x1b\x07\u202e\u2066\u200b")


def test_a_hundred_thousand_characters_are_cut(designed: Pair) -> None:
    report, request = designed
    task = request.task.model_copy(update={"specific_task": "x" * 100_000})
    text = render_html(report, request.model_copy(update={"task": task}))
    assert "more characters left out" in text
    assert len(text.encode()) < MEGABYTE


def test_ids_are_unique_and_every_reference_leads_somewhere(designed: Pair) -> None:
    page = Page(render_html(*with_losses(designed, [2.3, 1.1, 0.2])))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.elements:
        wanted = (attributes.get("aria-labelledby") or "").split()
        wanted += [(attributes.get("href") or "#")[1:]] if (attributes.get("href") or "").startswith("#") else []
        assert set(filter(None, wanted)) <= set(ids)


def test_each_plot_is_an_image_with_a_name_and_a_description(designed: Pair) -> None:
    text = render_html(*with_losses(designed, [2.3, 1.1, 0.2]))
    drawings = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    assert [re.search(r'aria-labelledby="([a-z-]+)-title', drawing)[1] for drawing in drawings] == ["memory", "loss", "schedule"]  # type: ignore[index]
    for drawing in drawings:
        page = Page(drawing)
        assert page.elements[0][1]["role"] == "img"
        assert [tag for tag, _ in page.elements[1:3]] == ["title", "desc"]
        assert all(word.strip() for word in page.words[:2])
        assert not re.search(r"#0101\d\d", drawing), "a colour that the page's style does not know"


def compared(pair: Pair, figures: list[dict[str, object]]) -> Report:
    wire = pair[0].to_wire()
    for candidate, known in zip(wire["candidates"], figures, strict=True):
        candidate["figures"] = known
    return Report.model_validate(wire)


def latency(value: float) -> dict[str, object]:
    return {"latency": {"value": value, "unit": "ms", "low": value / 2, "high": value * 2, "basis": "estimated"}}


def published(value: float) -> dict[str, object]:
    return {"librispeech wer": {"value": value, "unit": "wer", "basis": "published"}}


def test_candidates_are_drawn_against_the_limit(designed: Pair) -> None:
    text = render_html(compared(designed, [latency(12) | published(0.03), latency(70) | published(0.02), latency(9) | published(0.05)]))
    assert "Librispeech wer, lower is better against latency" in text
    assert "limit 50 ms</text>" in text
    assert "B, vit_base_patch16_224.augreg_in21k, rejected: 70 ms (35–140 ms), librispeech wer 0.02" in text


def test_without_a_common_benchmark_costs_alone_are_drawn_and_the_page_says_so(designed: Pair) -> None:
    text = render_html(compared(designed, [latency(12) | published(0.03), latency(70), {}]))
    assert "No benchmark has a published figure for two of these candidates" in text
    assert "candidates-latency-title" in text


def test_a_check_has_its_status_as_a_word_as_well_as_a_colour(designed: Pair) -> None:
    page = Page(render_html(*designed))
    badges = {attributes["class"] for attributes in page.with_tag("span") if "badge" in (attributes.get("class") or "")}
    assert {"badge passed", "badge repaired", "badge skipped"} <= badges
    assert all(word in page.text for word in ("PASSED", "REPAIRED", "SKIPPED"))


def test_a_decision_says_why_and_what_would_change_it(designed: Pair) -> None:
    words = " ".join(Page(render_html(*designed)).text.split())
    assert "From about 100 samples a class full fine-tuning beats a frozen backbone." in words
    assert "Goes before ADA001." in words
    assert re.search(r"At data.samples = 1,000 it would be linear_probe \( ?ADA001", words) or "= 1,000 it would be linear_probe" in words


def test_each_status_leads_with_what_its_reader_needs(made: Callable[[str], Pair]) -> None:
    statuses = ("designed", "needs_input", "not_applicable", "infeasible")
    first = {name: re.findall(r"<h2[^>]*>(.*?)</h2>", render_html(*made(name)))[0] for name in statuses}
    assert first == {
        "designed": "At a glance",
        "needs_input": "What to answer",
        "not_applicable": "Use instead",
        "infeasible": "What would make it feasible",
    }


def test_the_same_report_gives_the_same_file(designed: Pair) -> None:
    assert render_html(*designed) == render_html(*designed)


def test_a_report_shows_itself_in_a_notebook(designed: Pair) -> None:
    report = designed[0]
    frame = Page(report._repr_html_())
    ((tag, attributes),) = frame.elements
    assert tag == "iframe" and attributes["sandbox"] is None
    assert attributes["srcdoc"] == render_html(report)
    assert report._repr_markdown_() == render_markdown(report)


@pytest.mark.parametrize("render", [render_html, render_markdown])
def test_rendering_is_quick_once_warm(render: Callable[[Report, Request], str], designed: Pair) -> None:
    render(*designed)
    seconds = []
    for _ in range(3):  # the fastest: a full collection over what other tests left behind is no part of rendering
        start = time.process_time()
        render(*designed)
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.5
