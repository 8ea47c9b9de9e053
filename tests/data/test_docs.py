import gzip
import sys
from collections.abc import Callable, Iterator
from inspect import cleandoc
from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from bertlab import DISTRIBUTION
from bertlab.config.errors import InputError
from bertlab.data import docs
from bertlab.data.docs import Docs, dependencies, docstrings, library_sources, versions
from bertlab.data.docstrings import count_sentences, prose
from bertlab.data.documents import Corpus

CONF = Path(__file__).parents[2] / "conf" / "data"
Install = Callable[..., None]
FIRST = "The first sentence is here."
SECOND = "The second one is not far from it."

NOT_PROSE = {
    "doctest": ">>> the_sum(of=1, to=2)\nThis is what it prints to the user.",
    "fence": "```python\nThis is in a block of code, so it is not for us.\n```",
    "literal block": "As in::\n\n    This is in a block of code, so it is not for us.",
    "directive": ".. plot::\n   :context:\n\n   This is in a directive, so it is not for us.",
    "numpydoc table": "Parameters\n----------\nof : int\n    This is what the sum is of, and it is in a table.",
    "references": "References\n----------\nThis is the book of the author, as it was in the first edition.",
    "google table": "Args:\n    of: This is what the sum is of, and it is in a table.",
    "fields": ":param of: This is what the sum is of,\nand it is in a table of fields.",
    "table": "=====  ====================\nkey    This is in a table.\n=====  ====================",
    "list": "- This is an item, and it is in a list of items.\n- This is the other item of the list.",
    "numbered list": "1. This is an item, and it is in a list of items.",
    "footnote": ".. [1] This is the book of the author, as it was in the first edition.",
    "formula": r"It is known that :math:`\sum_i x_i` is the sum of all of them.",
    "equation": "It is known that a = b + c is the sum of all of them.",
    "placeholder": "This is the %(name)s of the thing that you have asked for.",
    "address": "This is at https://example.org/ for all of those who want it.",
    "reference": "This is on the FITPACK_ site for all of those who want it.",
    "unfinished": "This is how all of the values are computed from the",
    "fragment": "where it is the sum of all of them.",
    "identifiers": "The a_b of c_d is ef.gh(i) or jk.lm.",
    "another language": "Dies ist ein deutscher Satz, der hier nicht erscheinen soll.",
    "letters beyond ASCII": "This is a sentence with the letter ß in it, as you can see.",
}

MARKUP = {
    "See :class:`Foo` and :meth:`~a.b.Foo.bar` for what it is.": "See Foo and bar for what it is.",
    "See :func:`the sum <numpy.sum>` for what it is.": "See the sum for what it is.",
    "If ``axis`` is `None`, it is the sum of all.": "If axis is None, it is the sum of all.",
    "It is **not** the sum of *all* of them.": "It is not the sum of all of them.",
    "See `the book <https://example.org/>`_ for what it is.": "See the book for what it is.",
    "See [the book](https://example.org/) for what it is.": "See the book for what it is.",
    "This is the method of the book [1]_, and it is old.": "This is the method of the book, and it is old.",
    "For a graph of $n$ nodes it is “not” fast.": 'For a graph of n nodes it is "not" fast.',
    "The lines of a paragraph\nare joined   by\none space.": "The lines of a paragraph are joined by one space.",
    "This is the sum of all. It is used as follows:": "This is the sum of all.",
}


@pytest.mark.parametrize("text", NOT_PROSE.values(), ids=NOT_PROSE.keys())
def test_what_is_not_prose_is_dropped_and_the_prose_around_it_stays(text: str) -> None:
    assert prose(f"{FIRST}\n\n{text}\n\nNotes\n-----\n{SECOND}") == [FIRST, SECOND]


@pytest.mark.parametrize(("text", "plain"), MARKUP.items())
def test_inline_markup_is_undone(text: str, plain: str) -> None:
    assert prose(text) == [plain]


