"""Connects Hydra to bertlab's sweeps. Hydra imports every plugin at start, so this imports nothing heavy."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser


@dataclass
class BertlabSweeperConf:
    """Configuration of the sweeper: a grid over comma-separated values, as in Hydra's basic sweeper."""

    _target_: str = "hydra_plugins.bertlab_sweeper.BertlabSweeper"
    params: dict[str, str] | None = None


ConfigStore.instance().store(group="hydra/sweeper", name="bertlab", node=BertlabSweeperConf, provider="bertlab")


class BertlabSweeper(BasicSweeper):
    """Expands the grid as Hydra's basic sweeper does and gives it to bertlab, which tracks, runs and reports it."""

    def __init__(self, params: dict[str, str] | None = None) -> None:
        super().__init__(max_batch_size=None, params=params)

    def sweep(self, arguments: list[str]) -> Any:
        """Run the grid through the configured launcher; a failed job does not stop or hide the others."""
        from bertlab.config.compose import given, resolved
        from bertlab.config.errors import InputError
        from bertlab.config.importing import import_heavy
        from bertlab.config.override_policy import check_launcher
        from bertlab.config.reading import check_sweep
        from bertlab.config.settling import composing, settling
        from bertlab.train.early import check_card, check_early

        assert self.config is not None
        assert self.hydra_context is not None
        assert self.launcher is not None
        loader = self.hydra_context.config_loader
        overrides = OverridesParser.create(config_loader=loader).parse_overrides([*self._parse_config(), *arguments])
        factors = [override.get_key_element() for override in overrides if override.is_sweep_override()]
        fixed = [str(override.input_line) for override in overrides if not override.is_sweep_override()]
        if "study" in factors:
            raise InputError("study must name one study, got several; give each a command of its own")
        if factors and self.config.get("study"):
            raise InputError(f"a study runs its own arms, got several values of {', '.join(factors)}; give one each")
        check_sweep(overrides)
        jobs = self.split_arguments(overrides, None)[0]
        folder = Path(self.config.hydra.sweep.dir)  # before any job is composed: all share its time stamp
        compose = composing(partial(loader.load_sweep_config, self.config))
        check_launcher(self.launcher)
        settled, elsewhere = settling(compose), getattr(self.launcher, "is_elsewhere", False)
        if self.config.get("study"):
            from bertlab.study.early import check_rung, check_study

            check_rung(lambda own: compose([*fixed, *own]))
            check_study(lambda own: compose([*fixed, *own]))
            if not elsewhere:
                check_card(resolved(compose(fixed)))
        else:
            check_early(settled(job)[0] for job in jobs)
            for job in () if elsewhere else jobs:
                check_card(settled(job)[0])
        if connect := getattr(self.launcher, "connect", None):  # of our launchers: fails now if there is no cluster
            connect()
        import_heavy("bertlab.sweep.grid")  # only now: a configuration error must come before this slow import
        from bertlab.sweep.grid import Grid, run_grid

        words = [word for word in given(self.config.hydra) if word != "hydra.mode=MULTIRUN"]
        grid = Grid(jobs, factors, fixed, words if self.config.get("study") else ["-m", *words])
        if self.config.get("study"):
            from bertlab.experiment.run_study import conduct  # needs MLflow, which an offline sweep does not need

            return conduct(grid, compose, self.launcher, Path(self.config.report_dir))
        return run_grid(grid, compose, self.launcher, folder)
