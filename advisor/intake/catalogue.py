"""The catalogue as intake needs it: entries, and the names that people use for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property

from advisor.catalogue.entries import DatasetEntry, DeviceEntry, ModelEntry, StandIn
from advisor.intake.compute import Compute
from advisor.intake.names import NameIndex
from advisor.intake.remembering import Remembered


@dataclass(frozen=True)
class Catalogue:
    """Devices, models and datasets by id."""

    devices: Mapping[str, DeviceEntry]
    models: Mapping[str, ModelEntry]
    datasets: Mapping[str, DatasetEntry]
    stand_ins: Mapping[str, StandIn] = field(default_factory=dict)

    @cached_property
    def computes(self) -> Remembered[Compute]:
        """What texts say of hardware, by these devices."""
        return Remembered()

    @cached_property
    def device_names(self) -> NameIndex:
        return NameIndex(self.devices)

    @cached_property
    def model_names(self) -> NameIndex:
        return NameIndex(self.models)

    @cached_property
    def stand_in_names(self) -> NameIndex:
        return NameIndex(self.stand_ins)

    @cached_property
    def dataset_names(self) -> NameIndex:
        return NameIndex(self.datasets)

    def is_closed(self, text: str) -> bool:
        """Whether a lower-case text names a model whose weights are not published."""
        return any(self.stand_ins[id_].closed for mention in self.stand_in_names.find(text) for id_ in mention.ids)

    def tasks_of(self, text: str) -> list[str]:
        """The tasks of every model that a lower-case text names, or that stands in for what it names; what each is for comes first."""
        ids = [id_ for mention in self.model_names.find(text) for id_ in mention.ids]
        ids += [by for mention in self.stand_in_names.find(text) for id_ in mention.ids for by in self.stand_ins[id_].by]
        return list(dict.fromkeys(task for id_ in ids for task in self.models[id_].tasks))

    def named_datasets(self, text: str) -> list[tuple[DatasetEntry, tuple[int, int]]]:
        """The datasets named in a lower-case text, with their spans; a name that begins others ("COCO") stands for those too."""
        return [
            (self.datasets[id_], (mention.start, mention.end))
            for mention in self.dataset_names.find(text)
            for id_ in dict.fromkeys((*mention.ids, *self.dataset_names.beginning(mention.runs)))
        ]


@cache
def load_catalogue() -> Catalogue:
    """The installed catalogue. Raises KnowledgeError where a file of it is faulty."""
    from advisor import catalogue

    return Catalogue(catalogue.devices(), catalogue.models(), catalogue.datasets(), catalogue.stand_ins())
