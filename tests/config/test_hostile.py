"""Hostile input at the real entry point: either a run, or one clear line and exit code 2.

Never a traceback, a started program, an imported foreign module, or a write outside the working directory, the output
directory and the cache. `HOSTILE=2000` tries this many inputs of each kind; the default is a few, always the same.
"""

import ast
import gzip
import json
import lzma
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bertlab.config.compose import CONF, PACKAGE, load, resolved
from bertlab.study.catalogue import study_files

TRIES = int(os.environ.get("HOSTILE", "5"))
FEW = settings(
    max_examples=TRIES,
    deadline=None,
    derandomize="HOSTILE" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)
pytestmark = pytest.mark.slow
ENTRY = Path(__file__).with_name("hostile_entry.py")
SHAPE = ("batch.size=2", "batch.length=35", "budget.tokens=700", "evaluation.sequences=4", "trainer.progress=false")
ORACLE = ("data=oracle", "data.documents=60", *SHAPE)
TRAP = "import pathlib\npathlib.Path({!r}).touch()\ndef part(*_, **__): ...\n"


class Entry:
    """The process that tries command lines, in a separate folder; see tests/config/hostile_entry.py."""

    def __init__(self, root: Path) -> None:
        self.work, self.outside = root / "work", root / "outside"
        for folder in (self.work, self.outside, root / "cache", root / "tmp", root / "modules"):
            folder.mkdir()
        self.sprung = root / "outside" / "sprung"
        (root / "modules" / "trap.py").write_text(TRAP.format(str(self.sprung)), "utf-8")
        here = {"BERTLAB_CACHE": "cache", "TMPDIR": "tmp", "MPLCONFIGDIR": "tmp", "HOME": "tmp"}
        environment = {**os.environ, **{name: str(root / folder) for name, folder in here.items()}}
        paths = [str(PACKAGE.parent), str(root / "modules"), os.environ.get("PYTHONPATH", "")]
        environment |= {"PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, str(ENTRY)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=self.work,
            env=environment,
        )

    def try_words(self, words: Sequence[str]) -> dict[str, Any]:
        """Return the result of a command line, which must be a run or one line, and harmless."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(list(words)) + "\n")
        self.process.stdin.flush()
        ended: dict[str, Any] = json.loads(self.process.stdout.readline())
        lines = ended["err"].splitlines()
        if any("hydra.verbose" in word for word in words):
            lines = lines[-1:]  # who asks for tracebacks gets them
        assert ended["events"] == [], (words, ended)
        assert not self.sprung.exists(), words
        assert not any("Traceback" in line for line in lines), (words, ended)
        if ended["code"] == 2:
            assert len(lines) == 1, (words, ended)
            assert lines[0].startswith("bertlab: "), (words, ended)
            assert lines[0].isprintable(), (words, ended)
        else:
            assert ended["code"] in (0, None), (words, ended)  # None: at work when its time was up
        return ended

    def refused(self, *words: str) -> str:
        """Return the one line that refuses a command line."""
        ended = self.try_words(words)
        assert ended["code"] == 2, (words, ended)
        return str(ended["err"])


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Entry]:
    entry = Entry(tmp_path_factory.mktemp("hostile"))
    yield entry
    entry.process.kill()
    entry.process.communicate()


def test_the_watcher_sees_what_it_is_there_for(entry: Entry) -> None:
    """A harmless command passes, and a write outside is noticed: so the tests below can fail."""
    assert entry.try_words(ORACLE)["code"] == 0
    with pytest.raises(AssertionError, match=r"outside/elsewhere"):
        entry.try_words([*ORACLE, f"output_dir={entry.outside / 'elsewhere'}"])


# Command lines


def keys(value: Any, key: str = "") -> Iterator[str]:
    if key:
        yield key
    if isinstance(value, dict):
        for name, child in value.items():
            yield from keys(child, f"{key}.{name}".lstrip("."))


KNOWN = sorted(
    {key for words in (["data=oracle"], ["data=text", "data.files=x"]) for key in keys(resolved(load(words)))}
)
KNOWN.remove("output_dir")  # the user's own choice
KNOWN.remove("report_dir")
STUDY = [f"study.{key}" for key in keys(yaml.safe_load(study_files()["mask_rate"].read_text("utf-8"))["study"])]
WITHOUT = {"docs", "hub", "base", "small", "mini"}  # a corpus of its own, the network, and what takes long


def of_options() -> Iterator[tuple[str, str]]:
    """Yield every option that a run may choose, with each key of its own."""
    for path in sorted(set(CONF.rglob("*.yaml")) - set(CONF.glob("*.yaml")) - set(CONF.glob("hydra/**/*.yaml"))):
        group = path.parent.relative_to(CONF).as_posix()
        own = yaml.safe_load(path.read_text("utf-8"))
        if group != "regime" and path.stem not in WITHOUT:
            for key in keys({name: value for name, value in own.items() if name != "defaults"}):
                yield f"{group}={path.stem}", f"{group.replace('/', '.')}.{key}"


GROUPS = ("model", "mask", "pairs", "evaluation", "regime", "study", "model/position", "pairs@evaluation.pairs")
OF_HYDRA = [
    "hydra",
    "hydra.run.dir",
    "hydra.sweep.dir",
    "hydra.searchpath",
    "hydra.output_subdir",
    "hydra.callbacks.x._target_",
    "hydra/sweeper",
    "hydra.job_logging.handlers.x",
    "hydra.job_logging.handlers.file.filename",
    "hydra.job.env_set.PATH",
    "hydra.launcher",
    "hydra.launcher._target_",
    "hydra.sweeper._target_",
    "hydra.job.chdir",
    "hydra/callbacks",
    "mask@hydra.callbacks.x",
]
SPECIAL = [f"{part}.{own}" for part in ("mask", "data", "model.norm") for own in ("_target_", "_partial_", "_args_")]
TARGETS = (
    "os.system",
    "subprocess.Popen",
    "trap.part",
    "builtins.exec",
    "bertlab.commands.run.main",
    "bertlab.config.cache.cached",
)
INTERPOLATIONS = (
    "${seed}",
    "${mask}",
    "${nothing}",
    "${oc.env:HOME}",
    "${oc.env:NOPE}",
    "${oc.decode:'[1'}",
    "${",
    "${a}}",
)
INTERPOLATIONS += (
    "${hydra:run.dir}",
    "${hydra:}",
    "${hydra:nope}",
    "${trap:1}",
    "${project_folder:../..}",
    "${now:%s}",
)
INTERPOLATIONS += ("${oc.create:'{_target_: trap.part}'}", "${oc.select:hydra}", "${${seed}}", "${oc.deprecated:seed}")
SCALARS = st.one_of(
    st.sampled_from(
        [
            "nan",
            ".inf",
            "-inf",
            "1e400",
            "1e-400",
            "null",
            "true",
            "0x10",
            "1_0",
            "???",
            "range(1,3)",
            "a,b",
            "-1",
            "0",
            "''",
            "",
        ]
    ),
    st.sampled_from(
        ["..", "../../etc/passwd", "/etc/passwd", "a b", "\"'", "'\"'", "\\", "%s", "2024-01-01", "[" * 99]
    ),
    st.sampled_from([*TARGETS, *INTERPOLATIONS]),
    st.sampled_from(["\0", "a\0b", "\x1b[31m", "\u202eabc", "\u200b", "\ud800", "\r", "\n", "x" * 9999]),
    st.integers(-(10**40), 10**40).map(str),
    st.floats().map(str),
    st.text(max_size=8).map(lambda text: f"'{text}'"),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda values: f"[{','.join(values)}]"),
        st.tuples(st.sampled_from(["a", "rate", "_target_", "_partial_"]), inner).map("{{{0[0]}:{0[1]}}}".format),
    ),
    max_leaves=4,
)
KEYS = st.one_of(
    st.sampled_from(KNOWN),
    st.sampled_from(KNOWN).map(lambda key: f"{key}.x"),
    st.sampled_from(["hydra.verbose", "hydra.mode", "hydra.launcher.n_jobs", "new.key", "data.files", "study.id"]),
    st.sampled_from([*GROUPS, *SPECIAL, *OF_HYDRA, "x", "a.b.c", "model/../mask", "mask.rte"]),
)
SET = st.one_of(
    st.tuples(st.sampled_from(["", "", "+", "++", "~"]), KEYS, VALUES).map("{0[0]}{0[1]}={0[2]}".format),
    KEYS.map("~{}".format),
)
WORDS = st.one_of(
    SET.map(lambda word: [word]),
    st.tuples(st.sampled_from(list(of_options())), VALUES).map(lambda made: [made[0][0], f"{made[0][1]}={made[1]}"]),
    st.sampled_from(list(of_options())).map(lambda made: [made[0], f"~{made[1]}"]),
    st.tuples(st.sampled_from(STUDY), VALUES).map(lambda made: ["study=mask_rate", f"++{made[0]}={made[1]}"]),
    st.sampled_from(
        [
            "-m",
            "-c",
            "--cfg=x",
            "-p",
            "--config-dir=/",
            "-cd/",
            "--config-path=/",
            "--experimental-rerun=x",
            "--",
            "-",
            "=",
            "~",
        ]
    ).map(lambda word: [word]),
    st.text(max_size=12).map(lambda word: [word]),
)


@FEW
@given(words=st.lists(WORDS, min_size=1, max_size=2).map(lambda some: [word for words in some for word in words]))
@example(words=["evaluation.text=3"])
@example(words=["+regime=[[[1]]]"])
@example(words=["~pairs=-1"])
@example(words=["model.width=${oc.env:NOPE}"])
@example(words=["mask._partial_=true"])
@example(words=["seed=${oc.deprecated:budget.tokens}"])
@example(words=["data._target_=bertlab.mask.token.TokenMask"])
@example(words=["model.sharing.parts=null"])
@example(words=["~model.norm"])
@example(words=["study=padding", "++study.id=../../../elsewhere"])
def test_any_words_are_a_run_or_one_line(entry: Entry, words: list[str]) -> None:
    entry.try_words([*ORACLE, *words])


@pytest.mark.parametrize("key", OF_HYDRA)
def test_hydras_own_keys_cannot_make_it_run_or_write_anything(entry: Entry, key: str) -> None:
    for value in ("os.system", "trap.part", str(entry.outside), "{x:{_target_:trap.part}}"):
        for mode in ((), ("-m", "seed=0,1")):
            assert "Hydra's own keys" in entry.refused(*ORACLE, *mode, f"++{key}={value}")


@pytest.mark.parametrize(
    "flag", ["--config-dir", "-cd", "--config-path", "--config-name", "--experimental-rerun", "-sc"]
)
def test_no_configuration_is_read_from_elsewhere_and_no_pickle(entry: Entry, flag: str) -> None:
    for words in (
        [flag, str(entry.outside)],
        [f"{flag}={entry.outside}"],
        [flag[:-1] if flag[1] == "-" else f"{flag}x"],
    ):
        assert "options are " in entry.refused(*ORACLE, *words)


@pytest.mark.parametrize("group", ["study", "mask", "model/norm", "pairs@evaluation.pairs", "hydra/launcher"])
def test_the_name_of_an_option_is_no_path(entry: Entry, group: str) -> None:
    (entry.work / "evil.yaml").write_text(
        "# @package _global_\nhydra: {callbacks: {x: {_target_: trap.part}}}\n", "utf-8"
    )
    for name in (f"../../../../../../../..{entry.work}/evil", f"{entry.work}/evil", "../../conf/run"):
        entry.refused(*ORACLE, f"{group}={name}")


# Corpora


def jsonl(*records: Any) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def parquet(**columns: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return bytes(sink.getvalue())


GOOD = [f"The captain finds harbour {n}.\n\nA sailor mends the anchor of ship {n}." for n in range(40)]
PACK = {
    "": bytes,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".zst": lambda content: pa.Codec("zstd").compress(content, asbytes=True),
}
LINES = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=60).map(lambda text: text.encode(errors="surrogatepass")),
    st.sampled_from(
        [b"\0", b"\xff\xfe", b"\xef\xbb\xbf", "\u202e\u2066 bidi".encode(), b"\x1b[2J", b"\r\r", b"", b"[" * 5000]
    ),
    st.sampled_from([b"a" * 1_000_000, b"a b " * 250_000, b". " * 500_000, b"[MASK] [PAD] " * 1000, b"\n\n" * 1000]),
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=4), inner, max_size=2)),
    max_leaves=3,
)
RECORDS = st.dictionaries(st.sampled_from(["text", "split", "id", "other"]), JSON, max_size=3).map(jsonl)
CONTENTS = st.one_of(
    st.binary(max_size=400),
    st.lists(LINES, max_size=6).map(b"\n\n".join),
    st.lists(LINES, max_size=3).map(lambda some: b"\n\n".join([*(text.encode() for text in GOOD), *some])),
    st.lists(RECORDS, max_size=3).map(lambda some: jsonl(*({"text": text} for text in GOOD)) + b"".join(some)),
    st.sampled_from(
        [parquet(text=GOOD), parquet(text=[1, 2]), parquet(body=GOOD), parquet(text=[[text] for text in GOOD])]
    ),
)


@FEW
@given(
    content=CONTENTS,
    form=st.sampled_from([".txt", ".jsonl", ".parquet"]),
    packed=st.sampled_from(list(PACK)),
    cut=st.none() | st.integers(0, 400),
    tokenizer=st.sampled_from(["wordpiece", "words"]),
)
@example(content=b"\n\n".join(text.encode() for text in GOOD), form=".txt", packed=".gz", cut=None, tokenizer="words")
@example(content=b"abc" * 300_000, form=".txt", packed="", cut=None, tokenizer="wordpiece")
@example(content=b"\n\n".join([b"a" * 10**6] * 60), form=".txt", packed="", cut=None, tokenizer="wordpiece")
def test_any_corpus_is_a_run_or_one_line(
    entry: Entry, content: bytes, form: str, packed: str, cut: int | None, tokenizer: str
) -> None:
    path = entry.work / f"corpus{form}{packed}"
    path.write_bytes(PACK[packed](content)[:cut])
    entry.try_words(["data=text", f"data.files={path.name}", f"tokenizer={tokenizer}", *SHAPE])


@pytest.mark.parametrize(("form", "packed"), [(".txt", ".gz"), (".txt", ".xz"), (".txt", ".zst"), (".parquet", ".gz")])
def test_a_bomb_is_refused_before_it_fills_memory_or_disk(entry: Entry, form: str, packed: str) -> None:
    """65 MiB of one letter in less than 100 KiB; the limit is 64 MiB or 200 times the size of the file."""
    path = entry.work / f"bomb{form}{packed}"
    path.write_bytes(PACK[packed]((b"x" * (1 << 20) + b"\n\n") * 65))
    assert "must not unpack to more than 200 times" in entry.refused("data=text", f"data.files={path.name}", *SHAPE)


@pytest.mark.parametrize("form", [".txt", ".jsonl"])
def test_a_line_or_a_document_without_end_is_refused(entry: Entry, form: str) -> None:
    path = entry.work / f"long{form}"
    path.write_bytes(b"x" * (33 << 20))
    assert "a line must hold at most 32 MiB" in entry.refused("data=text", f"data.files={path.name}", *SHAPE)
    path.write_bytes(jsonl({"text": "x " * (17 << 20)}) if form == ".jsonl" else (b"x" * (1 << 20) + b"\n") * 33)
    assert "must hold at most 32 MiB" in entry.refused("data=text", f"data.files={path.name}", *SHAPE)


def test_what_is_no_file_is_refused(entry: Entry) -> None:
    (entry.work / "endless.txt").symlink_to("/dev/zero")
    os.mkfifo(entry.work / "pipe.txt")
    for name in ("endless.txt", "pipe.txt", "{a:b}"):
        assert "data.files must " in entry.refused("data=text", f"data.files={name}", *SHAPE)


# What is kept


def test_no_pickle_and_no_unsafe_yaml_is_ever_loaded() -> None:
    """torch.load, np.load(allow_pickle=True), joblib.load and yaml.load unpickle or build what a file names."""
    found = set()
    roots = [PACKAGE, PACKAGE.parent / "hydra_plugins", PACKAGE.parent / "benchmarks"]
    for path in sorted(path for root in roots for path in root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
                found |= {(path.name, name) for name in names & {"pickle", "cloudpickle", "dill", "marshal", "shelve"}}
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called in FORBIDDEN or any(keyword.arg == "allow_pickle" for keyword in node.keywords):
                    found.add((path.name, called))
    assert found == set()


FORBIDDEN = {"torch.load", "joblib.load", "pd.read_pickle", "pandas.read_pickle", "eval", "exec", "os.system"}
FORBIDDEN |= {f"yaml.{name}" for name in ("load", "load_all", "full_load", "unsafe_load", "UnsafeLoader")}


def test_a_damaged_store_is_made_again(entry: Entry) -> None:
    words = ["data=oracle", "data.documents=61", *SHAPE]
    cache = entry.work.parent / "cache"
    entry.try_words(words)
    files = [path for kind in ("stores", "evaluations") for path in cache.glob(f"{kind}/*/*") if path.name[0] != "."]
    assert {path.name for path in files} >= {"tokenizer.json", "train.ids", "store.json", "evaluation.npz"}
    for path in files:
        whole = path.read_bytes()
        for content in (whole[: len(whole) // 2], whole[:-1] + bytes([whole[-1] ^ 1]) if whole else b"x"):
            path.write_bytes(content)
            break
    assert entry.try_words(words)["code"] == 0
