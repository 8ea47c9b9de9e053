"""`python -m bertlab.clean` is `bertlab.commands.clean`."""

from bertlab.commands.clean import main

if __name__ == "__main__":
    main()
