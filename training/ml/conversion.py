"""A csv of any length as the canonical Parquet file that `tables` makes of a short one, byte for byte.

It is read twice in blocks that end where a row does: once for what type each column has, once to settle the cells.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from functools import partial, reduce
from operator import add
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from training.ml.cells import Evidence, evidence, settled
from training.ml.executors import Executor
from training.ml.pieces import heading
from training.ml.refusals import refusal
from training.ml.tables import PARQUET, ROW_GROUP

BLOCK_BYTES = 8 << 20


class Block(NamedTuple):
    """Some whole rows of a csv as they are spelled, and how many lines are ahead of them."""

    names: tuple[str, ...]
    text: bytes
    lines: int


class Told(NamedTuple):
    """What a block says of its columns, and its rows."""

    rows: int
    columns: tuple[Evidence, ...]


def to_canonical(source: IO[bytes], target: Path, executor: Executor, *, max_rows: int) -> int:
    """Write a csv, at its start, to `target`; the number of its rows. TableError as for `tables.read_table`."""
    names = tuple(heading(source, "x.csv").names)
    told = list(executor.map(_told, _checked(blocks(source, names), max_rows)))
    counts = [each.rows for each in told]
    if not sum(counts):
        raise refusal("no_rows", "the table must have data rows but there is only a header")
    if sum(counts) > max_rows:
        raise refusal("too_many_rows", f"the table must have at most {max_rows:,} rows but has {sum(counts):,}")
    known = tuple(reduce(add, column) for column in zip(*(each.columns for each in told), strict=True))
    firsts = np.cumsum([0, *counts]).tolist()
    source.seek(0)
    heading(source, "x.csv")
    work = zip(blocks(source, names), firsts, strict=False)
    _write(target, executor.map(partial(_settled, known), work))
    return sum(counts)


def _checked(found: Iterator[Block], max_rows: int) -> Iterator[Block]:
    """Stop at a file with far too many lines before all of it is read; NUL bytes are refused."""
    for block in found:
        if (at := block.text.find(b"\0")) >= 0:
            line = block.lines + block.text.count(b"\n", 0, at) + 1
            raise refusal("nul_byte", f"a csv must not contain NUL bytes but line {line} has one")
        if block.lines > 100 * max_rows:
            raise refusal("too_many_rows", f"the table must have at most {max_rows:,} rows but has more")
        yield block


def blocks(source: IO[bytes], names: tuple[str, ...]) -> Iterator[Block]:
    """The rows after the header. A line end among quotes is part of a cell: as a quote in a cell is written twice, a
    row ends where the number of quotes so far is even."""
    header = source.readline()
    lines, rest = 1 + header.count(b"\n", 0, -1), b""
    while chunk := source.read(BLOCK_BYTES):
        text = rest + chunk
        end = _row_end(text)
        rest = text[end:]
        if end:
            yield Block(names, text[:end], lines)
            lines += text.count(b"\n", 0, end)
    if rest:
        yield Block(names, rest, lines)


def _row_end(text: bytes) -> int:
    """After the last whole row of a text that begins with one; 0 where it has none."""
    after, end = text.count(b'"'), len(text)
    while (at := text.rfind(b"\n", 0, end)) >= 0:
        after -= text.count(b'"', at, end)  # what is left are the quotes ahead of the line end
        if after % 2 == 0:
            return at + 1
        end = at
    return 0


def _told(block: Block) -> Told:
    _check(block)
    table = _cells(block)
    return Told(table.num_rows, tuple(evidence(column) for column in table.columns))


def _settled(known: Sequence[Evidence], work: tuple[Block, int]) -> pa.Table:
    block, first = work
    table = _cells(block)
    columns = {}
    for name, column, each in zip(block.names, table.columns, known, strict=True):
        cells = settled(name, column, each, first=first)
        # Whole numbers beside a gap anywhere in the column are floats in a frame.
        has_gaps = pa.types.is_integer(cells.type) and each.missing
        columns[name] = cells.cast(pa.float64()) if has_gaps else cells
    return pa.table(columns)


def _cells(block: Block) -> pa.Table:
    names = list(block.names)
    try:
        return arrow_csv.read_csv(
            io.BytesIO(block.text),
            read_options=arrow_csv.ReadOptions(column_names=names, block_size=len(block.text) + 1, use_threads=False),
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=[""]
            ),
        )
    except pa.ArrowInvalid as problem:
        if "Empty CSV" in str(problem):
            return pa.table({name: pa.array([], pa.string()) for name in names})
        message = f"the rows after line {block.lines} are not valid csv: {problem!s:.200}"
        raise refusal("malformed_csv", message) from problem


def _check(block: Block) -> None:
    """Refuse what `tables.read_table` refuses, with the line."""
    try:
        text = block.text.decode()
    except UnicodeDecodeError as error:
        line = block.lines + block.text.count(b"\n", 0, error.start) + 1
        raise refusal("not_utf8", f"the file must be UTF-8 but line {line} is not; save it as UTF-8") from error
    rows, width = csv.reader(io.StringIO(text, newline=""), strict=True), len(block.names)
    try:
        for row in rows:
            if row and len(row) != width:
                line = block.lines + rows.line_num
                raise refusal("ragged_row", f"line {line} has {len(row)} values but the header names {width} columns")
    except csv.Error as error:
        raise refusal("malformed_csv", f"line {block.lines + rows.line_num} is not valid csv: {error}") from error


def _write(target: Path, tables: Iterator[pa.Table]) -> None:
    """Row groups of the length that `tables.to_parquet` gives them, whatever the blocks were."""
    waiting: list[pa.Table] = []
    writer: pq.ParquetWriter | None = None
    try:
        for table in tables:
            waiting.append(table)
            if sum(each.num_rows for each in waiting) < ROW_GROUP:
                continue
            whole = pa.concat_tables(waiting)
            cut = whole.num_rows // ROW_GROUP * ROW_GROUP
            writer = _written(target, writer, whole.slice(0, cut))
            waiting = [whole.slice(cut).combine_chunks()]  # a copy: a slice would keep the whole
        if sum(each.num_rows for each in waiting):
            writer = _written(target, writer, pa.concat_tables(waiting))
    finally:
        if writer is not None:
            writer.close()


def _written(target: Path, writer: pq.ParquetWriter | None, table: pa.Table) -> pq.ParquetWriter:
    frame: pd.DataFrame = table.to_pandas()
    plain = pa.Table.from_pandas(frame, preserve_index=False)  # as `tables.to_parquet` does
    writer = writer or pq.ParquetWriter(target, plain.schema.remove_metadata(), **PARQUET)
    writer.write_table(plain.replace_schema_metadata(None), row_group_size=ROW_GROUP)
    return writer
