"""Export a run's model to transformers: `bertlab export run=ID to=FOLDER [uri=URI]`.

Writes the files that `BertForPreTraining.from_pretrained` and `AutoTokenizer.from_pretrained` read: config.json,
model.safetensors, tokenizer.json, tokenizer_config.json; and a model card, README.md. Other architectures:
RoFormerForMaskedLM for rotary positions, ModernBertForMaskedLM for model=modernbert (both without pair head),
ElectraForPreTraining for a model that detects replaced tokens (without pair head and generator). Arms that no
transformers class can compute are refused.
  run=ID     a run's id, its first characters, or latest
  to=FOLDER  a folder that does not exist or is empty
  uri=URI    the MLflow store; else MLFLOW_TRACKING_URI, else mlflow.db in the working directory

  bertlab export run=latest to=my-bert
"""

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bertlab.config.arguments import parse
from bertlab.config.error_messages import one_line_errors
from bertlab.config.errors import InputError
from bertlab.config.own import take_own
from bertlab.data.tokenizer import CLS, SEP, SPECIALS

DEFAULTS = {"run": None, "to": None, "uri": None}
SPECIAL_KEYS = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")  # in the order of SPECIALS


def main(words: Sequence[str]) -> None:
    """Run the command."""
    with one_line_errors():
        print(export(parse(DEFAULTS, __doc__, take_own(words))))  # noqa: T201


def export(arguments: dict[str, Any]) -> str:
    """Write the folder that the arguments ask for; return the message for the user. Raises InputError."""
    for key in ("run", "to"):
        if not arguments[key]:
            raise InputError(f"{key} must be given; add {key}=... (bertlab export --help)")
    to = vacant(Path(arguments["to"]))

    from bertlab.config.building import build_part
    from bertlab.model.electra import to_electra
    from bertlab.model.modern import ModernBert
    from bertlab.model.modern_export import to_modern
    from bertlab.model.position import Rotary
    from bertlab.model.reference import save_reference, to_reference
    from bertlab.model.replaced import Replaced
    from bertlab.model.roformer import to_roformer
    from bertlab.report.card import card
    from bertlab.tracking.saved_model import command_again, connect, fetch

    client = connect(arguments["uri"])
    with tempfile.TemporaryDirectory() as folder:
        stored = fetch(client, arguments["run"], Path(folder))
        tokenizer = stored.tokenizer
        model = build_part(stored.config, "model")(tokenizer.get_vocab_size(), stored.length)
        stored.restore(model)
        run = client.get_run(stored.run_id)
        again = command_again(run, stored.folder / "config.yaml")
        about = card(to.name, stored.run_id, run.data.tags, run.data.metrics, stored.config, again)
    if isinstance(model, Replaced):
        config, weights = to_electra(model)
    elif isinstance(model, ModernBert):
        config, weights = to_modern(model)
    else:
        config, weights = (to_roformer if isinstance(model.position, Rotary) else to_reference)(model)
    with whole(to) as temporary:
        save_reference(temporary, config, weights)
        segments = "type_vocab_size" in config
        save_tokenizer(temporary, tokenizer, config["max_position_embeddings"], segments=segments)
        (temporary / "README.md").write_text(about, "utf-8")
    return told(to, stored.run_id, config["architectures"][0])


def vacant(to: Path) -> Path:
    """Return the target folder. Raises InputError if it is not empty."""
    if to.is_dir() and not any(to.iterdir()):
        return to
    if to.exists() or to.is_symlink():
        raise InputError(f"to must be a folder that is absent or empty, got {to}; choose another or remove it")
    return to


@contextmanager
def whole(to: Path) -> Iterator[Path]:
    """Provide a temporary folder; rename it to `to` on success, remove it on error. Raises InputError."""
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{to.name}-", dir=to.parent))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"to must be a folder that can be written, got {to} ({reason}); choose another") from error
    try:
        yield temporary
        temporary.chmod(0o755)
        if to.is_dir():
            to.rmdir()
        temporary.rename(to)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def save_tokenizer(folder: Path, tokenizer: Any, length: int, *, segments: bool) -> None:
    """Write the tokenizer so that it builds [CLS] A [SEP] B [SEP] like our batches, with segments 0 and 1.

    Without `segments` it returns no segment ids. Uses the class that reads tokenizer.json unchanged: BERT's own class
    would add its lower-casing normaliser.
    """
    from tokenizers.processors import TemplateProcessing

    names = [tokenizer.id_to_token(number) for number in range(len(SPECIALS))]  # a file's tokenizer has its own names
    cls, sep = names[CLS], names[SEP]
    tokenizer.post_processor = TemplateProcessing(
        single=f"{cls}:0 $A:0 {sep}:0",
        pair=f"{cls}:0 $A:0 {sep}:0 $B:1 {sep}:1",
        special_tokens=[(cls, CLS), (sep, SEP)],
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": length,
        "model_input_names": ["input_ids", *(["token_type_ids"] if segments else []), "attention_mask"],
        **dict(zip(SPECIAL_KEYS, names, strict=True)),
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", "utf-8")


def told(to: Path, run_id: str, architecture: str) -> str:
    """Return what was written and the Python lines that load it."""
    files = ", ".join(sorted(path.name for path in to.iterdir()))
    return f"""{to}: {files}, from run {run_id}; in Python:
    tokenizer = transformers.AutoTokenizer.from_pretrained({str(to)!r})
    model = transformers.{architecture}.from_pretrained({str(to)!r})"""
