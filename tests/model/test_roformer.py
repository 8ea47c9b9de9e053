"""A model with rotary positions gives the same words in transformers' `RoFormerForMaskedLM`, on the same weights."""

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
import torch

from bertlab.config.errors import InputError
from bertlab.data.batches import Batch
from bertlab.model.bert import Bert
from bertlab.model.reference import save_reference
from bertlab.model.roformer import neighbours, to_roformer

os.environ["HF_HUB_OFFLINE"] = "1"  # read at the import: nothing is ever looked up
transformers = import_module("transformers")

MakeModel = Callable[..., Bert]


def test_halves_of_a_head_become_neighbours() -> None:
    assert neighbours(torch.arange(12), 2).tolist() == [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]


@pytest.mark.parametrize("parts", [{}, {"attention": "shared_qk"}, {"attention": "no_v"}, {"scale": "one"}])
def test_masked_words_are_the_same(
    make_model: MakeModel, make_batch: Callable[..., Batch], tmp_path: Path, parts: dict[str, str]
) -> None:
    model, batch = make_model({"position": "rotary", **parts}), make_batch()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    save_reference(tmp_path, *to_roformer(model.eval()))
    theirs, about = transformers.RoFormerForMaskedLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(about.values()), "nothing missing, unexpected or misshapen"
    inputs = {"token_type_ids": batch.segments_BL}
    if batch.real_BL is not None:
        inputs["attention_mask"] = batch.real_BL.long()
    with torch.no_grad():
        found, expected = model(batch).mlm_MV, theirs(batch.ids_BL, **inputs).logits
    torch.testing.assert_close(found, expected.flatten(0, 1)[batch.position_M], atol=1e-5, rtol=0)


def test_what_roformer_has_no_place_for_is_refused(make_model: MakeModel) -> None:
    with pytest.raises(InputError, match=r"model/block \(PreNorm\) cannot be expressed"):
        to_roformer(make_model({"position": "rotary", "block": "pre"}))
