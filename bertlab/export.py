"""`python -m bertlab.export` is `bertlab.commands.export`."""

from bertlab.commands.export import main

if __name__ == "__main__":
    main()
