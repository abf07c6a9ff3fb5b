"""The search's sentences: what they look like in English, and what they say in Chinese."""

from __future__ import annotations

PATTERNS: tuple[tuple[str, str], ...] = (
    (
        r"(?P<n>\d+) published runs \((?P<r>.+)\), catalogs/risk/goodput\.csv",
        "{n} 次公布的运行（{r}），catalogs/risk/goodput.csv",
    ),
    (
        r"(?P<n>\d+) runs? of your own \(risk\.overhead\), what is published counted as one more",
        "您自己的 {n} 次运行（risk.overhead），公布的运行合计为一次",
    ),
    (
        (
            r"AWS Spot Instance Advisor bands as reprinted in May 2025: (?P<l>\d+) to (?P<h>\d+) % of (?P<i>\S+)"
            r" instances interrupted within a month, so .*"
        ),
        (
            "AWS Spot Instance Advisor 的区间（2025 年 5 月转载）：一个月内 {i} 实例有 {l}% 至 {h}% 被中断，取中值；"
            "此为某一年某一月的区间，用于其他月份时低至一档、高至三倍"
        ),
    ),
    (
        r"no figure found for this part at this cloud; from the least band .*",
        (
            "未找到该云上此类机器的数字；自 AWS Spot Instance Advisor 的最低档（一个月内不足 5%，2025 年 5 月转载）至 "
            "Google 文档对可抢占机器所述的最高值（一天内 5% 至 15%），取几何平均；Azure 按小时给出区间，其首档不超过 5%"
        ),
    ),
    (r"the scenario's risk\.overhead", "情景文件的 risk.overhead"),
    (
        r"That (?P<offer>.+) sells (?P<n>[\d,]+) nodes at once is an assumption: no limit is known\..*",
        "{offer} 能否一次提供 {n} 台机器是假设：上限未知。请询问，或写入 cluster.quotas。",
    ),
    (
        (
            r"The plan stands on spot machines: the cloud may take them away at any time \((?P<r>[\d.,]+) in 1,000"
            r" node-days, in four markets of five (?P<l>[\d.,]+) to (?P<h>[\d.,]+)\)\. .*"
        ),
        (
            "本方案使用竞价机器，云厂商可随时收回"
            "（每 1,000 台机器每天 {r} 台；五个市场中有四个为 {l} 至 {h}）；概率已计入。"
        ),
    ),
    (
        (
            r"The plan stands on spot machines: the cloud may take them away at any time \((?P<r>[\d.,]+) in 1,000"
            r" node-days\)\. .*"
        ),
        "本方案使用竞价机器，云厂商可随时收回（每 1,000 台机器每天 {r} 台）；概率已计入。",
    ),
    (
        (
            r"cluster\.quotas states what you may have of (?P<c>\S+): (?P<g>.+) there, in what regions it does not"
            r" name, is left out\. To let one in, add its quota: (?P<q>\{.+\})\."
        ),
        "cluster.quotas 给出了 {c} 的配额：其中未列出的部分与区域（{g}）不予考虑。如需纳入，请添加配额：{q}。",
    ),
    (
        r"(?P<k>cluster\.prices\[\d+\]) is a .+ price without its term, and is left out: .*",
        (
            "{k} 的预留价格未注明期限，不予考虑：承诺须按整个期限付费。请注明，例如 `term: 365 days`；按用量付费则写 "
            "`pricing: on_demand`。"
        ),
    ),
    (
        r"cluster\.pricing asks for (?P<k>\S+) too, and nothing that fits has such a price: .*",
        "cluster.pricing 还要求 {k}，但没有任何合适的机器有此类价格：请在 cluster.prices 中写入报价，或删去 `{k}`。",
    ),
    (
        r"Cost is left out, as no price of your machines is stated: .*",
        "未注明自有机器的价格，故不计费用：请在 cluster.own 下写入 `usd_per_gpu_hour` 或 `ownership`。",
    ),
    (
        r"The network of (?P<i>.+) is your assumption \(cluster\.assume_network\)\.",
        "{i} 的网络是您的假设（cluster.assume_network）。",
    ),
    (
        r"The network rate of (?P<i>.+) is from memory, not from a source: check it\.",
        "{i} 的网络速率凭记忆而无来源：请核实。",
    ),
    (r"The price of (?P<o>.+) is dated by (?P<k>.+) only \((?P<d>.+)\)\.", "{o} 的价格日期只是估计（{d}）。"),
    (
        (
            r"No run of (?P<f>.+) was measured: its throughput is what all frameworks have in common, and its range as"
            r" wide as they differ\."
        ),
        "{f} 无任何实测：其吞吐量取各框架之共性，范围与各框架之差异同宽。",
    ),
    (
        (
            r"Only adapters are trained \((?P<k>.+), (?P<n>[\d,]+) parameters\)\. No such run was measured: its time is"
            r" modelled, and its range, a factor of (?P<f>[\d.]+) either way in four of five, is set by hand\."
        ),
        (
            "只训练适配器（{k}，{n} 个参数）。此类训练无实测：时间仅为模型估计，"
            "其范围（五分之四落在上下 {f} 倍之内）为人工设定。"
        ),
    ),
    (
        r"Nobody's measurement stands near this plan: the throughput is the model's alone\.",
        "此方案附近无人实测：吞吐量仅凭模型。",
    ),
    (
        (
            r"The time budget of (?P<t>.+) excludes .+ plans: without it (?P<n>[\d,]+) x (?P<g>\S+)"
            r" at (?P<c>\S+)(?P<k> \([^)]*\))? would do it in (?P<x>.+) for (?P<u>.+);"
            r" this plan ends within (?P<e>.+) with (?P<p>.+) confidence\."
        ),
        (
            "时间上限（{t}）排除了更优的方案：若无此限，{c}{k} 的 {n} × {g} 可用 {x}、{u} 完成；"
            "本方案有 {p} 的把握在 {e} 内完成。"
        ),
    ),
    (
        (
            r"The cost budget of (?P<t>.+) excludes .+ plans: without it (?P<n>[\d,]+) x (?P<g>\S+)"
            r" at (?P<c>\S+)(?P<k> \([^)]*\))? would do it in (?P<x>.+) for (?P<u>.+);"
            r" this plan costs at most (?P<e>.+) with (?P<p>.+) confidence\."
        ),
        (
            "费用上限（{t}）排除了更优的方案：若无此限，{c}{k} 的 {n} × {g} 可用 {x}、{u} 完成；"
            "本方案有 {p} 的把握费用不超过 {e}。"
        ),
    ),
    (
        (
            r"The global batch of (?P<b>[\d,]+) sequences is the (?:maximum of|largest .* in) its range of"
            r" (?P<l>[\d,]+) to (?P<h>[\d,]+): to the same loss it takes (?P<p>.+?) more tokens than the smallest"
            r" would \(tokens double at (?P<k>[\d,]+) sequences, by McCandlish et al\. 2018\); the plan trains on the"
            r" tokens that .*\."
        ),
        (
            "全局批量 {b} 个序列位于其范围（{l} 至 {h}）的上端：达到相同损失要比最小批量多用 {p} 的词元（批量为 "
            "{k} 个序列时词元用量加倍，McCandlish 等 2018）；本方案按给定的词元数训练。"
        ),
    ),
    (
        (
            r"The global batch of (?P<b>[\d,]+) sequences is the (?:maximum of|largest .* in) its range of"
            r" (?P<l>[\d,]+) to (?P<h>[\d,]+)\."
        ),
        "全局批量 {b} 个序列位于其范围（{l} 至 {h}）的上端。",
    ),
    (
        (
            r"The global batch of (?P<b>[\d,]+) sequences is the minimum of its range of"
            r" (?P<l>[\d,]+) to (?P<h>[\d,]+)\."
        ),
        "全局批量 {b} 个序列位于其范围（{l} 至 {h}）的下端。",
    ),
    (
        r"(?P<o>.+) (?:sells at most|has) (?P<n>[\d,]+) nodes? \((?P<w>.+)\): all are used\.",
        "{o} 最多提供 {n} 台机器，已全部用上。",
    ),
    (
        r"cluster\.max_gpus of (?P<n>[\d,]+) is used up: one node more would pass it\.",
        "cluster.max_gpus（{n}）已用尽：再加一台即超出。",
    ),
    (
        r"an epoch of the mixture is the (?P<n>[\d,]+) samples its datasets hold together, drawn by weight",
        "混合数据的一遍为各数据集合计的 {n} 个样本，按权重抽取。",
    ),
    (
        (
            r"(?P<d>.+): (?P<s>[\d.]+) of the samples, (?P<e>[\d.]+) epochs of its own"
            r" \(GPT-NeoX builds its index for (?P<i>\d+)\)"
        ),
        "{d}：占样本的 {s}，自身遍历 {e} 遍（GPT-NeoX 按 {i} 遍建立索引）。",
    ),
    (
        (
            r"Memory binds: (?P<u>.+) of (?P<c>.+) are used; with a quarter more the same GPUs would be (?P<f>.+)"
            r" faster, by another layout or micro-batch\."
        ),
        "显存起作用：已用 {u}，共 {c}；若显存多四分之一，同样的 GPU 换一种布局或微批量可快 {f}。",
    ),
    (
        r"(?P<t>.+) tokens read as (?P<n>[\d,]+) sequences \((?P<x>[\d,]+) tokens\)",
        "{t} 词元，按 {n} 个序列（{x} 词元）计",
    ),
    (r"false \(cloud offers compete with own machines\)", "false（云上报价与自有机器一同比较）"),
    (r"any that the framework runs in (?P<p>.+) of the memory", "框架在 {p} 的显存内可运行的任意布局"),
    (r"any that the framework runs", "框架可运行的任意布局"),
    (r"any", "任意"),
    (r"latest", "最新"),
    (r"on_demand", "按需（on_demand）"),
    (r"your discount off (?P<s>.+) \(user\)", "您的折扣，以 {s} 为准"),
    (r"your quote \(user\)", "您的报价"),
    (
        r"cost of ownership, (?P<l>[\d.,]+) to (?P<h>[\d.,]+) (?P<u>[A-Z]{3}): (?P<parts>[^;]+)",
        "拥有成本，每 GPU 小时 {l} 至 {h} {u}：{parts}",
    ),
    (
        (
            r"cost of ownership, (?P<l>[\d.,]+) to (?P<h>[\d.,]+) (?P<u>[A-Z]{3}): (?P<parts>[^;]+)"
            r"; assumed: (?P<assumed>.+)"
        ),
        "拥有成本，每 GPU 小时 {l} 至 {h} {u}：{parts}；以下为假设：{assumed}",
    ),
)

