"""Explain why two runs are, or are not, the same: `bertlab compare run=ID [run=OTHER] [key=value ...]`.

Compares a run with another run, or with the run that `bertlab run key=value ...` would make.
Shows differences in the keys that can change a result, the data, the code and the environment,
and says whether the run would be reused.
  run=ID   a run's id, its first characters, or latest; twice: compare two runs. Runs are looked up in the store, not
           in output_dir, so latest is the newest run of the store; bertlab sync brings runs from output_dir there
  uri=URI  the MLflow store; else MLFLOW_TRACKING_URI, else mlflow.db in the working directory

  bertlab compare run=latest mask.rate=0.3
  bertlab compare run=3f2a run=91bc
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bertlab.config.arguments import answer
from bertlab.config.error_messages import one_line_errors
from bertlab.config.errors import InputError
from bertlab.config.leaves import leaves
from bertlab.config.own import take_own
from bertlab.config.redact import redacted_command

if TYPE_CHECKING:
    from bertlab.tracking.artifacts import Origin

ABSENT, UNKNOWN = "-", "not recorded"
REUSE = ("same", "code", "any")  # the strictest rule first


def main(words: Sequence[str]) -> None:
    """Run the command."""
    with one_line_errors(words):
        answer(__doc__, words)
        print(why(take_own(words)))  # noqa: T201


def why(words: Sequence[str]) -> str:
    """Return the differences between a run and another run or configuration, and the consequence. Raises InputError."""
    runs, uris = ([word[4:] for word in words if word.startswith(name)] for name in ("run=", "uri="))
    others = [word for word in words if not word.startswith(("run=", "uri="))]
    if not runs or len(runs) > 2 or (len(runs) == 2 and others) or len(uris) > 1:
        raise InputError("compare takes run=ID with a second run=ID or with key=value words; --help shows how")
    if others:
        others = check_words(others)

    from bertlab.tracking.artifacts import origin_of
    from bertlab.tracking.saved_model import connect

    client = connect(uris[0] if uris else None)
    first = origin_of(client, runs[0])
    second = origin_of(client, runs[1]) if len(runs) == 2 else described(others)
    return "\n".join(compared(first, second))


def check_words(words: Sequence[str]) -> list[str]:
    """Compose the overrides before the store is asked; return the configuration. Raises InputError."""
    from bertlab.config.compose import check, load, resolved
    from bertlab.config.reading import written_out
    from bertlab.data.of_start import with_model
    from bertlab.data.start_weights import with_start_folders
    from bertlab.train.early import check_early

    words = with_model(written_out(words))
    check(words)
    words = with_start_folders(words)
    check_early([resolved(load(words))])
    return words


def described(words: Sequence[str]) -> "Origin":
    """Return the identity of the run that these overrides would make; prepares its data. Raises InputError."""
    from bertlab.config.building import build_parts
    from bertlab.config.compose import load, resolved, typed
    from bertlab.data.prepare import prepare
    from bertlab.identity.code import code_of
    from bertlab.identity.key import identify, targets
    from bertlab.tracking.artifacts import Origin

    composed = load(words)
    config = resolved(composed)
    parts = build_parts(config)
    data = prepare(parts.data, parts.tokenizer).fingerprint
    name = f"a run of: {' '.join(redacted_command(words)) or 'nothing but the defaults'}"
    told = {**typed(composed, words).settings, "tracking": {"reuse": parts.tracking.reuse}}
    return Origin(name, told, data, identify(config, data), code_of(targets(config)).modules, finished=False)


def compared(first: "Origin", second: "Origin") -> Iterator[str]:
    """Yield the lines that describe the differences of two identities."""
    yield f"first:   {first.name}\nsecond:  {second.name}"
    changed = list(differences(first.config, second.config))
    yield "keys:    none differs that can change a result" if not changed else "keys:"
    yield from (f"  {key}: {one} -> {other}" for key, one, other in changed)
    yield f"data:    {_same_or(first.data, second.data)}"
    yield f"code:    {_same_or(first.identity.code, second.identity.code)}"
    yield from (f"  {line}" for line in changed_modules(first, second))
    yield f"computed: {_same_or(first.identity.environment or UNKNOWN, second.identity.environment or UNKNOWN)}"
    yield f"verdict: {verdict(first, second, bool(changed))}"


def changed_modules(first: "Origin", second: "Origin") -> Iterator[str]:
    """Yield the modules whose code differs. A module that was only moved is not among them."""
    if first.identity.code == second.identity.code:
        return
    if not first.modules or not second.modules:
        yield "which module changed is not known: a run of before they were recorded has one hash over all of them"
        return
    moved = set(first.modules.values()) & set(second.modules.values())
    for name in sorted(first.modules.keys() | second.modules.keys()):
        one, other = first.modules.get(name), second.modules.get(name)
        if one != other and not {one, other} - {None} <= moved:
            yield f"{name}: " + ("changed" if one and other else f"used only by the {'first' if one else 'second'}")


def verdict(first: "Origin", second: "Origin", changed: bool) -> str:
    """Say whether the first run can be reused for the second, by the second's rule `tracking.reuse`."""
    if changed or first.data != second.data:
        return "different runs; neither is reused for the other"
    if first.identity.key != second.identity.key:
        return "equal by what they say, under keys of different versions of bertlab; the first is not reused"
    if not first.finished:
        return "the same run, but the first is not finished; it is computed"
    reuse = second.config.get("tracking", {}).get("reuse", "same")
    needed = next(rule for rule in REUSE if first.identity.as_reused(rule) == second.identity.as_reused(rule))
    if needed == "same":
        return "the same run; the first is reused"
    by = {"code": "in another environment", "any": "by other code"}[needed]
    if REUSE.index(reuse) >= REUSE.index(needed):
        return f"the same run made {by}; tracking.reuse={reuse} reuses it, unless a nearer one is finished"
    return f"the same run made {by}; it is computed again, unless tracking.reuse={needed}"


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield the differing keys that can change a result, with both values."""
    from bertlab.identity.key import semantic

    left, right = (dict(leaves(semantic(config))) for config in (one, other))
    for key in sorted(left.keys() | right.keys()):
        if left.get(key, ABSENT) != right.get(key, ABSENT):
            yield key, left.get(key, ABSENT), right.get(key, ABSENT)


def _same_or(one: str, other: str) -> str:
    return f"the same ({one})" if one == other else f"{one} -> {other}"
