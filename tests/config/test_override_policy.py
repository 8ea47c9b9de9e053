"""What a command line may do with Hydra: words are checked before Hydra gets them, configurations before building."""

import pytest

from bertlab.config.building import build_parts
from bertlab.config.compose import CONF, check, load, resolved
from bertlab.config.errors import InputError
from bertlab.config.override_policy import check_targets


@pytest.mark.parametrize("key", ["output_dir", "report_dir"])
@pytest.mark.parametrize(
    "value",
    ["null", "", "''", "' '", "3", "true", "[a]", "{a:b}", "???", "a,b", "${seed}", "${data}", "${oc.env:NOPE,''}"],
)
def test_a_folder_for_output_is_one_path(key: str, value: str) -> None:
    for word in (f"{key}={value}", f"++{key}={value}"):
        with pytest.raises(
            InputError, match=rf"^{key} must be the path of one folder, got .*; write for example {key}="
        ):
            check([word])


@pytest.mark.parametrize("word", ["~output_dir", "+mask@output_dir=token"])
def test_a_folder_for_output_is_neither_left_out_nor_a_group(word: str) -> None:
    with pytest.raises(InputError, match=r"^output_dir must be the path of one folder, got "):
        check([word])


@pytest.mark.parametrize(
    "word", ["output_dir=a/b c", "output_dir=/tmp/x", "output_dir='2024'", "report_dir=../reports"]
)
def test_any_path_may_be_a_folder_for_output(word: str) -> None:
    check([word])


@pytest.mark.parametrize("value", ["null", "3", "{a:b}", "[1]", "[null]"])
def test_hydra_is_verbose_or_not(value: str) -> None:
    check(["hydra.verbose=true", "hydra.mode=MULTIRUN"])
    check(["hydra.verbose=[torch,mlflow]"])
    with pytest.raises(InputError, match=r"^hydra\.verbose must be true or name loggers, got "):
        check([f"hydra.verbose={value}"])
    with pytest.raises(InputError, match=r"^hydra\.mode must be RUN or MULTIRUN, got "):
        check([f"hydra.mode={value}"])


@pytest.mark.parametrize("key", ["mask._target_", "model._partial_", "model.norm._target_"])
def test_what_makes_a_part_a_part_is_not_taken_away(key: str) -> None:
    with pytest.raises(InputError, match=rf"^{key} must stay, got ~{key}; choose another option of the group"):
        check([f"~{key}"])


@pytest.mark.parametrize("word", ["+optimizer=adam", "++mask=span", "+study=heads", "++model/norm=rms"])
def test_an_option_is_chosen_without_a_plus(word: str) -> None:
    group = word.lstrip("+").partition("=")[0]
    for read in (check, load):
        with pytest.raises(InputError, match=rf"^{group} has an option already, got .*; remove the \+"):
            read([word])


@pytest.mark.parametrize("word", ["{}.rates=2", "{}.3=1", "+{}.3=1", "++{}.x=1", "~{}.0", "{}.x=1,2"])
@pytest.mark.parametrize("key", ["evaluation.grid", "mask.split"])
def test_a_list_has_no_keys(key: str, word: str) -> None:
    for read in (check, load):
        with pytest.raises(InputError, match=rf"^{key} is given whole, got .*; write for example {key}=\[0\.\d"):
            read([word.format(key)])


def test_an_item_of_a_list_is_set_by_its_place() -> None:
    assert resolved(load(["data=oracle", "evaluation.grid.1=0.4"]))["evaluation"]["grid"] == [0.05, 0.4, 0.5]


def test_a_key_that_nobody_reads_is_refused() -> None:
    config = resolved(load(["data=oracle", "+mask_rate=0.3"]))
    with pytest.raises(InputError, match=r"^mask_rate is not a key of the configuration; "):
        check_targets(config, (CONF,))


@pytest.mark.parametrize("key", ["model.norm", "model.position.base", "model.layers", "optimizer.lr"])
def test_a_key_that_is_left_out_is_missed_before_anything_is_built(key: str) -> None:
    with pytest.raises(InputError, match=rf"^{key} must be given, got nothing; "):
        build_parts(resolved(load(["data=oracle", "model/position=rotary", f"~{key}"])))


def test_a_part_of_the_model_is_not_emptied() -> None:
    config = resolved(load(["data=oracle"]))
    config["model"]["norm"] = {}
    with pytest.raises(InputError, match=r"^model\.norm must be one of the group's options, got {}; "):
        build_parts(config)
