"""`python -m bertlab.plan` is `bertlab plan`, which takes the name of a study without its key too."""

import sys

from bertlab.__main__ import main

if __name__ == "__main__":
    main(["plan", *sys.argv[1:]])
