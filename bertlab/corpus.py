"""`python -m bertlab.corpus` is `bertlab.commands.corpus`."""

import sys

from bertlab.commands.corpus import main

if __name__ == "__main__":
    main(sys.argv[1:])
