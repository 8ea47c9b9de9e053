"""`python -m bertlab.sync` is `bertlab.commands.sync`."""

import sys

from bertlab.commands.sync import main

if __name__ == "__main__":
    main(sys.argv[1:])
