"""`python -m model_collapse` is the command `model-collapse`."""

import sys

from model_collapse.cli import main

if __name__ == "__main__":
    sys.exit(main())
