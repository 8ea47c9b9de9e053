"""How embeddings of tokens, segments and positions are combined."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from bertlab.data.batches import Batch
from bertlab.model.bert import Bert
from bertlab.model.position import Sinusoidal
from bertlab.model.shape import Shape

MakeModel = Callable[..., Bert]
MakeBatch = Callable[..., Batch]
D, H, K, L = 48, 6, 8, 5


def test_the_sum_is_the_concatenation_with_stacked_identities(make_model: MakeModel, make_batch: MakeBatch) -> None:
    summed, side_by_side = make_model({"embedding": "sum"}), make_model({"embedding": "concat"})
    with torch.no_grad():
        assert side_by_side.embedding.project.weight.shape == (D, 3 * D)
        side_by_side.embedding.project.weight.copy_(torch.eye(D).repeat(1, 3))
        batch = make_batch()
        torch.testing.assert_close(side_by_side.encode(batch), summed.encode(batch), atol=1e-6, rtol=0)


def test_positions_without_vectors_take_no_room_in_the_concatenation(make_model: MakeModel) -> None:
    model = make_model({"embedding": "concat", "position": "rotary"})
    assert model.embedding.project.weight.shape == (D, 2 * D)


def test_without_segments_they_are_neither_stored_nor_seen(make_model: MakeModel, make_batch: MakeBatch) -> None:
    model, batch = make_model({"embedding": "no_segment"}), make_batch()
    assert not [name for name, _ in model.named_parameters() if "segment" in name]
    with torch.no_grad():
        assert torch.equal(model.encode(batch), model.encode(replace(batch, segments_BL=1 - batch.segments_BL)))


def test_untied_positions_never_meet_tokens(make_model: MakeModel, make_batch: MakeBatch) -> None:
    embedding, batch = make_model({"embedding": "untied"}).embedding, make_batch()
    with torch.no_grad():
        before_BLD = embedding(batch.ids_BL, batch.segments_BL)
        embedding.position.table.weight.add_(1)
        assert torch.equal(embedding(batch.ids_BL, batch.segments_BL), before_BLD)


def test_untied_scores_are_tokens_and_positions_apart(make_model: MakeModel) -> None:
    """TUPE: (x_i W_Q) (x_j W_K) / sqrt(2 K) + (p_i U_Q) (p_j U_K) / sqrt(2 K), with numbers of their own for [CLS]."""
    model = make_model({"embedding": "untied"})
    assert model.scale == pytest.approx((2 * K) ** -0.5)
    embedding = model.embedding
    with torch.no_grad():
        embedding.from_cls_bias.copy_(torch.arange(H) + 10)
        embedding.to_cls_bias.copy_(torch.arange(H) + 20)
        score_HLL = embedding.correlation(L)
        position_LD = torch.nn.functional.layer_norm(embedding.position.table.weight[:L], (D,), eps=1e-12)
        head = slice(3 * K, 4 * K)
        query_LK = position_LD @ embedding.position_query.weight[head].T
        key_LK = position_LD @ embedding.position_key.weight[head].T
    torch.testing.assert_close(score_HLL[3, 1:, 1:], (query_LK @ key_LK.T)[1:, 1:])
    assert (score_HLL[3, 0] == 13).all()
    assert (score_HLL[3, 1:, 0] == 23).all()


def test_sinusoids_by_hand() -> None:
    """D = 4 and base 100: wavelengths of 2 pi and 20 pi; sines, then cosines; scaled by 1/sqrt(4)."""
    position = Sinusoidal(Shape(61, 9, 1, 4, 2, 5, 0.0, 2, 0.02, 0.02), base=100, learn_scale=False)
    place = torch.tensor(3.0)
    expected_D = torch.stack([place.sin(), (place / 10).sin(), place.cos(), (place / 10).cos()]) / 2
    torch.testing.assert_close(position.vectors(4)[3], expected_D)


def test_untied_output_vectors_are_drawn_like_the_embedding(make_model: MakeModel, make_batch: MakeBatch) -> None:
    tied, own = make_model(), make_model(tie_output=False)
    assert own.decoder_weight is not own.embedding.token.weight
    assert tied.decoder_weight is tied.embedding.token.weight
    assert own.decoder_weight.std().item() == pytest.approx(tied.decoder_weight.std().item(), rel=0.05)
    own(make_batch()).mlm_MV.sum().backward()
    assert own.decoder_weight.grad is not None
