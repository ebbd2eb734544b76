"""Keeps the sums of the model files in ``language.toml``."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path

from pipeline.languages import LanguagePack


def sums(models: Path) -> dict[str, str]:
    """File name to SHA-256 in hexadecimal, for every file in ``models``, sorted by name."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(models.iterdir())
        if path.is_file() and not path.name.startswith(".")
    }


def write(folder: Path) -> None:
    """Replace the entries of ``[models]`` in ``folder/language.toml``; comments stay.

    Args:
        folder: a language folder, with ``language.toml`` and ``models/``.

    Raises:
        ValueError: the manifest has no ``[models]`` table.
    """
    manifest = folder / "language.toml"
    head, table, rest = manifest.read_text(encoding="utf-8").partition("[models]\n")
    if not table:
        raise ValueError(f"{manifest} has no [models] table")
    here, following, after = rest.partition("\n[")
    kept = [line for line in here.splitlines() if not re.match(r'^\s*"?[\w.-]+"?\s*=', line)]
    entries = [f'"{name}" = "{digest}"' for name, digest in sums(folder / "models").items()]
    body = "\n".join([*entries, *(line for line in kept if line.strip())])
    manifest.write_text(f"{head}{table}{body}\n{following}{after}", encoding="utf-8")


def preview(pack: LanguagePack, models: Path) -> LanguagePack:
    """The language pack as it would be with the files of another ``models`` folder.

    Its data files are those of ``pack``; used to measure a model before it is shipped.
    """
    view = models / pack.code
    (view / "models").mkdir(parents=True, exist_ok=True)
    for path in pack.folder.glob("*.t*"):
        (view / path.name).write_bytes(path.read_bytes())
    for path in [*(pack.folder / "models").glob("*"), *models.glob("*.*")]:
        (view / "models" / path.name).write_bytes(path.read_bytes())
    return replace(pack, folder=view, checksums=sums(view / "models"))
