"""`python -m vswipe`: the same as the `vswipe` command."""

import sys

from vswipe.cli import main

sys.exit(main())
