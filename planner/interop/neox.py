"""GPT-NeoX configs into a scenario: layout, batch, data and length as GPT-NeoX solves them.

Source of every default and rule: EleutherAI/gpt-neox ea7aefd, megatron/neox_arguments and megatron/data.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from planner.interop.config_datasets import indexed_data, named_index
from planner.interop.files import read_yaml, whole
from planner.interop.imported import Imported, Taken, data_given, model_taken
from planner.interop.name_sizes import size_warning
from planner.interop.neox_batch import Batch, smallest_world, solve_batch, train_iterations
from planner.interop.neox_conditions import neox_conditions, neox_precision
from planner.interop.neox_config import Config, merge
from planner.interop.neox_kinds import neox_kinds
from planner.interop.neox_model import neox_model
from planner.interop.neox_optimizer import neox_optimizer
from planner.units import PlannerError
from planner.words import say

_ENDING = re.compile(r"\.(ya?ml|json)$", re.IGNORECASE)


def import_neox(
    paths: Sequence[Path],
    *,
    gpus: int | None = None,
    vocab: int | None = None,
    samples: int | None = None,
    tokens: int | None = None,
) -> Imported:
    """A scenario from one or more GPT-NeoX config files, merged in order.

    Parameters
    ----------
    paths : the files, as given to deepy.py
    gpus : the world size, which configs seldom state
    vocab : entries of the tokenizer, where its name does not say
    samples, tokens : of one epoch of the data, where the config's own index is not at hand

    Raises
    ------
    PlannerError
        Where GPT-NeoX itself would stop, in its terms, or where something needed is in none of the files.
    """
    documents = [read_yaml(path) for path in paths]
    config = merge(documents)
    model, origins = neox_model(config, documents[0].path.stem if documents else "imported", vocab)
    taken = [Taken("name", " + ".join(_ENDING.sub("", d.name) for d in documents), "")]
    taken += model_taken(model, origins, "GPT-NeoX's own")
    world, batch = neox_layout_batch(config, gpus)
    taken += _data(config, batch, samples, tokens)
    taken += _training(config, batch)
    taken += neox_conditions(config, model.layers)
    taken += neox_optimizer(config)
    taken += _layout(config, world, batch)
    _say_own_length(config, batch, samples)
    said = neox_kinds(config)
    size = size_warning(model, [_ENDING.sub("", document.path.name) for document in documents])
    if size:
        config.warnings.append(say("reading.at", file=documents[0].name, what=size))
    return Imported(
        tool="gpt-neox",
        files=tuple(d.name for d in documents),
        model=model,
        taken=tuple(taken),
        unused=said.unused,
        warnings=tuple(dict.fromkeys((*config.warnings, *said.warnings))),
        remarks=tuple(dict.fromkeys(config.remarks)),
        extras={"world": world, "batch": batch},
    )


def world_size(config: Config, gpus: int | None) -> int | None:
    """GPUs: the caller's word, global_num_gpus, or num_gpus x num_nodes; None if the files do not say."""
    if gpus is not None:
        return whole(gpus, "--gpus")
    if config.has("global_num_gpus"):
        return config.integer("global_num_gpus", least=1)
    nodes = config.values.get("num_nodes")
    if config.has("num_gpus") and isinstance(nodes, int) and nodes > 0:
        return config.integer("num_gpus", least=1) * nodes
    return None


def neox_layout_batch(config: Config, gpus: int | None) -> tuple[int | None, Batch | None]:
    """World size and batch, solved as GPT-NeoX does; either is None where the files leave it open.

    Raises
    ------
    PlannerError
        Where the batch keys cannot agree on any number of GPUs, or not on the given one.
    """
    pp, mp = config.value("layout.pp"), config.value("layout.tp")
    train, micro = config.optional("train_batch_size"), config.optional("train_micro_batch_size_per_gpu")
    key = "gradient_accumulation_steps"
    gas = None if key in config.values and config.values[key] is None else config.integer(key, 1)
    world = world_size(config, gpus)
    if world is not None:
        return world, solve_batch(world, pp, mp, train, micro, gas)
    if train is None and micro is None:
        config.remarks.append(say("neox.no_batch"))
        return None, None
    if train is not None and micro is not None and gas is not None:
        world = smallest_world(pp, mp, train, micro, gas)
        if world is None:
            code = "neox.no_world" if config.has(key) else "neox.no_world_by_default"
            raise PlannerError(say(code, batch=train, micro=micro, steps=gas))
        config.remarks.append(say("neox.one_world", gpus=world))
        return world, solve_batch(world, pp, mp, train, micro, gas)
    config.remarks.append(say("neox.no_gpus"))
    return None, None


