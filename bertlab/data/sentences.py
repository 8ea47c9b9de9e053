"""Documents -> sentences, with the rule-based splitter of the Wikimedia foundation (`sentencex`)."""

from collections.abc import Iterator

from sentencex import segment

from bertlab.data.documents import one_line


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a text; a paragraph's end (a blank line) always ends a sentence."""
    for paragraph in text.split("\n\n"):
        for sentence in segment("en", one_line(paragraph)):
            if stripped := sentence.strip():
                yield stripped
