"""Images written as a film: GIF by pillow, MP4 by ffmpeg."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

_NUM_PALETTE_COLORS = 255  # of 256: one is left for what a frame does not change
_QUALITY = 18  # of H.264: what the eye does not tell from the original
_ENCODER_THREADS = 2  # a fixed number, on which the bytes depend
_REPORTED_CHARACTERS = 400

Pictures = Iterator[UInt8[np.ndarray, "height width 3"]]


def write_gif(
    pictures: Pictures,
    path: Path,
    *,
    frames_per_second: float | int,
    palette: UInt8[np.ndarray, "height width 3"],
) -> None:
    """Write images as a GIF file that repeats for ever.

    Parameters
    ----------
    pictures
        Images of equal size.
    path
        The file.
    frames_per_second
        Speed; a frame lasts a multiple of a hundredth of a second.
    palette
        An image with the colours of all frames, which share one palette.

    Examples
    --------
    >>> from PIL import Image
    >>> path = Path(tempfile.mkdtemp()) / "film.gif"
    >>> black, white = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)
    >>> sample = np.concatenate([black, white])
    >>> write_gif(iter([black, white]), path, frames_per_second=5, palette=sample)
    >>> with Image.open(path) as film:
    ...     film.n_frames
    2
    """
    from PIL import Image

    colors = Image.fromarray(palette).quantize(
        _NUM_PALETTE_COLORS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
    )
    images = (
        Image.fromarray(picture).quantize(palette=colors, dither=Image.Dither.NONE)
        for picture in pictures
    )
    next(images).save(
        path,
        save_all=True,
        append_images=images,
        duration=max(round(100 / frames_per_second), 1) * 10,
        loop=0,
        optimize=False,
    )


def write_mp4(
    pictures: Pictures,
    path: Path,
    *,
    frames_per_second: float | int,
    palette: UInt8[np.ndarray, "height width 3"],
) -> None:
    """Write images as an MP4 file (H.264) that browsers and slides play.

    Parameters
    ----------
    pictures
        Images of equal size with even sides.
    path
        The file.
    frames_per_second
        Speed.
    palette
        An image of the size of all others.

    Raises
    ------
    ImportError
        If there is no ffmpeg.
    RuntimeError
        If ffmpeg fails.
    """
    height, width, _ = palette.shape
    command = [ffmpeg_program(), "-y", "-loglevel", "error", "-f", "rawvideo"]
    command += ["-pixel_format", "rgb24", "-video_size", f"{width}x{height}"]
    command += ["-framerate", f"{frames_per_second:g}", "-i", "pipe:0", "-an"]
    command += ["-vf", "scale=out_color_matrix=bt709", "-colorspace", "bt709"]
    command += ["-color_primaries", "bt709", "-color_trc", "bt709"]
    command += ["-c:v", "libx264", "-crf", str(_QUALITY), "-pix_fmt", "yuv420p"]
    command += ["-threads", str(_ENCODER_THREADS), "-movflags", "+faststart"]
    command += ["-fflags", "+bitexact", "-flags:v", "+bitexact", "-map_metadata", "-1"]
    with tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(
            [*command, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=messages,
        )
        assert process.stdin is not None
        try:
            for picture in pictures:
                process.stdin.write(picture.tobytes())
        except BrokenPipeError:
            pass  # ffmpeg has stopped, and says below why
        except BaseException:
            process.kill()
            raise
        finally:
            with suppress(BrokenPipeError):
                process.stdin.close()
            process.wait()
        if process.returncode != 0:
            messages.seek(0)
            said = messages.read().decode(errors="replace").strip()[-_REPORTED_CHARACTERS:]
            raise RuntimeError(
                f"{command[0]} could not write the film (status {process.returncode}): {said}; "
                "write a .gif file, or install an ffmpeg with libx264"
            )


def ffmpeg_program() -> str:
    """The ffmpeg on the path of the system, else the one of imageio-ffmpeg.

    Returns
    -------
    str
        A command.

    Raises
    ------
    ImportError
        If there is neither.
    """
    found = shutil.which("ffmpeg")
    if found is not None:
        return found
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        return get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise ImportError(
            "an MP4 film needs the program ffmpeg on the PATH, or the package imageio-ffmpeg, and "
            "neither is there; run: pip install 'deepsphere-torch[climate]', or write a .gif file"
        ) from error


FILM_WRITERS: dict[str, Callable[..., None]] = {".gif": write_gif, ".mp4": write_mp4}
"""The writer of each kind of film."""


def film_writer(suffix: str) -> Callable[..., None]:
    """The writer of films with a suffix; for MP4, after a look for ffmpeg.

    Parameters
    ----------
    suffix
        ``".gif"`` or ``".mp4"``.

    Returns
    -------
    Callable
        :func:`write_gif` or :func:`write_mp4`.

    Raises
    ------
    ImportError
        If there is no ffmpeg.

    Examples
    --------
    >>> film_writer(".gif").__name__
    'write_gif'
    """
    if suffix == ".mp4":
        ffmpeg_program()
    return FILM_WRITERS[suffix]
