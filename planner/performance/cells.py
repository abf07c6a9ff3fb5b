"""The cells of a table of runs: numbers, and words as people write them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from planner.catalog.fabrics import BETWEEN, fabric_of
from planner.performance.columns import ALIASES, is_read, quoted
from planner.reading import wrong_at
from planner.units import PlannerError
from planner.words import Sentence, say

PRECISIONS = {
    "bf16": "bf16", "bfloat16": "bf16", "fp16": "fp16", "float16": "fp16", "16-bit": "bf16", "fp8": "fp8",
    "fp8-cs": "fp8", "fp8-ds": "fp8", "fp8-sc": "fp8", "fp8-mx": "mxfp8", "mxfp8": "mxfp8", "nvfp4": "nvfp4",
}  # fmt: skip
SHARDED = ("fsdp", "llm-foundry", "composer", "torchtitan")  # trainers that shard weights, too, unless told otherwise
ZERO = (  # first match wins; published tables write these in many ways, and spreadsheets have 3.0 for 3
    (re.compile(r"grad[- _]op|(zero|stage)[- _]?2(?!\d)|^2(\.0)?$"), 2),
    (re.compile(r"(?<![a-z])fsdp|hsdp|hybrid[- _]?shard|(zero|stage)[- _]?3(?!\d)|full[- _]shard|^3(\.0)?$"), 3),
    (re.compile(r"(zero|stage)[- _]?1(?!\d)|(?<![a-z])distributed|^1(\.0)?$"), 1),
    (re.compile(r"\bnone\b|(zero|stage)[- _]?0(?!\d)|^(0(\.0)?|ddp|no|no[- _]shard)$"), 0),
)
HYBRID = re.compile(r"hsdp|hybrid[- _]?shard")  # sharded within groups of ranks
RECOMPUTED = (
    (re.compile(r"^((none|no|not|without|false|off)\b|0(\.0)?$|$)"), 0),
    (re.compile(r"(?<![a-z])(select|partial)"), 1),
    (re.compile(r"(?<![a-z])(full|uniform|block|true|yes)|checkpoint|^1(\.0)?$"), 2),
)
NOT_STATED = frozenset(("", "nan", "n/a", "not stated", "unknown", "null", "-", "?"))
NOT_TEXT = "\N{REPLACEMENT CHARACTER}"  # what stands for bytes that are not UTF-8 in a table that was read
#: The most that is believed of a count; so much of each still multiplies within an int64, or a float, where it must.
MOST = {
    "tp": 10**6, "pp": 10**6, "vpp": 10**6, "cp": 10**6, "ep": 10**6, "gpus_per_node": 10**6, "n_layers": 10**5,
    "hidden": 10**6, "n_heads": 10**6, "n_kv_heads": 10**6, "head_dim": 10**6, "ffn": 10**7, "experts": 10**5,
    "top_k": 10**5,
}  # fmt: skip
MOST_OF_ANYTHING = 10**9
MOST_MEMORY_GB = 1e5
MOST_GBIT_PER_S = 1e6
MOST_TEXT = 200  # characters of a cell's words that are read
_FAST_LINKS = re.compile(r"nvlink|nvswitch|xgmi|infinity fabric|pcie", re.IGNORECASE)  # they are inside the node
_PARTS = re.compile(r";|,\s|\s[+/]\s|&|\band\b|\n", re.IGNORECASE)
_PER_SECOND = r"(bits?|bytes?|(?-i:[bB]))(\s*/\s*s|ps|\s+per\s+s)"
_RATE = re.compile(
    r"(?<![\d.,])(?<!\de)(?<!^-)((?:\d{1,3}\s*[x×*]\s*" + rf"(?:{BETWEEN}\s+)*)*)"
    r"(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)\s*"
    rf"([mgt])(?:[ie]ga|era)?-?(?:{_PER_SECOND}|(?<=g)(?-i:b(?:it)?|b?E|igE|)(?![a-z]))",  # the last are 100GbE, 400G
    re.IGNORECASE,
)
GENERATIONS = {"edr": 100, "hdr": 200, "ndr": 400, "xdr": 800}  # Gbit/s of an InfiniBand port
_GENERATION = re.compile(r"(\d{1,3})\s*[x×*]\s*(?:(?:ib|infiniband)\s+)?(edr|hdr|ndr|xdr)(\d{3})?\b", re.IGNORECASE)
_NO_NETWORK = re.compile(r"(none|no network)\b", re.IGNORECASE)
_RATE_MEANT = re.compile(rf"[mgt](?:[ie]ga|era)?-?{_PER_SECOND}", re.IGNORECASE)
_OF_EACH = re.compile(r"(?:/|\bper|\beach|\bevery|\ba)\s*(?:(gpu|accelerator|device|chip)|nic|port|rail|hca)")
_PORTS = re.compile(r"\b(\d{1,3})\s*(?:nic|port|rail|hca)s?\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Cells:
    """A row by its columns. An empty cell is not stated; `place` begins every complaint."""

    row: Mapping[str, str]
    place: str

    def refused(self, what: Sentence) -> PlannerError:
        """The error of this row: its place, and what is wrong."""
        return wrong_at(self.place, what)

    def text(self, key: str) -> str:
        """The cell of a column, or of another name of it; "" where that is empty or says that it is not stated.

        Raises
        ------
        PlannerError
            If two names of the column say different things.
        """
        return self.stated(key)[0] if key in ALIASES else self._own(key)

    def check_text(self) -> None:
        """Raise PlannerError if a cell that is read held bytes that are no text."""
        for name, value in self.row.items():
            if NOT_TEXT in str(value) and is_read(name):
                raise self.refused(say("cells.not_utf8", column=name, found=quoted(value)))

    def stated(self, key: str) -> tuple[str, str]:
        """What is stated of a column, whether it can be read or not, and under which of its names."""
        value, under = self._own(key), key
        for alias in ALIASES.get(key, ()):
            other = self._own(alias)
            if value and other and not _alike(key, value, other):
                both = {"column": under, "found": quoted(value), "alias": alias, "other": quoted(other)}
                raise self.refused(say("cells.differ", **both))
            value, under = (value, under) if value or not other else (other, alias)
        return value, under

    def _own(self, name: str) -> str:
        value = self.row.get(name)
        if value is None or value == "":
            return ""
        text = str(value).strip()
        return "" if text.lower() in NOT_STATED else text

    def number(self, key: str, most: float = float("inf")) -> float | None:
        """A number of zero or more, None where not stated."""
        text = self.text(key)
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            raise self.refused(say("cells.not_a_number", column=key, found=quoted(text))) from None
        if not math.isfinite(value) or value < 0:
            raise self.refused(say("cells.not_finite", column=key, found=quoted(text)))
        if value > most:
            raise self.refused(say("cells.too_large", column=key, found=quoted(text), most=most))
        return value

    def count(self, key: str, default: int, least: int = 1) -> int:
        """A whole number from `least` to the most believed of this column, `default` where not stated."""
        most = MOST.get(key, MOST_OF_ANYTHING)
        text = self.text(key)
        if not text:
            return default
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (least <= value <= most and value.is_integer()):
            raise self.refused(say("cells.not_whole", column=key, found=quoted(text), least=least, most=most))
        return int(value)

    def needed(self, key: str) -> int:
        """A whole number above zero."""
        found = self.count(key, 0)
        if not found:
            raise self.refused(say("cells.empty", column=key))
        return found

    def network_gbit_per_s(self, gpus_per_node: int) -> float | None:
        """What `interconnect` states of a node's network, None where it states no rate.

        "8 x 400 Gb/s InfiniBand", "400 Gb/s per GPU", "3.2 Tb/s", "100GbE"; links inside the node are not the network.
        `Gb` are bits and `GB` bytes. Where ports are stated without their number, each GPU is taken to have its own.
        """
        text = self.text("interconnect")[:MOST_TEXT]
        if _NO_NETWORK.match(text):
            return 0.0
        for part in _PARTS.split(text):
            fast = bool(_FAST_LINKS.search(part))
            if fast and fabric_of(part) == "unknown":
                continue
            found = next((m for m in _RATE.finditer(part) if not (fast and _is_bytes(m))), None)
            if found is None and _RATE_MEANT.search(part) and not fast:
                raise self.refused(say("cells.no_rate", column="interconnect", found=quoted(text)))
            rate = _node_gbit_per_s(found, part, gpus_per_node) if found else 0.0
            if rate > MOST_GBIT_PER_S:
                raise self.refused(
                    say("cells.too_fast", column="interconnect", found=quoted(text), most=MOST_GBIT_PER_S)
                )
            if found:
                return rate
            if named := _GENERATION.search(part):  # "8x NDR", "4 x InfiniBand HDR100"
                return int(named[1]) * float(named[3] or GENERATIONS[named[2].lower()])
        return None

    @property
    def precision(self) -> str:
        """The recipe by its name, else by the format that its words name: "BF16 mixed", "fp8 (hybrid)"."""
        text = self.text("precision").lower() or "bf16"
        found = [word for word in PRECISIONS if re.search(rf"(?<![a-z0-9]){word}(?![a-z0-9])", text)]
        named = {PRECISIONS[word] for word in found if not any(word in other and word != other for other in found)}
        if not named:
            raise self.refused(say("cells.precision", column="precision", found=quoted(text), known=list(PRECISIONS)))
        if len(named) > 1:
            raise self.refused(say("cells.precisions", column="precision", found=quoted(text), named=sorted(named)))
        return named.pop()

    @property
    def recompute(self) -> int:
        """The code of RECOMPUTE; 0 where not stated."""
        return self._understood("recompute", RECOMPUTED, ("none", "selective", "full"))

    def release(self, framework: str) -> str:
        """The release as stated; GPT-NeoX's as its table has it: "v1.0" and "1.0.0" are 1.0."""
        text = self.text("version_or_date")
        plain = (
            re.fullmatch(r"v?(\d+\.\d+(?:\.\d+)*?)(?:\.0)*", text[:MOST_TEXT], re.IGNORECASE)
            if "neox" in framework
            else None
        )
        return plain[1] if plain else text

    def zero_stage(self, framework: str) -> int:
        """The ZeRO stage stated; unstated: what FSDP is, and what the others mostly run with."""
        if not self.text("zero_or_fsdp"):
            return 3 if any(name in framework for name in SHARDED) else 1
        return self._understood("zero_or_fsdp", ZERO, ("none", "zero-1", "zero-2", "zero-3", "fsdp", "hsdp"))

    @property
    def names_no_group(self) -> bool:
        """Whether states are said to be sharded within groups, of a size that is not stated."""
        return bool(HYBRID.search(self.text("zero_or_fsdp").lower())) and not self.text("shard_group")

    def _understood(self, key: str, patterns: Sequence[tuple[re.Pattern[str], int]], known: Sequence[str]) -> int:
        """What the first pattern that the text holds stands for."""
        text = self.text(key).lower()
        meaning = _meaning(text, patterns)
        if meaning is None:
            raise self.refused(say("cells.not_understood", column=key, found=quoted(text), known=known))
        return meaning


