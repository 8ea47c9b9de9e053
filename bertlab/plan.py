"""`python -m bertlab.plan` is `bertlab plan`. It also takes a study's name without `study=`."""

import sys

from bertlab.__main__ import main

if __name__ == "__main__":
    main(["plan", *sys.argv[1:]])
