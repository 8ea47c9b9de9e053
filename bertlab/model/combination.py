"""Refuses combinations of parts in which a choice would have no effect, or not the stated effect.

Parts declare what they support; nothing here knows a variant by name. A part itself refuses what it can see alone
(sizes, positions without vectors).
"""

from collections.abc import Iterable

from torch import nn

from bertlab.config.errors import InputError
from bertlab.model.attention import Mixer
from bertlab.model.embedding import Embedding
from bertlab.model.pooling import Pooling, is_of_cls
from bertlab.model.shape import Shape
from bertlab.model.visibility import Everyone


def check_mixer(mixer: Mixer | None, embedding: Embedding, visibility: Everyone, shape: Shape) -> None:
    """Raise InputError if another part acts on attention in a way that this mixer does not support."""
    name = "none" if mixer is None else type(mixer).__name__
    position = embedding.position
    if not (mixer and mixer.scored) and (position.acts_on_scores or embedding.score_share != 1):
        acting = f"model/position ({type(position).__name__})" if position.acts_on_scores else "model/embedding=untied"
        raise InputError(
            f"{acting} acts on the scores of attention, and model/attention ({name}) has none; choose "
            "model/position=learned, sinusoidal or none with model/embedding=sum or concat"
        )
    if not (mixer and mixer.heeds_sight) and visibility.restricts:
        raise InputError(
            f"model/visibility ({type(visibility).__name__}) restricts who looks at whom, and model/attention ({name}) "
            "cannot be restricted; choose model/visibility=all"
        )
    if not (mixer and mixer.has_heads) and shape.stated_head_width is not None:
        raise InputError(
            f"model.head_width must be null where model/attention ({name}) has no heads, "
            f"got {shape.stated_head_width}; leave it out"
        )


def check_scoring(mixer: Mixer | None, *, usual: bool) -> None:
    """Raise InputError for an unusual scale or weighting of scores if there are no scores."""
    if not usual and not (mixer and mixer.scored):
        name = "none" if mixer is None else type(mixer).__name__
        raise InputError(
            f"model/scale and model/score act on the scores of attention, and model/attention ({name}) has none; "
            "choose model/scale=sqrt and model/score=softmax"
        )


def check_layer(mixer: Mixer | None, feed_forward: nn.Module | None) -> None:
    """Raise InputError for layers without any part."""
    if mixer is None and feed_forward is None:
        raise InputError(
            "model/attention=none and model/feed_forward=none leave the layers empty; choose another option for one"
        )


def check_cls(embedding: Embedding, pooling: Pooling) -> None:
    """Raise InputError if a part treats the first token as [CLS] and sequences have no [CLS]."""
    pool = getattr(pooling, "func", pooling)  # the config may choose a function with keywords
    readers = {
        f"model/pooling ({getattr(pool, '__name__', pool)})": is_of_cls(pooling),
        f"model/embedding ({type(embedding).__name__})": embedding.reads_cls,
    }
    for part in (part for part, reads in readers.items() if reads):
        raise InputError(
            f"batch.cls=false leaves no [CLS], and {part} takes the first token for it; choose batch.cls=true, or "
            "model/pooling=mean or max with model/embedding=sum, concat or no_segment"
        )


def check_streams(modules: Iterable[nn.Module], visibility: Everyone) -> None:
    """Raise InputError if statistics over tokens would mix two kinds of embeddings."""
    if visibility.asks_apart and any(getattr(module, "over_tokens", False) for module in modules):
        raise InputError(
            f"model/norm=batch would mix the statistics of tokens and of the queries that model/visibility "
            f"({type(visibility).__name__}) embeds apart; choose model/norm=layer, rms or none"
        )