def unplaced(why: str) -> str:
    """What is said of a row, without the place that stands before what could not be read."""
    return why.values["what"] if isinstance(why, Sentence) and why.code == "reading.at" else why


def _meaning(text: str, patterns: Sequence[tuple[re.Pattern[str], int]]) -> int | None:
    return next((meaning for pattern, meaning in patterns if pattern.search(text)), None)


def _alike(key: str, one: str, other: str) -> bool:
    """Whether two texts say the same in a column: as words, as numbers, or as the ZeRO stage that they mean."""
    if one.lower() == other.lower():
        return True
    if key == "zero_or_fsdp":
        stages = [_meaning(text.lower(), ZERO) for text in (one, other)]
        return stages[0] is not None and stages[0] == stages[1]
    try:
        return float(one) == float(other)
    except ValueError:
        return False


def _node_gbit_per_s(found: re.Match[str], part: str, gpus_per_node: int) -> float:
    """A node's rate from a match of _RATE and the words up to the next."""
    following = _RATE.search(part, found.end())
    rest = part[found.end() : following.start() if following else None].lower()
    times = [int(n) for n in re.findall(r"(\d+)\s*[x×*]", found[1])]
    if not times and (behind := re.match(r"[^\d]*?[x×*]\s*(\d{1,3})\b", rest)):  # "400 Gb/s x 8"
        times = [int(behind[1])]
    rate = float(found[2].replace(",", "")) * {"m": 1e-3, "g": 1.0, "t": 1e3}[found[3].lower()]
    rate *= math.prod(times) * (8 if _is_bytes(found) else 1)
    each = _OF_EACH.search(rest)
    if each is None or gpus_per_node in times or (times and not each[1]):  # "8 x 400 Gb/s per GPU" has counted them
        return rate
    ports = None if each[1] else _PORTS.search(part)
    return rate * (int(ports[1]) if ports else gpus_per_node)


def _is_bytes(found: re.Match[str]) -> bool:
    """Whether the rate counts bytes: a capital B, unless all of it is capitals (25 GBPS)."""
    unit = found[4] or "b"
    return unit.lower().startswith("byte") or (unit == "B" and found[5] != "PS")
