"""`python -m bertlab.show` is `bertlab.commands.show`."""

from bertlab.commands.show import main

if __name__ == "__main__":
    main()
