import pytest

from bertlab.data.sentences import sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One ship sails. Two ships wait!", ["One ship sails.", "Two ships wait!"]),
        (
            "Dr. Gray met Mr. Bell at 3.14 p.m. today. He left.",
            ["Dr. Gray met Mr. Bell at 3.14 p.m. today.", "He left."],
        ),
        ("A line\nthat goes\ton.", ["A line that goes on."]),
        ("No full stop\n\nnext paragraph", ["No full stop", "next paragraph"]),
        ("One.\n\n\n\nTwo.", ["One.", "Two."]),
        ("  \n\n \n", []),
        ("", []),
    ],
)
def test_sentences_end_at_their_marks_and_at_paragraphs(text: str, expected: list[str]) -> None:
    assert list(sentences(text)) == expected


def test_no_word_is_lost_and_no_sentence_is_blank() -> None:
    text = "Why? Because... it is so (i.e. here). \u201cYes,\u201d he said.\n\nA list:\n\n- one\n- two\n\n3. three"
    found = list(sentences(text))
    assert " ".join(found).split() == text.split()
    assert all(sentence == sentence.strip() != "" for sentence in found)
