"""Dataset indices of Megatron-LM and GPT-NeoX: how many documents, sequences and tokens they hold.

An index is mapped, never loaded; nothing is believed before it is checked against the file's size.
"""

from __future__ import annotations

import math
import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from planner.reading import opened
from planner.units import PlannerError
from planner.words import say

MAGIC = b"MMIDIDX\x00\x00"
_HEADER = struct.Struct("<9sQBQQ")  # magic, version, dtype code, sequences, document boundaries
_CHUNK = 1 << 18  # sizes summed at a time: 1 MiB, which stays in the cache for its second pass
#: Codes of the token type and their bytes; code 6 is float32 in Megatron-LM and float64 in some older dialects.
DTYPES = {1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float32", 7: "float64", 8: "uint16"}
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 4, 7: 8, 8: 2}

_MAX_NPY_HEADER = 4096  # those of index maps have about 120 bytes
_NPY_HEADER = re.compile(
    rb"\{'descr': '([<|][iu][1248])', 'fortran_order': False, 'shape': \((\d{1,18}(?:, ?\d{1,18})?,?)\),? ?\}\s*"
)

#: Index maps, and how Megatron-Core spells their names: …-document_index.npy.
_MAPS = {"doc": "document_index", "sample": "sample_index", "shuffle": "shuffle_index"}
SizeArray = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class DatasetIndex:
    """What one `.idx` says. `sizes` is mapped from the file: tokens of each sequence."""

    path: Path
    dtype: str
    dtype_bytes: int
    sequences: int
    documents: int
    sizes: SizeArray

    def tokens(self, start: int = 0, stop: int | None = None) -> int:
        """Tokens of the sequences in [start, stop), summed in chunks.

        Raises PlannerError when a size is negative: the file is damaged.
        """
        stop = self.sequences if stop is None else stop
        total = 0
        for begin in range(start, stop, _CHUNK):
            part = self.sizes[begin : min(begin + _CHUNK, stop)]
            if int(part.min()) < 0:
                raise _wrong(self.path.name, "datasets.negative_size", sequence=begin + int(part.argmin()))
            total += int(part.sum(dtype=np.int64))
        return total


@dataclass(frozen=True, slots=True)
class IndexMap:
    """An index map that GPT-NeoX or Megatron saved (`…_doc_idx.npy`, `…_sample_idx.npy`, `…_shuffle_idx.npy`)."""

    path: Path
    kind: str  # doc | sample | shuffle
    rows: int
    array: NDArray[np.integer]

    @property
    def samples(self) -> int | None:
        """True samples: the rows of a sample index less one, those of a shuffle index as they are."""
        return {"sample": self.rows - 1, "shuffle": self.rows, "doc": None}[self.kind]


def read_index(prefix: str | Path) -> DatasetIndex:
    """The index at PREFIX.idx (the suffix may be given).

    Raises PlannerError when the file is missing, of another format, cut short, or disagrees with its `.bin`.

    Source: GPT-NeoX megatron/data/indexed_dataset.py, `MMapIndexedDataset`; Megatron-Core writes the same bytes.
    """
    path = index_path(prefix)
    try:
        size = path.stat().st_size
        with opened(path, (".idx",)) as file:
            header = file.read(_HEADER.size)
    except (OSError, ValueError) as error:
        raise _wrong(path.name, "datasets.unreadable", error=_reason(error)) from error
    if len(header) < len(MAGIC) or not header.startswith(MAGIC):
        raise _wrong(path.name, "datasets.no_magic")
    if len(header) < _HEADER.size:
        raise _wrong(path.name, "datasets.cut_header")
    _, version, code, sequences, boundaries = _HEADER.unpack(header)
    if version != 1:
        raise _wrong(path.name, "datasets.version", version=version)
    if code not in DTYPES:
        raise _wrong(path.name, "datasets.token_type", kind=code)
    needed = _HEADER.size + 12 * sequences + 8 * boundaries
    if needed != size:
        fault = say("datasets.cut_short") if size < needed else say("datasets.longer")
        raise _wrong(
            path.name,
            "datasets.index_bytes",
            fault=fault,
            sequences=sequences,
            boundaries=boundaries,
            needed=needed,
            size=size,
        )
    if sequences == 0:
        raise _wrong(path.name, "datasets.no_sequences")
    sizes = np.memmap(path, dtype="<i4", mode="r", offset=_HEADER.size, shape=(sequences,))
    index = DatasetIndex(path, DTYPES[code], _BYTES[code], sequences, max(boundaries - 1, 0), sizes)
    _check_data_file(index)
    return index


def index_path(prefix: str | Path) -> Path:
    """PREFIX.idx, whatever of `PREFIX`, `PREFIX.idx` and `PREFIX.bin` was written."""
    text = os.fspath(prefix)
    for suffix in (".idx", ".bin"):
        text = text.removesuffix(suffix)
    return Path(text + ".idx")


