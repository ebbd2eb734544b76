"""One folder a language: its models and its linguistic data. No code of a stage lives here.

A language folder holds ``language.toml`` (its manifest: code, model version, the files and their
SHA-256 sums), ``models/`` and data files (TOML or TSV) that the stages read by name. Adding a
language is adding a folder.
"""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import ModelError

_ROOT = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguagePack:
    """The manifest of a language folder.

    Attributes:
        code: ISO 639-1 code, the folder's name.
        aliases: other language subtags for it (ISO 639-2 and 639-3).
        model: version of the models, the ``model`` field of every event record.
        folder: where it lies.
        checksums: file name under ``models/`` to its SHA-256 in hexadecimal.
    """

    code: str
    aliases: tuple[str, ...]
    model: str
    folder: Path
    checksums: dict[str, str]

    def model_file(self, name: str) -> Path:
        """The path of a model file, after its checksum was found right.

        Raises:
            ModelError: the file is not in the manifest, missing, or corrupted.
        """
        path = self.folder / "models" / name
        expected = self.checksums.get(name)
        if expected is None:
            raise ModelError(f"{name} is not listed in {self.folder / 'language.toml'}")
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ModelError(f"{path}: {error.strerror}. Reinstall Kasnec.") from error
        if found != expected:
            raise ModelError(
                f"{path} is corrupted: its SHA-256 is {found[:12]}…, the manifest says "
                f"{expected[:12]}…. Reinstall Kasnec, or run `git checkout {path}`."
            )
        return path

    def table(self, name: str) -> dict[str, Any]:
        """The parsed TOML data file ``name`` of this language.

        Raises:
            ModelError: the file is missing or is not TOML.
        """
        path = self.folder / name
        try:
            return tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise ModelError(f"{path}: {error}") from error


def available() -> tuple[str, ...]:
    """Codes of the languages that have a folder, sorted."""
    return tuple(sorted(path.parent.name for path in _ROOT.glob("*/language.toml")))


def load(code: str) -> LanguagePack:
    """The language pack of ``code``.

    Raises:
        ModelError: there is no such folder, or its manifest is broken.
    """
    folder = _ROOT / code
    try:
        manifest = tomllib.loads((folder / "language.toml").read_text(encoding="utf-8"))
        return LanguagePack(
            code=manifest["code"],
            aliases=tuple(manifest["aliases"]),
            model=manifest["model"],
            folder=folder,
            checksums=dict(manifest["models"]),
        )
    except (OSError, tomllib.TOMLDecodeError, KeyError) as error:
        raise ModelError(f"{folder / 'language.toml'}: {error!r}") from error
