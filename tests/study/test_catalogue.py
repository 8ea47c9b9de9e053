"""Every question of the catalogue has its study, and every arm of every study can train."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml

from bertlab.config.building import Parts, build_parts
from bertlab.config.cache import digest
from bertlab.config.compose import load, resolved
from bertlab.data.batches import Batch, Batches
from bertlab.data.form import Form
from bertlab.data.oracle import Oracle
from bertlab.data.prepare import prepare
from bertlab.data.store import TokenStore
from bertlab.data.tokenizer.words import Words
from bertlab.data.translation import Translation
from bertlab.experiment.sequential import check_curve
from bertlab.identity.key import semantic
from bertlab.mask import Ahead
from bertlab.model.init import initialise
from bertlab.streams import Streams
from bertlab.study.arms import changes, compose_arms, from_file
from bertlab.study.catalogue import CATALOGUE, question_of, study_files
from bertlab.study.design import Study
from bertlab.study.factors import is_within, place
from bertlab.study.registration import read_study
from bertlab.study.search import of_trials, trial
from bertlab.sweep.run import looks_ahead

STUDIES = study_files()


def node(path: Path) -> dict[str, Any]:
    """Return the content of a study's file below `study`, with that of its base files."""
    said = yaml.safe_load(path.read_text("utf-8"))
    shared = [name for name in said.get("defaults", ()) if str(name).startswith("_") and name != "_self_"]
    return {key: value for name in shared for key, value in node(path.with_name(f"{name}.yaml")).items()} | said[
        "study"
    ]


NODES = {name: node(path) for name, path in STUDIES.items()}
OF_FILES = "adapt_mix"  # its arms are built from a person's files: tests/experiment/test_adapt.py
ARMS = [(study, arm) for study, node in NODES.items() for arm in node["arms"] if study != OF_FILES]
FACTS = {"inputs", "count", "head_cost", "attention_steps"}
STEPS = 50
ENOUGH = Oracle(documents=22_000)  # of which enough is held out
TRAINED = set[str]()  # runs that have trained well: the baselines of many studies are the same one
MATCHED = {  # an arm with the parameters of another one
    ("embeddings", "sum_matched"): "concat",
    ("head_dim", "full_matched"): "divided",
    ("key_value", "shared_kv_matched"): "separate",
    ("key_value_books", "shared_kv_matched"): "separate",
    ("sharing", "share_all_matched"): "tied",
    ("sharing", "tied_matched"): "untied",
}


