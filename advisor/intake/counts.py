"""How much data there is: `5,000 labelled images, 10 classes`, `2 years of daily sales`, `1,000 daily series of 1,000 steps`."""

from __future__ import annotations

import re

from advisor.intake.count_patterns import (
    AUDIO,
    BARE,
    BESIDE,
    DECIMAL_COMMA,
    DIMENSIONS,
    EACH_HAS,
    EACH_LASTS,
    FRACTION_COMMA,
    IMAGE_SIZE,
    LABELLED,
    LENGTH,
    NAME,
    OF_LENGTH,
    ORIGIN,
    PER_CLASS,
    PER_OTHER,
    PERIOD,
    PIXELS,
    PLURAL,
    PLUS,
    POINTED,
    RANGE,
    SPACING,
    SPLIT_FIRST,
    TEXT_VOLUME,
    TIMES,
    TOKENS,
    UNLABELLED,
    VOLUME,
    Nouns,
)
from advisor.intake.counted import DAY, Counts, Found, frequency_of, spacing, with_labels, with_samples, with_time
from advisor.intake.text import ABOUT, LOWER, TAKEN, UPPER, Text, words
from advisor.quantity import COUNT, bytes_in, number, seconds

FORMS = ("5,000 labelled images, 10 classes", "2 years of daily sales")
MOST_KINDS = 30  # labels: fewer are classes, as no one labels so few of many samples; semi-supervised benchmarks begin at 40
LEAST_OF_A_KIND = 10  # samples, for labels to be read as classes
MOST = 1e15  # above it, counting with floating point would no longer be exact
# Where both are counted, each text with its picture is a sample, and the pictures come more than once.
TEXTS, PICTURES = (
    frozenset({"question", "pair", "dialogue", "conversation", "instruction"}),
    frozenset({"image", "photo", "picture", "video"}),
)

# What may be counted itself, or be what the samples before it are told apart by: "140k clips, 10 scenes".
EITHER = frozenset({"scene", "event", "song", "word", "instrument", "sound", "leaf", "shape", "particle", "case"})
STEP_OF = {"hour": "hourly", "day": "daily", "week": "weekly", "month": "monthly", "quarter": "quarterly"}  # "120 series x 900 days"

OVER = re.compile(r"(?<=[a-z] )over(?= \d)")  # "22k questions over 510 contracts": no lower bound, as nothing stands before that
COUNTED = re.compile(rf"(?<![\w.,]){COUNT}\s+$")
SPREAD = re.compile(r"\b(?:from|across)\s+$")

_WORDS = words(
    """
    of in the and a with into across for our all total overall dataset data set size we have are there is training available from each
    daily hourly weekly monthly on by samples has that labelled labeled annotated images per class classes labels over as one both old
    history historical sales spread around
    """
)


