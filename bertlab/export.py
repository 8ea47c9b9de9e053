"""`python -m bertlab.export` is `bertlab.commands.export`."""

import sys

from bertlab.commands.export import main

if __name__ == "__main__":
    main(sys.argv[1:])
