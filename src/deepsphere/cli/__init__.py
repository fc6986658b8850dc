"""The command `deepsphere`: words to functions and nothing else.

This file alone imports nothing that is optional, so that the command can say what is missing.
"""

import os
import sys
import warnings
from collections.abc import Sequence

from deepsphere.version import __version__

__all__ = ["main"]

_USER_ERROR = 2
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    A mistake of the user becomes one line on the standard error and status 2. The option
    ``--debug``, anywhere, or the environment variable ``DEEPSPHERE_DEBUG`` shows where it was
    raised instead.

    Parameters
    ----------
    arguments
        The words after ``deepsphere``; those of the process by default.

    Returns
    -------
    int
        0, 2 after a mistake of the user, or 130 after an interruption.

    Examples
    --------
    >>> main(["--version"])  # doctest: +ELLIPSIS
    deepsphere ...
    0
    """
    # a benchmark times what users of the library get, who do not come this way
    if arguments is None and sys.argv[1:2] != ["benchmark"]:
        # two threads that spin while they wait for each other on a busy machine are forty times
        # slower than two that sleep; read when OpenMP is loaded, hence before torch is imported
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words or bool(os.environ.get("DEEPSPHERE_DEBUG"))
    words = [word for word in words if word != "--debug"]
    if words == ["--version"]:  # must work in every installation
        sys.stdout.write(f"deepsphere {__version__}\n")
        return 0
    try:
        _run(words)
    except (KeyboardInterrupt, SystemExit) as stop:
        # Lightning ends the process itself when a training is interrupted
        if isinstance(stop, SystemExit) and not isinstance(stop.__context__, KeyboardInterrupt):
            raise
        return _fail("interrupted", _INTERRUPTED)
    except Exception as error:
        message = _message_for_user(error)
        if debug or message is None:
            raise
        return _fail(f"error: {message}", _USER_ERROR)
    return 0


def _run(words: list[str]) -> None:
    """Hand the words to typer, which raises what it finds wrong."""
    try:
        from deepsphere.cli.app import app
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("deepsphere"):
            raise
        raise ModuleNotFoundError(
            f"the command needs the package {error.name}, which is not installed; "
            'install it with  pip install "deepsphere-torch[train,plot]"',
            name=error.name,
        ) from error
    with warnings.catch_warnings():
        # torch says it of a format on which we rely knowingly
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")
        warnings.showwarning = _show_warning
        result = app(words or ["--help"], prog_name="deepsphere", standalone_mode=False)
    if result == _INTERRUPTED:  # how typer reports it when it does not end the process
        raise KeyboardInterrupt


def _show_warning(message: Warning | str, *_: object) -> None:
    """A warning as one line, without the place in the code."""
    sys.stderr.write(f"warning: {' '.join(str(message).split())}\n")


def _message_for_user(error: Exception) -> str | None:
    """One line for a mistake that the user can mend, or None for a fault of ours."""
    if hasattr(error, "format_message"):  # how every complaint of typer is told apart
        text = error.format_message()  # pyright: ignore[reportAttributeAccessIssue]
        context = getattr(error, "ctx", None)
        if context is not None:
            text = f"{text.rstrip('.')}; see  {context.command_path} --help"
    elif isinstance(error, NotADirectoryError):
        text = (
            f"a path must lead through folders, got {error.filename} behind a file; choose another"
        )
    elif isinstance(error, OSError) and error.strerror:
        text = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    elif isinstance(error, ModuleNotFoundError) and str(error).startswith("No module named"):
        if (error.name or "").startswith("deepsphere"):
            return None
        text = f'{error}; install the optional parts with  pip install "deepsphere-torch[all]"'
    elif isinstance(error, ValueError | OSError | ImportError):
        text = str(error)
    else:
        return None
    return " ".join(text.split())


def _fail(line: str, status: int) -> int:
    """Write one line on the standard error."""
    sys.stderr.write(f"{line}\n")
    return status
