"""Where a user's own facts lie: their config folder, PLANNER_CATALOG, and the folders of `--catalog`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

VARIABLE = "PLANNER_CATALOG"


def config_catalog(environ: Mapping[str, str] | None = None, platform: str = sys.platform) -> Path:
    """The user's own catalog folder by the platform's convention; it need not exist.

    Below $XDG_CONFIG_HOME or ~/.config on Linux, ~/Library/Application Support on macOS, %APPDATA% on Windows.
    """
    variables = os.environ if environ is None else environ
    home = Path(variables["HOME"]) if "HOME" in variables else Path.home()
    if platform == "win32":
        base = Path(variables["APPDATA"]) if variables.get("APPDATA") else home / "AppData" / "Roaming"
    elif platform == "darwin":
        base = home / "Library" / "Application Support"
    else:
        base = Path(variables["XDG_CONFIG_HOME"]) if variables.get("XDG_CONFIG_HOME") else home / ".config"
    return base / "planner" / "catalog"


def overlay_dirs(given: Sequence[Path] = (), environ: Mapping[str, str] | None = None) -> tuple[Path, ...]:
    """The overlay folders, the strongest last: the config folder if it is there, PLANNER_CATALOG's, those given.

    A folder named twice counts once, where it is strongest.
    """
    variables = os.environ if environ is None else environ
    config = config_catalog(variables)
    folders = [config] if config.is_dir() else []
    folders += [Path(part) for part in variables.get(VARIABLE, "").split(os.pathsep) if part]
    folders += given
    last = {path.resolve(): number for number, path in enumerate(folders)}
    return tuple(path for number, path in enumerate(folders) if last[path.resolve()] == number)
