"""`python -m bertlab.site` is `bertlab.commands.site`."""

import sys

from bertlab.commands.site import main

if __name__ == "__main__":
    main(sys.argv[1:])