def split_documents(split: str, documents: int) -> tuple[int, int, int, int]:
    """Boundaries of train, validation and test among `documents`, as GPT-NeoX and Megatron-LM cut them.

    "995,4,1" or "995/4/1": shares of documents, not of tokens. What they call documents are the index's sequences.

    Raises PlannerError for a split that is not one to three numbers with a positive sum.

    Source: GPT-NeoX megatron/data/data_utils.py, `get_train_valid_test_split_` (floats and rounding included).
    """
    parts = split.split("," if "," in split else "/")
    try:
        shares = [float(part) for part in parts][:3]
    except ValueError as error:
        raise PlannerError(say("datasets.split", split=split)) from error
    shares += [0.0] * (3 - len(shares))
    total = sum(shares)
    if not 0 < total < float("inf") or min(shares) < 0:
        raise PlannerError(say("datasets.split_shares", split=split))
    bounds = [0]
    for share in shares:
        bounds.append(bounds[-1] + round(share / total * float(documents)))
    excess = bounds[-1] - documents
    train, valid, test = (max(bound - excess, 0) for bound in bounds[1:])
    return 0, train, valid, test


def read_index_map(path: str | Path) -> IndexMap:
    """One saved index map, mapped from its file. Pickled objects are never loaded.

    Raises PlannerError when the file is missing, no `.npy`, cut short, or not of the shape its name says.
    """
    place = Path(path)
    array = _map_npy(place)
    kind = next((kind for kind, long in _MAPS.items() if place.stem.endswith((f"{kind}_idx", long))), None)
    if kind is None:
        raise _wrong(place.name, "datasets.map_names")
    shape: tuple[int, ...] = array.shape
    fits = len(shape) == (2 if kind == "sample" else 1) and (kind != "sample" or shape[1] == 2)
    if not fits or array.dtype.kind not in "iu" or shape[0] < (2 if kind == "sample" else 1):
        raise _wrong(place.name, "datasets.map_shape", shape=str(shape), dtype=str(array.dtype), kind=kind)
    return IndexMap(place, kind, int(shape[0]), array)


def epochs_of_map(document_map: IndexMap) -> int:
    """Epochs that a document index runs over: its length over the documents between its least and greatest.

    Raises PlannerError when that does not divide: the file is another one's or damaged.
    """
    low = high = None
    for begin in range(0, document_map.rows, _CHUNK):
        part = document_map.array[begin : begin + _CHUNK]
        low = int(part.min()) if low is None else min(low, int(part.min()))
        high = int(part.max()) if high is None else max(high, int(part.max()))
    documents = (high or 0) - (low or 0) + 1
    if document_map.rows % documents:
        raise _wrong(document_map.path.name, "datasets.map_epochs", rows=document_map.rows, documents=documents)
    return document_map.rows // documents


def _map_npy(path: Path) -> NDArray[np.integer]:
    """An `.npy` of integers, mapped. Its header is matched as text: nothing in it is evaluated or unpickled.

    Source: the NumPy enhancement proposal on the `.npy` format, versions 1.0 and 2.0.
    """
    try:
        size = path.stat().st_size
        with opened(path, (".npy",)) as file:
            start = file.read(12)
            wide = start[6:7] == b"\x02"
            length = int.from_bytes(start[8:12] if wide else start[8:10], "little")
            offset = (12 if wide else 10) + length
            file.seek(offset - length)
            header = file.read(min(length, _MAX_NPY_HEADER))
    except (OSError, ValueError) as error:
        raise _wrong(path.name, "datasets.no_map", error=_reason(error)) from error
    match = _NPY_HEADER.fullmatch(header) if start.startswith(b"\x93NUMPY") else None
    if match is None or offset > size:
        raise _wrong(path.name, "datasets.no_map", error=say("datasets.not_plain"))
    shape = tuple(int(part) for part in match.group(2).split(b",") if part.strip())
    dtype = np.dtype(match.group(1).decode("ascii"))
    needed = offset + math.prod(shape) * dtype.itemsize
    if needed != size:
        fault = say("datasets.cut_short") if size < needed else say("datasets.longer")
        raise _wrong(path.name, "datasets.map_bytes", fault=fault, shape=str(shape), needed=needed, size=size)
    if not math.prod(shape):
        raise _wrong(path.name, "datasets.empty")
    return np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape)


def _check_data_file(index: DatasetIndex) -> None:
    """The last sequence must end inside the `.bin` beside the index, where there is one."""
    data = index.path.with_suffix(".bin")
    try:
        available = data.stat().st_size
    except OSError:
        return
    at = _HEADER.size + 4 * index.sequences
    pointers = np.memmap(index.path, dtype="<i8", mode="r", offset=at, shape=(index.sequences,))
    end = int(pointers[-1]) + int(index.sizes[-1]) * index.dtype_bytes
    if index.dtype != "float32" and end > available:
        raise _wrong(data.name, "datasets.cut_data", end=end, available=available)


def _wrong(file: str, code: str, **values: object) -> PlannerError:
    return PlannerError(say(code, file=file, **values))


def _reason(error: Exception) -> str:
    text = str(getattr(error, "strerror", None) or error)
    return text.splitlines()[0][:120] if text else type(error).__name__
