"""`python -m edgex_inference` is the command line."""

from edgex_inference.cli.main import program

program()
