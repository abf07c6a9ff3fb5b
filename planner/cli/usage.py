"""What is wrong with a command line, in the language that is being shown: typer says it in English alone."""

from __future__ import annotations

import re
from typing import Any

from planner.words import said, say, say_from

#: Codes of what is wrong with an option's value, by the kind of error that pydantic names.
REASONS = {
    "int_parsing": "usage.integer",
    "float_parsing": "usage.number",
    "less_than_equal": "usage.at_most",
    "greater_than_equal": "usage.at_least",
}
#: What typer says of a command that is not there: a plain usage error, told by its text alone.
_NO_COMMAND = re.compile(r"No such command (?P<command>.+?)\.(?: Did you mean (?P<near>.+)\?)?", re.DOTALL)


def usage_words(error: Any) -> str:
    """The sentence of one of typer's usage errors, by its class, whichever click it brings."""
    place = getattr(getattr(error, "ctx", None), "command_path", "planner")
    return said("usage.see", what=_what(error), place=place)


def _what(error: Any) -> str:
    kind, param = type(error).__name__, getattr(error, "param", None)
    if kind == "NoSuchOption" and error.option_name == "--lang":
        return say("usage.lang_first", language="zh")
    if kind == "NoSuchOption":
        near = sorted(error.possibilities or ())
        return say_from(f"usage.no_option{'_near' if near else ''}", {"option": error.option_name, "near": near})
    if kind == "MissingParameter" and param is not None:
        code = "usage.no_argument" if param.param_type_name == "argument" else "usage.missing_option"
        return say(code, hint=param.get_error_hint())
    if kind == "BadParameter" and param is not None:
        variable = getattr(param, "show_envvar", False) and param.envvar
        if variable:
            return say("usage.bad_value_env", hint=f"'{param.opts[0]}'", variable=variable, why=_why(error, param))
        return say("usage.bad_value", hint=param.get_error_hint(), why=_why(error, param))
    if command := _NO_COMMAND.fullmatch(error.format_message()):
        return say_from(f"usage.no_command{'_near' if command['near'] else ''}", command.groupdict())
    return say("usage.other", message=error.format_message().rstrip("."))


def _why(error: Any, param: Any) -> str:
    cause = error.__cause__
    first = cause.errors()[0] if hasattr(cause, "errors") else {}
    if first and param.metavar == "YYYY-MM-DD":
        return say("usage.day", value=first["input"])
    if code := REASONS.get(first.get("type", "")):
        return say_from(code, first.get("ctx", {}))
    return say("usage.reason", message=error.message.rstrip("."))
