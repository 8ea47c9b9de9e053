"""`python -m bertlab.check` is `bertlab.commands.check`."""

from bertlab.commands.check import main

if __name__ == "__main__":
    main()
