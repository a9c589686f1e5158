"""Where results go: their names, what speaks against them, and which are there already."""

import errno
import functools
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cli.command_errors import usage_error
from cli.inputs import Source, place_of
from cli.option_flags import Options, ending_of, wanted_output

MADE = ("cutout", "mask", "both")


@dataclass(frozen=True)
class Job:
    """One photo to cut out, and the file to write; without one, standard output takes the picture."""

    source: Source
    output: Path | None

    @property
    def done(self) -> bool:
        """Whether an earlier run wrote the result, and the photo has not changed since."""
        try:
            made_at = self.output.stat().st_mtime if self.output else None
            if made_at is None or self.source.kind == "stdin":
                return False
            return self.source.kind == "address" or made_at >= self.source.path.stat().st_mtime
        except OSError:
            return False


@dataclass(frozen=True)
class Naming:
    """How results are called. Without a folder they lie beside their photos."""

    options: Options
    folder: Path | None = None
    suffix: str | None = None

    def __post_init__(self) -> None:
        """Refuse a suffix that leads elsewhere."""
        if self.suffix and any(mark in self.suffix for mark in ("/", "\\", "\0")):
            raise usage_error(f"--suffix {self.suffix}: a part of a name, without folders")

    def output(self, source: Source) -> Path:
        """Return the file of a photo's result."""
        return self._output(source, source.stem)

    def jobs(self, sources: Iterable[Source]) -> list[Job]:
        """Return each photo with the file of its result.

        Where a.heic and a.jpg would share one, as a phone writes them, both keep their endings in its name.
        """
        named = [(s, self.output(s), self._output(s, s.whole_name)) for s in sources]
        places = {folder: folder.resolve() for folder in {plain.parent for _, plain, _ in named}}

        def key(output: Path) -> str:
            return _folded(places[output.parent] / output.name)

        wanted = Counter(name for _, plain, whole in named for name in {key(plain), key(whole)})
        return [Job(s, plain if wanted[key(plain)] == 1 else whole) for s, plain, whole in named]

    def _output(self, source: Source, name: str) -> Path:
        suffix = f"-{wanted_output(self.options)}" if self.suffix is None else self.suffix
        return self._folder_of(source) / f"{name}{suffix}{ending_of(self.options)}"

    def is_result(self, source: Source) -> bool:
        """Whether a picture is, by its place and its name, the result of an earlier run."""
        if source.kind != "file" or not _same_folder(source.path.parent, self._folder_of(source)):
            return False
        endings = [*(f"-{made}" for made in MADE), *([self.suffix] if self.suffix else [])]
        stems = [source.stem.removesuffix(ending) for ending in endings if source.stem.endswith(ending)]
        # One that was named itself may be called so by chance: the photo that it came from tells.
        return any(source.found or stem in _stems(source.path.parent) for stem in stems)

    def check_telling(self, folders: Iterable[Path]) -> None:
        """Refuse to fill folders with results that a later run could not tell from photos."""
        for folder in folders:
            beside = self.folder is None or _same_folder(self.folder, folder)
            if self.suffix == "" and beside:
                raise usage_error(f"an empty --suffix needs an --out-dir other than {folder}")

    def _folder_of(self, source: Source) -> Path:
        if self.folder is not None:
            return self.folder / source.below
        return source.path.parent if source.kind == "file" else Path()


def planned(sources: Iterable[Source], naming: Naming) -> list[Job]:
    """Return each photo with the file of its result. Raises a misuse where two would share one."""
    jobs = naming.jobs(sources)
    by_place: dict[str, Job] = {}
    for job in jobs:
        other = by_place.setdefault(_folded(place_of(job.output)), job) if job.output else job
        if other is not job:
            raise usage_error(
                f"{other.source.name} and {job.source.name} would both be written to {job.output}; "
                "rename one of them, or give them different runs and another --suffix"
            )
    return jobs


def check_output(job: Job, *, make_folder: bool = False) -> None:
    """Raise a misuse where a result cannot be written."""
    output = job.output
    if output is None:
        return
    try:
        _check(output, job.source, make_folder=make_folder)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:  # which the photo itself will fail with, and no other
            raise


def _check(output: Path, source: Source, *, make_folder: bool) -> None:
    if output.is_dir():
        raise usage_error(f"{output} is a folder; give the name of the file to write")
    if source.kind == "file" and output.exists() and output.samefile(source.path):
        raise usage_error(f"writing {output} would overwrite the photo itself")
    if not make_folder and not output.parent.is_dir():
        raise usage_error(f"there is no folder {output.parent}")


def check_folder(folder: Path) -> None:
    """Make a folder of results and try that it can be written. Raises a misuse."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise usage_error(f"cannot write to the folder {folder}: {error.strerror}") from error


def _folded(path: Path) -> str:
    # There the file system takes a.png and A.png for one file.
    return str(path).casefold() if sys.platform in {"win32", "darwin"} else str(path)


@functools.cache  # a shell may have named every result of a large folder
def _stems(folder: Path) -> frozenset[str]:
    return frozenset(name for path in folder.iterdir() for name in (path.stem, path.name))


def _same_folder(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()
