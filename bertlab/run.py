"""`python -m bertlab.run` is `bertlab.commands.run`."""

import sys

from bertlab.commands.run import main
from bertlab.config.callable import make_callable

if __name__ == "__main__":
    main(sys.argv[1:])
else:
    make_callable(__name__)  # also a function of the API
