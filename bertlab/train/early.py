"""Early checks of a configuration, before torch is imported and data are read."""

from collections.abc import Iterable, Mapping
from typing import Any

from bertlab.config.building import build_light, section
from bertlab.config.environment import CUDA, lacks_card
from bertlab.config.errors import InputError, at, whole_number
from bertlab.data.documents import Checked
from bertlab.data.form import KEYS, Form, count_steps
from bertlab.data.modern import check_modern
from bertlab.data.weights import start_of
from bertlab.evaluation.detection_needs import check_detection
from bertlab.streams import Streams
from bertlab.train.continued import check_continued


def check_early(configs: Iterable[Mapping[str, Any]]) -> None:
    """Check every value of some configurations, and that the files of corpora and tokenizers exist.

    Sections that configurations share are checked once. Raises InputError.
    """
    tried: set[str] = set()
    for config in configs:
        streams_of(config)
        form = form_of(config)
        steps = steps_of(config, form)
        check_parts(config, form)
        untried = {name: text for name, part in config.items() if (text := f"{name} {part!r}") not in tried}
        if {"start", "output_dir"} & untried.keys():
            start_of(config)
        light = build_light(config, untried)
        check_kept(config, steps * form.tokens)
        check_detection(config)
        check_continued(config)
        check_modern(config)
        for name in ("data", "tokenizer", "evaluation.tasks"):  # absent in commands that read no corpus
            part = light.get(name)
            if isinstance(part, Checked):
                with at(name):
                    part.check()
        tried.update(untried.values())


def check_parts(config: Mapping[str, Any], form: Form) -> None:
    """Raise InputError for batches with fewer sequences than parts."""
    trainer = config["trainer"]
    devices, accumulate = (
        whole_number(f"trainer.{name}", trainer.get(name, 1), 1) for name in ("devices", "accumulate")
    )
    if form.size < devices * accumulate:
        raise InputError(
            f"batch.size must be at least trainer.devices times trainer.accumulate, {devices * accumulate}, got "
            f"{form.size}; raise it, or lower these"
        )


def check_kept(config: Mapping[str, Any], tokens: int) -> None:
    """Raise InputError for weights to be kept after the end of a run of `tokens` tokens."""
    late = [count for count in config["trainer"].get("keep_at", ()) if count > tokens]
    if late:
        raise InputError(
            f"trainer.keep_at must be at most the tokens of the run, {tokens}, got {late[0]}; lower it, or raise "
            "budget.tokens"
        )


def check_card(config: Mapping[str, Any]) -> None:
    """Raise InputError for a run on a GPU if there certainly is none; torch reports other problems later."""
    accelerator = config["trainer"].get("accelerator")
    if accelerator in CUDA and lacks_card():
        raise InputError(
            f"trainer.accelerator must be one that works here, got {accelerator}: this machine has no GPU and no "
            "driver of one; choose cpu, or a machine with a GPU"
        )


def form_of(config: Mapping[str, Any]) -> Form:
    """Return the batch form of a run. Raises InputError."""
    return Form(**section(config, "batch", *KEYS))


def streams_of(config: Mapping[str, Any]) -> Streams:
    """Return the random streams of a run. Raises InputError."""
    return Streams(whole_number("seed", config.get("seed"), 0), config.get("redraw"))


def steps_of(config: Mapping[str, Any], form: Form) -> int:
    """Return the number of steps of a run. Raises InputError for a budget below one batch."""
    return count_steps(section(config, "budget", "tokens")["tokens"], form.tokens)
