"""What several devices tell each other in a step, and how long it takes: bytes over published bandwidth, as an interval."""

from __future__ import annotations

from dataclasses import dataclass

from advisor.catalogue.entries import DeviceEntry
from advisor.planning.timing import GIGA, SECONDS_AN_HOUR, band
from advisor.recipe import Recipe
from advisor.verify.formulas import bytes_exchanged
from advisor.wire import Basis, Quantity

BOTH_DIRECTIONS = 2  # the catalogue's interconnect bandwidth sums them, a ring uses each for itself
HIDDEN_SHARE = 2 / 3
"""Of a step, the backward pass, behind which communication hides as far as it is shorter: arXiv:2006.15704, section 3.2.3."""
PERCENT = 100.0


@dataclass(frozen=True)
class Exchange:
    """Seconds of communication in an optimizer step."""

    low: float
    typical: float
    high: float
    source: str


def estimate_exchange(recipe: Recipe, parameters: int, trained: int, device: DeviceEntry, nodes: int) -> Exchange | None:
    """None for one device, or where the catalogue has no interconnect. Across machines their network decides, which is not known."""
    if recipe.batch.devices < 2 or device.interconnect_gbs is None:
        return None
    sent = bytes_exchanged(recipe, parameters, trained)
    if nodes > 1:
        network = band("network", "gbs_a_device")
        ends, source = (
            (network.high, network.typical, network.low),
            f"{sent / GIGA:.3g} GB a step and device over networks of 10 to 400 Gbit/s",
        )
    else:
        reach, speed = band("interconnect", "share"), device.interconnect_gbs / BOTH_DIRECTIONS
        ends = (reach.high * speed, reach.typical * speed, reach.low * speed)
        source = f"{sent / GIGA:.3g} GB a step and device over {speed:g} GB/s in each direction"
    fast, typical, slow = (sent / (gbs * GIGA) for gbs in ends)
    return Exchange(fast, typical, slow, source)


def communication_share(step: Quantity, exchange: Exchange) -> Quantity:
    """Communication in percent of a step of `step` hours of computation, were none of it hidden behind the backward pass."""
    times = ((exchange.low, step.high), (exchange.typical, step.value), (exchange.high, step.low))
    low, value, high = (PERCENT * told / (told + (hours or 0.0) * SECONDS_AN_HOUR) for told, hours in times)
    source = f"{exchange.source}; as much of it as is shorter hides behind the backward pass"
    return Quantity(value=_rounded(value), low=_rounded(low), high=_rounded(high), unit="%", basis=Basis.ESTIMATED, source=source)


def with_communication(total: Quantity, step: Quantity, exchange: Exchange) -> Quantity:
    """The time to train with what cannot hide: at best all does, at worst nothing."""
    low, typical, high = ((hours or 0.0) * SECONDS_AN_HOUR for hours in (step.low, step.value, step.high))
    factors = {
        "low": max(low, exchange.low) / low,
        "value": (typical + max(0.0, exchange.typical - HIDDEN_SHARE * typical)) / typical,
        "high": (high + exchange.high) / high,
    }
    changed = {end: _rounded((getattr(total, end) or 0.0) * factor) for end, factor in factors.items()}
    return total.model_copy(update={**changed, "source": f"{total.source}; {exchange.source}"})


def _rounded(figure: float) -> float:
    return float(f"{figure:.3g}")
