"""`python -m bertlab.why` is `bertlab.commands.compare`."""

import sys

from bertlab.commands.compare import main

if __name__ == "__main__":
    main(sys.argv[1:])
