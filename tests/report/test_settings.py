"""Names of settings for readers."""

from bertlab.report.settings import setting_of, settings
from scripts.keys import PAGE


def test_every_named_setting_is_a_key_of_a_run() -> None:
    keys = PAGE.read_text("utf-8")
    assert [key for key in settings() if f"| `{key}` |" not in keys] == []
    assert len(settings()) > 10


def test_a_setting_has_a_name_and_a_unit_and_an_unknown_one_its_key() -> None:
    assert setting_of("mask.rate").axis == "mask rate (share of the tokens)"
    assert setting_of("optimizer.lr").axis == "learning rate"
    assert setting_of("mask.mine").axis == "mask.mine"
