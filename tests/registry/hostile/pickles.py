"""Pickles under other names, and what else is no model at all."""

from __future__ import annotations

import builtins
import bz2
import gzip
import io
import lzma
import os
import pickle
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np


class Gadget:
    """Unpickled, it calls `function` with `arguments`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def script(marker: Path) -> str:
    return f"open({str(marker)!r}, 'w').close()"


def by_exec(marker: Path) -> Gadget:
    return Gadget(exec, script(marker))


def by_eval(marker: Path) -> Gadget:
    return Gadget(eval, script(marker))


def by_system(marker: Path) -> Gadget:
    return Gadget(os.system, f"touch {marker}")


def by_popen(marker: Path) -> Gadget:
    return Gadget(subprocess.check_call, ["touch", str(marker)])


def by_open(marker: Path) -> Gadget:
    return Gadget(builtins.open, str(marker), "w")


def pickled(gadget: Callable[[Path], Gadget], protocol: int) -> Callable[[Path], bytes]:
    return lambda marker: pickle.dumps(gadget(marker), protocol=protocol)


def dumped(pack: Callable[[bytes], bytes]) -> Callable[[Path], bytes]:
    def build(marker: Path) -> bytes:
        stream = io.BytesIO()
        joblib.dump({"model": [by_exec(marker)]}, stream)
        return pack(stream.getvalue())

    return build


def array_of_objects(marker: Path) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([by_exec(marker)], dtype=object), allow_pickle=True)
    return stream.getvalue()


def arrays_of_objects(marker: Path) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, weights=np.array([by_exec(marker)], dtype=object), allow_pickle=True)
    return stream.getvalue()


def zipped_pickle(marker: Path) -> bytes:
    """As torch.save writes it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps(by_exec(marker)))
        file.writestr("archive/version", "3\n")
    return stream.getvalue()


def tarred(marker: Path) -> bytes:
    stream, content = io.BytesIO(), pickle.dumps(by_exec(marker))
    with tarfile.open(fileobj=stream, mode="w") as file:
        member = tarfile.TarInfo("../../model.pkl")
        member.size = len(content)
        file.addfile(member, io.BytesIO(content))
    return stream.getvalue()


CARRIES_CODE: dict[str, Callable[[Path], bytes]] = {
    "exec-protocol-2.skops": pickled(by_exec, 2),
    "system-protocol-0.skops": pickled(by_system, 0),
    "popen-protocol-4.onnx": pickled(by_popen, 4),
    "eval-protocol-5.skops": pickled(by_eval, 5),
    "open-protocol-3.onnx": pickled(by_open, 3),
    "exec-protocol-1.skops": pickled(by_exec, 1),
}
"""Plain pickles, whose gadgets the tests prove to work."""

FILES: dict[str, tuple[Callable[[Path], bytes], str]] = {
    **{name: (build, "pickle_refused") for name, build in CARRIES_CODE.items()},
    "joblib.skops": (dumped(bytes), "pickle_refused"),
    "joblib-gzip.skops": (dumped(gzip.compress), "pickle_refused"),
    "joblib-zlib.skops": (dumped(zlib.compress), "pickle_refused"),
    "joblib-bz2.skops": (dumped(bz2.compress), "pickle_refused"),
    "joblib-xz.onnx": (dumped(lzma.compress), "pickle_refused"),
    "array-of-objects.skops": (array_of_objects, "unknown_format"),
    "arrays-of-objects-npz.skops": (arrays_of_objects, "unknown_format"),
    "zipped-pickle.skops": (zipped_pickle, "pickle_refused"),
    "tar-with-a-pickle.skops": (tarred, "unknown_format"),
    "empty.skops": (lambda marker: b"", "empty_artifact"),
    "one-byte.onnx": (lambda marker: b"\x08", "damaged_graph"),
    "script.skops": (lambda marker: f"#!/usr/bin/env python\n{script(marker)}\n".encode(), "unknown_format"),
    "program.onnx": (lambda marker: b"\x7fELF" + bytes(4096), "unknown_format"),
    "page.skops": (lambda marker: b"<script>alert(1)</script>", "unknown_format"),
}
