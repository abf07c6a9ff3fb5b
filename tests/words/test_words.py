"""Sentences by code: the languages say the same things, sentences are saved and read back, and none is made twice."""

from __future__ import annotations

import ast
import json
import pickle
import re
import string
from datetime import date
from pathlib import Path

import pytest
from programme_cases import programme, stage
from proposal_cases import proposal
from words_cases import another_language, sentences

import planner
import planner.words
from planner.money import Money, written_in
from planner.report.proposal.locale import OF_HOURS
from planner.report.proposal.writing import rendered
from planner.results.answers import Optimization
from planner.units import PlannerError
from planner.words import Sentence, restored, say, spoken, worded
from planner.words.languages import FORMS, templates
from planner.words.sentence import table

ROOM = Path(planner.words.__file__).parent
HOUSE = ROOM.parent
#: Groups whose sentences documents say by key, and the files that do.
DOCUMENTS = {"document": "*", "programme_document": "programme*"}


def places(template: str) -> set[str]:
    """The names of the values that a template writes."""
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def codes_said() -> tuple[set[str], list[re.Pattern[str]]]:
    """Codes that the house says: those written out, and the forms of those whose ends are worked out."""
    written: set[str] = set()
    forms: list[re.Pattern[str]] = []
    for path in HOUSE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                written.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                form = pattern_of(node)
                if re.match(r"[a-z_]+\\\.", form.pattern):
                    forms.append(form)
            elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "phrase":
                forms.append(re.compile(rf"{node.args[0].value}\.\w+"))
    return written, forms


def pattern_of(node: ast.JoinedStr) -> re.Pattern[str]:
    """The texts that an f-string may make."""
    parts = [re.escape(str(p.value)) if isinstance(p, ast.Constant) else r"\w*" for p in node.values]
    return re.compile("".join(parts))


def said_calls(path: Path) -> list[ast.Call]:
    """Calls of a file that say a sentence by its key, or ask whether there is one."""
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    return [c for c in calls if getattr(c.func, "attr", "") in ("say", "known", "table") and c.args]


def keys_of_table(call: ast.Call, *, of_programme: bool) -> set[str]:
    """The keys written out in a call that makes a table; a programme's are the names of its caption and columns."""
    caption, heads = ([c.value for c in ast.walk(part) if isinstance(c, ast.Constant)] for part in call.args[:2])
    return (
        {f"t_{key}" for key in caption} | {f"h_{key}" for key in " ".join(heads).split()}
        if of_programme
        else {*caption, *heads}
    )


def callers(call: ast.Call) -> str:
    """The name of what is asked to say a sentence."""
    return getattr(getattr(call.func, "value", None), "id", "")


