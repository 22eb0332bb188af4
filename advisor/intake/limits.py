"""Latency, model size and budget: upper limits with a unit."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from advisor.intake.text import ABOUT, LOWER, UPPER, Text, words
from advisor.quantity import BYTE_UNIT, COUNT, DURATION, NUMBER, bytes_in, number, seconds

MB = 1e6
FLOAT_BYTES = 4  # of a parameter in fp32

_TIME = re.compile(rf"(?P<value>{NUMBER})\s*(?P<unit>{DURATION})")
_RATE = re.compile(rf"(?P<value>{NUMBER})\+?\s*(?:fps|frames? per second|frames?\s?/\s?s(?:ec)?|hz)\b")
_REAL_TIME = re.compile(r"\breal[- ]?time\b")
_ON_DEVICE = re.compile(
    r"\b(?:on\s+)?(?:an?\s+|the\s+|nvidia\s+|tesla\s+)*(?:[tvalhp]\d{1,3}[a-z]?|rtx ?\d{4}(?: ?ti)?|jetson(?: \w+){0,2}|raspberry pi ?\d?|"
    r"(?:edge |mobile |desktop |single |one )?(?:gpu|cpu|phone|tablet|laptop|microcontroller|browser|server|edge device|device)|"
    r"(?:pixel|iphone|ipad|galaxy)(?: ?[a-z]?\d{1,2}[a-z]?)?(?: (?:pro|max|ultra|plus))*)\b"
)
_ONE = re.compile(r"\b(?:an?|one) (?=(?:milli)?seconds?\b|minutes?\b|hours?\b)")
_SUB_SECOND = re.compile(r"\bsub-?second\b")
_THROUGHPUT = re.compile(
    rf"{NUMBER}\s*(?:[^\W\d_]+\s*)?(?:(?:per|a|each)\s|/)\s?(?:s|sec|second|minute|min|hour|h|day)\b|\b(?:qps|rps|tps)\b"
)
_SPAN = re.compile(rf"(?<![\w.]){NUMBER}\s?(?:-|to)\s?(?={NUMBER}\s*(?:{DURATION}))")  # "10-20 ms": the upper end is the limit
SAME = 1.1  # "16 ms per frame (60 fps)" says one limit twice
_SOON = re.compile(r"\W*(?:(?:must|should) be )?(?:(?:very |ultra[- ])?low(?: latency)?|online|interactive|near real[- ]?time)\W*")
_PER_TOKEN = re.compile(r"(?:\bper|/)\s*token\b")
_PERCENTILE = re.compile(r"\bp(?:50|90|95|99|99\.9)\b|\b(?:50|90|95|99)th percentile\b|\b(?:mean|median|average|avg|worst[- ]case)\b")
_OFFLINE = re.compile(r"\W*(?:offline|batch|offline batch|batch processing|not real[- ]?time|best effort)\W*")
_FEW = re.compile(
    r"\W*(?:within |in |under )?(?:an? )?(?:few|couple of|several) (?:milliseconds|ms|seconds|minutes|hours)"
    r"(?: (?:is|are) (?:fine|ok|okay|enough))?\W*"
)
_UNHURRIED = re.compile(
    r"\b(?:offline|overnight|nightly|(?:daily|weekly) batch|batch job|(?:as )?(?:fast|quick(?:ly)?|low|short) as possible)\b"
)
_LATENCY_WORDS = words(
    """
    inference latency response time takes per image sample request frame query sentence document prediction item call in on for a an
    one each the is must be should required end to batch single forward pass model and or budget of target
    """
)

_SIZE = re.compile(rf"(?P<value>{NUMBER})\s*(?P<unit>{BYTE_UNIT})")
_PARAMETERS = re.compile(rf"(?P<value>{COUNT})\s*(?:params?|parameters)\b")
_SIZE_WORDS = words(
    """
    model file size on disk weights checkpoint the in total of for a is must be should artifact binary fit fits into download
    """
)

_MONEY = re.compile(
    rf"(?:(?P<before>us\$|usd|\$|€|eur|£|gbp|¥|inr|₹|chf)\s*)?(?P<value>{COUNT})\s*"
    r"(?P<after>usd|us dollars?|dollars?|\$|eur|euros?|€|gbp|pounds?|£|chf|inr|rmb|yuan|yen|¥)?"
)
_DOLLARS = frozenset({"us$", "usd", "$", "us dollar", "us dollars", "dollar", "dollars"})
_GPU_HOURS = re.compile(rf"(?P<value>{COUNT})\s*(?:[a-z]{{1,2}}\d{{1,4}}[- ]|gpu[- ]?)(?P<unit>h|hours?|hrs?|days?)\b")
_WALL = re.compile(rf"(?P<value>{COUNT})\s*(?P<unit>{DURATION})")
_VAGUE = re.compile(
    r"\W*(?:(?:very |quite |rather )?(?:limited|low|small|tight|minimal|modest|moderate|medium|flexible|open|free|large|high|academic|"
    r"student|generous|no|zero)(?: budget| tier| only)?|low[- ]cost|cheap|no cloud|(?:no cloud, )?on[- ]prem(?:ises?)?(?: only)?)\W*"
)
_BUDGET_WORDS = words(
    """
    budget total cost costs for training of in a the per run compute cloud credits and or money spend wall clock time is to train
    """
)
_DAY = 86_400.0


@dataclass(frozen=True)
class Latency:
    """Milliseconds for one sample, infinite where no limit is stated."""

    ms: float = math.inf
    real_time: bool = False
    remark: str = ""


@dataclass(frozen=True)
class Budget:
    """US dollars, GPU-hours and days of wall-clock time, infinite where not stated."""

    usd: float = math.inf
    gpu_hours: float = math.inf
    days: float = math.inf
    remark: str = ""


def read_latency(field: str, said: str) -> Latency:
    """ "inference <50ms", "≤ 0.1 s per image", "30 FPS", "real-time"."""
    text = Text(field, said, ("inference <50ms", "≤ 0.1 s per image"))
    if text.is_unlimited() or _OFFLINE.fullmatch(text.left):
        return Latency()
    if _FEW.fullmatch(text.left) or (_UNHURRIED.search(text.left) and not re.search(r"\d", text.left)):
        return Latency(remark="names no number, so nothing is held to it; say milliseconds or seconds")
    if _SOON.fullmatch(text.left):
        return Latency(real_time=True, remark="names no time, so nothing is held to it; say milliseconds")
    text.refuse_negative()
    real_time = text.take(_REAL_TIME) is not None
    text.left = _SUB_SECOND.sub("<1 second", _ONE.sub(lambda found: "1".rjust(len(found[0]) - 1) + " ", text.left))
    spans = text.take_all(_SPAN)
    rates = text.take_all(_RATE)
    if throughput := _THROUGHPUT.search(text.left):
        text.fail("is a throughput; say how long one sample may take", [throughput.span()])
    times = text.take_all(_TIME)
    remarks = ["is a range, held to at its upper end"] if spans else []
    remarks += ["a limit per token is compared with the time of one forward pass"] if text.take(_PER_TOKEN) else []
    remarks += [f"{found[0]} is read as the limit of a single call; the checks give an interval" for found in text.take_all(_PERCENTILE)]
    remarks += [
        f"{found[0].strip()!r} is not looked at: the limit is held on the device of computeResources" for found in text.take_all(_ON_DEVICE)
    ]
    allowed, wrong = (LOWER, UPPER) if rates and not times else (UPPER, LOWER)
    text.take_all(allowed)
    text.take_all(ABOUT)
    found = text.take(wrong)
    if found:
        text.fail("bounds it from the wrong side: a latency is at most, a rate at least", [found.span()])
    remarks += text.leave(_LATENCY_WORDS)
    limits = [number(time["value"]) * seconds(time["unit"]) * 1e3 for time in times]
    limits += [1e3 / value if (value := number(rate["value"])) else 0.0 for rate in rates]
    if limits and 0 < max(limits) <= SAME * min(limits):
        limits = [min(limits)]
    _one(text, limits, "limit", required=not real_time)
    return Latency(limits[0] if limits else math.inf, real_time, "; ".join(remarks))


def read_model_size(field: str, said: str) -> float:
    """ "<100MB", "under 1 GB", "100 MiB", as MB of 10⁶ bytes."""
    text = Text(field, said, ("<100MB", "under 1 GB"))
    if text.is_unlimited():
        return math.inf
    text.refuse_negative()
    parameters = text.take(_PARAMETERS)
    if parameters:
        size = number(parameters["value"]) * FLOAT_BYTES / MB
        text.fail(f"counts parameters, and the limit is on the file: {size:g} MB in fp32, half of that in 16 bits", [parameters.span()])
    sizes = [number(found["value"]) * bytes_in(found["unit"]) / MB for found in text.take_all(_SIZE)]
    _bounded_above(text)
    text.finish(_SIZE_WORDS)
    _one(text, sizes, "size")
    return sizes[0]


def read_budget(field: str, said: str) -> Budget:
    """ "$200", "24 GPU-hours", "3 days"; several may stand together. Words without a number limit nothing, and are remarked on."""
    text = Text(field, said, ("$200", "24 GPU-hours"))
    if text.is_unlimited() and text.left.strip() != "no":
        return Budget()
    if _VAGUE.fullmatch(text.left):
        return Budget(remark="names no amount, so nothing is held to it; say dollars, GPU-hours or days")
    text.refuse_negative()
    hours = [number(found["value"]) * (24 if found["unit"].startswith("d") else 1) for found in text.take_all(_GPU_HOURS)]
    days = [number(found["value"]) * seconds(found["unit"]) / _DAY for found in text.take_all(_WALL)]
    dollars, remark = _money(text)
    _bounded_above(text)
    aside = [f"{found[0].strip()!r} decides nothing here" for found in text.take_all(_ON_DEVICE)] + text.leave(_BUDGET_WORDS)
    for values, what in ((hours, "number of GPU-hours"), (days, "duration"), (dollars, "sum of money")):
        _one(text, values, what, required=False)
    if not (hours or days or dollars or remark):
        text.fail("names no amount")
    usd, gpu_hours, wall = (values[0] if values else math.inf for values in (dollars, hours, days))
    return Budget(usd, gpu_hours, wall, "; ".join(filter(None, (remark, *aside))))


def _money(text: Text) -> tuple[list[float], str]:
    """Sums in dollars, and a remark on the sums in other currencies, which nothing here can convert."""
    dollars, remark = [], ""
    for found in list(_MONEY.finditer(text.left)):
        currency = found["before"] or found["after"]
        if currency is None:
            continue  # a bare number has no unit, and stays an error
        text.blank(*found.span())
        if currency in _DOLLARS:
            dollars.append(number(found["value"]))
        else:
            remark = f"{found[0].strip()} is not held to: there is no exchange rate here; state it in US dollars"
    return dollars, remark


def _bounded_above(text: Text) -> None:
    text.take_all(UPPER)
    text.take_all(ABOUT)
    found = text.take(LOWER)
    if found:
        text.fail("is a lower bound; this is limited from above", [found.span()])


def _one(text: Text, values: list[float], what: str, *, required: bool = True) -> None:
    if len(values) > 1:
        text.fail(f"names more than one {what}; keep the one that decides")
    if required and not values:
        text.fail(f"names no {what} with its unit")
    if values and not 0 < values[0] < math.inf:
        text.fail("must be above zero")
