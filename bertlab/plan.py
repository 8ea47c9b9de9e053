"""`python -m bertlab.plan` is `bertlab.experiment.plan`."""

import sys

from bertlab.experiment.plan.__main__ import main

if __name__ == "__main__":
    main(sys.argv[1:])
