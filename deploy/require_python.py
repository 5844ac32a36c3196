"""Stops the installation under a Python that is too old, and says what to do. Runs on any Python 3."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  (this is where the others are turned away)
    sys.exit(
        "Python must be 3.11 or newer but {} is {}.{}: install a newer one and name it, as in "
        "`make PYTHON=python3.11 install`".format(sys.executable, *sys.version_info)
    )
