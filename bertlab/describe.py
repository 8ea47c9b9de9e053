"""`python -m bertlab.describe` is `bertlab.commands.describe`."""

import sys

from bertlab.commands.describe import main

if __name__ == "__main__":
    main(sys.argv[1:])
