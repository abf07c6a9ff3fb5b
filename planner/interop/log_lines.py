"""Training-log lines of GPT-NeoX and Megatron-LM, found and read in blocks of bytes by array operations.

A line counts when it has `iteration N/M |` and, after it, `elapsed time per iteration (ms): T |`, both whole: a line
cut by the end of a file never counts. Prefixes, other text on the line and lines in between do not matter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.performance.arrays import BoolArray, FloatArray, IntArray

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]
REACH = 512  # bytes from `iteration N/M` to the elapsed time, at most
PAD = 64  # bytes around the text that may be read, and that must be line ends
_WIDTH = 16  # bytes of an elapsed time with its ` |`
_COUNT = 8  # bytes of N and of M as both programs print them; longer ones are read one by one


def _word(text: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(text, "little"))


_ITERATIO, _N_MS = _word(b"iteratio"), _word(b"n (ms): ")
_ONES, _ZEROS, _NINES, _POINTS = (np.uint64(0x0101010101010101 * n) for n in (1, 0x30, 0x76, 0x2E))
_HIGH, _FILL = np.uint64(0x8080808080808080), np.uint64(0x1010101010101010)
_PAIRS, _QUADS, _HALF = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0000FFFF0000FFFF), np.uint64(0xFFFFFFFF)
# Row p: the weight of each character of a number whose point is at p (thousandths are more than either program prints).
_WEIGHTS = np.array(
    [
        [10.0 ** (p - 1 - j) if j < p else 0.0 if j == p else 10.0 ** (p - j) for j in range(_WIDTH)]
        for p in range(_WIDTH)
    ]
)


@dataclass(frozen=True, slots=True)
class Found:
    """Records of one block. `position` is where each record's anchor stands in it; arrays of one shape (n,)."""

    iteration: IntArray
    total: IntArray
    step_s: FloatArray
    position: IntArray
    distance: int = 0  # from slash to anchor, a guess for the next block


def find_records(text: Bytes, begin: int, end: int, distance: int = 0) -> Found:
    """All whole records of text[begin:end], in order.

    Parameters
    ----------
    text : bytes; PAD of them before `begin` and after `end` can be read. ANSI sequences are removed.
    begin, end : the part to look at; best cut at line ends
    distance : bytes between the slash of `iteration N/M` and the bracket of `(ms)` in the block before
    """
    words: Words = np.ndarray((len(text) - 7,), dtype="<u8", buffer=text.data, strides=(1,))
    anchors = np.flatnonzero(text[begin:end] == ord("(")) + begin
    if len(anchors):
        anchors = anchors[(words[anchors - 2] == _N_MS) & (words[anchors - 10] == _ITERATIO)]
    if not len(anchors):
        return _none(distance)
    milliseconds, whole = _elapsed(text, words, anchors)
    anchors, milliseconds = anchors[whole], milliseconds[whole]
    newlines = np.flatnonzero(text[begin:end] == ord("\n")) + begin
    line = np.searchsorted(newlines, anchors)
    starts = np.where(line > 0, newlines[np.maximum(line - 1, 0)] + 1 if len(newlines) else begin, begin)
    slashes, iteration, total, ok = _counts(text, words, anchors, starts, distance)
    first = np.diff(slashes, prepend=-1) != 0  # one elapsed time for one iteration
    keep = ok & first & (milliseconds > 0)
    if not keep.any():
        return _none(distance)
    return Found(
        iteration[keep],
        total[keep],
        milliseconds[keep] / 1e3,
        anchors[keep],
        int(anchors[keep][-1] - slashes[keep][-1]),
    )


def _none(distance: int) -> Found:
    empty = np.zeros(0, dtype=np.int64)
    return Found(empty, empty, np.zeros(0), empty, distance)


def _elapsed(text: Bytes, words: Words, anchors: IntArray) -> tuple[FloatArray, BoolArray]:
    """The numbers after `(ms): `, and whether each is whole: digits, at most one point, and then ` |`.

    Both programs print tenths, which are read in one word where they fit; all others are read character by character.
    """
    anchors = _past_spaces(text, anchors)
    word = words[anchors + 6]
    other = word ^ _POINTS
    hit = (other - _ONES) & ~other & _HIGH  # its lowest bit is in the first point (Warren 2013, section 6-1)
    point = (np.bitwise_count((hit & (~hit + np.uint64(1))) - np.uint64(1)) >> 3).astype(np.uint64)  # 8: none
    point = np.clip(point, 1, 6)
    bits = point << np.uint64(3)
    before, numeric = _eight((word << (np.uint64(64) - bits)) | (_ZEROS >> bits))
    tenths = ((word >> (bits + np.uint64(8))) & np.uint64(0xFF)) - np.uint64(48)
    end = anchors + 7 + point.astype(np.int64)
    easy = numeric & (tenths <= 9) & (text[end - 1] == ord("."))
    easy &= (text[end + 1] == ord(" ")) & (text[end + 2] == ord("|"))
    value, whole = before + tenths / 10.0, easy
    odd = np.flatnonzero(~easy)
    if len(odd):
        value[odd], whole[odd] = _elapsed_by_character(text, anchors[odd])
    return value, whole


