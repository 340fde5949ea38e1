"""`python -m training`: the command line of training."""

from training.cli.app import main

if __name__ == "__main__":
    main()
