"""What PyInstaller has to be told: modules that are loaded when first used, and the pages of reports."""

from pathlib import Path


def hook_dirs() -> list[str]:
    """Return the folders of PyInstaller's hooks for this package; the entry point ``pyinstaller40``."""
    return [str(Path(__file__).parent)]
