"""Studies: a question that was registered before its runs, as one YAML of sweeps/study."""

from bertlab.config.callable import make_callable

make_callable(__name__)  # it is a function of the API as well
