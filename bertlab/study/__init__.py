"""Studies: a question that is registered before its runs, as one YAML file of sweeps/study."""

from bertlab.config.callable import make_callable

make_callable(__name__)  # also a function of the API
