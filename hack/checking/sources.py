"""The files of the repository, with the language of each."""

import functools
import os
import re
import subprocess
from dataclasses import dataclass

LANGUAGES = {".swift": "swift", ".c": "c", ".h": "c", ".py": "python", ".sh": "shell", ".go": "go", ".md": "markdown"}
# Scripts without an ending name their interpreter, or their shell for shellcheck if others source them.
PYTHON = re.compile(r"#!.*\bpython[\d.]*\b")
SHELL = re.compile(r"#!.*\b(ba|da)?sh\b|# shellcheck shell=", re.MULTILINE)


@dataclass(frozen=True)
class Source:
    path: str
    language: str
    text: str

    @functools.cached_property
    def lines(self):
        return self.text.splitlines()


def script_language(text):
    beginning = text[:2000]
    if PYTHON.match(beginning):
        return "python"
    return "shell" if SHELL.match(beginning) or "\n# shellcheck shell=" in beginning else None


def sources():
    """Every text file that is tracked, or new and not ignored, and whose language is known."""
    paths = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                           check=True, stdout=subprocess.PIPE, text=True).stdout.split("\0")
    for path in sorted(set(filter(os.path.isfile, paths))):
        ending = os.path.splitext(path)[1]
        if ending and ending not in LANGUAGES:
            continue
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        except UnicodeDecodeError:
            continue
        language = LANGUAGES.get(ending) or script_language(text)
        if language:
            yield Source(path, language, text)
