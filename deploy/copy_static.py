"""Puts plotly.js, as the installed plotly package ships it, where the pages load it from."""

import shutil
from importlib.resources import as_file, files
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "static" / "vendor" / "plotly.min.js"


def main() -> None:
    """Copy the file; the copy is part of the installation, not of the repository."""
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    with as_file(files("plotly") / "package_data" / "plotly.min.js") as source:
        shutil.copyfile(source, TARGET)


if __name__ == "__main__":
    main()
