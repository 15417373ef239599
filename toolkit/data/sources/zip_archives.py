"""A .zip unpacked into a folder of this process, with limits on paths and size.

Links, hidden files and files of the system (__MACOSX, ._1.jpg) are skipped. The folder is deleted when the process
ends.
"""

import atexit
import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path, PurePosixPath

from toolkit.data.formats.text_decoding import most_unpacked, too_large
from toolkit.data.sources.folders import hidden
from toolkit.errors import DataError

_MOST_FILES = 2_000_000
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
_IN_UTF8 = 0x800  # flag of a name
_ENCRYPTED = 0x1


def unpacked(path: Path) -> Path:
    """Return the folder into which a .zip was unpacked, once for each process; any other path as it is.

    Raises:
        DataError: It is damaged or encrypted, contains paths outside its folder, or far more data than its size
            suggests.
    """
    if path.suffix.lower() != ".zip" or not path.is_file():
        return path
    facts = path.stat()
    return _unpack(path.resolve(), facts.st_size, facts.st_mtime_ns)


@contextmanager
def opened(path: Path) -> Iterator[Path]:
    """Give the folder into which a .zip was unpacked, or any other path as it is; errors name the .zip, not the folder.

    Raises:
        DataError: As `unpacked`, or what is raised within.
    """
    folder = unpacked(path)
    try:
        yield folder
    except DataError as error:
        if folder == path or str(folder) not in str(error):
            raise
        fix = error.fix.replace(str(folder), str(path.with_suffix("")))
        first = fix if fix == error.fix else f"Unpack {path.name} first. {fix}"
        raise DataError(error.problem.replace(str(folder), str(path)), first, id=error.id) from None


@cache
def _unpack(path: Path, _size: int, _changed: int) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="toolkit-zip-"))
    atexit.register(_remove, folder, os.getpid())
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(path, archive)
            _check_room(path, folder, sum(member.file_size for member in members.values()))
            left = most_unpacked(path)
            for name, member in members.items():
                left = _write(path, archive, member, folder / name, left)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise DataError(
            f"{path} cannot be unpacked: it is truncated, damaged or not a ZIP archive ({error}).",
            "Download or copy it again; `unzip -t FILE` tells whether a file is intact.",
            id="data.damaged-file",
        ) from None
    except OSError as error:  # a name that is too long, a file where a folder should be, a full disk
        raise DataError(
            f"{path} cannot be unpacked: {error.strerror or error}.", "Unpack it yourself.", id="data.damaged-file"
        ) from None
    return folder


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:  # a forked process leaves it to its parent
        shutil.rmtree(folder, ignore_errors=True)


def _members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Return the files of an archive that are data: name below the folder → member."""
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        mode = member.external_attr >> 16
        parts = PurePosixPath(_name(member)).parts
        link = stat.S_IFMT(mode) not in (0, stat.S_IFREG)  # or a device
        if member.is_dir() or link or any(hidden(part) for part in parts if part != ".."):
            continue
        if member.flag_bits & _ENCRYPTED:
            raise DataError(
                f"{path} is encrypted.",
                "Unpack it with its password, and give the folder.",
                id="data.unsupported-archive",
            )
        if not parts or ".." in parts or PurePosixPath(*parts).is_absolute() or ":" in parts[0]:
            raise DataError(
                f"{path} holds a file that would be written outside of its folder ({_name(member)[:200]!r}).",
                "Do not trust this archive. Unpack it by hand only if you know its origin.",
                id="data.unsafe-archive",
            )
        if member.compress_type not in _METHODS:
            raise DataError(
                f"{path} uses an unsupported compression method.",
                "Unpack it, and give the folder.",
                id="data.unsupported-archive",
            )
        if PurePosixPath(*parts).as_posix() in members:
            raise DataError(
                f"{path} holds two files named {_name(member)!r}.",
                "Unpack it, and give the folder.",
                id="data.unsupported-archive",
            )
        members[PurePosixPath(*parts).as_posix()] = member
    if len(members) > _MOST_FILES or sum(member.file_size for member in members.values()) > most_unpacked(path):
        raise too_large(path)
    if not members:
        raise DataError(f"{path} holds no files.", "Name another.", id="data.no-rows")
    return members


def _name(member: zipfile.ZipInfo) -> str:
    """Return the name of a member; where the archive does not say its encoding, it is UTF-8 if it can be."""
    name = member.filename
    if not member.flag_bits & _IN_UTF8:
        with suppress(UnicodeError):  # then the standard's encoding applies
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")


def _check_room(path: Path, folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise DataError(
            f"{path} unpacks to {size / 2**30:.1f} GiB, and {folder.parent} has {free / 2**30:.1f} GiB left.",
            "Free some space, set TMPDIR to a folder on another disk, or unpack it yourself and give the folder.",
            id="machine.disk-full",
        )


def _write(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, left: int) -> int:
    """Write one file, and return how many bytes may still be written; since the sizes in the archive may be wrong."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as packed, target.open("xb") as stream:
        while block := packed.read(2**20):
            left -= len(block)
            if left < 0:
                raise too_large(path)
            stream.write(block)
    return left
