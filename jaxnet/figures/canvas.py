"""A figure to draw on, and the file it goes to."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which colour-blind readers tell apart too.
BLUE, RED, GREEN, YELLOW = "#0072B2", "#D55E00", "#009E73", "#E69F00"


def check_can_save(path: str | Path) -> None:
    """Refuse, before any work is done, what `save` could not write later.

    Raises ModuleNotFoundError, saying what to install, if matplotlib is missing, and
    ValueError if the file's ending is of no kind of picture.
    """
    kinds = blank(1.0, 1.0).canvas.get_supported_filetypes()
    if Path(path).suffix.removeprefix(".").lower() not in kinds:
        raise ValueError(
            f"{path}: expected a picture's file, such as .png, .svg or .pdf, got "
            f"{Path(path).suffix or 'no ending'!r}."
        )


def blank(width: float, height: float) -> "Figure":
    """An empty figure of so many inches.

    Raises ModuleNotFoundError if matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'Figures need matplotlib: python -m pip install "jaxnet[figures]", '
            'or ".[figures]" in a checkout.'
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def save(figure: "Figure", path: str | Path) -> Path:
    """The path, where the figure now is."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a box is drawn then
        figure.savefig(path, dpi=150)
    return path
