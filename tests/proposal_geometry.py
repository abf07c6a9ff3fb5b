"""What a drawing of a proposal covers, read back from its SVG: boxes of its labels, and its lines, dots and bars."""

from __future__ import annotations

import itertools
import re

from planner.report.proposal.svg import WIDTH, Box, Picture, box_of, crosses, overlap

SLACK = 1.0  # letters do not fill their boxes to the edge


def faults(picture: Picture) -> list[str]:
    """Labels that stand on each other, on a line, a dot or a bar, or beyond the edge; the grid is no fault."""
    boxes = [(label.text, shrunk(box_of(label))) for label in picture.labels if label.text]
    out = [f"{a} | {b}" for (a, one), (b, two) in itertools.combinations(boxes, 2) if overlap(one, two) > 0]
    strokes, shapes = drawn(picture)
    for text, box in boxes:
        out += [f"{text} on a line" for stroke in strokes if crosses(box, stroke)]
        out += [f"{text} on a shape" for shape in shapes if overlap(box, shape) > 0]
        if box[0] < -SLACK or box[2] > WIDTH + SLACK or box[1] < -SLACK or box[3] > picture.height + SLACK:
            out.append(f"{text} beyond the edge")
    return out


def shrunk(box: Box) -> Box:
    return box[0] + SLACK, box[1] + SLACK, box[2] - SLACK, box[3] - SLACK


def drawn(picture: Picture) -> tuple[list[tuple[float, float, float, float]], list[Box]]:
    strokes: list[tuple[float, float, float, float]] = []
    for kind, path in re.findall(r'<path class="(\S+)-line" d="([^"]*)"', picture.shapes):
        points = [tuple(map(float, at.split())) for at in re.findall(r"[ML]([-\d.]+ [-\d.]+)", path)]
        if kind != "grid":
            strokes += [(*a, *b) for a, b in itertools.pairwise(points)]
    shapes: list[Box] = []
    for found in re.findall(r'<rect class="\S+" x="(\S+)" y="(\S+)" width="(\S+)" height="(\S+)"', picture.shapes):
        x, y, wide, high = map(float, found)
        shapes.append((x, y, x + wide, y + high))
    for found in re.findall(r'<circle class="\S+" cx="(\S+)" cy="(\S+)" r="(\S+)"', picture.shapes):
        x, y, radius = map(float, found)
        shapes.append((x - radius, y - radius, x + radius, y + radius))
    return strokes, shapes