@pytest.fixture(scope="module", autouse=True)
def sets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Work in a folder with the sets that the studies of real tasks name; empty, since no task is trained here."""
    folder = tmp_path_factory.mktemp("sets")
    named = re.findall(r"sets/[\w./]+", STUDIES["cls"].with_name("_tasks.yaml").read_text("utf-8"))
    for path in (folder / name for name in named):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield


@pytest.fixture(scope="module")
def stores(store: TokenStore) -> Mapping[str, TokenStore]:
    """A small text for each corpus that a study is about."""
    made = (Oracle(documents=60), Translation(words=64, sentence_words=8, documents=60, language_seed=0))
    return {"Docs": store, "Books": store} | {
        type(corpus).__name__: prepare(corpus, Words(vocab_size=300)) for corpus in made
    }


@cache
def read(name: str) -> Study:
    """Read a study from its file; one whose arms depend on the regime is composed for that."""
    relative = "${" in str(NODES[name])
    return read_study(resolved(load([f"study={name}"])) if relative else {"study": NODES[name]})


@cache
def composed(name: str) -> Mapping[str, Mapping[str, Any]]:
    return compose_arms(read(name), from_file(name))


def batches(parts: Parts, config: Mapping[str, Any], store: TokenStore) -> Batches:
    form = Form(**{**config["batch"], "size": 3})
    return Batches(store.splits["train"], store.vocabulary, parts.pairs, parts.mask, form, Streams(0), STEPS)


@cache
def prepared(corpus: Oracle | Translation) -> TokenStore:
    return prepare(corpus, Words(vocab_size=300))


def test_the_catalogue_has_34_questions_and_each_has_one_id() -> None:
    assert len({question.id for question in CATALOGUE}) == len(CATALOGUE) == 34
    numbers = [question.number for question in CATALOGUE if question.number != "text"]
    lists = (("BERT", range(1, 17)), ("Transformer", range(1, 7)), ("self-attention", range(7)))
    assert sorted(numbers) == sorted(f"{part} {place}" for part, places in lists for place in places)


def test_every_question_for_an_experiment_has_its_study_and_every_other_is_a_fact() -> None:
    assert {question.id for question in CATALOGUE if not question.study} == FACTS
    assert all(question.study or question.fact for question in CATALOGUE)
    assert {question.id for question in CATALOGUE if question.study} <= STUDIES.keys()
    assert FACTS.isdisjoint(STUDIES)


def test_every_study_belongs_to_a_question() -> None:
    own = {
        "again",
        "known_answers",
        "known_answers_fan_in",
        "adapt",
        OF_FILES,
    }  # about the method, about a regime, about a person's own text
    assert {name for name in STUDIES if question_of(name) is None} == own
    assert question_of("warmup_deep") == question_of("warmup")
    assert question_of("mask_rates") is None


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_is_read_and_has_the_name_of_its_file(name: str) -> None:
    assert read(name).id == name
    registered = STUDIES[name].read_text("utf-8").partition("\n  labels:")[0]
    assert len(registered.splitlines()) <= 40
    assert STUDIES[name].read_text("utf-8").startswith("# @package _global_\n")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "arm"), ARMS)
def test_an_arm_changes_what_it_declares_and_nothing_else(name: str, arm: str) -> None:
    study, arms = read(name), composed(name)
    changed = changes(arms[arm], arms[study.baseline])
    assert bool(changed) == (arm != study.baseline)
    assert all(is_within(key, [place(factor) for factor in study.factors]) for key in changed)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "arm"), ARMS)
def test_an_arm_trains(name: str, arm: str, stores: Mapping[str, TokenStore]) -> None:
    config = composed(name)[arm]
    if (run := digest(semantic(config))) in TRAINED:
        return
    parts = build_parts(config)
    store = stores[type(parts.data).__name__]
    made = batches(parts, config, store)
    model = parts.model(store.vocabulary.size, config["batch"]["length"])
    initialise(model, Streams(0))
    optimizer = parts.optimizer(model.train())
    before = [parameter.detach().clone() for parameter in model.parameters()]
    for step in range(0, STEPS, STEPS // 3):
        batch: Batch = made(step)
        parts.objective.check(batch)
        if isinstance(parts.mask, Ahead):
            assert not looks_ahead(model, batch)
        loss = parts.objective(model.train()(batch), batch, step, STEPS)["loss"]
        loss.backward()
        assert loss.isfinite()
        assert all(each.grad is None or each.grad.isfinite().all() for each in model.parameters())
        optimizer.step()
        optimizer.zero_grad()
    assert any(not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))
    TRAINED.add(run)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in STUDIES if "tokens" in NODES[name]["margin"]])
def test_a_margin_in_tokens_can_be_measured_in_the_regime_that_the_study_names(name: str) -> None:
    """On enough held-out text, generated in place of documents."""
    study = read(name)
    config = composed(name)[study.baseline]
    parts, form = build_parts(config), Form(**config["batch"])
    corpus = parts.data if isinstance(parts.data, Translation) else ENOUGH
    evaluation = parts.evaluation.prepare(prepared(corpus), parts.data, form.length)
    asked, final = config["evaluation"]["sequences"], evaluation.final
    assert len(evaluation.text.ids_NL) == asked, "as many as it asks for, so that it costs what it does with more text"
    assert (0 if final is None else len(final.text.ids_NL)) == config["evaluation"]["final"], "likewise"
    job = SimpleNamespace(
        parts=parts, form=form, steps=config["budget"]["tokens"] // form.tokens, evaluation=evaluation
    )
    check_curve(study, job)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in STUDIES if NODES[name].get("search")])
def test_every_trial_of_a_search_sets_what_is_searched(name: str) -> None:
    study, compose = read(name), from_file(name)
    assert study.search is not None
    for value in study.search.values:
        config = resolved(compose(of_trials(study).arms[trial(study.baseline, value)]))
        assert config["optimizer"]["lr"] == value
        build_parts(config)


@pytest.mark.slow
def test_matched_arms_have_equal_parameters_to_a_thousandth() -> None:
    def parameters(config: Mapping[str, Any]) -> int:
        with torch.device("meta"):
            model = build_parts(config).model(4096, config["batch"]["length"])
        return sum(parameter.numel() for parameter in model.parameters())

    assert MATCHED.keys() == {(name, arm) for name, arm in ARMS if arm.endswith("_matched")}
    for (name, arm), other in MATCHED.items():
        arms = composed(name)
        assert parameters(arms[arm]) == pytest.approx(parameters(arms[other]), rel=1e-3)