def read_counts(text: Text, nouns: Nouns, *, all_labelled: bool = False) -> Counts:
    """What `text` says about the amount of data; names of known datasets are blanked in it already.

    Where all are labelled, "17k recordings, 71 labels" are no labelled ones, but classes.
    """
    found = Found()
    text.left = OVER.sub("from", text.left)
    for having in EACH_HAS.finditer(text.left):  # "78k queries with up to 10 passages": what each of the samples has
        text.blank(*having.span())
        found.remarks.append(f"{having[0].strip()!r} decides nothing here")
    text.left = DIMENSIONS.sub("  ", text.left)
    text.left = SPLIT_FIRST.sub(lambda match: f"{match['value']} {match['split']}".ljust(len(match[0])), text.left)
    whole = text.left
    found.remarks += [f"{match[0]!r} decides nothing here" for match in text.take_all(BESIDE)]
    _bounds(text, found)
    _pointed(text, found)
    sizes = [min(int(match["width"]), int(match["height"])) for match in text.take_all(IMAGE_SIZE)]
    _ranges(text, found)
    text.refuse_negative()
    each = PER_OTHER.search(text.left)
    if each and re.search(COUNT, text.left[: each.start()] + text.left[each.end() :]):  # the number of all is told beside it
        text.blank(*each.span())
        found.remarks.append(f"{each[0]!r} decides nothing here")
    per_class = [number(match["value"]) for match in text.take_all(PER_CLASS)]
    lengths = [_whole_number(text, match["value"], match.span()) for match in text.take_all(LENGTH)]
    text.left = TIMES.sub(" , ", text.left)
    text.left = OF_LENGTH.sub(lambda match: f"of {match['value']} steps ", text.left)
    tokens = text.take(TOKENS)
    apart = [spacing(match) for match in SPACING.finditer(text.left)]
    text.left = SPACING.sub(lambda match: " " * len(match[0]), text.left)  # a gap, so that the noun stays with its number
    for lasting in list(EACH_LASTS.finditer(text.left)):
        text.left = text.left.replace(lasting[0], " " * len(lasting[0]))  # a gap, so that the noun stays with its number
        found.remarks.append(f"{lasting[0].strip()!r} decides nothing here")
    text_bytes = _volumes(text)
    _labels(text, found)
    _items(text, nouns, found)
    _pixels(text, found)
    periods = text.take_all(PERIOD)
    days = [number(match["value"]) * seconds(match["unit"]) / DAY for match in periods]
    frequency = next((name for name, pattern in nouns.frequencies.items() if pattern.search(whole)), None)
    if frequency is None and apart:
        frequency = frequency_of(apart[0])
    if frequency is None and periods and found.by.get("series") and (frequency := STEP_OF.get(periods[0]["unit"].rstrip("s"))):
        found.remarks.append(f"{periods[0][0].strip()!r} of each series is read as {frequency} steps")
    for pattern in nouns.frequencies.values():
        text.take_all(pattern)
    names = _names(text)
    found.remarks += [f"{match[0].replace(TAKEN, '…')!r} decides nothing here" for match in text.take_all(ORIGIN)]
    if not days:
        _bare(text, found, all_labelled)
    elif apart and len(days) == 1 and not found.by.get("steps"):
        found.by["steps"] = [int(days[0] * DAY / apart[0])]
    found.remarks += text.leave(_WORDS)
    counts = Counts(
        unit=found.noun,
        classes=found.one(text, "classes"),
        per_class=_single(text, per_class, "number per class"),
        series=found.one(text, "series"),
        frequency=frequency,
        features=found.one(text, "features"),
        image_size=_single(text, sizes, "image size"),
        sample_tokens=_single(text, lengths, "length"),
        tokens=round(number(tokens["value"])) if tokens else None,
        text_bytes=text_bytes,
        datasets=names,
        remarks=tuple(found.remarks),
    )
    counts = with_time(text, counts, found, days, is_audio=AUDIO.search(whole) is not None)
    return with_samples(text, with_labels(counts, found), found)


# --- taking numbers out of the text ----------------------------------------------------------------------------------


def _bounds(text: Text, found: Found) -> None:
    for pattern, bound in ((UPPER, "an upper bound"), (LOWER, "a lower bound")):
        if text.take_all(pattern):
            found.remarks.append(f"is {bound}, read as the number itself")
    text.take_all(ABOUT)
    if PLUS.search(text.left):
        text.left = PLUS.sub(" ", text.left)
        found.remarks.append("is a lower bound, read as the number itself")


def _pointed(text: Text, found: Found) -> None:
    """Points between thousands become commas: of things that are counted there are whole ones only; a decimal comma becomes a point."""
    for match in list(DECIMAL_COMMA.finditer(text.left)):
        point = match[0].replace(",", ".")
        text.left = text.left[: match.start()] + point + text.left[match.end() :]
        found.remarks.append(f"{match[0]!r} is read as {point}")
    if fraction := FRACTION_COMMA.search(text.left):
        text.fail("is no whole number; a comma before thousands has three digits behind it ('1,500'), or write 1.5k", [fraction.span()])
    for match in list(POINTED.finditer(text.left)):
        commas = match[0].replace(".", ",")
        text.left = text.left[: match.start()] + commas + text.left[match.end() :]
        found.remarks.append(f"{match[0]!r} is read as {commas}")