def keys_said(files: str) -> tuple[str, set[str], list[re.Pattern[str]]]:
    """What files of documents say: the text of their templates, all constants, and the forms of keys worked out."""
    room = HOUSE / "report" / "proposal"
    written: set[str] = set()
    forms: list[re.Pattern[str]] = []
    for path in room.glob(f"{files}.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                written.add(node.value.rpartition(".")[2])
            elif isinstance(node, ast.JoinedStr) and re.match(r"[a-z_]+_\\w", pattern_of(node).pattern):
                forms.append(pattern_of(node))
    return "".join(path.read_text(encoding="utf-8") for path in (room / "templates").iterdir()), written, forms


@pytest.mark.parametrize("language", spoken())
def test_a_language_says_all_that_english_says_with_values_that_english_has(language: str) -> None:
    english, other = templates("en"), templates(language)
    assert set(english) == set(other)
    for code, template in other.items():
        assert places(template) <= places(english[code]), code


def test_every_code_that_is_said_has_words_and_every_template_is_said() -> None:
    written, forms = codes_said()
    known = {code for code in templates("en") if code.partition(".")[0] not in (FORMS, *DOCUMENTS)}
    silent = {code for code in known - written if not any(form.fullmatch(code) for form in forms)}
    assert not silent
    groups = {code.split(".")[0] for code in known}
    for path in HOUSE.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        for call in ast.walk(ast.parse(source)) if re.search(r"from planner\.words import .*\bsay\b", source) else ():
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "say" and call.args:
                first = call.args[0]
                if isinstance(first, ast.Constant):
                    assert first.value in known, f"{path.name}:{call.lineno}"
                    assert {k.arg for k in call.keywords if k.arg} <= places(templates("en")[first.value]), first.value
                elif isinstance(first, ast.JoinedStr) and isinstance(first.values[0], ast.Constant):
                    assert first.values[0].value.split(".")[0] in groups, f"{path.name}:{call.lineno}"


@pytest.mark.parametrize("group", DOCUMENTS)
def test_every_sentence_of_documents_is_said_by_its_key(group: str) -> None:
    texts, written, forms = keys_said(DOCUMENTS[group])
    for key in sentences("en", group):
        said = key.removesuffix(OF_HOURS).removeprefix("ui_x_")
        labelled = key.startswith("ui_") and re.search(rf"\b{key}\b", texts)
        assert said in written or labelled or any(form.fullmatch(said) for form in forms), key


def test_documents_say_no_key_that_has_no_words() -> None:
    known = {group: sentences("en", group) for group in DOCUMENTS}
    for path in (HOUSE / "report" / "proposal").glob("*.py"):
        for call in said_calls(path):
            of_programme = callers(call) in ("document", "self") and path.name.startswith("programme")
            keys, first = known["programme_document" if of_programme else "document"], call.args[0]
            if getattr(call.func, "attr", "") == "table":
                assert keys_of_table(call, of_programme=of_programme) <= set(keys), f"{path.name}:{call.lineno}"
            elif isinstance(first, ast.Constant) and "." not in first.value:
                assert first.value in keys, f"{path.name}:{call.lineno}"
                if not any(keyword.arg is None for keyword in call.keywords):
                    missing = places(keys[first.value]) - {keyword.arg for keyword in call.keywords} - {"unit"}
                    assert not missing, f"{path.name}:{call.lineno}"
            elif isinstance(first, ast.Constant):
                assert first.value in templates("en"), f"{path.name}:{call.lineno}"
            elif isinstance(first, ast.JoinedStr) and isinstance(first.values[0], ast.Constant):
                assert any(pattern_of(first).fullmatch(key) for key in keys), f"{path.name}:{call.lineno}"
    scripts = "".join(path.read_text(encoding="utf-8") for path in (HOUSE / "report/proposal/templates").iterdir())
    assert set(re.findall(r"\bui_\w+", scripts)) <= set(known["document"])


@pytest.mark.parametrize("group", DOCUMENTS)
@pytest.mark.parametrize("language", spoken())
def test_the_languages_of_documents_write_the_same_values(group: str, language: str) -> None:
    other = sentences(language, group)
    for key, template in sentences("en", group).items():
        assert places(other[key]) == places(template), key


def test_a_third_language_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stages = stage("first"), stage("second", inherits=["checkpoint"])
    with another_language(tmp_path, monkeypatch) as language:
        assert language in spoken()
        one = rendered(proposal("grant", language), ("md", "html"))
        many = planner.propose(programme(*stages), lang=language, formats="md,html", date="2026-11-29").files
        with pytest.raises(planner.PlannerError, match=f"there are en, .*{language}"):
            planner.propose("scenarios/smallest.yaml", lang="yy")
        for files, group in ((one, "document"), (many, "programme_document")):
            document = files["proposal.md"].decode()
            page = re.sub(r"<script.*?</script>", "", files["proposal.html"].decode(), flags=re.DOTALL)
            for key, template in sentences("en", group).items():
                for part, *_ in string.Formatter().parse(template):
                    assert not re.search("[a-z]{3} [a-z]{2,} [a-z]{3}", part) or part not in document + page, key
        assert "# BUDGET PROPOSAL: " in one["proposal.md"].decode()
        assert "# TRAINING PROGRAMME: " in many["proposal.md"].decode()


def test_quantities_are_written_as_the_language_has_them() -> None:
    said = say("binding.time", limit=86400.0, better=say("better.cost"), gpus=1024, gpu="h100", cloud="aws",
               pricing=say("pricing.spot"), time=7200.0, cost=1234.5, sure=90.0, confidence=0.8)  # fmt: skip
    assert said == (
        "The time budget of 1 day excludes cheaper plans: without it 1,024 x h100 at aws (spot) would do it in"
        " 2 hours for 1,234 USD; this plan ends within 90 s with 80 % confidence."
    )
    chinese = worded(said, "zh", {"h100": "NVIDIA H100"})
    assert chinese == (
        "时间上限（1 天）排除了更便宜的方案：若无此限，aws（竞价）的 1,024 × NVIDIA H100 可用 2 小时、1,234 美元完成；"
        "本方案有 80% 的把握在 90 秒内完成。"
    )
    with written_in(Money("EUR", 0.5)):
        assert "617.2 EUR" in worded(said, "en", {"h100": "NVIDIA H100"})
    assert worded("a text of somebody else", "zh") == "a text of somebody else"


def test_a_gap_between_ideographs_is_left_out_and_one_beside_letters_stays() -> None:
    owned = say("binding.nodes_owned", offer="own/lab", nodes=8, basis=say("offers.own_machines"))
    assert worded(owned, "zh", {"own/lab": "自有机器（lab）"}) == "自有机器（lab）有 8 台机器（自有机器），已全部用上。"
    assert worded(owned, "zh").startswith("own/lab 有 8 台")
    assert owned == "own/lab has 8 nodes (own machines): all are used."
    both = say("labels.in_row", items=[say("labels.sentence", text=text) for text in ("a", "b")])
    assert (both, worded(both, "zh")) == ("a.; b.", "a；b。")


def test_what_is_one_is_told_as_one() -> None:
    assert "sells 1 node at once" in say("warnings.nodes_assumed", offer="aws/p5", nodes=1)
    assert say("relaxations.epochs", needed="1", present=3.0) == "1 epoch instead of 3 would do."
    assert say("most_training.ends_asked", epochs=1.0).startswith("The 1 epoch that was asked for fits: ")
    assert say("most_training.ends_asked", epochs=2.5).startswith("All 2.5 epochs that were asked for fit: ")
    assert say("comparing.without_plan", lost=1, options=3) == "1 of 3 options has no plan within the budgets."
    assert say("programme_refusals.time", days=1) == "budget.time: 1 day or more"


def test_a_sentence_survives_pickling_and_saving() -> None:
    inner = say("pricing.quoted", pricing=say("pricing.block"))
    said = say("warnings.price_dated", offer="aws/x", dated=inner, as_of=date(2026, 1, 2))
    again = pickle.loads(pickle.dumps(said))  # noqa: S301 - our own bytes
    assert (again, again.code, again.values) == (said, said.code, said.values)
    saved = json.loads(json.dumps({"warnings": [said, "plain"], "sentences": table({"warnings": [said]})}))
    read = restored(saved, saved.pop("sentences"))
    assert read == {"warnings": [said, "plain"]}
    assert isinstance(read["warnings"][0], Sentence)
    assert worded(read["warnings"][0], "zh") == worded(said, "zh") != said


@pytest.mark.parametrize(
    "entry",
    [None, 3, [], {}, {"code": 1, "values": {}}, {"code": "x", "values": []}, {"code": "no.such", "values": {}}]
    + [{"code": "binding.max_gpus", "values": {"gpus": gpus}} for gpus in ("many", [1], None)]
    + [{"code": "binding.max_gpus", "values": {}}]
    + [{"code": "binding.max_gpus", "values": {"gpus": {"code": "no.such", "values": {}}}}],
)  # fmt: skip
def test_a_saved_table_that_makes_no_sense_leaves_the_text_as_it_was_written(entry: object) -> None:
    table = [{**entry, "text": "as written"}] if isinstance(entry, dict) else [entry]
    read = restored({"text": "as written"}, table)
    assert read == {"text": "as written"}
    assert not isinstance(read["text"], Sentence)
    assert worded(read["text"], "zh") == "as written"


@pytest.mark.parametrize(
    ("text", "code", "values"),
    [
        ("The budget of 5 USD binds.", "binding.max_gpus", {"gpus": 8}),  # says something else
        ("en", "forms.lang", {}),  # forms are no sentences
        ("a, b", "risk.sources", {"sources": ["a", ["b"]]}),
        ("nan", "risk.sources", {"sources": [float("nan")]}),
        ("x", "risk.sources", {"sources": [[[[[[[[[["x"]]]]]]]]]]}),
        ("1e308", "risk.sources", {"sources": [{"code": "binding.max_gpus", "values": {"gpus": 10**4000}}]}),
    ],
)
def test_a_saved_text_is_a_sentence_only_if_its_code_says_that_very_text(text: str, code: str, values: object) -> None:
    read = restored({"text": text}, [{"text": text, "code": code, "values": values}])
    assert read == {"text": text}
    assert not isinstance(read["text"], Sentence)


def test_sentences_within_a_saved_one_do_not_grow_beyond_it() -> None:
    held: object = "x" * 1000
    for _ in range(8):  # each says what it holds twice
        held = {"code": "offers.unsold", "values": {"pricing": held}}
    assert restored(["y" * 3000], [{"text": "y" * 3000, "code": "risk.sources", "values": {"sources": [held]}}]) == [
        "y" * 3000
    ]


def test_a_saved_amount_is_compared_in_the_unit_that_the_answer_states(tmp_path: Path) -> None:
    scenario = tmp_path / "euros.yaml"
    given = (HOUSE.parent / "scenarios" / "smallest.yaml").read_text()
    scenario.write_text(f"{given}currency: {{code: EUR, usd: 1.25, as_of: 2026-11-20}}\n")
    answer_json = planner.optimize(scenario).to_json()
    answer = Optimization.from_json(answer_json)
    assert "EUR" in answer.binding[0].text
    assert isinstance(answer.binding[0].text, Sentence)
    assert answer.to_json() == answer_json


def test_what_nests_too_deeply_is_no_saved_answer() -> None:
    deep = f'{{"schema_version": 1, "more": {"[" * 960}{"]" * 960}}}'
    with pytest.raises(PlannerError, match=r"not a saved optimization: it nests too deeply|it is no JSON"):
        Optimization.from_json(deep)


def test_a_saved_answer_says_by_code_what_its_texts_say() -> None:
    answer_json = planner.optimize(HOUSE.parent / "scenarios" / "smallest.yaml").to_json()
    document = json.loads(answer_json)
    assert document["binding"][0]["text"] in [said["text"] for said in document["sentences"]]
    answer = Optimization.from_json(answer_json)
    assert isinstance(answer.binding[0].text, Sentence)
    assert answer.to_json() == answer_json


def test_an_error_says_by_code_what_its_sentence_says() -> None:
    with pytest.raises(planner.PlannerError) as caught:
        planner.compare([HOUSE.parent / "scenarios" / "smallest.yaml"], by="planet")
    assert (caught.value.code, caught.value.values) == ("comparing.by_unknown", {"by": "planet"})
    assert str(caught.value) == f"smallest.yaml: {say(caught.value.code, **caught.value.values)}"
    assert (planner.PlannerError("in words alone").code, planner.PlannerError().values) == ("", {})
