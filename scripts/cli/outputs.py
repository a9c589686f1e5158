"""Output file names, conflict checks, and detection of results that are up to date."""

import errno
import functools
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cli.command_errors import usage_error
from cli.inputs import Source, canonical_path
from cli.option_flags import Options, get_output_extension, get_output_kind

OUTPUT_KINDS = ("cutout", "mask", "both", "layers")


@dataclass(frozen=True)
class Job:
    """One image to process and its output file; None is standard output."""

    source: Source
    output: Path | None

    @property
    def up_to_date(self) -> bool:
        """Whether the output file exists and is not older than the image."""
        try:
            written_at = self.output.stat().st_mtime if self.output else None
            if written_at is None or self.source.kind == "stdin":
                return False
            return self.source.kind == "url" or written_at >= self.source.path.stat().st_mtime
        except OSError:
            return False


@dataclass(frozen=True)
class Naming:
    """Naming scheme of output files. Without a folder they are written next to their images."""

    options: Options
    folder: Path | None = None
    suffix: str | None = None

    def __post_init__(self) -> None:
        """Raise a usage error for a suffix with a path separator."""
        if self.suffix and any(mark in self.suffix for mark in ("/", "\\", "\0")):
            raise usage_error(f"--suffix {self.suffix}: must be a part of a file name, without folders")

    def output_path(self, source: Source) -> Path:
        """Return the output file of an image."""
        return self._output_path(source, source.stem)

    def make_name(self, stem: str) -> str:
        """Return the file name of the result of an image with this name."""
        suffix = f"-{get_output_kind(self.options)}" if self.suffix is None else self.suffix
        return f"{stem}{suffix}{get_output_extension(self.options)}"

    def make_jobs(self, sources: Iterable[Source]) -> list[Job]:
        """Return a job for each image.

        Images whose names differ in the extension only, such as a.heic and a.jpg, keep it in the output name.
        """
        named = [(s, self.output_path(s), self._output_path(s, s.file_name)) for s in sources]
        resolved = {folder: folder.resolve() for folder in {short.parent for _, short, _ in named}}

        def key(output: Path) -> str:
            return _fold_case(resolved[output.parent] / output.name)

        counts = Counter(name for _, short, full in named for name in {key(short), key(full)})
        return [Job(s, short if counts[key(short)] == 1 else full) for s, short, full in named]

    def _output_path(self, source: Source, name: str) -> Path:
        return self._output_folder(source) / self.make_name(name)

    def is_result(self, source: Source) -> bool:
        """Whether a file matches the output naming pattern, so is the result of an earlier run."""
        if source.kind != "file" or not _is_same_folder(source.path.parent, self._output_folder(source)):
            return False
        endings = [*(f"-{kind}" for kind in OUTPUT_KINDS), *([self.suffix] if self.suffix else [])]
        stems = [source.stem.removesuffix(ending) for ending in endings if source.stem.endswith(ending)]
        # A file that was named itself counts only if the image that it would come from exists.
        return any(source.in_folder or stem in _stems(source.path.parent) for stem in stems)

    def check_distinguishable(self, folders: Iterable[Path]) -> None:
        """Raise a usage error if a later run could not distinguish results in these folders from images."""
        for folder in folders:
            same = self.folder is None or _is_same_folder(self.folder, folder)
            if self.suffix == "" and same:
                raise usage_error(f"an empty --suffix needs an --out-dir other than {folder}")

    def _output_folder(self, source: Source) -> Path:
        if self.folder is not None:
            return self.folder / source.subfolder
        return source.path.parent if source.kind == "file" else Path()


def plan_jobs(sources: Iterable[Source], naming: Naming) -> list[Job]:
    """Return a job for each image. Raises a usage error if two would write the same file."""
    jobs = naming.make_jobs(sources)
    by_output: dict[str, Job] = {}
    for job in jobs:
        other = by_output.setdefault(_fold_case(canonical_path(job.output)), job) if job.output else job
        if other is not job:
            raise usage_error(
                f"{other.source.name} and {job.source.name} would both be written to {job.output}; "
                "rename one of them, or process them in separate runs with different --suffix"
            )
    return jobs


def check_output(job: Job, *, create_folder: bool = False) -> None:
    """Raise a usage error if the job's output file cannot be written."""
    output = job.output
    if output is None:
        return
    try:
        _check_path(output, job.source, create_folder=create_folder)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:  # that fails this image alone, when it is written
            raise


def _check_path(output: Path, source: Source, *, create_folder: bool) -> None:
    if output.is_dir():
        raise usage_error(f"{output} is a folder; give the name of the file to write")
    if source.kind == "file" and output.exists() and output.samefile(source.path):
        raise usage_error(f"{output} would overwrite the input image itself")
    if not create_folder and not output.parent.is_dir():
        raise usage_error(f"there is no folder {output.parent}")


def ensure_writable_folder(folder: Path) -> None:
    """Create an output folder if missing and test that it is writable. Raises a usage error."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise usage_error(f"cannot write to the folder {folder}: {error.strerror}") from error


def _fold_case(path: Path) -> str:
    # On case-insensitive file systems a.png and A.png are one file.
    return str(path).casefold() if sys.platform in {"win32", "darwin"} else str(path)


@functools.cache  # a shell pattern may name every result of a large folder
def _stems(folder: Path) -> frozenset[str]:
    return frozenset(name for path in folder.iterdir() for name in (path.stem, path.name))


def _is_same_folder(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()
