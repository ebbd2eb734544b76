"""Loads one Stanza processor from a language folder: local files only, nothing is downloaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import stanza
from stanza.models.common import utils

from pipeline.errors import ModelError
from pipeline.languages import LanguagePack


def load(pack: LanguagePack, processor: str, file: str) -> Any:
    """The processor of a ``stanza.Pipeline`` that holds only this one, on the CPU.

    Args:
        pack: the language folder.
        processor: ``tokenize`` or ``ner``.
        file: name of its checkpoint under ``models/``.

    Raises:
        ModelError: the file is missing, corrupted, or no checkpoint of this Stanza version.
    """
    path = pack.model_file(file)
    pack.model_file("resources.json")  # Stanza insists on one; ours is empty
    options: dict[str, Any] = {f"{processor}_model_path": str(path)}
    if processor != "tokenize":
        options["tokenize_pretokenized"] = True  # Stanza's chain must begin with a tokeniser
    try:
        with _no_optimiser():
            chain = stanza.Pipeline(
                pack.code,
                dir=str(path.parent),
                package=None,
                processors="tokenize" if processor == "tokenize" else f"tokenize,{processor}",
                download_method=None,
                allow_unknown_language=True,
                use_gpu=False,
                logging_level="ERROR",
                **options,
            )
    except Exception as error:
        # Stanza reports a broken checkpoint by whatever its parts raise (pickle, key, size errors).
        raise ModelError(f"{path} does not load as a Stanza model: {error!r}") from error
    return chain.processors[processor]


@contextmanager
def _no_optimiser() -> Iterator[None]:
    """Load without the optimiser that Stanza's trainers always make, though only training uses it.

    The first optimiser of a process makes PyTorch import its compiler and SymPy: 790 modules, more
    than half of the time that a worker took to load (32 of 56 s of processor time, measured).
    """
    made = utils.get_optimizer
    utils.get_optimizer = lambda *_args, **_options: None
    try:
        yield
    finally:
        utils.get_optimizer = made