@pytest.mark.parametrize("note", [f".. note:: {SECOND}", f".. warning::\n\n    {SECOND}", f"Note:\n    {SECOND}"])
def test_the_body_of_a_note_is_prose(note: str) -> None:
    assert prose(f"{FIRST}\n\n{note}\n") == [FIRST, SECOND]


def test_sentences_end_at_punctuation_before_a_capital() -> None:
    assert count_sentences("It is 1.5, e.g. Euler's number or a.b. Is it? (Not always!)") == 3


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Make distributions that importlib.metadata finds; hide the standard library, which would take seconds to read."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("BERTLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(docs, "library_sources", list)

    def make(name: str, *requirements: str, version: str = "1.0", files: dict[str, str] | None = None) -> None:
        versions.cache_clear()  # what is installed while a process runs is no use of it otherwise
        about = site / f"{name}-{version}.dist-info"
        about.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        (about / "METADATA").write_text("\n".join(lines + [f"Requires-Dist: {text}" for text in requirements]), "utf-8")
        (about / "RECORD").write_text("".join(f"{path},,\n" for path in files or {}), "utf-8")
        for path, source in (files or {}).items():
            (site / path).parent.mkdir(parents=True, exist_ok=True)
            (site / path).write_text(cleandoc(source), "utf-8")

    yield make
    versions.cache_clear()


def documents(root: str = "lab") -> dict[str, str]:
    return {document.id: document.text for document in Docs(root=root).documents()}


def about(topic: str) -> str:
    return f'"""This is about {topic}. It is not about the other ones."""'


def test_requirements_are_followed_at_any_depth_but_extras_and_absent_or_foreign_ones_are_not(install: Install) -> None:
    install("lab", "direct>=1", "absent", 'extra ; extra == "dev"', 'foreign ; sys_platform == "none"')
    install("direct", "in.Direct[fast]", "lab")
    install("In_direct", 'extra ; extra == "fast"')
    install("extra")
    install("foreign")
    assert [found.name for found in dependencies("lab")] == ["direct", "In_direct"]


def test_a_root_that_is_not_installed_is_refused(install: Install) -> None:
    with pytest.raises(InputError, match=r"the installed distribution 'lab', got none; run: pip install -e \."):
        Docs(root="lab").key()


def test_documents_come_from_the_modules_of_the_dependencies_in_order(install: Install) -> None:
    install("lab", "b", "a", files={"lab.py": about("the root, which is not read")})
    install(
        "b", files={"b.py": about("b"), "../bin/tool.py": about("a script"), "b/not-a-module.py": about("no module")}
    )
    install(
        "a",
        files={
            "a/z.py": about("z"),
            "a/__init__.py": about("a"),
            "a/tests/test_z.py": about("the tests of z"),
            "a/test_y.py": about("the tests of y"),
            "a/data.txt": about("data"),
        },
    )
    assert documents() == {
        "a:": "This is about a. It is not about the other ones.",
        "a.z:": "This is about z. It is not about the other ones.",
        "b:": "This is about b. It is not about the other ones.",
    }


def test_a_module_is_read_and_never_imported(install: Install) -> None:
    install("lab", "a")
    install("a", files={"imported.py": f"{about('imports')}\nraise RuntimeError"})
    assert list(documents()) == ["imported:"]
    assert "imported" not in sys.modules


def test_a_paragraph_is_kept_where_it_first_occurs_whatever_its_case(install: Install) -> None:
    source = '''
    class A:
        """The first one is kept here. So is its end."""
    class B:
        """THE FIRST ONE IS KEPT   here. SO IS\n        ITS end.\n\n        The rest of it is new. So is this."""
    class C:
        """The rest of it is new. So is this."""
    '''
    install("lab", "a")
    install("a", files={"a.py": source})
    assert documents() == {
        "a:A": "The first one is kept here. So is its end.",
        "a:B": "The rest of it is new. So is this.",
    }


