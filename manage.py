#!/usr/bin/env python
"""Django's command line for this site."""

import gc
import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlops_site.settings")
    gc.set_threshold(10_000)  # thousands of modules are imported, for good: look at them less often
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
