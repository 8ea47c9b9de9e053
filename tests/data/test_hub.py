import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from bertlab.config.errors import InputError
from bertlab.data.documents import Corpus, Document, lot
from bertlab.data.hub import Hub

datasets: Any = pytest.importorskip("datasets")

CONF = Path(__file__).parents[2] / "conf" / "data"
Folder = Callable[..., Path]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the library off the network and out of the user's cache, even if it was imported before."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Make a folder of data files, one for each split, from lists of texts."""

    def make(name: str = "tales", **splits: list[Any]) -> Path:
        path = tmp_path / name
        path.mkdir()
        for split, texts in splits.items():
            rows = (json.dumps({"n": number, "text": text}) for number, text in enumerate(texts))
            (path / f"{split}.jsonl").write_text("\n".join(rows) + "\n", "utf-8")
        return path

    return make


def read(path: Path, **settings: Any) -> list[Document]:
    return list(Hub(str(path), **settings).documents())


def test_splits_of_a_folder_are_mapped_to_ours(folder: Folder) -> None:
    path = folder(train=["One.", "Two.\n\nStill two."], validation=["Three."], test=["Four."])
    assert read(path) == [
        Document("train:0", "One.", "train"),
        Document("train:1", "Two.\n\nStill two.", "train"),
        Document("validation:0", "Three.", "valid"),
        Document("test:0", "Four.", "test"),
    ]


def test_without_held_out_text_the_training_text_names_no_split(folder: Folder) -> None:
    assert read(folder(train=["One."], test=["Two."])) == [
        Document("train:0", "One."),
        Document("test:0", "Two.", "test"),
    ]


def test_who_is_held_out_depends_on_the_text_and_not_on_the_row(folder: Folder) -> None:
    texts = [f"Number {number}." for number in range(20)]
    one, other = read(folder("one", train=texts)), read(folder("other", train=texts[::-1]))
    assert {row.text: lot(row) for row in one} == {row.text: lot(row) for row in other}


def test_a_saved_dataset_is_read_with_and_without_splits(tmp_path: Path) -> None:
    one = datasets.Dataset.from_dict({"text": ["One.", "Two."]})
    one.save_to_disk(str(tmp_path / "one"))
    datasets.DatasetDict({"train": one, "test": one}).save_to_disk(str(tmp_path / "both"))
    assert read(tmp_path / "one") == [Document("train:0", "One."), Document("train:1", "Two.")]
    assert [document.id for document in read(tmp_path / "both")] == ["train:0", "train:1", "test:0", "test:1"]


def test_rows_without_text_are_left_out(folder: Folder) -> None:
    assert [document.id for document in read(folder(train=["One.", None, "", "Four."]))] == ["train:0", "train:3"]


def test_column_and_splits_may_be_named(tmp_path: Path) -> None:
    one = datasets.Dataset.from_dict({"body": ["One."], "text": ["Not one."]})
    datasets.DatasetDict({"all": one, "dev": one, "train": one}).save_to_disk(str(tmp_path / "saved"))
    found = read(tmp_path / "saved", column="body", splits={"dev": "valid", "all": "train"})
    assert found == [Document("dev:0", "One.", "valid"), Document("all:0", "One.", "train")]


def test_the_key_follows_the_text_and_the_splits_but_not_place_or_format(folder: Folder, tmp_path: Path) -> None:
    path = folder(train=["One.", "Two."])
    key = Hub(str(path)).key()
    datasets.load_dataset(str(path)).save_to_disk(str(tmp_path / "saved"))
    os.utime(path / "train.jsonl", (0, 0))
    assert Hub(str(path)).key() == Hub(str(tmp_path / "saved")).key() == key
    assert Hub(str(folder("other", train=["One.T", "wo."]))).key() != key
    assert Hub(str(path), splits={"train": "valid"}).key() != key


def test_facts_name_the_dataset_and_its_rows_but_no_folder(folder: Folder, tmp_path: Path) -> None:
    corpus: Corpus = Hub(str(folder(train=["One.", "Two."], test=["Three."])))
    facts = corpus.facts()
    assert facts["source"] == "Hugging Face dataset tales"
    assert facts["licence"] == "not stated by the dataset"
    assert facts["rows"] == "train 2, test 1"
    assert str(tmp_path) not in str(facts)


def test_constructing_reads_nothing() -> None:
    assert Hub("nobody/nothing").name == "hub"


@pytest.mark.parametrize("use", [Hub.key, Hub.facts, lambda corpus: list(corpus.documents())])
def test_a_hub_out_of_reach_is_one_clear_line(use: Callable[[Hub], Any]) -> None:
    with pytest.raises(InputError, match=r"within reach, got 'nobody/nothing' \(Couldn't reach .*check") as caught:
        use(Hub("nobody/nothing"))
    assert "\n" not in str(caught.value)


def test_a_dataset_that_cannot_be_read_is_one_clear_line(folder: Folder, tmp_path: Path) -> None:
    broken = folder("broken", train=["One."])
    (broken / "train.jsonl").write_text("not JSON\n", "utf-8")
    for path, name, message in (
        (tmp_path / "none", None, "Couldn't find any data file"),
        (folder("empty"), None, "doesn't contain any data files"),
        (folder("plain", train=["One."]), "large", "'large' not found"),
        (broken, None, "JSON"),
    ):
        with pytest.raises(
            InputError, match=rf"that can be read, got '.*{path.name}' and .*{message}.*; check"
        ) as caught:
            read(path, name=name)
        assert "\n" not in str(caught.value)


def test_a_name_that_the_hub_does_not_know_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise datasets.exceptions.DatasetNotFoundError("Dataset 'a/b' doesn't exist.\nMore.") from OSError("404")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(InputError, match=r"got 'a/b' and None \(Dataset 'a/b' doesn't exist\.\); check"):
        Hub("a/b").key()


def test_columns_and_splits_that_are_not_there_are_named(folder: Folder) -> None:
    path = folder(train=["One."])
    for column in ("body", "n"):
        with pytest.raises(
            InputError, match=f"column of text, got '{column}'; .* columns n, text, of which are text: text"
        ):
            read(path, column=column)
    with pytest.raises(InputError, match=r"must name splits of .*, got \['dev'\]; use \['train'\]"):
        read(path, splits={"dev": "valid"})
    with pytest.raises(
        InputError, match=r"must map the dataset's splits to train, valid, test, got \{'train': 'dev'\}"
    ):
        Hub(str(path), splits={"train": "dev"})


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"needs the library datasets, got: .*; run: pip install datasets"):
        Hub("nobody/nothing").key()


def test_the_yaml_makes_the_corpus_that_the_class_makes(folder: Folder) -> None:
    path = folder(train=["One."], validation=["Two."])
    corpus = instantiate(OmegaConf.load(CONF / "hub.yaml"), path=str(path))
    assert corpus.key() == Hub(str(path)).key()
    assert list(corpus.documents()) == read(path)
