"""`python -m bertlab.why` is `bertlab.commands.compare`."""

from bertlab.commands.compare import main

if __name__ == "__main__":
    main()