#: What a cost of ownership is made of, and what is assumed for it.
OWNERSHIP: tuple[tuple[str, str], ...] = (
    (r"by assumption, what companies usually ask of capital", "假设，企业通常要求的资金回报"),
    (r"the node is paid for by this run alone while it runs", "机器在运行期间仅由本次运行承担"),
    (
        r"GPU resale after (?P<m>[\d.]+) months; the ends after (?P<a>[\d.]+) and (?P<b>[\d.]+)",
        "GPU 使用 {m} 个月后的转售价；两端为 {a} 与 {b} 个月",
    ),
    (r"GPU resale after (?P<m>[\d.]+) months", "GPU 使用 {m} 个月后的转售价"),
    (r"commercial/industrial US average", "美国工商业平均电价"),
    (r"typical modern AI site(?: global)?", "典型的新建 AI 机房"),
    (r"staff share per (?P<n>\d+)-GPU node", "每台 {n} 卡机器分摊的人员"),
    (r"colocation, private cage", "托管机柜（独立围笼）"),
    (r"colocation, wholesale", "托管（整批）"),
    (r"planning horizon", "规划年限"),
    (r"maintenance contract", "维护合同"),
    (r"node type (?P<n>[\w.-]+)", "机型 {n}"),
    (r"server, street", "服务器，市场价"),
    (r"quality (?P<q>[A-C])", "等级 {q}"),
    (r"\((?P<l>[\d.]+) to (?P<h>[\d.]+)\)", "（{l} 至 {h}）"),
    (r"\(user\)", "（用户）"),
    (r"\b(?P<y>20\d\d(?:-\d\d(?:\d\d)?)?), 等级", "{y}，等级"),
    (r"amortisation(?= \d)", "折旧"),
    (r"\bcapital(?= \d)", "资金"),
    (r"maintenance(?= \d)", "维护"),
    (r"staff(?= \d)", "人员"),
    (r"colocation(?= \d)", "托管"),
    (r"electricity(?= \d)", "电力"),
)
