"""The keys of a model that is based on BERT's."""

from bertlab.model.bert import Parts


class Settings(Parts):
    """The keys of conf/model/base.yaml."""

    layers: int
    width: int
    heads: int
    head_width: int | None
    inner: int
    dropout: float
    segment_types: int
    embedding_std: float
    dense_std: float
    skip: bool
    padding_mask: bool
    tie_output: bool
    dense_gain: float | None
    unigram_bias: bool
