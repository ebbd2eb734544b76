"""``python -m pipeline`` is ``kasnec``."""

from pipeline.cli import main

if __name__ == "__main__":
    main()