def _past_spaces(text: Bytes, anchors: IntArray) -> IntArray:
    """The anchors moved on by the spaces, at most eight, before their numbers."""
    if (text[anchors + 6] == ord(" ")).any():
        for _ in range(_COUNT):
            anchors = anchors + (text[anchors + 6] == ord(" "))
    return anchors


def _elapsed_by_character(text: Bytes, anchors: IntArray) -> tuple[FloatArray, BoolArray]:
    cells = text[(anchors + 6)[:, None] + np.arange(_WIDTH)]
    length = np.argmax((cells == ord(" ")) | (cells == ord("/")), axis=1)  # Primus: `T/mean |`
    point = np.argmax(cells == ord("."), axis=1)
    point = np.where((point == 0) | (point > length), length, point)
    inside = np.arange(_WIDTH) < length[:, None]
    digits = cells - np.uint8(48)
    odd = (digits > 9) & inside & (np.arange(_WIDTH) != point[:, None])
    value = (digits * (_WEIGHTS[point] * inside)).sum(axis=1)
    rows = np.arange(len(anchors))
    closed = (cells[rows, np.minimum(length + 1, _WIDTH - 1)] == ord("|")) | (cells[rows, length] == ord("/"))
    return value, (length > 0) & closed & ~odd.any(axis=1)


def _counts(
    text: Bytes, words: Words, anchors: IntArray, starts: IntArray, distance: int
) -> tuple[IntArray, IntArray, IntArray, BoolArray]:
    """For each anchor: the slash of `iteration N/M |` before it on its line, N, M, and whether there is one."""
    slashes = np.maximum(anchors - max(distance, _COUNT + 1), PAD)
    iteration, named = _padded(words, slashes - _COUNT)
    total, numeric = _padded(words, slashes + 1)
    ok = named & numeric & (text[slashes] == ord("/")) & (slashes - 18 >= starts)
    ok &= (words[np.maximum(slashes - 18, 0)] == _ITERATIO) & (text[slashes - 10] == ord("n"))
    ok &= (text[slashes - 9] == ord(" ")) & (text[slashes + 9] == ord(" ")) & (text[slashes + 10] == ord("|"))
    for i in np.flatnonzero(~ok):
        found = _search(text, int(max(starts[i], anchors[i] - REACH)), int(anchors[i]))
        if found is not None:
            slashes[i], iteration[i], total[i] = found
            ok[i] = True
    return slashes, iteration, total, ok


def _padded(words: Words, at: IntArray) -> tuple[IntArray, BoolArray]:
    """Numbers of eight characters, filled with spaces from the left, and whether they are such.

    All eight digits of a 64-bit word are checked and added up at once (D. Lemire 2022, "Parsing 8 digits").
    """
    raw = words[at]
    last = raw >> np.uint64(56)
    value, numeric = _eight(raw | _FILL)  # a space becomes a zero
    return value, numeric & (last >= 48) & (last <= 57)


def _eight(word: Words) -> tuple[IntArray, BoolArray]:
    """Numbers of eight digits, the first in the lowest byte, and whether they are such."""
    numeric = (((word + _NINES - _ZEROS) | (word - _ZEROS)) & _HIGH) == 0
    word = word - _ZEROS
    word = (word * np.uint64(10) + (word >> np.uint64(8))) & _PAIRS
    word = (word * np.uint64(100) + (word >> np.uint64(16))) & _QUADS
    word = (word * np.uint64(10_000) + (word >> np.uint64(32))) & _HALF
    return word.astype(np.int64), numeric


def _search(text: Bytes, begin: int, end: int) -> tuple[int, int, int] | None:
    """The last `iteration N/M |` in text[begin:end] whatever its width: place of its slash, N, M."""
    import re

    last = None
    for found in re.finditer(rb"iteration {1,10}(\d{1,15})/ {0,10}(\d{1,15}) \|", text[begin:end].tobytes()):
        last = found
    return None if last is None else (begin + last.end(1), int(last[1]), int(last[2]))
