"""`python scripts/server.py` is `bertlab server`."""

import sys

from bertlab.commands.server import main

if __name__ == "__main__":
    main(sys.argv[1:])
