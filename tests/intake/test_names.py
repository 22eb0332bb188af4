from __future__ import annotations

import pytest

from advisor.intake import Catalogue


@pytest.mark.parametrize("said", ["ResNet-50", "resnet50", "RESNET 50", "resnet50.a1_in1k"])
def test_a_model_is_found_whatever_its_case_and_punctuation(catalogue: Catalogue, said: str) -> None:
    assert catalogue.model_names.exact(said) == ("resnet50.a1_in1k",)


def test_a_hub_model_goes_by_its_name_without_the_owner(catalogue: Catalogue) -> None:
    assert catalogue.model_names.exact("llama 3.1 8b") == catalogue.model_names.exact("Llama-3.1-8B") == ("meta-llama/Llama-3.1-8B",)


def test_a_part_of_a_name_is_not_the_name(catalogue: Catalogue) -> None:
    assert catalogue.model_names.exact("resnet") == ()
    assert [mention.ids for mention in catalogue.device_names.find("8x a10, xa100 and a1000")] == []


def test_the_longest_name_wins_and_names_are_found_beside_counts(catalogue: Catalogue) -> None:
    assert [mention.ids for mention in catalogue.device_names.find("8xa100-80gb")] == [("a100-80gb",)]
    assert [mention.ids for mention in catalogue.device_names.find("m2 max and m2")] == [("apple-m2-max",), ("apple-m2",)]


def test_variants_differ_in_memory_only(catalogue: Catalogue) -> None:
    assert catalogue.device_names.variants(("v", "100"), {"gb"}) == ["v100-16gb", "v100-32gb"]
    assert catalogue.device_names.variants(("m", "2"), {"apple"}) == ["apple-m2"]


def test_the_nearest_name_is_offered(catalogue: Catalogue) -> None:
    assert catalogue.model_names.nearest("resnet 51") == "ResNet-50"
    assert catalogue.model_names.nearest("xyzzy") is None


def test_a_name_that_begins_others_stands_for_them_too(catalogue: Catalogue) -> None:
    assert [entry.id for entry, _ in catalogue.named_datasets("on coco")] == ["coco", "coco-captions"]
