"""Tokenizers: sentences -> a trained `tokenizers.Tokenizer` whose ids 0 to 4 are the special tokens."""

from bertlab.data.tokenizer.vocabulary import CLS, MASK, PAD, SEP, SPECIALS, UNK, Vocabulary, space_mark, spelt_apart

__all__ = ["CLS", "MASK", "PAD", "SEP", "SPECIALS", "UNK", "Vocabulary", "space_mark", "spelt_apart"]
