from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from bertlab.config.errors import InputError
from bertlab.data.batches import Batch
from bertlab.evaluation.attention import mixing
from bertlab.model.attention import Mix
from bertlab.model.bert import Bert
from bertlab.model.init import initialise
from bertlab.model.position import Position
from bertlab.model.shape import Shape
from bertlab.model.sight import Sight
from bertlab.streams import Streams

MakeModel = Callable[..., Bert]
MakeBatch = Callable[..., Batch]
V, D, L, UNSEEN = 61, 48, 13, 60


def test_the_decoder_is_the_token_embedding(make_model: MakeModel, make_batch: MakeBatch) -> None:
    model, batch = make_model(), make_batch()
    assert [name for name, value in model.named_parameters() if V in value.shape] == [
        "embedding.token.weight",
        "mlm_head.bias",
    ]
    with torch.no_grad():
        before_MV = model(batch).mlm_MV
        assert UNSEEN not in batch.ids_BL
        model.embedding.token.weight[UNSEEN] += torch.linspace(-1, 2, D)
        after_MV = model(batch).mlm_MV
    assert (after_MV[:, UNSEEN] != before_MV[:, UNSEEN]).all()
    torch.testing.assert_close(after_MV[:, :UNSEEN], before_MV[:, :UNSEEN])


def test_the_mlm_bias_is_added_to_every_logit(make_model: MakeModel, make_batch: MakeBatch) -> None:
    model, batch = make_model(), make_batch()
    with torch.no_grad():
        before_MV = model(batch).mlm_MV
        model.mlm_head.bias.copy_(torch.arange(V))
        torch.testing.assert_close(model(batch).mlm_MV, before_MV + torch.arange(V), atol=1e-4, rtol=0)


def test_a_block_is_torchs_own_encoder_layer_on_the_same_weights(make_model: MakeModel) -> None:
    block = make_model().blocks[0]
    theirs = torch.nn.TransformerEncoderLayer(D, 6, 53, 0.0, "gelu", 1e-12, batch_first=True).eval()
    ours = dict(block.named_parameters())
    with torch.no_grad():
        for parameter in ours.values():
            parameter.copy_(torch.linspace(-0.9, 1.1, parameter.numel()).sin().view_as(parameter))
    query_key_value = [f"attention.{name}" for name in ("query", "key", "value")]
    names = {
        "self_attn.out_proj": "attention.output",
        "linear1": "feed_forward.expand",
        "linear2": "feed_forward.contract",
        "norm1": "attention_norm",
        "norm2": "feed_forward_norm",
    }
    weights: dict[str, torch.Tensor] = {
        f"{t}.{kind}": ours[f"{o}.{kind}"] for t, o in names.items() for kind in ("weight", "bias")
    }
    for kind in ("weight", "bias"):
        weights[f"self_attn.in_proj_{kind}"] = torch.cat([ours[f"{name}.{kind}"] for name in query_key_value])
    theirs.load_state_dict(weights)
    x_BLD = torch.linspace(-3, 3, 2 * 5 * D).cos().view(2, 5, D)
    real_BL = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    with torch.no_grad():
        got_BLD = block(x_BLD, Sight(Position(), real_BL, real_BL[:, None, None, :]))
        expected_BLD = theirs(x_BLD, src_key_padding_mask=~real_BL)
    torch.testing.assert_close(got_BLD[real_BL], expected_BLD[real_BL], atol=1e-5, rtol=0)


def test_the_pair_head_reads_the_first_token_only(make_model: MakeModel, make_batch: MakeBatch) -> None:
    model, batch = make_model(), make_batch()
    with torch.no_grad():
        cls_BD = model.encode(batch)[:, 0]
        pool, classify = model.pair_head.pool, model.pair_head.classify
        expected_B2 = torch.tanh(cls_BD @ pool.weight.T + pool.bias) @ classify.weight.T + classify.bias
        torch.testing.assert_close(model(batch).pair_B2, expected_B2)


def test_in_the_last_layer_only_those_ask_whose_answer_is_read(make_model: MakeModel, make_batch: MakeBatch) -> None:
    model, batch, asked = make_model(), make_batch(), list[int]()

    def watching(_: int, mix: Mix) -> Mix:
        return lambda query, *rest, **more: asked.append(query.shape[2]) or mix(query, *rest, **more)  # type: ignore[func-returns-value]

    with mixing(model, watching):
        model(batch)
        model.encode(batch)
    most = max(torch.bincount(batch.position_M // L).tolist())
    assert asked == [L, L, most + 1, L, L, L]


def test_segments_enter_the_states(make_model: MakeModel, make_batch: MakeBatch) -> None:
    model, batch = make_model(), make_batch()
    with torch.no_grad():
        swapped_BLD = model.encode(replace(batch, segments_BL=1 - batch.segments_BL))
        assert (swapped_BLD != model.encode(batch)).any()


def test_a_batch_without_predictions_has_no_logits(make_model: MakeModel, make_batch: MakeBatch) -> None:
    batch, nothing = make_batch(), torch.empty(0, dtype=torch.int64)
    empty = Batch(batch.ids_BL, batch.segments_BL, batch.real_BL, nothing, nothing, batch.pair_B, has_pairs=True)
    assert make_model()(empty).mlm_MV.shape == (0, V)


def test_dropout_is_on_in_training_only(make_model: MakeModel, make_batch: MakeBatch) -> None:
    model, batch = make_model(dropout=0.5), make_batch()
    with torch.no_grad():
        assert torch.equal(model(batch).pair_B2, model(batch).pair_B2)
        model.train()
        assert not torch.equal(model(batch).pair_B2, model(batch).pair_B2)


def test_building_leaves_the_global_generator_alone(make_model: MakeModel) -> None:
    before = torch.get_rng_state()
    initialise(make_model(), Streams(5))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("sizes", "key"),
    [
        ({"heads": 5}, r"heads must divide width 48, got 5"),
        ({"width": 0}, r"width .* got 0"),
        ({"layers": 1.5}, r"layers .* got 1\.5"),
        ({"heads": True}, r"heads .* got True"),
        ({"inner": -1}, r"inner .* got -1"),
        ({"segment_types": 0}, r"segment_types .* got 0"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 0\.99\], got 1\.0"),
        ({"dropout": float("nan")}, r"dropout .* got nan"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_by_name(make_model: MakeModel, sizes: dict[str, float], key: str) -> None:
    with pytest.raises(InputError, match=key):
        make_model(**sizes)


def test_the_width_of_a_head_is_its_share() -> None:
    assert Shape(V, 13, 3, D, 6, 53, 0.0, 2, 0.02, 0.02).head_width == 8
