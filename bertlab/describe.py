"""`python -m bertlab.describe` is `bertlab.commands.describe`."""

from bertlab.commands.describe import main

if __name__ == "__main__":
    main()
