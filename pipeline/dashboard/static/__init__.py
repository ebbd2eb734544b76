"""The page: files as a browser gets them."""

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
