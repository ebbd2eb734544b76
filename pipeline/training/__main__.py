"""Trains the models of a language folder: ``python -m pipeline.training [step ...]``.

Steps: ``tokeniser``, ``ner``, ``events``, ``parties``, ``all`` (these four, in this order). After
each step the sums in ``language.toml`` are renewed.
"""

from __future__ import annotations

import json
from importlib import import_module
from typing import Final

import click
import torch

from pipeline.training import data, manifest

_STEPS: Final = ("tokeniser", "ner", "events", "parties")  # later ones use the models of earlier
_FOLDER: Final = data.REPOSITORY / "pipeline" / "languages" / "sq"


@click.command()
@click.argument("steps", nargs=-1, required=True, type=click.Choice([*_STEPS, "all"]))
@click.option("--threads", default=1, show_default=True, help="Torch threads.")
def main(steps: tuple[str, ...], threads: int) -> None:
    """Train STEPS and print the figures of each as one line of JSON."""
    torch.set_num_threads(threads)
    for step in _STEPS:
        if step in steps or "all" in steps:
            figures = import_module(f"pipeline.training.{step}").train(
                data.folder(), _FOLDER / "models"
            )
            manifest.write(_FOLDER)
            click.echo(json.dumps({step: figures}, ensure_ascii=False))


if __name__ == "__main__":
    main()
