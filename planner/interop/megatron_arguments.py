"""Megatron-LM arguments, out of a launch script.

Names are those of Megatron-LM's megatron/training/arguments.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from planner.interop.files import shown, whole
from planner.interop.key_kinds import Kinds, by_name, table_of_keys
from planner.interop.megatron_launch import Launch, launch_of, slurm_environment
from planner.interop.shell import Script, read_script
from planner.interop.shell_words import unresolved
from planner.units import PlannerError
from planner.words import say

_TABLE = table_of_keys("megatron")
ALIASES: Mapping[str, str] = _TABLE["aliases"]  # names of other years and forks
#: Options that decide what is trained, how it is laid out, what memory holds or how long it runs, and are not read.
DECIDING = by_name(_TABLE["deciding"])
_PYTHONS_NUMBER = re.compile(r"(?:--[\w-]+=)?-?\d{1,15}(?:_\d{1,15}){1,8}")  # 300_000_000
GROUPED = ("num-attention-heads-kv", "num-key-value-heads", "n-head-kv")  # forks whose groups need no switch
NO_DECODERS = re.compile(
    r"(?:^|/)(?:(?:pretrain|finetune|train|posttrain)_\w*(?:bert|t5|vision|ict|retro|mamba|hybrid|vlm|vl|llava|clip|omni"
    r"|biencoder)\w*|(?:multimodal|retro|vision|bert|t5|mamba)/(?:\w+/)*(?:pre|fine)?(?:train|tune)\w*)\.py$"
)
NO_TRAINING = re.compile(
    r"(?:^|/)\w*(?:generat|inference|evaluat|convert|checkpoint_util|preprocess|merge_|server|embeddings|memory_usage"
    r"|theoretical_memory|quantiz|export|prompt|zeroshot|benchmark)\w*\.py$|(?:^|/)(?:tools|tasks)/(?:\w+/)*\w+\.py$"
)
HYBRID = ("is-hybrid-model", "hybrid-override-pattern", "hybrid-layer-pattern", "hybrid-attention-ratio")
# Files that a script reads to find its programs, and that set nothing of a run.
ACTIVATES = re.compile(
    r"(?:^|/)(?:activate|set_?env\.sh|setvars\.sh|\.?(?:bash_)?(?:rc|profile|bashrc)|conda\.sh|modules?\.sh|init/\w+)$"
    r"|^/(?:etc|opt|usr)/|^(?:activate|conda)\b|/conda|ascend-toolkit"
)
# Files that may set anew what a script assigned before; others (BigScience's start-prod) set up a cluster's account.
SETS = re.compile(r"\.(?:sh|bash|conf|cfg|env|inc|args)$|conf|param|arg|model|hyper|setting", re.IGNORECASE)
# Programs of other tools, by the codes of what these are and what to import of them.
OTHERS: Mapping[str, str] = _TABLE["others"]


#: Options that are read and whose words decide nothing by themselves: files, and what a vocabulary's size is known by.
PATHS = frozenset(
    {"data-path", "train-data-path", "split", "deepspeed-config", "tokenizer-type", "vocab-file", "merge-file"}
)


@cache
def known_options() -> frozenset[str]:
    """All names that Megatron-LM or a fork of it has or had (megatron_options.txt says which, and its sources)."""
    text = files("planner.interop").joinpath("megatron_options.txt").read_text(encoding="utf-8")
    elsewhere: frozenset[str] = _TABLE["elsewhere"]
    return elsewhere | {line.split()[0] for line in text.splitlines() if line and not line.startswith("#")}


def option_kinds(tool: str = "Megatron-LM", prefix: str = "--") -> Kinds:
    """The kinds of a tool's options beside those that are read, which have Megatron-LM's names."""
    return Kinds(tool, known_options(), DECIDING, prefix)


@dataclass
class Arguments:
    """Arguments by name without dashes; a flag has no values. Later ones win, as in argparse."""

    name: str
    values: dict[str, list[str]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    remarks: list[str] = field(default_factory=list)
    uncertain: list[str] = field(default_factory=list)  # what the script leaves open and the answer turns on: warnings
    entry: str = ""  # the program: pretrain_gpt.py
    underscored: bool = False  # written --num_layers, which of Megatron-LM's forks epfLLM's alone takes
    launch: Launch = field(default_factory=Launch)
    files: dict[str, str] = field(default_factory=dict)  # what the script writes: ds_config.json
    other_branch: dict[str, list[str]] | None = None  # values where conditions that nobody knows go the other way
    runs: list[dict[str, list[str]]] = field(default_factory=list)  # values of the script's other runs
    script: str = ""  # the text itself
    unread: list[str] = field(default_factory=list)  # files that it reads and that are not at hand

    def flag(self, name: str) -> bool:
        self.used.add(name)
        return name in self.values

    def text(self, name: str, default: str) -> str:
        """The word that an option has; `default` where only running the script would tell it (`left_open` says so)."""
        self.used.add(name)
        values = self.values.get(name)
        return default if not values or unresolved(values[0]) and name not in PATHS else values[0]

    @property
    def left_open(self) -> list[str]:
        """Sentences on what was read as if not given, since only running the script would tell its value."""
        names = sorted(self.used - PATHS)
        return [
            say("megatron_arguments.left_open", option=f"--{name}", value=shown(value))
            for name in names
            if (value := next((v for v in self.values.get(name, []) if unresolved(v)), None)) is not None
        ]

    def number(self, name: str, default: int | None = None, least: int = 1) -> int:
        self.used.add(name)
        values = self.values.get(name)
        if not values:
            if default is None:
                raise PlannerError(say("megatron_arguments.required", file=self.name, name=name))
            return default
        if "$" in values[0] or "`" in values[0]:
            where = self._line_of(name, values[0])
            unread = say("megatron_arguments.reads", file=shown(self.unread[0])) if self.unread else ""
            raise PlannerError(
                say(
                    "megatron_arguments.open_number",
                    file=self.name,
                    line=where,
                    name=name,
                    value=shown(values[0]),
                    unread=unread,
                )
            )
        return whole(values[0], f"--{name} ({self.name})", least)

    def _line_of(self, name: str, value: str) -> str:
        """`:12` for the line of the script that says a value, else of the one that has the option; "" for none."""
        at = max(self.script.find(value), self.script.find(value[:16]))
        if at < 0:
            found = re.search(rf"--{re.escape(name).replace('-', '[-_]')}[ =]", self.script)
            at = found.start() if found else -1
        return f":{self.script.count(chr(10), 0, at) + 1}" if at >= 0 else ""

    def optional(self, name: str, least: int = 1) -> int | None:
        return self.number(name, least=least) if self.values.get(name) else None

    def origin(self, *names: str) -> str:
        return ", ".join(
            f"--{name}, {self.name}" if name in self.values else f"default of --{name} in Megatron-LM" for name in names
        )


def read_arguments(
    text: str, name: str, given: Sequence[str] = (), read_file: Callable[[str], str | None] = lambda _: None
) -> Arguments:
    """The arguments of the command that has most of them, and what launches it.

    Where only running the script would tell which way a condition goes, the first way is taken, and `other_branch`
    holds what the arguments are the other way. `read_file` is that of `read_script`.

    Raises
    ------
    PlannerError
        If no command of the script has Megatron-LM's arguments.
    """
    shortened = shown(name, 80)
    environment = slurm_environment(text)
    script = read_script(text, shortened, given, environment=environment, read_file=read_file)
    found, others = _chosen(script, shortened, environment)
    if script.unsure:
        other = read_script(text, shortened, given, environment=environment, assume=False, read_file=read_file)
        try:
            found.other_branch = _chosen(other, shortened, environment)[0].values
        except PlannerError:  # that way it starts nothing
            found.other_branch = None
    found.runs = [other for other in others if other != found.values]
    found.script = text
    # Files that are not at hand: a warning where they may set what was read, else a remark.
    found.unread = [file for file in script.unread if not ACTIVATES.search(file)]
    for file in found.unread:
        said = say("megatron_arguments.unread", file=shown(file))
        (found.uncertain if script.unread[file] and SETS.search(file) else found.remarks).append(said)
    return found


def _chosen(script: Script, name: str, environment: Mapping[str, str]) -> tuple[Arguments, list[dict[str, list[str]]]]:
    """The arguments of the command that has most, and those of the others that train something."""
    # Commands first; then variables, for scripts that start a command kept in one, or that hold arguments alone.
    kept = [[word for part in value for word in part.split()] for value in script.variables.values()]
    commands = [line for line in script.commands if _trains(line)]
    if not commands:  # ssh node "cd x; torchrun …"
        texts = [word for line in script.commands for word in line if " " in word and "--" in word]
        inner = [read_script(word, name, environment=environment).commands for word in texts[:20]]
        commands = [line for lines in inner for line in lines if _trains(line)]
    candidates = commands or [line for line in kept if _trains(line)]
    words = max(candidates, key=lambda line: sum(word.startswith("--") for word in line), default=[])
    if not words:
        raise PlannerError(say("megatron_arguments.no_command", name=name, instead=_instead(script)))
    entry = _entry(words)
    found = Arguments(name, _values(words[entry + 1 :]))
    found.files = script.files
    found.underscored = any(word.startswith("--num_") for word in words[entry + 1 :])
    found.entry = words[entry] if entry >= 0 else ""
    found.launch = launch_of(words[: entry + 1], [*script.commands, *kept], environment)
    _no_other_model(found, words[: entry + 1])
    return found, [_values(line[_entry(line) + 1 :]) for line in commands if line is not words]


def _instead(script: Script) -> str:
    """Which other tool a script starts, for those that are often met."""
    started = {word.rsplit("/", 1)[-1] for line in script.commands for word in line}
    tool = next((tool for program, tool in OTHERS.items() if program in started), "")
    if tool:
        return say("megatron_arguments.starts", tool=say(f"other_tools.{tool}"))
    scripts = sorted(word for word in started if re.fullmatch(r"[\w.-]+\.(?:sh|bash|sbatch|slurm)", word))
    return say("megatron_arguments.starts_script", script=shown(scripts[0])) if scripts else ""


def _trains(words: list[str]) -> bool:
    return bool(words) and words[0] not in ("echo", "printf") and any(_is_mark(word) for word in words)


def _is_mark(word: str) -> bool:
    return word.split("=")[0].replace("_", "-") in ("--num-layers", "--hidden-size", "--micro-batch-size")


def _entry(words: list[str]) -> int:
    """Where the program stands whose arguments these are: the last .py before them (or -1)."""
    first = next((at for at, word in enumerate(words) if _is_mark(word)), 0)
    programs = [at for at, word in enumerate(words[:first]) if word.endswith(".py")]
    modules = [at + 1 for at, word in enumerate(words[:first]) if word == "-m" and "distributed" not in words[at + 1]]
    return max([*programs, *modules], default=-1)


def _values(words: list[str]) -> dict[str, list[str]]:
    """Arguments by name, as Megatron-LM calls them now."""
    found: dict[str, list[str]] = {}
    current: str | None = None
    for written_word in words:
        word = re.sub(r"(?<=\d)_(?=\d)", "", written_word) if _PYTHONS_NUMBER.fullmatch(written_word) else written_word
        if re.match(r"--[A-Za-z]", word):
            key, equals, value = word[2:].partition("=")
            written = key.replace("_", "-")
            current = ALIASES.get(written, written)
            if written in GROUPED:
                found["group-query-attention"] = []
            found[current] = [value] if equals else []
        elif current is not None:
            found[current].append(word)
    return found


def _no_other_model(found: Arguments, words: list[str]) -> None:
    """Refuse what is no decoder of attention and MLP layers.

    Raises
    ------
    PlannerError
        For encoders, encoder-decoders, models of images, and models with Mamba layers.
    """
    entry = next((match for word in words if (match := NO_DECODERS.search(word))), None)
    if entry is not None:
        raise PlannerError(say("megatron_arguments.no_decoder", file=found.name, program=shown(entry[0].strip("/"))))
    tool = next((word for word in words if NO_TRAINING.search(word)), None)
    if tool is not None and entry is None:
        raise PlannerError(say("megatron_arguments.no_training", file=found.name, program=shown(tool)))
    hybrid = next((name for name in HYBRID if name in found.values), None)
    if hybrid is not None:
        raise PlannerError(say("megatron_arguments.mamba", file=found.name, option=hybrid))
