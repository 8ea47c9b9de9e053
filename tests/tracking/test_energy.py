"""Joules are summed over packages, also when a counter restarts, and left out if there is no counter."""

from pathlib import Path

from bertlab.tracking.system_metrics import Energy


def counter(folder: Path, name: str, micro: int) -> None:
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "energy_uj").write_text(f"{micro}\n", "ascii")
    (folder / name / "max_energy_range_uj").write_text("262143328850\n", "ascii")


def test_packages_are_summed_and_a_counter_that_begins_again_goes_on(tmp_path: Path) -> None:
    counter(tmp_path, "intel-rapl:0", 262_143_000_000)
    counter(tmp_path, "intel-rapl:1", 5_000_000)
    counter(tmp_path, "intel-rapl:0:0", 7)  # a part of the first: counted there
    energy = Energy(tmp_path)
    counter(tmp_path, "intel-rapl:0", 1_671_150)  # 328,850 up to the end, and 1,671,150 from there
    counter(tmp_path, "intel-rapl:1", 8_000_000)
    counter(tmp_path, "intel-rapl:0:0", 9_000_000)
    assert energy.metrics() == {"energy_joules": 5.0}
    counter(tmp_path, "intel-rapl:1", 8_500_000)
    assert energy.metrics() == {"energy_joules": 5.5}


def test_without_a_counter_there_is_no_energy(tmp_path: Path) -> None:
    (tmp_path / "dtpm").mkdir()
    assert Energy(tmp_path).metrics() == {}
    assert Energy(tmp_path / "nowhere").metrics() == {}
