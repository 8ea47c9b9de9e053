from bertlab.commands.run_help import comments_of
from bertlab.config.compose import CONF, load, resolved
from bertlab.config.leaves import leaves, written
from bertlab.config.override_policy import OWN_KEYS
from scripts import keys

ROOM = 79  # characters for a text in a line of the help
TWICE = ("evaluation.text.", "evaluation.pairs.")  # the part of `pairs=`, which the evaluation has for itself


def test_the_page_is_what_the_options_say() -> None:
    assert keys.PAGE.read_text("utf-8") == keys.page(), "python -m scripts.keys writes it"


def test_every_key_of_a_run_stands_on_the_page() -> None:
    page = keys.PAGE.read_text("utf-8")
    settings = [key for key, _ in leaves(resolved(load([]))) if not OWN_KEYS & set(key.split("."))]
    assert len(settings) > 60
    own = [key for key in settings if not key.startswith(TWICE)]
    assert [key for key in own if f"| `{key}` |" not in page] == []


def test_leaves_are_whole_keys_and_values_are_written_as_they_are_typed() -> None:
    settings = {"a": {"b": [1, None], "c": {}}, "d": True}
    assert dict(leaves(settings)) == {"a.b": [1, None], "a.c": {}, "d": True}
    assert [written(value) for _, value in leaves(settings)] == ["[1,null]", "{}", "true"]


def test_every_key_of_every_option_has_a_text_whose_beginning_fits_a_line_of_the_help() -> None:
    wrong = []
    for path in sorted(CONF.rglob("*.yaml")):
        group = path.parent.relative_to(CONF).as_posix()
        if group.split("/")[0] in keys.LEFT_OUT or group == ".":
            continue
        place = "" if keys.GLOBAL in path.read_text("utf-8") else group.replace("/", ".")
        texts = comments_of(path, place)
        for key, _ in leaves(keys.options(path), place):
            if key != place and not OWN_KEYS & set(key.split(".")):
                first = texts.get(key, "").split("; ")[0]
                wrong += [] if 0 < len(first) <= ROOM else [f"{group}={path.stem}: {key}"]
    assert wrong == []
