"""Stops the installation under a Python that is too old, and says what to do. Runs on any Python 3."""

import sys

WANTED = (3, 11)

if sys.version_info < WANTED:
    sys.exit(
        "Python must be %d.%d or newer but %s is %d.%d: install a newer one and name it, as in "
        "`make PYTHON=python3.11 install`" % (WANTED + (sys.executable,) + tuple(sys.version_info[:2]))
    )
