"""How many GPUs a launch line asks for: torchrun, DeepSpeed's launcher, MindSpore's, mpirun, Slurm."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

_SHORT = {"-N": "nodes", "-n": "ntasks", "-np": "ntasks", "-G": "gpus", "-i": "include"}
_COUNTS = {  # names for processes a node and for nodes
    "nproc-per-node": "each", "num-gpus": "each", "nnodes": "nodes", "nnode": "nodes", "num-nodes": "nodes",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Launch:
    """GPUs that a launch line starts (None: only running it would tell), and the words that say so."""

    gpus: int | None = None
    origin: str = ""


def slurm_environment(text: str) -> dict[str, str]:
    """What Slurm sets for a script with these `#SBATCH` lines: SLURM_NNODES and its like."""
    stated = _options([word for line in re.findall(r"^#SBATCH\s+(\S.*)$", text, re.MULTILINE) for word in line.split()])
    nodes, tasks, each = (_number(stated.get(name, "")) for name in ("nodes", "ntasks", "ntasks-per-node"))
    gpus = next((n for name in ("gpus-per-node", "gres") if (n := _number(stated.get(name, "").split(":")[-1]))), None)
    if nodes is None and tasks is not None and each:
        nodes = tasks // each
    if nodes is not None and tasks is None and each is not None:
        tasks = nodes * each
    found = {
        "SLURM_NNODES": nodes, "SLURM_JOB_NUM_NODES": nodes, "SLURM_NTASKS": tasks, "SLURM_NPROCS": tasks,
        "SLURM_NTASKS_PER_NODE": each, "SLURM_TASKS_PER_NODE": each,
        "SLURM_GPUS_PER_NODE": gpus, "SLURM_GPUS_ON_NODE": gpus,
    }  # fmt: skip
    listed = {"SLURM_JOB_NODELIST": "nodes", "SLURM_NODELIST": "nodes"} if nodes else {}
    return {key: str(value) for key, value in found.items() if value is not None} | listed


def launch_of(words: Sequence[str], lines: Sequence[Sequence[str]], environment: Mapping[str, str]) -> Launch:
    """The GPUs of a launch line: the words up to the program, then launchers that the script keeps apart.

    Parameters
    ----------
    words : the launch line up to the program
    lines : all commands and variables of the script, where a launcher may stand that only running would join
    environment : what Slurm sets (`slurm_environment`)
    """
    stated = _options(words)
    names = [word.rsplit("/", 1)[-1] for word in words]
    if (workers := _number(stated.get("worker-num", ""))) is not None:
        return Launch(workers, "--worker_num")
    counted = any(_COUNTS.get(name) == "each" for name in stated)
    if counted or "torchrun" in names or "torch.distributed.launch" in names or "torch.distributed.run" in names:
        return _counted(stated, deepspeed="deepspeed" in names)
    if "deepspeed" in names:
        # `--include host:0,1@host2:0,1` of DeepSpeed's launcher
        hosts = stated.get("include", "").split("@")
        counts = [len(host.partition(":")[2].split(",")) for host in hosts if re.fullmatch(r"[^:$]+:\d+(,\d+)*", host)]
        return Launch(sum(counts), "--include") if counts and len(counts) == len(hosts) else Launch()
    for launcher in ("mpirun", "mpiexec"):
        if launcher in names and (tasks := _number(stated.get("ntasks", ""))) is not None:
            return Launch(tasks, f"{launcher} -n")
    if "srun" in names:
        # Tasks, one a GPU.
        tasks = _number(stated.get("ntasks", ""))
        nodes = _number(stated.get("nodes", environment.get("SLURM_NNODES", "")))
        each = _number(stated.get("ntasks-per-node", environment.get("SLURM_NTASKS_PER_NODE", "")))
        if tasks is None and nodes is not None and each is not None:
            tasks = nodes * each
        return Launch() if tasks is None else Launch(tasks, "tasks of srun, one a GPU")
    apart = [line for line in lines if any(word.lstrip("-").replace("_", "-") in _COUNTS for word in line)]
    return next((launch for line in apart if (launch := _counted(_options(line))).gpus is not None), Launch())


def _counted(stated: Mapping[str, str], *, deepspeed: bool = False) -> Launch:
    each = next((stated[name] for name, kind in _COUNTS.items() if kind == "each" and name in stated), "1")
    nodes = next((stated[name] for name, kind in _COUNTS.items() if kind == "nodes" and name in stated), None)
    if nodes is None and deepspeed and "hostfile" in stated:
        return Launch()
    one, many = _number(each), _number("1" if nodes is None else nodes)
    return Launch() if one is None or many is None else Launch(one * many, f"{many} nodes x {one} processes")


def _options(words: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for word, following in pairwise([*words, ""]):
        name, equals, value = word.partition("=")
        if name in _SHORT or name.startswith("--"):
            key = _SHORT.get(name, name[2:].replace("_", "-"))
            found[key] = value if equals else following
        elif short := re.fullmatch(r"(-[NnG])(\d+)", word):
            found[_SHORT[short[1]]] = short[2]
    return found


def _number(text: str) -> int | None:
    """A positive whole number, such as "8" (or the first of Slurm's range, "4-8")."""
    found = re.fullmatch(r"\s*(\d{1,8})(?:-\d{1,8})?\s*", text)
    return int(found[1]) if found and int(found[1]) > 0 else None