def _volumes(text: Text) -> float | None:
    """The bytes of text that there are; of other things a volume tells no number."""
    texts = text.take(TEXT_VOLUME)
    if volume := text.take(VOLUME):
        text.fail(
            "is a volume, which tells no number of samples; say how many images, clips or rows there are, or how many hours or tokens",
            [volume.span()],
        )
    return number(texts["value"]) * bytes_in(texts["unit"]) if texts else None


def _pixels(text: Text, found: Found) -> None:
    """Pixels say how large an image is, and nothing of how many there are, but where each has a label of its own."""
    for match in text.take_all(PIXELS):
        if not found.by.get("samples"):
            text.fail("counts pixels; say how many images there are ('20 images of 1000x1500 px'), or labelled samples", [match.span()])
        found.remarks.append(f"{match[0].strip()!r} decides nothing here")


def _ranges(text: Text, found: Found) -> None:
    """Of a range the lower end counts: a design for fewer samples serves more, not the other way round."""
    for match in list(RANGE.finditer(text.left)):
        low, high = match["low"], match["high"]
        multiple = re.search(r"[a-z]+$", high)
        if multiple and not re.search(r"[a-z]$", low):
            low += multiple[0]
        if match[0].startswith("from") or "-" in match[0] or match[0].startswith("between") or " to " in match[0] or ".." in match[0]:
            if number(low) >= number(match["high"]):
                text.fail("is a range whose lower end is not below its upper end", [match.span()])
            found.remarks.append(f"is a range; the design is for its lower end, {number(low):,.0f}")
            lower = f"{number(low):.0f}"
            if len(lower) > match.end() - match.start():
                text.fail("is a range that cannot be read", [match.span()])
            text.left = text.left[: match.start()] + lower.rjust(match.end() - match.start()) + text.left[match.end() :]


def _labels(text: Text, found: Found) -> None:
    """`50k unlabelled` beside another number are not samples with labels; alone they are the samples."""
    values = [_whole_number(text, match["value"], match.span()) for match in UNLABELLED.finditer(text.left)]
    if len(values) == 1 and re.search(COUNT, UNLABELLED.sub("", text.left)):
        text.take(UNLABELLED)
        found.by["unlabelled"] = values
        text.take(re.compile(r"(?<=\0)\s*(?:images|samples|examples|texts|rows|records)\b"))
    elif values:
        text.take(re.compile(r"\b(?:unlabell?ed|not (?:yet )?(?:labell?ed|annotated))\b"))
        found.by["all_unlabelled"] = values


def _items(text: Text, nouns: Nouns, found: Found) -> None:
    items = text.take_all(nouns.item)
    has_texts = any(match["noun"].rstrip("s") in TEXTS for match in items)
    for match in items:
        value, kind, before = _whole_number(text, match["value"], match.span()), nouns.class_of[match["noun"]], match["words"]
        if match["noun"] in ("class", "category") and value != 1:
            text.fail("says how many a class has, or how many classes there are? write '10 classes' or '8 per class'", [match.span()])
        if kind == "samples" and re.search(r"\b(?:val|valid|validation|dev|test|testing|held[- ]out)\b", before):
            continue
        if kind == "samples" and re.search(r"\btrain(?:ing)?\b", before):
            found.train.append(value)
        of = found.by.get("samples") if SPREAD.search(text.left[: match.start()]) else None
        if kind == "samples" and of and value < max(of):
            found.remarks.append(f"{match[0].strip()!r}, over which the samples spread, decides nothing here")
            continue
        if kind == "samples" and re.search(LABELLED, before):
            found.labelled.append(value)
        if (
            kind == "samples"
            and match["noun"].rstrip("s") in EITHER
            and any(value * LEAST_OF_A_KIND <= n for n in found.by.get("samples", []))
        ):
            kind = "classes"
            found.remarks.append(f"{match[0].strip()!r} are read as classes")
        if kind == "samples" and found.noun in ("graph", "graphs") and match["noun"].startswith("node"):
            found.remarks.append(f"{match[0].strip()!r}, which the graphs have together, decides nothing here")
            continue
        if kind == "asides" or (has_texts and match["noun"].rstrip("s") in PICTURES):
            found.remarks.append(f"{match[0].strip()!r} decides nothing here")
            continue
        found.by.setdefault(kind, []).append(value)
        found.noun = found.noun or (match["noun"] if kind in ("samples", "steps", "series") else "")


