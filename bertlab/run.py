"""`python -m bertlab.run` is `bertlab.commands.run`."""

from bertlab.commands.run import main

if __name__ == "__main__":
    main()
