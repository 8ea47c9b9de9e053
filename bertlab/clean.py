"""`python -m bertlab.clean` is `bertlab.commands.clean`."""

import sys

from bertlab.commands.clean import main

if __name__ == "__main__":
    main(sys.argv[1:])
