"""Export: a run's model becomes a complete folder that transformers loads, or one line gives the reason."""

import json
import os
import shlex
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from bertlab.commands.export import main
from bertlab.config.compose import load, resolved, typed
from bertlab.data.batches import Batch, assemble
from bertlab.data.documents import Document
from bertlab.data.pairs import Examples
from bertlab.data.store import Tokens
from bertlab.identity.key import identify
from bertlab.report.card import card
from bertlab.sweep.run import Job, prepare_job, train
from bertlab.tracking.artifacts import weights_uri
from bertlab.tracking.saved_model import command_again, connect, fetch

os.environ["HF_HUB_OFFLINE"] = "1"  # read at the import: nothing is ever looked up
transformers = import_module("transformers")

MODEL = ("model=tiny", "model.width=22", "model.heads=2", "model.inner=31")
SMALL = ("batch.size=4", "batch.length=35", "budget.tokens=700", "evaluation.sequences=8", "trainer.progress=false")
A, B = "The captain finds the harbour.", "A sailor mends the anchor."
Ended = tuple[Any, str, str]  # exit code, standard output, standard error


class Store:
    """An MLflow store with runs on a small cased corpus."""

    def __init__(self, folder: Path, documents: list[Document]) -> None:
        self.folder, self.uri = folder, f"sqlite:///{folder / 'mlflow.db'}"
        lines = [{"text": document.text, "split": document.split} for document in documents]
        (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, lines)), "utf-8")
        self.jobs: dict[str, Job] = {}

    def train(self, *words: str) -> str:
        """Train a run of 5 steps and return its id."""
        corpus = ("data=text", f"data.files={self.folder / 'corpus.jsonl'}", "tokenizer.lowercase=false")
        own = (f"tracking.uri={self.uri}", f"output_dir={self.folder / 'outputs'}")
        model = MODEL[1:] if any(word.startswith("model=") for word in words) else MODEL
        config = load([*model, *SMALL, *corpus, *own, *words])
        before = self.ids()
        train(resolved(config), typed(config, words))
        (run_id,) = self.ids() - before
        self.jobs[run_id] = prepare_job(resolved(config))
        return run_id

    def ids(self) -> set[str]:
        client = MlflowClient(self.uri)
        experiments = [found.experiment_id for found in client.search_experiments()]
        runs: list[Run] = list(client.search_runs(experiments))
        return {run.info.run_id for run in runs}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, tiny_corpus: Any) -> Store:
    return Store(tmp_path_factory.mktemp("store"), tiny_corpus.listed)


@pytest.fixture(scope="module")
def run_id(store: Store) -> str:
    """A run of BERT as published."""
    return store.train("model.position.positions=41")


