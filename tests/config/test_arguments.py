import pytest

from bertlab.config.arguments import parse
from bertlab.config.errors import InputError

DEFAULTS = {"sweep": None, "filter": None, "out": "outputs/report"}


def test_words_replace_defaults() -> None:
    assert parse(DEFAULTS, None, ["out=here", "sweep=seed=0,1"]) == {
        "sweep": "seed=0,1",
        "filter": None,
        "out": "here",
    }
    assert parse(DEFAULTS, None, []) == DEFAULTS


def test_a_value_may_hold_anything_and_be_empty() -> None:
    assert parse(DEFAULTS, None, ["filter=params.seed = '1' and x >= 2"])["filter"] == "params.seed = '1' and x >= 2"
    assert parse(DEFAULTS, None, ["out="])["out"] == ""


def test_a_key_is_given_once_and_defaults_stay_as_they_are() -> None:
    assert parse(DEFAULTS, None, ["out=a"])["out"] == "a"
    with pytest.raises(InputError, match=r"^out must be given once, got out=b too"):
        parse(DEFAULTS, None, ["out=a", "out=b"])
    assert DEFAULTS["out"] == "outputs/report"


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("swep=latest", r"got swep=latest; did you mean sweep=\.\.\.\?"),
        ("xyzzy=1", r"got xyzzy=1; the keys are sweep, filter, out"),
        ("out", r"got out; did you mean out=\.\.\.\?"),
        ("--out=x", r"got --out=x; did you mean out=\.\.\.\?"),
        ("", r"got ; the keys are sweep, filter, out"),
    ],
)
def test_a_word_that_is_no_known_key_is_an_input_error_with_a_hint(word: str, hint: str) -> None:
    with pytest.raises(InputError, match=rf"^arguments must be key=value with a known key, {hint}$"):
        parse(DEFAULTS, None, [word])


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help_prints_the_usage_and_ends_well(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(DEFAULTS, "\nUsage of this.\n", ["out=x", word])
    assert caught.value.code == 0
    assert capsys.readouterr().out == "Usage of this.\n"
