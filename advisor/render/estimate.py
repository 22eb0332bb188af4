"""An estimate on one screen: what the model is, a bar of its memory at the peak, what fits, and how long it takes."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

from advisor.render.escape import clean
from advisor.render.numbers import format_number

if TYPE_CHECKING:
    from rich.console import Console

    from advisor.estimating.answer import Estimate
    from advisor.verify.evidence import Memory
    from advisor.wire import Quantity

GIB, MB = 2**30, 1e6
_SCALES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
_KINDS = {  # a category's name, its colour, and the letter that stands for it where there are no colours
    "weights": ("weights", "blue", "W"),
    "gradients": ("gradients", "cyan", "G"),
    "optimizer_state": ("optimizer state", "magenta", "O"),
    "activations": ("activations", "green", "A"),
    "logits_and_loss": ("logits and loss", "yellow", "L"),
    "kv_cache": ("keys and values", "yellow", "K"),
    "temporaries": ("temporaries", "red", "T"),
    "workspace": ("workspace", "bright_black", "w"),
    "allocator_slack": ("allocator slack", "bright_black", "s"),
    "context": ("CUDA context", "white", "c"),
}


def render_estimate(estimate: Estimate, *, width: int = 80, color: bool) -> str:
    """No line wider than `width`; without `color` free of escape codes."""
    from rich.console import Console

    out = StringIO()
    console = Console(file=out, width=width, force_terminal=color, color_system="standard" if color else None, no_color=not color,
                      highlight=False, markup=False, emoji=False, legacy_windows=False)  # fmt: skip
    console.print(f"{clean(estimate.model)} ({estimate.library})", style="bold")
    _rows(console, _facts(estimate))
    for title, memory in (("Training memory", estimate.training_memory), ("Inference memory", estimate.inference_memory)):
        if memory is not None:
            _memory(console, title, memory, width)
    _rows(console, [*_fitting(estimate), *_contexts(estimate), *_times(estimate)])
    for warning in (*estimate.warnings, *(note for m in (estimate.training_memory, estimate.inference_memory) if m for note in m.notes)):
        console.print(f"note: {clean(warning)}")
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _facts(estimate: Estimate) -> list[tuple[str, str]]:
    trained = "" if estimate.trainable_parameters in (0, estimate.parameters) else f", {_short(estimate.trainable_parameters)} trained"
    work = f"{_short(estimate.flops_forward)} forward"
    work += f", {_short(estimate.flops_backward)} backward" if estimate.flops_backward is not None else ""
    work += f"; {_short(estimate.flops_per_token)} a token" if estimate.flops_per_token else ""
    files = ", ".join(f"{name} {size / MB:,.0f} MB" for name, size in estimate.file_bytes.items())
    rows = [("Sample", estimate.sample), ("Parameters", _short(estimate.parameters) + trained), ("FLOPs a sample", work)]
    if estimate.flops_uncounted:
        rows.append(("  not counted", ", ".join(estimate.flops_uncounted)))
    return [*rows, ("File", files)]


def _memory(console: Console, title: str, memory: Memory, width: int) -> None:
    from rich.text import Text

    console.print()
    console.print(f"{title}: {memory.total / GIB:.2f} GiB ({memory.low / GIB:.2f} to {memory.high / GIB:.2f}), peak in {memory.peak_at}")
    kinds = [(kind, size) for kind in _KINDS if (size := memory.categories.get(kind, 0)) > 0]
    bar, ends = Text(), 0
    for kind, size in kinds:
        _, style, letter = _KINDS[kind]
        start, ends = ends, ends + size
        cells = round(ends / memory.total * (width - 2)) - round(start / memory.total * (width - 2))
        bar.append(("█" if console.color_system else letter) * cells, style=style)
    console.print(bar)
    for kind, size in kinds:
        name, style, letter = _KINDS[kind]
        console.print(Text.assemble((f"  {'█' if console.color_system else letter} ", style),
                                    f"{name:<18}{size / GIB:9.3f} GiB  {size / memory.total:6.1%}"))  # fmt: skip


def _fitting(estimate: Estimate) -> list[tuple[str, str]]:
    if estimate.device is None or estimate.device_memory is None:
        return [("Device", estimate.device)] if estimate.device else []
    verdict = {True: "fits", False: "does not surely fit", None: "not known"}[estimate.fits]
    rows = [("Device", f"{estimate.device}, {estimate.device_memory / GIB:.1f} GiB usable: {verdict}")]
    if estimate.largest_batch is not None:
        rows.append(("Largest batch", f"{estimate.largest_batch:,} a device" if estimate.largest_batch else "none: one sample is too many"))
    return rows


def _contexts(estimate: Estimate) -> list[tuple[str, str]]:
    return [(f"{context.tokens:,} tokens", f"{context.total / GIB:.2f} GiB, {context.kv_cache / GIB:.2f} of it keys and values")
            for context in estimate.contexts]  # fmt: skip


def _times(estimate: Estimate) -> list[tuple[str, str]]:
    one = "token" if estimate.flops_per_token else "sample"
    named = {"Step": estimate.step_time, "Throughput": estimate.throughput,
             "Communication": estimate.communication_share, "Training": estimate.training_time,
             "Energy": estimate.energy, f"Latency, one {one}": estimate.latency}  # fmt: skip
    return [(name, _interval(time)) for name, time in named.items() if time is not None]


def _interval(time: Quantity) -> str:
    value, low, high = (format_number(end if end is not None else time.value) for end in (time.value, time.low, time.high))
    return f"{value} {time.unit} ({low} to {high}); {time.source}"


def _rows(console: Console, rows: list[tuple[str, str]]) -> None:
    from rich.table import Table

    table = Table.grid(padding=(0, 2, 0, 0), expand=False)
    for name, text in rows:
        table.add_row(name, clean(text))
    if rows:
        console.print()
        console.print(table)


def _short(count: float) -> str:
    factor, unit = next((scale for scale in _SCALES if abs(count) >= scale[0]), _SCALES[-1])
    return f"{count / factor:.3g} {unit}".rstrip()
