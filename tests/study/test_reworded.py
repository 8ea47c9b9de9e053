"""A claim with new words says the same in a study's file, from which it may be registered anew."""

import json

import pytest
import yaml

from bertlab.config.compose import PACKAGE
from bertlab.study.catalogue import study_files

RULES = {path.parent.name: path for path in (PACKAGE.parent / "reports").glob("*/rule.json")}


@pytest.mark.parametrize("study", sorted(RULES.keys() & study_files().keys()))
def test_the_words_of_a_claim_that_is_judged_are_those_of_its_file(study: str) -> None:
    registered = json.loads(RULES[study].with_name("study.json").read_text("utf-8"))["study"]["claim"]
    judged = json.loads(RULES[study].read_text("utf-8")).get("claim", registered)
    assert yaml.safe_load(study_files()[study].read_text("utf-8"))["study"]["claim"] == judged


@pytest.mark.parametrize("study", ["diagonal", "score_masking"])
def test_a_claim_of_being_worse_does_not_say_that_nothing_is_learned(study: str) -> None:
    claim = yaml.safe_load(study_files()[study].read_text("utf-8"))["study"]["claim"]
    assert "nothing is learned" not in claim
    assert "worse than [MASK] at held-out single words" in claim
