"""The keys that a GPT-NeoX config may hold, by what planner does with them, and what a misspelt one was meant to be.

Source of the names: EleutherAI/gpt-neox ea7aefd, megatron/neox_arguments (deepspeed_args.py, neox_args.py); those of
older releases: the same files of v1.0, v2.0 and 0d4bdb96.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

#: Keys that decide the model, its layout, its batch or its length, and that planner reads.
UNDERSTOOD = frozenset(
    """
    activation attention_config bf16 bias_dropout_fusion bias_gelu_fusion checkpoint_activations
    checkpoint_num_layers data_path dataset_impl eval_interval eval_iters expansion_factor expert_interval fp16
    global_num_gpus gpt_j_residual gradient_accumulation_steps hidden_size intermediate_size layernorm_fusion
    make_vocab_size_divisible_by max_position_embeddings mlp_multiple_of mlp_type model_parallel_size
    moe_expert_interval moe_glu moe_num_experts moe_top_k no_weight_tying norm num_attention_heads num_gpus
    num_kv_heads num_layers num_nodes optimizer pack_impl padded_vocab_size pipe_parallel_size pos_emb precision
    rmsnorm_fusion rope_fusion scaled_masked_softmax_fusion scaled_upper_triang_masked_softmax_fusion seq_length
    sequence_parallel sliding_window_width split te_columnparallel te_layernorm_mlp te_mha te_rowparallel
    tokenizer_type train_batch_size train_data_paths train_data_weights train_epochs train_iters
    train_micro_batch_size_per_gpu use_bias_in_attn_linear use_bias_in_mlp use_bias_in_norms use_bnb_optimizer
    use_flashattn_swiglu use_qk_layernorm vocab_file weight_by_num_documents zero_optimization
    """.split()
)
#: Keys of the present release that change nothing of what is planned: paths, logs, schedules of rates, initial values.
IRRELEVANT = frozenset(
    """
    account adlr_autoresume adlr_autoresume_interval allow_chopped apply_query_key_layer_scaling
    attention_dropout attention_softmax_in_fp32 autotuning_run base_shapes_file char_level_ppl checkpoint
    checkpoint_factor checkpoint_scale checkpoint_validation_with_forward_pass clip_grad comet_experiment
    comet_experiment_name comet_others comet_project comet_tags comet_workspace comment comms_logger
    config_files coord_check csv_monitor data_impl deepscale deepscale_config deepspeed_mpi deepspeed_slurm
    dim_att distributed_backend do_test do_train do_valid dpo_beta dpo_fp32 dpo_reference_free dump_state
    dynamic_loss_scale eod_mask_loss eval_results_prefix eval_tasks exclude extra_save_iters ffn_dim finetune
    flops_profiler force_multi fp16_lm_cross_entropy fp32_reinforce fused_kernels_build_path git_hash
    gmlp_attn_dim gradient_clipping gradient_noise_scale_cpu_offload gradient_noise_scale_n_batches
    gradient_predivide_factor head_size hidden_dropout hostfile hysteresis include init_method init_method_std
    is_pipe_parallel keep_last_n_checkpoints kl_div_beta kl_impl kto_beta kto_desirable_weight kto_fp32
    kto_undesirable_weight launcher layernorm_epsilon lazy_mpu_init load local_rank log_dir log_grad_norm
    log_grad_pct_zeros log_gradient_noise_scale log_interval log_optimizer_states log_param_norm loss_scale
    loss_scale_window lr lr_decay_fraction lr_decay_iters lr_decay_style mamba_causal_conv_fusion
    mamba_inner_func_fusion mamba_selective_fp32_params mamba_selective_scan_fusion mamba_use_bias_in_conv
    mamba_use_bias_in_linears master_addr master_port maximum_tokens memory_profiling memory_profiling_path
    merge_file min_lr min_scale mmap_warmup moe_jitter_eps moe_lbl_in_fp32 moe_router_type mup_attn_temp
    mup_embedding_mult mup_init_scale mup_output_temp mup_rp_embedding_mult mup_width_scale neg_test_data_paths
    neg_test_label_data_paths neg_train_data_paths neg_train_label_data_paths neg_valid_data_paths
    neg_valid_label_data_paths no_load_optim no_load_rng no_save_optim no_save_rng no_ssh_check num_samples
    num_workers online_dataserver_ips online_dataserver_ports onnx_safe output_layer_init_method
    override_lr_scheduler peak_theoretical_tflops pos_test_data_paths pos_test_label_data_paths
    pos_train_data_paths pos_train_label_data_paths pos_valid_data_paths pos_valid_label_data_paths
    precompute_model_name prescale_gradients profile profile_backward profile_step_start profile_step_stop
    prompt_end rank recompute reinforce_leave_one_out return_logits rms_norm_epsilon rotary_emb_base rotary_pct
    rotary_save_freqs_buffer rpe_max_distance rpe_num_buckets s3_chunk_size s3_path sample_input_file
    sample_output_file save save_base_shapes scalenorm_epsilon scheduler seed serve_model_weights short_seq_prob
    sparse_gradients steps_per_print synchronize_each_layer te_fp8_amax_compute_algo te_fp8_amax_history_len
    te_fp8_format te_fp8_margin te_fp8_wgrad temperature tensorboard tensorboard_dir test_data_paths
    test_data_weights test_label_data_paths test_reward_data_paths text_gen_type top_k top_p
    train_label_data_paths train_reward_data_paths use_checkpoint_lr_scheduler use_comet use_cpu_initialization
    use_shared_fs use_wandb user_script valid_data_paths valid_data_weights valid_label_data_paths
    valid_reward_data_paths wall_clock_breakdown wandb wandb_group wandb_host wandb_init_all_ranks wandb_project
    wandb_run_name wandb_team warmup weight_decay weight_server_port weighted_sampler_alpha world_size z_loss
    zero_allgather_bucket_size zero_contiguous_gradients zero_reduce_bucket_size zero_reduce_scatter
    """.split()
)
#: Such keys of releases before September 2024.
IRRELEVANT_BEFORE = frozenset(
    """
    create_moe_param_group detect_nvlink_pairs moe_eval_capacity_factor moe_loss_coeff moe_min_capacity
    save_iters use_tutel zero_allow_untested_optimizer
    """.split()
)
#: Keys that decide something that planner does not hold, and what; a value that is off (neox_kinds) decides nothing.
DECIDING: Mapping[str, str] = {
    "activation_checkpointing": "where kept activations lie",
    "amp": "the precision",
    "autotuning": "batch and ZeRO stage, by trial",
    "batch_size": "the micro-batch",
    "checkpoint_in_cpu": "where kept activations lie",
    "communication_data_type": "the bytes of gradients between GPUs",
    "compression_training": "what of the model is trained",
    "contiguous_checkpointing": "where kept activations lie",
    "curriculum_learning": "the sequence length as training goes on",
    "curriculum_seqlen": "the sequence length as training goes on",
    "data_efficiency": "which data are read, and how long sequences are",
    "data_types": "the precision of gradients",
    "deepspeed": "what trains it",
    "deepspeed_activation_checkpointing": "where kept activations lie",
    "deepspeed_extra_args": "more of what DeepSpeed does",
    "elasticity": "batch and GPUs, as training goes on",
    "enable_expert_tensor_parallelism": "how experts are split",
    "exit_interval": "when training stops",
    "fp32_allreduce": "the bytes of gradients between GPUs",
    "gas": "the gradient accumulation",
    "gpt_j_tied": "norms that attention and MLP share",
    "iteration": "where training begins",
    "moe_expert_parallel_size": "over how many GPUs experts are spread",
    "moe_token_dropping": "what each expert computes",
    "moe_train_capacity_factor": "what each expert computes",
    "moe_type": "how experts are computed",
    "moe_use_residual": "a dense MLP beside the experts",
    "num_unique_layers": "layers that share their weights",
    "opt_pos_emb_offset": "rows of the position embedding",
    "optimizer_type": "the optimizer",
    "output_layer_parallelism": "how the output layer is split",
    "param_sharing_style": "layers that share their weights",
    "partition_activations": "where kept activations lie",
    "pipe_partition_method": "which layers a stage has",
    "soft_prompt_tuning": "what of the model is trained",
    "sparse_attention": "the attention",
    "sparsity_config": "the attention",
    "te_fp8_mha": "the precision of attention",
    "train_impl": "what a step computes",
    "use_mup": "the parametrization of widths",
    "zero_stage": "the ZeRO stage",
}
KEYS = UNDERSTOOD | IRRELEVANT | IRRELEVANT_BEFORE | frozenset(DECIDING)


def misspelt(found: str, names: Iterable[str]) -> str | None:
    """The one of `names` that `found` is a slip of the pen away from, or None.

    A slip is a character too many, too few, changed, or two that changed places: one of them in names of four
    characters and more, two from eight on.
    """
    said = found.lower()
    most = 2 if len(said) >= 8 else int(len(said) >= 4)
    near = [(slips(said, name, most), name) for name in names if abs(len(name) - len(said)) <= most]
    distance, name = min(near, default=(most + 1, ""))
    return name if distance <= most else None


def slips(one: str, other: str, most: int) -> int:
    """How many slips part two words; `most` + 1 where they are more (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, char in enumerate(one, 1):
        new = [i]
        for j, there in enumerate(other, 1):
            cost = min(row[j] + 1, new[j - 1] + 1, row[j - 1] + (char != there))
            if i > 1 and j > 1 and char == other[j - 2] and one[i - 2] == there:
                cost = min(cost, before[j - 2] + 1)
            new.append(cost)
        if min(new) > most and min(row) >= most:
            return most + 1
        before, row = row, new
    return min(row[-1], most + 1)
