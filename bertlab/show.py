"""`python -m bertlab.show` is `bertlab.commands.show`."""

import sys

from bertlab.commands.show import main

if __name__ == "__main__":
    main(sys.argv[1:])