def _data(config: Config, batch: Batch | None, samples: int | None, tokens: int | None) -> list[Taken]:
    seq = config.optional("seq_length", least=1) or config.integer("max_position_embeddings", least=1)
    limit = config.optional("max_position_embeddings", least=1)
    if limit is not None and limit < seq:
        raise PlannerError(say("neox.too_long", limit=limit, length=seq))
    length = Taken(
        "data.seq_length", seq, config.origin("seq_length" if config.has("seq_length") else "max_position_embeddings")
    )
    if (given := data_given(samples, tokens)) is not None:
        return [given, length]
    iterations = config.optional("train_iters")
    found = _indices(config, length)
    if found is not None:
        return found
    if iterations and batch is not None:
        config.remarks.append(say("neox.no_index", named=named_index(_prefixes(config))))
        return [
            Taken(
                "data.samples",
                iterations * batch.train_batch_size,
                "train_iters x train_batch_size: what the run reads",
            ),
            length,
        ]
    return [length]


def _prefixes(config: Config) -> list[object]:
    """The prefixes of the data's indices that a config names."""
    paths = [config.raw("data_path")] if config.has("data_path") else config.raw("train_data_paths")
    return list(paths) if isinstance(paths, list) else []


def _indices(config: Config, length: Taken) -> list[Taken] | None:
    """The indices that the config names: data_path with its split, or train_data_paths, whose documents all train."""
    paths, weights = config.raw("train_data_paths"), config.raw("train_data_weights")
    split = str(config.raw("split", "969, 30, 1"))
    if config.has("data_path"):
        return indexed_data([config.raw("data_path")], (), split, length, config.origin("data_path"))
    if not isinstance(paths, list):
        return None
    shares = weights if isinstance(weights, list) else ()
    return indexed_data(paths, shares, "", length, config.origin("train_data_paths"))


def _training(config: Config, batch: Batch | None) -> list[Taken]:
    rows = [_duration(config)]
    if batch is not None:
        product = f"{batch.micro_batch} x {batch.gradient_accumulation_steps} x dp {batch.data_parallel}"
        origin = config.origin("train_batch_size") if config.has("train_batch_size") else product
        rows.append(Taken("training.global_batch", batch.train_batch_size, origin))
    rows += [
        Taken("training.precision", *neox_precision(config)),
        Taken("training.framework", "gpt-neox", "the tool these files are for"),
    ]
    interval, evaluations = config.integer("eval_interval", 1000), config.integer("eval_iters", 100)
    if interval and evaluations:
        rows.append(Taken("training.evaluation.interval", interval, config.origin("eval_interval")))
        rows.append(Taken("training.evaluation.iterations", evaluations, config.origin("eval_iters")))
    return [row for row in rows if row is not None]


def _duration(config: Config) -> Taken | None:
    iterations, epochs = config.optional("train_iters"), config.optional("train_epochs")
    if iterations and epochs:
        raise PlannerError(say("neox.two_lengths"))
    if epochs:
        _check_epochs(config)
        return Taken("training.epochs", epochs, config.origin("train_epochs"))
    if iterations:
        return Taken("training.iterations", iterations, config.origin("train_iters"))
    config.remarks.append(say("neox.no_length"))
    return None


def _say_own_length(config: Config, batch: Batch | None, samples: int | None) -> None:
    """A remark where GPT-NeoX's own number of iterations is not that of the epochs asked for."""
    epochs = config.optional("train_epochs")
    if not epochs or batch is None or samples is None:
        return
    own, covering = train_iterations(samples, epochs, batch), -(-samples * epochs // batch.train_batch_size)
    if own != covering:
        config.remarks.append(say("neox.own_length", epochs=epochs, own=own, covering=covering))


def _check_epochs(config: Config) -> None:
    """What GPT-NeoX refuses together with train_epochs (data_utils.py, validate_train_epochs)."""
    weights = config.raw("train_data_weights")
    if config.text("pack_impl", "packed") != "packed":
        raise PlannerError(say("neox.epochs_packing"))
    if config.flag("weight_by_num_documents", False):
        raise PlannerError(say("neox.epochs_by_documents"))
    if isinstance(weights, list) and any(weight != 1.0 for weight in weights):
        raise PlannerError(say("neox.epochs_weights"))
    if config.text("dataset_impl", "gpt2") != "gpt2":
        raise PlannerError(say("neox.epochs_data"))


def _layout(config: Config, world: int | None, batch: Batch | None) -> list[Taken]:
    tp, pp = config.take("layout.tp", "layout.pp")
    micro = config.stated("layout.micro_batch")
    if batch is not None:
        micro = [
            Taken("layout.dp", batch.data_parallel, f"{world} GPUs / (pp {pp.value} x mp {tp.value})"),
            Taken("layout.micro_batch", batch.micro_batch, config.origin("train_micro_batch_size_per_gpu")),
        ]
    sharding, recompute, sequence = config.take("layout.zero_stage", "layout.recompute", "layout.sequence_parallel")
    every = config.number("checkpoint_num_layers")
    if recompute.value == "full" and every > 1:
        config.remarks.append(say("neox.layers_apart", layers=every))
    return [tp, pp, *micro, sharding, recompute, sequence]
