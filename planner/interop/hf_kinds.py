"""Which keys of a config.json say nothing to a plan, and which would change it.

Source: transformers 4.57 and 5.24, configuration_utils.py and models/*/configuration_*.py; names that published configs
carry of training scripts and inference servers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from planner.interop.hf_keys import Keys
from planner.interop.kinds import Kinds, Sorted, sort_keys

_IRRELEVANT = frozenset(
    """
    _attn_implementation_internal _experts_implementation_internal _name_or_path _output_attentions
    _post_init_done activation_function apply_query_key_layer_scaling apply_residual_connection_post_layernorm
    attention_dropout attention_in_fp32 attention_multiplier attention_probs_dropout_prob
    attention_softmax_in_fp32 attn_logit_softcapping attn_pdrop auto_map aux_loss_alpha bad_words_ids
    begin_suppress_tokens bf16 bias_dropout_fusion boi_token_index bos_token_id cache_implementation
    chunk_size_feed_forward classifier_dropout custom_pipelines dim_model_base diversity_penalty do_sample dropout
    dtype early_stopping emb_pdrop embd_pdrop embed_dropout embedding_dropout embedding_fraction
    embedding_multiplier encoder_no_repeat_ngram_size eod_token_id eoi_token_index eos_token eos_token_id ep_size
    experts_per_token exponential_decay_length_penalty final_logit_softcapping finetuning_task forced_bos_token_id
    forced_eos_token_id fp16 fp32 gradient_checkpointing hidden_act hidden_activation hidden_dropout
    hidden_dropout_p hidden_dropout_prob id2label image_token_id image_token_index inference_mode init_device
    init_std initial_context_length initializer_factor initializer_range input_jitter_noise is_decoder
    kv_cache_dtype label2id layer_norm_eps layer_norm_epsilon layerdrop layernorm_epsilon length_penalty
    logit_scale logits_scaling max_length min_length mm_tokens_per_image model_type mup_base_width
    mup_embeddings_scale n_ctx n_group neft_alpha no_repeat_ngram_size norm_eps norm_epsilon norm_topk_prob
    num_beam_groups num_beams num_return_sequences onnx_safe original_max_position_embeddings original_rope
    output_attentions output_hidden_states output_router_logits output_scores pad_token_id partial_rotary_factor
    post_layer_norm pre_seq_len prefix prefix_projection pretraining_tp problem_type quantization_bit
    query_pre_attn_scalar remove_invalid_values reorder_and_upcast_attn repetition_penalty resid_dropout
    resid_pdrop residual_dropout residual_in_fp32 residual_multiplier return_dict return_dict_in_generate
    rms_norm_eps rope_interleave rope_local_base_freq rope_parameters rope_pct rope_ratio rope_scaling rope_theta
    rope_type rotary rotary_dim rotary_emb_base rotary_emb_fraction rotary_emb_interleaved rotary_emb_scale_base
    rotary_pct routed_scaling_factor router_aux_loss_coef router_jitter_noise router_z_loss_coef
    scale_attention_softmax_in_fp32 scale_attn_by_inverse_layer_idx scale_attn_weights scale_depth scale_emb
    scoring_func sep_token_id seq_aux slow_but_exact softmax_in_fp32 softmax_scale summary_activation
    summary_first_dropout summary_proj_to_labels summary_type summary_use_proj suppress_tokens swiglu_alpha
    swiglu_limit task_specific_params temperature tf_legacy_loss tokenizer_class top_k top_p topk_group
    topk_method torch_dtype torchscript transformers_version typical_p unk_token_id unsloth_fixed unsloth_version
    use_bfloat16 use_cache use_cache_kernel use_cache_quantization use_dynamic_ntk use_flash_attn use_logn_attn
    use_mamba_kernels verbose video_token_id vision_end_token_id vision_start_token_id
    calc_logits_for_entire_prompt clip_qkv no_rope_layer_interval no_rope_layers qk_head_dim rescale_prenorm_residual
    time_step_floor time_step_init_scheme time_step_limit time_step_max time_step_min time_step_scale
    use_associative_scan use_mambapy vision_token_id
    """.split()
)
_DECIDING: Mapping[str, str] = {
    "add_cross_attention": "attention to an encoder",
    "alibi": "the position embedding",
    "attention_bias": "biases of attention",
    "attention_out_bias": "the bias of attention's output",
    "attn_config": "the attention",
    "bias": "biases",
    "block_types": "the kinds of layers",
    "cross_attention_layers": "attention to an encoder",
    "do_layer_norm_before": "where norms stand",
    "_remove_final_layer_norm": "the last norm",
    "ffn_config": "the MLP",
    "first_k_dense_replace": "which layers have experts",
    "head_dim": "the width of heads",
    "hybrid_layer_ids": "the kinds of layers",
    "is_encoder_decoder": "an encoder beside the decoder",
    "kv_lora_rank": "latent attention",
    "layer_norm_elementwise_affine": "weights of norms",
    "layer_types": "the attention of each layer",
    "layers_block_type": "the kinds of layers",
    "lm_head_bias": "the bias of the output layer",
    "mlp_bias": "biases of the MLP",
    "mlp_only_layers": "which layers have experts",
    "moe_intermediate_size": "the width of experts",
    "moe_layer_freq": "which layers have experts",
    "n_routed_experts": "experts",
    "n_shared_experts": "shared experts",
    "norm_type": "the norm",
    "num_experts": "experts",
    "num_experts_per_tok": "experts",
    "num_local_experts": "experts",
    "num_nextn_predict_layers": "layers that predict further tokens",
    "pruned_heads": "heads that are gone",
    "q_lora_rank": "latent attention",
    "qk_layernorm": "norms of queries and keys",
    "qkv_bias": "biases of attention",
    "quantization_config": "the precision of weights",
    "shared_intermediate_size": "shared experts",
    "sliding_window": "the reach of attention",
    "sparsity_config": "the attention",
    "use_bias": "biases",
    "use_bidirectional_attention": "the mask of attention",
    "use_qk_norm": "norms of queries and keys",
    "use_sliding_window": "the reach of attention",
    "word_embed_proj_dim": "the width of embeddings",
}


def huggingface_kinds(keys: Keys) -> Sorted:
    """The keys of a config.json that its family's reader did not ask for, by what they mean to a plan."""
    found = {str(key): keys.document.where(str(key)) for key in keys.values}
    off = {key for key in _DECIDING if _is_off(keys.values.get(key), key)}
    deciding = {key: words for key, words in _DECIDING.items() if key not in off}
    return sort_keys(found, keys.used, Kinds("transformers' config", _IRRELEVANT | off, deciding))


def _is_off(value: Any, key: str) -> bool:
    if key in ("do_layer_norm_before", "layer_norm_elementwise_affine"):
        return value in (None, True)
    if key == "head_dim" and value is not None:
        return False
    if key == "layer_types" and isinstance(value, list):
        return set(value) <= {"full_attention"}
    return value in (None, False, 0, "") or value == [] or value == {}
