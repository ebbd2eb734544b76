"""The command ``kasnec``; each of its commands is a module under ``pipeline.commands``."""

from __future__ import annotations

import importlib
import logging
import sys
from functools import partial
from pathlib import Path
from typing import Final

import click

from pipeline import __version__, settings
from pipeline.errors import ConfigurationError, InfrastructureError, KasnecError

_COMMANDS: Final = {
    "up": "Start everything: broker, topics, worker; replay the seeds and show the records.",
    "worker": "Take articles from Kafka and publish records until told to stop.",
    "replay": "Put articles from files on the topic articles.raw.",
    "extract": "Turn files of articles into files of records, without a broker.",
    "export": "Write events in the format of PLOVER, GDELT or ICEWS.",
    "notify": "Tell summit alerts by webhook, Alertmanager or e-mail.",
    "store": "Keep events, stories, summits and alerts in a database for the dashboards.",
    "dashboard": "Serve what the store holds: the HTTP API, with a live stream.",
    "watch": "Follow the summit alerts as they are told.",
    "summits": "Show the summit register: what is known of each summit, and its history.",
    "dead-letters": "List, show and replay the articles that could not be coded.",
    "topics": "Create the topics, or check them.",
    "check": "Print the settings in force and everything that is wrong.",
}


class _Lazy(click.Group):
    """Imports a command when it is called: ``kasnec --help`` loads neither Faust nor torch."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"pipeline.commands.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kasnec")
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Settings file. Default: $KASNEC_CONFIG, then config/kasnec.toml.",
)
@click.pass_context
def cli(ctx: click.Context, config: Path | None) -> None:
    """Kasnec reads news and publishes who did what to whom in world diplomacy."""
    ctx.obj = partial(settings.load, config)
    # It logs what it then raises, and we say in our own words.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


def main() -> None:
    """Run the command line; errors become a sentence and an exit status.

    Exit status: 0 fine, 1 some input was refused, 2 the settings or the arguments are wrong,
    3 the infrastructure failed.
    """
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.Abort:
        sys.exit(130)  # 128 + SIGINT, as shells have it
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except ConfigurationError as error:
        for problem in error.problems:
            click.echo(f"kasnec: {problem}", err=True)
        sys.exit(2)
    except KasnecError as error:
        click.echo(f"kasnec: {error}", err=True)
        sys.exit(InfrastructureError.exit_status if isinstance(error, InfrastructureError) else 1)