def _names(text: Text) -> tuple[str, ...]:
    """Names of things, taken for datasets: they are told from words by a capital or digit inside."""
    names = []
    for match in NAME.finditer(text.said):
        if COUNTED.search(text.left[: match.start()]):  # "9,843 CAD models": it tells what is counted
            continue
        if text.left[match.start() : match.end()] == match[0].lower() and not re.fullmatch(r"[A-Z][a-z]+", match[0]):
            text.blank(*match.span())
            names.append(match[0])
    return tuple(names)


def _bare(text: Text, found: Found, all_labelled: bool) -> None:
    """Numbers without a noun: samples, if nothing else is; `140 labels` may be classes or samples, `5 labels` of thousands are classes."""
    labels = text.take(re.compile(rf"(?P<value>{COUNT})\s+labels\b"))
    if not found.by.keys().isdisjoint(("samples", "steps")):
        found.remarks += [f"{match[0].strip()!r} decides nothing here" for match in text.take_all(PLURAL)]
    unknown = text.take(PLURAL) if found.by.keys().isdisjoint(("samples", "steps", "series")) else None
    if unknown:
        found.by["samples"] = [_whole_number(text, unknown["value"], unknown.span())]
        found.noun = unknown["noun"]
        found.remarks.append(f"{unknown['noun']!r} are taken for samples")
        found.remarks += [f"{match[0].strip()!r} decides nothing here" for match in text.take_all(PLURAL)]
    if labels:
        value, samples = _whole_number(text, labels["value"], labels.span()), found.by.get("samples")
        if found.noun.rstrip("s") == "node" or "unlabelled" in found.by:
            found.labelled.append(value)
        elif samples and _are_classes(value, max(samples), found.noun, all_labelled):
            found.by.setdefault("classes", []).append(value)
            found.remarks.append(f"'{value} labels' are read as classes")
        else:
            text.fail("may mean classes or labelled samples; write '5 classes' or '140 labelled'", [labels.span()])
    for match in text.take_all(BARE):
        value = _whole_number(text, match["value"], match.span())
        if match["split"] and not match["split"].startswith("train"):
            continue
        if match["labelled"] and found.by.get("samples"):
            found.labelled.append(value)
        else:
            found.by.setdefault("samples", []).append(value)
        if match["split"]:
            found.train.append(value)


def _are_classes(labels: int, samples: int, noun: str, all_labelled: bool) -> bool:
    """Whether so many labels tell kinds apart. Few graphs may have many nodes, which have the labels."""
    if all_labelled and noun.startswith("graph"):
        return True
    return 1 < labels <= samples / LEAST_OF_A_KIND and (labels <= MOST_KINDS or all_labelled)


def _whole_number(text: Text, said: str, span: tuple[int, int]) -> int:
    value = number(said)
    if value >= MOST:
        text.fail("is more than there can be", [span])
    if ("." in said and re.fullmatch(r"[\d.]+", said)) or abs(value - round(value)) > 1e-6 * value:
        text.fail("is no whole number", [span])
    return round(value)


def _single(text: Text, values: list[float] | list[int], what: str) -> int | None:
    if len(set(values)) > 1:
        text.fail(f"names more than one {what}")
    if values and values[0] < 1:
        text.fail(f"names a {what} below one")
    return round(values[0]) if values else None
