from pathlib import Path

import pytest
import torch
from rich.text import Text

from bertlab.commands import show
from bertlab.data.batches import Batch
from bertlab.data.pairs import NO_PAIR, RANDOM
from bertlab.data.store import TokenStore
from bertlab.data.tokenizer import CLS, MASK, PAD, SEP

ORACLE = ["data=oracle", "data.documents=60", "trainer.progress=false"]


def batch_of(store: TokenStore, given: list[int], position: list[int], target: list[int], pair: int) -> Batch:
    ids_BL = torch.tensor([given])
    places, targets = (torch.tensor(each, dtype=torch.long) for each in (position, target))
    return Batch(ids_BL, torch.zeros_like(ids_BL), None, places, targets, torch.tensor([pair]), True)


def test_a_sequence_shows_the_original_and_the_replaced_tokens(store: TokenStore) -> None:
    batch = batch_of(store, [CLS, MASK, 8, 9, 10, SEP, PAD, PAD], [1, 2, 3], [6, 7, 9], RANDOM)
    token = store.vocabulary.tokens
    original_BL = torch.tensor([[CLS, 6, 7, 9, 10, SEP, PAD, PAD]])
    (shown,) = show.sequences(original_BL, batch, store.vocabulary)
    told = f"[CLS] {token[6]}→[MASK] {token[7]}→{token[8]} {token[9]} {token[10]} [SEP]"
    assert shown.plain.split() == f"1. B does not follow A {told}".split()


def test_predicted_tokens_differ_in_colour_from_those_left_alone(store: TokenStore) -> None:
    batch = batch_of(store, [CLS, 9, 10, SEP], [1], [9], NO_PAIR)
    (shown,) = show.sequences(batch.ids_BL, batch, store.vocabulary)
    assert "green" in styles_of(shown)[store.vocabulary.tokens[9]]
    assert "green" not in styles_of(shown).get(store.vocabulary.tokens[10], "")


def test_noise_and_targets_of_other_places_show_as_what_they_are(store: TokenStore) -> None:
    token = store.vocabulary.tokens
    noisy = batch_of(store, [CLS, 9, 11, SEP], [], [], NO_PAIR)
    (shown,) = show.sequences(torch.tensor([[CLS, 9, 10, SEP]]), noisy, store.vocabulary)
    assert styles_of(shown)[f"{token[10]}→{token[11]}"] == show.UNPREDICTED
    ahead = batch_of(store, [CLS, 9, 10, SEP], [0, 1], [9, 10], NO_PAIR)
    (shown,) = show.sequences(ahead.ids_BL, ahead, store.vocabulary)
    assert shown.plain.split()[3:] == f"[CLS]⇒{token[9]} {token[9]}⇒{token[10]} {token[10]} [SEP]".split()


def styles_of(shown: Text) -> dict[str, str]:
    return {shown.plain[span.start : span.end].strip(): str(span.style) for span in shown.spans}


def test_the_command_prints_facts_and_a_batch(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    show.main([*ORACLE, "mask.rate=0.4"])
    shown = capsys.readouterr().out
    assert "hidden Markov model" in shown
    assert "→[MASK]" in shown
    assert "fingerprint" in shown
    words = " ".join(shown.replace("│", " ").split())
    assert "0% of the training tokens and 0% of the held-out tokens are [UNK]" in words
    assert "of the held-out text in whole documents" in words


def test_a_file_may_be_called_as_a_colour_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "[red].txt").write_text(
        "\n\n".join(" ".join(f"The word of {n} is {n * i}." for i in range(20)) for n in range(60))
    )
    words = ["data=text", f"data.files={tmp_path}/*.txt", "evaluation.sequences=8", "tokenizer.vocab_size=200"]
    show.main([*words])
    assert "the user's files: [red].txt" in capsys.readouterr().out


def test_bad_input_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        show.main([*ORACLE, "mask.rate=1.4"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == "bertlab: mask.rate must lie in (0, 1), got 1.4; choose a number inside\n"
