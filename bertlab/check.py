"""`python -m bertlab.check` is `bertlab.commands.check`."""

import sys

from bertlab.commands.check import main

if __name__ == "__main__":
    main(sys.argv[1:])
