"""``python -m socialsim``."""

from socialsim.cli import main

main()
