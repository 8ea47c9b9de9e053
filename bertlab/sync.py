"""`python -m bertlab.sync` is `bertlab.commands.sync`."""

from bertlab.commands.sync import main

if __name__ == "__main__":
    main()