def test_a_document_has_two_sentences_at_least_in_one_paragraph_or_more(install: Install) -> None:
    source = '''
    class A:
        """This is but one sentence of the two."""
    class B:
        """This is the first sentence of two.\n\n        And this is the second one."""
    '''
    install("lab", "a")
    install("a", files={"a.py": source})
    assert documents() == {"a:B": "This is the first sentence of two.\n\nAnd this is the second one."}


def test_ids_are_qualified_names_made_unique(install: Install) -> None:
    source = f"""
    class A:
        @property
        def f(self):
            {about("the getter")}
        @f.setter
        def f(self, value):
            {about("the setter")}
    if True:
        async def g():
            {about("the function")}
    """
    install("lab", "a")
    install("a", files={"a.py": source})
    assert list(documents()) == ["a:A.f", "a:A.f#2", "a:g"]


def test_files_that_do_not_parse_are_skipped_and_warnings_are_not_ours(install: Install) -> None:
    install("lab", "a")
    install("a", files={"bad.py": f"{about('an error')}\ndef", "good.py": f"{about('escapes')}\nx = '\\d' is 1"})
    assert list(documents()) == ["good:"]


def test_a_definition_inside_a_string_does_not_hide_the_file() -> None:
    source = '"""Of the module.\n\ndef f(): Is not one. But there is more.\n"""\n'
    assert docstrings(source.encode()) == [("", "Of the module.\n\ndef f(): Is not one. But there is more.\n")]


def test_definitions_without_a_sentence_are_not_parsed_at_all() -> None:
    source = f"def f():\n    {about('f')}\ndef g():\n    return 1 +\n"
    assert [name for name, _ in docstrings(source.encode())] == ["f"]


def test_the_harvest_is_made_once_and_is_the_same_in_every_cache(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("lab", "a")
    install("a", files={"a.py": about("a")})
    packed = []
    for cache in ("one", "other"):
        monkeypatch.setenv("BERTLAB_CACHE", str(tmp_path / cache))
        found = documents()
        (path,) = (tmp_path / cache).rglob("documents.jsonl.gz")
        packed.append(path.read_bytes())
    assert packed[0] == packed[1]
    assert gzip.decompress(packed[0]).count(b"\n") == len(found) == 1
    monkeypatch.setattr(docs, "harvest", None)
    assert documents() == found


def test_the_key_follows_names_and_versions(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("lab", "a", "b")
    install("a")
    keys = [Docs(root="lab").key()]
    install("b")
    keys.append(Docs(root="lab").key())
    monkeypatch.setattr(docs, "VERSION", "docs-0")
    keys.append(Docs(root="lab").key())
    monkeypatch.setattr("platform.python_version", lambda: "3.0.0")
    keys.append(Docs(root="lab").key())
    assert len(set(keys)) == 4
    assert Docs(root="lab").key() == keys[-1]


def test_facts_name_the_sources_and_no_place_on_this_machine(install: Install, tmp_path: Path) -> None:
    install("lab", "a")
    install("a")
    corpus: Corpus = Docs(root="lab")
    facts = corpus.facts()
    assert "1 distribution" in facts["source"]
    assert "licence of its package" in facts["licence"]
    assert str(tmp_path) not in str(facts)


@pytest.mark.slow
def test_the_standard_library_alone_gives_a_thousand_documents_of_prose() -> None:
    sources = library_sources()
    assert {"json.decoder", "idlelib.run"} <= {name for name, _ in sources}
    assert not [name for name, _ in sources if "test" in name.split(".") or "site-packages" in name]
    with docs.fast_and_quiet():
        found = list(docs.harvest(sources))
    assert len(found) > 1_000
    assert "threading:Semaphore.acquire" in {document.id for document in found}
    assert not [document for document in found if ">>>" in document.text or "`" in document.text]


def test_the_yaml_makes_the_corpus_of_bertlab() -> None:
    corpus = instantiate(OmegaConf.load(CONF / "docs.yaml"))
    assert isinstance(corpus, Docs)
    assert (corpus.name, corpus.root) == ("docs", DISTRIBUTION), "what is installed is asked for its dependencies"
