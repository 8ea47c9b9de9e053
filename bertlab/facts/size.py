"""Facts about size: heads and parameters, counted on built models."""

from torch import nn

from bertlab.facts.built import PUBLISHED, base
from bertlab.facts.fact import Fact
from bertlab.model.count import count_heads, count_parameters


def count() -> Fact:
    """Count the heads and parameters of BERT-base."""
    model = base()
    heads, parameters = count_heads(model), count_parameters(model)
    total = sum(parameters.values())
    return Fact(
        claim="count",
        question="How many self-attentions are there in BERT-base, and where are its parameters?",
        answer=f"{sum(heads)} = {len(heads)} layers x {heads[0]} heads. Of its {total:,} parameters half are in the "
        "feed-forward layers and only a quarter in attention; another fifth is the table of tokens.",
        header=("part", "parameters", "share, %"),
        rows=[
            *((part, f"{size:,}", f"{100 * size / total:.1f}") for part, size in parameters.items()),
            ("all", f"{total:,}", "100.0"),
        ],
        how=f"Counted on the built model with both heads and {PUBLISHED:,} tokens; what is shared is counted once.",
        test="test_bert_base_has_144_heads_and_as_many_parameters_as_published",
        numbers={"heads": sum(heads), "layers": len(heads), "parameters": total, **parameters},
    )


def norm() -> Fact:
    """Count the parameters of normalisation."""
    width, numbers = base().shape.width, dict[str, float]()
    for option in ("layer", "layer_plain", "rms", "batch", "none"):
        parameters = count_parameters(base(f"model/norm={option}", layers=1))
        numbers[option] = parameters.get("embedding norm", 0)
    everywhere = [module for module in base().modules() if isinstance(module, nn.LayerNorm)]
    numbers["norms"] = len(everywhere)
    numbers["together"] = sum(sum(count_parameters(module).values()) for module in everywhere)
    return Fact(
        claim="norm",
        question="What are the parameters of layer normalisation?",
        answer=f"A scale and a shift for each component of the states: 2 x {width} = {numbers['layer']:,.0f} for one "
        f"norm. BERT-base has {len(everywhere)} of them (after the embedding, two in each layer, one in the MLM head), "
        f"{numbers['together']:,.0f} parameters together.",
        header=("model/norm", "parameters of one norm"),
        rows=[(option, f"{numbers[option]:,.0f}") for option in ("layer", "layer_plain", "rms", "batch", "none")],
        how="Counted on models of BERT-base's width. Which norm learns best is a study, not a fact.",
        test="test_a_layer_norm_has_a_scale_and_a_shift_for_each_component",
        numbers={"width": width, **numbers},
    )


def sharing() -> Fact:
    """Count the parameters saved by sharing."""
    arms = {
        "BERT-base: token table shared with the output": base(),
        "nothing shared": base(tie_output=False),
        "attention of all layers shared": base("model/sharing=attention"),
        "feed-forward of all layers shared": base("model/sharing=feed_forward"),
        "whole layers shared": base("model/sharing=all"),
    }
    totals = {arm: sum(count_parameters(model).values()) for arm, model in arms.items()}
    usual, *others = totals.values()
    saved, all_layers = others[0] - usual, others[-1]
    return Fact(
        claim="sharing",
        question="Where are weights shared, and what does it save?",
        answer="BERT scores the vocabulary with the very table that embeds tokens, which saves "
        f"{saved:,} parameters. Sharing whole layers as well would leave {all_layers:,} of {usual:,}; it saves no "
        "FLOPs, because every layer is still computed.",
        header=("arm", "parameters", "against BERT-base, %"),
        rows=[(arm, f"{total:,}", f"{100 * (total - usual) / usual:+.1f}") for arm, total in totals.items()],
        how="Counted on built models. What sharing costs in quality is a study.",
        test="test_sharing_saves_the_parameters_of_eleven_layers",
        numbers=dict(zip(("tied", "untied", "attention", "feed_forward", "all"), totals.values(), strict=True)),
    )