@pytest.fixture
def export(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], store: Store
) -> Callable[..., Ended]:
    """Run `python -m bertlab.export` with some words in an empty folder, in this process."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri)
    monkeypatch.delenv("BERTLAB_TRACEBACK", raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Ended:
        capsys.readouterr()
        code: Any = 0
        try:
            main(words)
        except SystemExit as exit_:
            code = exit_.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def assert_refused(ended: Ended, message: str, folder: Path) -> None:
    code, out, err = ended
    assert err.startswith(f"bertlab: {message}")
    assert len(err.splitlines()) == 1
    assert (code, out) == (2, "")
    assert list(folder.iterdir()) == [], "nothing is written"


@torch.no_grad()
def assert_same_logits(store: Store, run_id: str, folder: Path, tmp_path: Path) -> None:
    """Compare the exported model with the trained one on every position of two pairs, one of them padded."""
    given = transformers.AutoTokenizer.from_pretrained(folder)([A, B], [B, A + B], padding=True, return_tensors="pt")
    assert (given["attention_mask"] == 0).sum() > 0
    theirs, about = transformers.BertForPreTraining.from_pretrained(folder, output_loading_info=True)
    assert not any(about.values()), "nothing missing, unexpected or misshapen"
    model = store.jobs[run_id].build_model()
    fetch(connect(store.uri), run_id, tmp_path).restore(model)
    (real_M,), none = given["attention_mask"].flatten().nonzero(as_tuple=True), torch.empty(0)
    ids_BL, segments_BL, real_BL = given["input_ids"], given["token_type_ids"], given["attention_mask"].bool()
    ours = model.eval()(Batch(ids_BL, segments_BL, real_BL, real_M, none, none, has_pairs=False))
    output = theirs(**given)
    expected_MV = output.prediction_logits.flatten(0, 1)[real_M]
    torch.testing.assert_close(ours.mlm_MV, expected_MV, atol=1e-5, rtol=0)
    torch.testing.assert_close(ours.pair_B2, output.seq_relationship_logits, atol=1e-5, rtol=0)


def test_an_exported_run_says_in_transformers_what_it_says_here(
    store: Store, run_id: str, export: Callable[..., Ended], tmp_path: Path
) -> None:
    code, out, err = export(f"run={run_id}", "to=some/bert")
    assert (code, "Traceback" in err) == (0, False)
    files = ["README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
    assert sorted(path.name for path in (tmp_path / "some" / "bert").iterdir()) == files
    first, *lines = out.splitlines()
    assert first == f"some/bert: {', '.join(files)}, from run {run_id}; in Python:"
    loaded: dict[str, Any] = {"transformers": transformers}
    for line in lines:
        exec(line.strip(), loaded)
    assert isinstance(loaded["model"], transformers.BertForPreTraining)
    assert loaded["tokenizer"].model_max_length == loaded["model"].config.max_position_embeddings == 41
    assert_same_logits(store, run_id, tmp_path / "some" / "bert", tmp_path)


def test_the_exported_tokenizer_puts_a_pair_together_as_batches_do(
    store: Store, run_id: str, export: Callable[..., Ended]
) -> None:
    assert export(f"run={run_id}", "to=bert")[0] == 0
    theirs = transformers.AutoTokenizer.from_pretrained("bert")
    ids = [store.jobs[run_id].store.tokenizer.encode(text).ids for text in (A, B)]
    ends = np.cumsum([len(one) for one in ids])
    tokens = Tokens(np.array(ids[0] + ids[1], "<u2"), np.array([0, *ends]), np.array([0, 2]))
    bounds = [np.array([place]) for place in (0, ends[0], ends[0], ends[1])]
    expected = [array[0].tolist() for array in assemble(tokens, Examples(*bounds, np.array([0])), np.array([0]), 35)]
    found = theirs(A, B, padding="max_length", max_length=35)
    assert [found["input_ids"], found["token_type_ids"]] == expected
    assert sum(found["attention_mask"]) == ends[1] + 3
    assert theirs(A)["input_ids"] == [2, *ids[0], 3]
    assert theirs.decode(ids[0]) == A, "the corpus is cased, and so is its tokenizer"
    assert theirs("The")["input_ids"] != theirs("the")["input_ids"]
    assert (theirs.mask_token_id, theirs.pad_token_id, theirs.unk_token_id) == (4, 0, 1)
    assert len(theirs) == store.jobs[run_id].store.vocabulary.size


def test_an_arm_that_bert_can_compute_is_exported(store: Store, export: Callable[..., Ended], tmp_path: Path) -> None:
    shared = store.train("model/position=sinusoidal", "model/sharing=all", "seed=1")
    assert export("run=latest", "to=bert")[0] == 0
    assert_same_logits(store, shared, tmp_path / "bert", tmp_path)


def test_an_arm_that_bert_cannot_compute_is_one_line(
    store: Store, export: Callable[..., Ended], tmp_path: Path
) -> None:
    alibi = store.train("model/position=alibi")
    ended = export(f"run={alibi}", "to=bert")
    assert_refused(ended, "model/position (Alibi) cannot be expressed: BertForPreTraining adds", tmp_path)


def test_the_default_model_is_exported_as_one_that_predicts_the_same_words(
    store: Store, export: Callable[..., Ended], tmp_path: Path
) -> None:
    run_id = store.train("model=nano", "model.width=24", "seed=2")
    code, out, _ = export("run=latest", "to=bert")
    assert code == 0
    assert "transformers.RoFormerForMaskedLM.from_pretrained('bert')" in out
    given = transformers.AutoTokenizer.from_pretrained("bert")([A, B], [B, A + B], padding=True, return_tensors="pt")
    theirs = transformers.AutoModelForMaskedLM.from_pretrained("bert")
    assert isinstance(theirs, transformers.RoFormerForMaskedLM)
    model = store.jobs[run_id].build_model()
    fetch(connect(store.uri), run_id, tmp_path).restore(model)
    (real_M,), none = given["attention_mask"].flatten().nonzero(as_tuple=True), torch.empty(0)
    ids_BL, segments_BL, real_BL = given["input_ids"], given["token_type_ids"], given["attention_mask"].bool()
    with torch.no_grad():
        ours = model.eval()(Batch(ids_BL, segments_BL, real_BL, real_M, none, none, has_pairs=False)).mlm_MV
        torch.testing.assert_close(ours, theirs(**given).logits.flatten(0, 1)[real_M], atol=1e-5, rtol=0)


def test_a_modernbert_is_exported_as_one_that_predicts_the_same_words(
    store: Store, export: Callable[..., Ended], tmp_path: Path
) -> None:
    run_id = store.train("model=modernbert", "model.width=24", "model.visibility.window=4")
    code, out, _ = export(f"run={run_id}", "to=modern")
    assert code == 0
    assert "transformers.ModernBertForMaskedLM.from_pretrained('modern')" in out
    given = transformers.AutoTokenizer.from_pretrained("modern")([A, B], [B, A + B], padding=True, return_tensors="pt")
    assert "token_type_ids" not in given
    model = store.jobs[run_id].build_model()
    fetch(connect(store.uri), run_id, tmp_path).restore(model)
    ids_BL, real_BL = given["input_ids"], given["attention_mask"].bool()
    (real_M,), none = real_BL.flatten().nonzero(as_tuple=True), torch.empty(0)
    with torch.no_grad():
        theirs = transformers.AutoModelForMaskedLM.from_pretrained("modern")(**given).logits
        batch = Batch(ids_BL, torch.zeros_like(ids_BL), real_BL, real_M, none, none, has_pairs=False)
        torch.testing.assert_close(model.eval()(batch).mlm_MV, theirs.flatten(0, 1)[real_M], atol=1e-5, rtol=0)


def test_the_card_says_what_the_model_is_made_of_and_names_no_path(
    store: Store, run_id: str, export: Callable[..., Ended], tmp_path: Path
) -> None:
    assert export(f"run={run_id}", "to=my-bert")[0] == 0
    text = (tmp_path / "my-bert" / "README.md").read_text("utf-8")
    _, head, body = text.split("---\n", 2)
    assert yaml.safe_load(head)["pipeline_tag"] == "fill-mask"
    for said in (
        "# my-bert\n",
        "- **Licence of the text**: ",
        "- **Model**: 2 layers, width 22, 2 heads",
        "- **Budget**: 700 token positions, in batches of 4 sequences of 35",
        "- **Yardstick**: 8 held-out sequences at most, 15 % of the tokens replaced by [MASK]",
        f"- **Run**: {run_id}, bertlab ",
        "| loss on held-out tokens behind [MASK] (nats) | ",
        "python -m bertlab.run ",
        "data.files=...",
    ):
        assert said in body
    assert str(store.folder) not in text


def test_the_card_of_an_encoder_that_detects_promises_no_masked_tokens() -> None:
    config = {
        "model": {"layers": 2, "width": 64, "heads": 2},
        "batch": {"size": 16, "length": 64},
        "budget": {"tokens": 1024},
        "objective": {"detection_weight": 50.0},
        "seed": 0,
    }
    text = card("mine", "r1", {}, {}, config, "bertlab run")
    assert "pipeline_tag: feature-extraction" in text
    assert "tags: [bertlab, replaced-token-detection]" in text


def test_the_card_of_a_run_of_a_study_names_it_and_one_of_a_start_what_it_started_from() -> None:
    config = resolved(load(["start=run:/somewhere/private"]))
    text = card(
        "bert",
        "12ab",
        {"study": "mask_rate", "arm": "rate_30", "seed": "3"},
        {"eval/tasks.a.accuracy": 0.5},
        config,
        "x",
    )
    assert "- **Study**: mask_rate, arm rate_30, seed 3" in text
    assert "- **Started from**: the weights private, whose own corpus and licence hold too" in text
    assert "| a.accuracy | 0.5 |" in text


def test_a_run_without_weights_is_one_line(store: Store, export: Callable[..., Ended], tmp_path: Path) -> None:
    bare = store.train("tracking.weights=false")
    line = f"run={bare} must have kept its weights, got {bare} (finished) without; "
    assert_refused(export(f"run={bare}", "to=bert"), line, tmp_path)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("to=bert",), "run must be given; add run=..."),
        (("run={run}",), "to must be given; add to=..."),
        (("run=0123456789abcdefx", "to=bert"), "run=0123456789abcdefx must be the id of one run in the store, "),
        (
            ("run=%", "to=bert"),
            "run=% must be the id of one run in the store, or the beginning of only one, got none; ",
        ),
        (("run={run}", "to=bert", "uri=sqlite:///absent.db"), "uri must name a store that holds runs, got sqlite:"),
        (("run={run}", "too=bert"), "arguments must be key=value with a known key, got too=bert; did you mean to=...?"),
        (
            ("run={run}", "to=/dev/null/bert"),
            "to must be a folder that can be written, got /dev/null/bert (file exists); ",
        ),
    ],
)
def test_what_cannot_be_exported_is_one_line(
    run_id: str, export: Callable[..., Ended], tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    assert_refused(export(*(word.format(run=run_id) for word in words)), message, tmp_path)


def test_a_beginning_of_the_id_is_enough_where_only_one_run_has_it(
    store: Store, run_id: str, export: Callable[..., Ended]
) -> None:
    ids = store.ids() - {run_id}
    enough = next(end for end in range(1, 33) if not any(other.startswith(run_id[:end]) for other in ids))
    assert export(f"run={run_id[:enough]}", "to=bert")[0] == 0


def test_existing_files_of_the_folder_are_never_overwritten(
    run_id: str, export: Callable[..., Ended], tmp_path: Path
) -> None:
    (tmp_path / "bert").mkdir()
    assert export(f"run={run_id}", "to=bert")[0] == 0, "an empty folder may be filled"
    before = {path: path.read_bytes() for path in (tmp_path / "bert").iterdir()}
    code, out, err = export(f"run={run_id}", "to=bert")
    assert (code, out) == (2, "")
    assert err == "bertlab: to must be a folder that is absent or empty, got bert; choose another or remove it\n"
    assert {path: path.read_bytes() for path in (tmp_path / "bert").iterdir()} == before


def test_an_export_that_breaks_leaves_nothing(
    run_id: str, export: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bertlab.commands.export.save_tokenizer", lambda *_, **__: 1 / 0)
    assert export(f"run={run_id}", "to=bert")[0] == 1
    assert list(tmp_path.iterdir()) == []


def test_a_run_whose_weights_no_longer_fit_is_one_line(store: Store, run_id: str, tmp_path: Path) -> None:
    stored = fetch(connect(store.uri), run_id, tmp_path)
    model = store.jobs[run_id].parts.model(7, 35)  # another vocabulary
    with pytest.raises(ValueError, match=rf"^run={run_id} must fit the model that its .* bertlab\.version names$"):
        stored.restore(model)


def test_a_run_that_diverges_keeps_no_weights(
    store: Store, export: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bertlab.objective.joint import Joint

    healthy = Joint.__call__
    monkeypatch.setattr(Joint, "__call__", lambda *given: {key: x * torch.nan for key, x in healthy(*given).items()})
    diverged = store.train("seed=2")
    assert_refused(export(f"run={diverged}", "to=bert"), f"run={diverged} must have kept its weights, got ", tmp_path)


FILES = ("config.yaml", "model/model.safetensors", "model/tokenizer.json")


@pytest.fixture(scope="module")
def left(store: Store) -> tuple[str, dict[str, Path]]:
    """A run, and the place of its files in the store."""
    run_id = store.train(*MODEL, *SMALL, "data=text", "tokenizer.lowercase=false", "seed=3")  # as typed, every word
    client = MlflowClient(store.uri)
    run = client.get_run(run_id)
    own, weights = (Path(uri.removeprefix("file://")) for uri in (run.info.artifact_uri, weights_uri(client, run)))
    return run_id, {name: (weights if name.startswith("model/") else own) / Path(name).name for name in FILES}


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_the_store_that_is_damaged_is_one_line_that_trains_the_run_again(
    left: tuple[str, dict[str, Path]], store: Store, export: Callable[..., Ended], tmp_path: Path, name: str
) -> None:
    """With the hash that the run recorded, and without one, as in earlier runs."""
    run_id, path = left[0], left[1][name]
    content = path.read_bytes()
    client = MlflowClient(store.uri)
    hashes = client.get_run(run_id).data.tags["bertlab.files"]
    settings = client.get_run(run_id).data.tags["bertlab.config"]
    try:
        path.write_bytes(content[:50] + bytes([content[50] ^ 1]) + content[51:])
        ended = export(f"run={run_id}", "to=bert")
        assert_refused(
            ended, f"run={run_id} must have the files that it left, got another {name} in the store", tmp_path
        )
        assert "train it again: python -m bertlab.run data=text " in ended[2]
        client.delete_tag(run_id, "bertlab.files")
        client.delete_tag(run_id, "bertlab.config")
        path.write_bytes(b"{\0")
        ended = export(f"run={run_id}", "to=bert")
        said = ended[2].partition("bertlab: ")[2]
        assert ended[0] == 2
        assert said.startswith(f"run={run_id} must have kept its {name}, got a damaged ")
        assert list(tmp_path.iterdir()) == []
    finally:
        path.write_bytes(content)
        client.set_tag(run_id, "bertlab.files", hashes)
        client.set_tag(run_id, "bertlab.config", settings)


def test_the_command_that_trains_a_run_again_makes_the_same_run(
    left: tuple[str, dict[str, Path]], store: Store
) -> None:
    run = MlflowClient(store.uri).get_run(left[0])
    start, words = "python -m bertlab.run ", shlex.split(command_again(run, left[1]["config.yaml"]))
    assert " ".join(words[:3]) + " " == start
    assert words[-2:] == ["tracking.experiment=again", "output_dir=again"]
    assert f"data.files={store.folder / 'corpus.jsonl'}" in words
    given = resolved(load(words[3:]))
    assert identify(given, prepare_job(given).store.fingerprint).key == run.data.tags["bertlab.key"]
    assert "data.files" not in command_again(run, store.folder / "absent.yaml"), "then the command asks for it"
