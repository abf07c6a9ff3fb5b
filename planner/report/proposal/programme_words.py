"""The sentences of a programme's proposal and grant annex, English and Chinese side by side."""

from __future__ import annotations

from collections.abc import Mapping

#: key: (English, Chinese)
WORDS: Mapping[str, tuple[str, str]] = {
    "pg_title": ("Training programme: {name}", "训练项目：{name}"),
    "pg_s_ask": ("What is asked for", "申请内容"),
    "pg_s_calendar": ("Calendar", "日程"),
    "pg_s_stages": ("Stages", "各阶段"),
    "pg_s_money": ("Money", "经费"),
    "pg_s_sure": ("How sure it is", "把握程度"),
    "pg_s_annex": ("Annex: how the resources were estimated", "附件：资源估算依据"),
    "pg_s_method": ("Method and assumptions", "方法与假设"),
    "pg_ask": (
        (
            "We ask for {total}: {expected} to be expected, and a contingency of {more} ({share}) that "
            "makes it enough with {sure}. All {count} stages are planned to be done by {end}."
        ),
        (
            "申请 {total}：预期 {expected}，另加不可预见费 {more}（{share}），使其以 {sure} 的把握足够。"
            "全部 {count} 个阶段计划于 {end} 前完成。"
        ),
    ),
    "pg_f_total": ("Asked for", "申请总额"),
    "pg_f_expected": ("Expected (as likely more as less)", "预期（多少各半）"),
    "pg_f_contingency": ("Contingency", "不可预见费"),
    "pg_f_end": ("Planned end", "计划完成"),
    "pg_f_time": ("Time, 10 to 90 %", "所需时间（10% 至 90%）"),
    "pg_f_in_time": ("Chance within the time budget of {time}", "在 {time} 时间预算内完成的概率"),
    "pg_f_in_cost": ("Chance within the cost budget of {money}", "在 {money} 经费预算内的概率"),
    "pg_f_in_both": ("Chance of both", "两者兼顾的概率"),
    "pg_f_hours": ("GPU-hours, all stages", "GPU 小时（全部阶段）"),
    "pg_contingency_why": (
        (
            "The contingency is no percentage by habit: it is the distance from the median of the "
            "programme's cost to its quantile at {sure}, in {worlds} programmes drawn at random."
        ),
        (
            "不可预见费并非惯例百分比：它是在随机抽取的 {worlds} 个项目中，项目费用的中位数到其 {sure} 分"
            "位数之间的差额。"
        ),
    ),
    "pg_gantt": ("Calendar of the programme", "项目日程图"),
    "pg_gantt_text": (
        "{stages}. Solid: planned days; pale: one world in ten is later still.",
        "{stages}。实色：计划日；浅色：十分之一的情形更晚。",
    ),
    "pg_gantt_part": ("{name} from {start} to {end}", "{name}：{start} 至 {end}"),
    "pg_axis_days": ("days from the start", "自开始起的天数"),
    "pg_deadline": ("deadline", "截止"),
    "pg_t_calendar": ("Stages, their days and their chance of keeping them", "各阶段的日期及按期概率"),
    "pg_t_stages": ("What each stage trains, and on what", "各阶段的训练内容与机器"),
    "pg_t_money": ("Cost by stage", "各阶段费用"),
    "pg_t_cash": ("Cash flow by month, at the confidence", "按月现金流（按置信水平）"),
    "pg_t_weeks": ("Cash flow by week, at the confidence", "按周现金流（按置信水平）"),
    "pg_c_cash": ("Cash flow by month", "按月现金流"),
    "pg_t_slack": ("Where a slip is absorbed", "延误由何处吸收"),
    "pg_t_shared": ("Machines that stages share", "各阶段共用的机器"),
    "pg_t_hours": ("Node-hours by stage", "各阶段节点小时"),
    "pg_t_scaling": (
        "Strong and weak scaling, predicted by the model, not measured",
        "强扩展与弱扩展（模型预测，非实测）",
    ),
    "pg_t_storage": ("Storage", "存储"),
    "pg_t_traced": ("Every figure and where it comes from", "各项数字及其来源"),
    "pg_h_stage": ("stage", "阶段"),
    "pg_h_start": ("begins", "开始"),
    "pg_h_end": ("done by", "完成"),
    "pg_h_days": ("days", "天数"),
    "pg_h_chance": ("chance", "概率"),
    "pg_h_deadline": ("its deadline", "截止日"),
    "pg_h_p_deadline": ("chance of it", "按期概率"),
    "pg_h_model": ("model, format", "模型、精度"),
    "pg_h_tokens": ("tokens", "词元"),
    "pg_h_seq": ("sequence", "序列长度"),
    "pg_h_batch": ("batch", "批大小"),
    "pg_h_inherits": ("takes over", "继承"),
    "pg_h_cluster": ("cluster", "集群"),
    "pg_h_runs": ("runs", "运行数"),
    "pg_h_p50": ("expected", "预期"),
    "pg_h_sure": ("at {sure}", "按 {sure}"),
    "pg_h_period": ("period", "时段"),
    "pg_h_cost": ("cost", "费用"),
    "pg_h_of": ("of", "构成"),
    "pg_h_total_slack": ("days in all", "总浮动天数"),
    "pg_h_free_slack": ("free days", "自由浮动天数"),
    "pg_h_absorbed": ("a slip is absorbed", "延误由谁吸收"),
    "pg_h_what": ("what", "名称"),
    "pg_h_use": ("use", "使用"),
    "pg_h_nodes": ("nodes", "节点"),
    "pg_h_gpus": ("GPUs", "GPU"),
    "pg_h_wall": ("days of one run (p50)", "单次运行天数（p50）"),
    "pg_h_gpu_hours": ("GPU-hours", "GPU 小时"),
    "pg_h_node_hours": ("node-hours", "节点小时"),
    "pg_h_kind": ("scaling", "扩展"),
    "pg_h_speed": ("tokens/s", "词元/秒"),
    "pg_h_speedup": ("speed-up", "加速比"),
    "pg_h_efficiency": ("efficiency", "效率"),
    "pg_h_data_gb": ("checkpoints and data, GB", "检查点与数据，GB"),
    "pg_h_quantity": ("quantity", "数量"),
    "pg_h_value": ("value", "数值"),
    "pg_h_from": ("from", "来源"),
    "pg_strong": ("strong", "强"),
    "pg_weak": ("weak", "弱"),
    "pg_total": ("all stages", "合计"),
    "pg_reservation": ("{name} (reserved, paid whole)", "{name}（预留，整笔支付）"),
    "pg_contingency_row": ("contingency, up to {sure} of the sum", "不可预见费（至总额 {sure} 分位）"),
    "pg_beyond_row": ("median of the sum beyond the sum of medians", "总额中位数与各项中位数之和的差"),
    "pg_asked_row": ("asked for", "申请总额"),
    "pg_move": (
        "{name} moves from {source} to {place}: {gb} GB in {time}, {money}.",
        "{name} 由 {source} 迁至 {place}：{gb} GB，耗时 {time}，费用 {money}。",
    ),
    "pg_binds": (
        "Any slip of these stages moves the end or misses a deadline: {names}.",
        "下列阶段的任何延误都会推迟完成或错过截止日：{names}。",
    ),
    "pg_binds_none": ("No stage's slip of a day moves the end.", "任一阶段延误一天均不会推迟完成。"),
    "pg_end_none": ("the days before the deadline", "截止日前的余量"),
    "pg_absorbed_free": ("by {days} free days before {names}", "由 {names} 之前的 {days} 天空闲吸收"),
    "pg_absorbed_later": ("by {names} beginning later", "由 {names} 顺延吸收"),
    "pg_absorbed_last": ("by the days before the deadline", "由截止日前的余量吸收"),
    "pg_absorbed_nothing": ("by nothing", "无从吸收"),
    "pg_inherits_checkpoint": ("checkpoint", "检查点"),
    "pg_inherits_optimizer": ("optimizer state", "优化器状态"),
    "pg_inherits_cluster": ("cluster", "集群"),
    "pg_inherits_of": ("{what} of {stage}", "{stage} 的{what}"),
    "pg_resource_use": (
        "{used} of {most} GPUs on the fullest day; all in use on {days} days",
        "最满的一天使用 {most} 个 GPU 中的 {used} 个；{days} 天用满",
    ),
    "pg_bought_use": (
        "{money}, paid whole; stages are on {share} of its GPU-days",
        "整笔支付 {money}；其 GPU 天数的 {share} 有阶段使用",
    ),
    "pg_all_offers": ("all offers together", "全部机器合计"),
    "pg_basis": (
        (
            "Drawn once for the whole programme: how far predictions are wrong together (the same site, "
            "stack, GPU, sizes near each other) and an offer's spot price. Drawn for each run by itself: "
            "the noise of its step time, its failures, and what is paid beside training. {worlds} "
            "programmes were drawn."
        ),
        (
            "整个项目只抽取一次：预测误差的共同部分（同一站点、软件栈、GPU 及相近规模）和竞价实例价格。每"
            "次运行各自抽取：单步时间噪声、故障以及训练之外的开销。共抽取 {worlds} 个项目。"
        ),
    ),
    "pg_surrogate": (
        (
            "The calendar is the best of {plans} plans and every first day, by a mixed-integer programme "
            "that is exact for sums of quantiles: each stage is set aside the whole days, and counted "
            "the cost, that it keeps with {sure}. Such sums are exact only if all stages are slow "
            "together; the chances stated here are those of the true sums. {thrown} calendars that kept "
            "the sums and broke the true budgets were thrown out."
        ),
        (
            "日程由混合整数规划从 {plans} 个方案与所有开始日中选出，对分位数之和精确：每个阶段按其以 "
            "{sure} 把握不超过的整天数与费用计入。仅当所有阶段同时变慢时，这样的和才精确；文中概率为真实"
            "总和的概率。有 {thrown} 个满足该和但突破真实预算的日程被排除。"
        ),
    ),
    "pg_annex": (
        (
            "Node-hours are allocated hours of whole nodes at the median: training, checkpoints, lost "
            "work and restarts, and what teams pay for beside them."
        ),
        "节点小时为整节点的分配小时（中位数）：含训练、检查点、返工与重启，以及团队的其他开销。",
    ),
    "pg_scaling_note": (
        (
            "All of this table is predicted. Strong: the planned batch on more GPUs, each size with its "
            "own best layout. Weak: the batch grows with the GPUs. Efficiency is against the smallest "
            "size shown. The planned size is bold."
        ),
        (
            "本表均为预测。强扩展：批大小不变、GPU 增加，各规模取其最佳布局。弱扩展：批大小随 GPU 增长。"
            "效率以表中最小规模为基准。计划规模以粗体标出。"
        ),
    ),
    "pg_storage_note": (
        "Two checkpoints of each run, as they are written during training, and the tokens that the stage reads.",
        "每次运行保留两份训练中写出的检查点，以及该阶段读取的词元。",
    ),
    "pg_q_tokens": ("tokens", "词元"),
    "pg_q_step": ("step time (p50)", "单步时间（p50）"),
    "pg_q_steps": ("steps", "步数"),
    "pg_q_productive": ("training, GPU-hours", "训练，GPU 小时"),
    "pg_q_beside": ("checkpoints, failures and what is paid beside, GPU-hours", "检查点、故障及其他开销，GPU 小时"),
    "pg_q_runs": ("runs of this kind", "此类运行数"),
    "pg_q_hours": ("allocated, GPU-hours", "分配总量，GPU 小时"),
    "pg_q_price": ("price, an hour of one GPU", "单 GPU 小时价格"),
    "pg_w_tokens": ("scenario: stages.{name}.data and training", "情景：stages.{name}.data 与 training"),
    "pg_w_step": ("prediction, {basis}{ids}", "预测，{basis}{ids}"),
    "pg_w_steps": (
        "tokens ÷ (batch {batch} × sequence {seq}), rounded up",
        "词元 ÷（批 {batch} × 序列 {seq}），向上取整",
    ),
    "pg_w_productive": ("steps × step time × {gpus} GPUs", "步数 × 单步时间 × {gpus} 个 GPU"),
    "pg_w_beside": ("interruption rates of the catalog; {source}", "目录中的中断率；{source}"),
    "pg_w_hours": ("(training + beside) × runs", "（训练 + 其他）× 运行数"),
    "pg_w_price": ("{source}, {day}", "{source}，{day}"),
    "pg_w_runs": ("scenario: stages.{name}.copies", "情景：stages.{name}.copies"),
    "pg_basis_user": ("from your own measurements", "依据您自己的实测"),
    "pg_basis_measured": ("measured", "实测"),
    "pg_basis_interpolated": ("interpolated between measurements", "由实测插值"),
    "pg_basis_modelled": ("modelled", "模型"),
    "pg_defaults": ("Defaults that were used", "采用的默认值"),
    "pg_default": ("{name}: {value}", "{name}：{value}"),
    "pg_warning_late": (
        "{name} is done by its planned day with {chance}: what goes before it may be late too.",
        "{name} 按计划日完成的概率为 {chance}：其前序阶段也可能延误。",
    ),
    "pg_day": ("day {day}", "第 {day} 天"),
    "pg_week": ("week {n}", "第 {n} 周"),
    "pg_month": ("month {n}", "第 {n} 月"),
    "pg_x_gantt": ("Calendar", "日程"),
    "pg_n_runs": ("{copies} runs, {beside} at once, each ", "共 {copies} 次运行，同时 {beside} 次，每次 "),
    "pg_no_reservation": ("paid as used", "按使用支付"),
}


def words_of(language: str) -> dict[str, str]:
    """Every sentence in a language."""
    at = 1 if language == "zh" else 0
    return {key: texts[at] for key, texts in WORDS.items()}
