"""Exit status 0 if the address given as argument answers without an error; for container health checks."""

import sys
from urllib.request import urlopen


def main(address: str) -> None:
    """Raises, and so exits with 1, on a refusal, a time-out or an error status."""
    if not address.startswith("http://127.0.0.1:"):
        sys.exit(f"the address must start with http://127.0.0.1: but got {address}")
    urlopen(address, timeout=4).close()  # noqa: S310  (the scheme was checked)


if __name__ == "__main__":
    main(sys.argv[1])
