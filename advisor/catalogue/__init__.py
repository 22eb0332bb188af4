"""Figures about models, devices and public datasets, read from `catalogue/*.yaml` when they are first asked for."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from advisor.catalogue.entries import DatasetEntry, DeviceEntry, ModelEntry, StandIn
from advisor.catalogue.loading import checked_dates, load_entries
from advisor.located import parse_yaml
from advisor.parsed import Parse, remembered
from advisor.resources import data_folder

__all__ = ["datasets", "devices", "load_datasets", "load_devices", "load_models", "models", "newest_date", "stand_ins"]


def load_models(folder: Path, parse: Parse = parse_yaml) -> dict[str, ModelEntry]:
    """The models in `folder/models/*.yaml`, by id. Raises KnowledgeError with every fault and its place."""
    return load_entries(sorted((folder / "models").glob("*.yaml")), ModelEntry, parse)


def load_devices(folder: Path, parse: Parse = parse_yaml) -> dict[str, DeviceEntry]:
    """The devices in `folder/devices.yaml`, by id. Raises KnowledgeError with every fault and its place."""
    return load_entries([folder / "devices.yaml"], DeviceEntry, parse)


def load_datasets(folder: Path, parse: Parse = parse_yaml) -> dict[str, DatasetEntry]:
    """The datasets in `folder/datasets.yaml`, by id. Raises KnowledgeError with every fault and its place."""
    return load_entries([folder / "datasets.yaml"], DatasetEntry, parse)


@cache
def models() -> Mapping[str, ModelEntry]:
    """Every model of the catalogue, by id."""
    with remembered("models") as parse:
        return MappingProxyType(load_models(data_folder("catalogue"), parse))


@cache
def serving(task: str) -> tuple[ModelEntry, ...]:
    """The models that serve a kind of task, in the catalogue's order."""
    return tuple(entry for entry in models().values() if task in entry.tasks)


@cache
def devices() -> Mapping[str, DeviceEntry]:
    """Every device of the catalogue, by id."""
    with remembered("devices") as parse:
        return MappingProxyType(load_devices(data_folder("catalogue"), parse))


@cache
def datasets() -> Mapping[str, DatasetEntry]:
    """Every public dataset of the catalogue, by id."""
    with remembered("datasets") as parse:
        return MappingProxyType(load_datasets(data_folder("catalogue"), parse))


@cache
def stand_ins() -> Mapping[str, StandIn]:
    """What stands in for models that the catalogue does not have, from `catalogue/stand_ins.yaml`."""
    with remembered("stand_ins") as parse:
        return MappingProxyType(load_entries([data_folder("catalogue") / "stand_ins.yaml"], StandIn, parse))


@cache
def newest_date() -> datetime.date:
    """The day on which the catalogue's youngest figure was read."""
    entries = (*models().values(), *devices().values(), *datasets().values())
    return max(date for entry in entries for date in checked_dates(entry))
