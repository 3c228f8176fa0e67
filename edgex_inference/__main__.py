"""`python -m edgex_inference` is the command line."""

import sys

from edgex_inference.cli.main import main

sys.exit(main())
