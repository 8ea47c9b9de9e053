"""`python -m bertlab.run` is `bertlab.commands.run`."""

import sys

from bertlab.commands.run import main

if __name__ == "__main__":
    main(sys.argv[1:])
