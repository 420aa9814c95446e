"""`python -m plmarker`, as `torchrun -m plmarker` starts it."""

import sys

from .cli import main

sys.exit(main())
