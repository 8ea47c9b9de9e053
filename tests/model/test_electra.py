"""A model that detects replaced tokens gives the same scores in transformers' `ElectraForPreTraining`."""

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
import torch

from bertlab.config.errors import InputError
from bertlab.data.batches import Batch
from bertlab.model.bert import Bert
from bertlab.model.electra import to_electra
from bertlab.model.reference import save_reference
from tests.model.test_replaced import make

os.environ["HF_HUB_OFFLINE"] = "1"  # read at the import: nothing is ever looked up
transformers = import_module("transformers")

MakeModel = Callable[..., Bert]


@pytest.mark.parametrize("parts", [{}, {"attention": "shared_kv"}, {"embedding": "no_segment"}])
def test_scores_of_detection_are_the_same(
    make_batch: Callable[..., Batch], tmp_path: Path, parts: dict[str, str]
) -> None:
    model, batch = make(**parts), make_batch()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    save_reference(tmp_path, *to_electra(model))
    theirs, about = transformers.ElectraForPreTraining.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(about.values()), "nothing missing, unexpected or misshapen"
    assert batch.real_BL is not None
    with torch.no_grad():
        found_BL = model.detection_head(model.encode(batch))
        inputs = {"token_type_ids": batch.segments_BL, "attention_mask": batch.real_BL.long()}
        expected_BL = theirs(batch.ids_BL, **inputs).logits
    torch.testing.assert_close(found_BL[batch.real_BL], expected_BL[batch.real_BL], atol=1e-5, rtol=0)


def test_what_electra_has_no_place_for_is_refused() -> None:
    with pytest.raises(InputError, match=r"model/position \(Rotary\) cannot be expressed"):
        to_electra(make(position="rotary"))
