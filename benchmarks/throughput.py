"""How far predicted images per second are from published ones.

    python benchmarks/throughput.py CSV [--most 420 | --all] [--without-devices]

CSV is timm's table of results: arch, img_size, and `infer_sps_DEVICE_PRECISION[_LAYOUT]_TORCH[_compile]` with its `infer_bs_…`
for each setting that was measured. Predictions come from the catalogue's figures for the device, catalogue/efficiency.yaml
and the model's operators, read on the meta device: about 0.3 s a model and precision, 6 minutes for the default sample on one
core, then kept in .cache/. The sample is seeded and stratified by family; timm must still have the model.

The last line is over the rows that the coefficients were not fitted to: by family (a third of them), or by device, for
a device that no fit has seen. `--without-devices` refits without each GPU in turn and predicts the left-out
families on it; how far devices differ from their data sheets is then told by the remaining ones alone.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from throughput_fit import Laid, chosen, fit, is_left_out, lay, spread_of_devices, training
from timm_table import measurements, read_table

from advisor import catalogue
from advisor.planning.roofline import coefficients, device_spread, fitted, images_per_second

MOST = 420
EVERYTHING = sys.maxsize


@dataclass(frozen=True)
class Result:
    laid: Laid
    low: float
    typical: float
    high: float

    @property
    def error(self) -> float:
        return self.typical / self.laid.measured.images_per_second - 1

    @property
    def is_inside(self) -> bool:
        return self.low <= self.laid.measured.images_per_second <= self.high

    @property
    def width(self) -> float:
        return self.high / self.low


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", type=Path)
    parser.add_argument("--most", type=int, default=MOST, help="models to take")
    parser.add_argument("--all", action="store_true", help="every model in the table")
    parser.add_argument("--without-devices", action="store_true", help="also refit without each device in turn")
    arguments = parser.parse_args()
    rows = read_table(arguments.csv)
    measured = measurements(rows)
    if not measured:
        sys.exit(f"{arguments.csv}: no row has a throughput and its batch size")
    most = EVERYTHING if arguments.all else arguments.most
    laid = lay(chosen(measured, most))
    trained = [one for one in lay(training(rows, most)) if is_left_out(one.family)]
    seen = [one for one in laid if not is_left_out(one.family) and one.device in fitted()["devices"]]
    unseen = [one for one in laid if is_left_out(one.family) or one.device not in fitted()["devices"]]
    results = predict(unseen or laid, coefficients())
    if not results:
        sys.exit("no row could be predicted")
    print_table("families that were fitted to", predict(seen, coefficients()))
    if arguments.without_devices:
        print_left_out(laid)
    print_table("training steps of left-out families", predict(trained, coefficients()))
    print_table("left out of the fit" if unseen else "no row was left out of the fit", results)
    print(last_line(results))


def predict(laid: list[Laid], by_setting: Mapping[str, Any], device: float | None = None) -> list[Result]:
    """Every measurement whose setting has coefficients; the others are named on standard error.

    `device`: the spread of devices that were not fitted to; without it each device's own.
    """
    for missing in sorted({one.setting for one in laid} - by_setting.keys()):
        print(f"not predicted: {missing}: no coefficients", file=sys.stderr)
    return [
        Result(
            one, *images_per_second(one.operators, one.measured.batch, by_setting[one.setting], spread(one) if device is None else device)
        )
        for one in laid
        if one.setting in by_setting
    ]


def spread(one: Laid) -> float:
    return device_spread(catalogue.devices()[one.device])


def print_left_out(laid: list[Laid]) -> None:
    for device in sorted({one.device for one in laid if one.setting.startswith("gpu_")}):
        inside = [one for one in laid if one.device != device and not is_left_out(one.family)]
        outside = [one for one in laid if one.device == device and is_left_out(one.family)]
        results = predict(outside, fit(inside), spread_of_devices(inside))
        print_table(f"left-out families on {device}, fitted without it", results)


def print_table(title: str, results: list[Result]) -> None:
    groups = defaultdict(list)
    for result in results:
        groups[result.laid.measured.column.key].append(result)
    print(f"\n{title:42} {'n':>5} {'median':>7} {'signed':>8} {'inside':>7} {'width':>6}")
    for name, found in (*sorted(groups.items()), *([("all", results)] if results else [])):
        signed = statistics.median(result.error for result in found)
        print(f"{name:42} {len(found):5} {error(found):7.1%} {signed:+8.1%} {inside(found):7.1%} {width(found):5.2f}x")


def error(results: list[Result]) -> float:
    return statistics.median(abs(result.error) for result in results)


def inside(results: list[Result]) -> float:
    return sum(result.is_inside for result in results) / len(results)


def width(results: list[Result]) -> float:
    return statistics.median(result.width for result in results)


def last_line(results: list[Result]) -> str:
    return (
        f"median {100 * error(results):.1f}% inside-interval {100 * inside(results):.1f}%"
        f" median-width {width(results):.2f}x n={len(results)}"
    )


if __name__ == "__main__":
    main()
