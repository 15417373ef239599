"""Xet storage on this disk, for the local Hub: the real client writes to it and reads from it.

The client stores chunks, and shards that say which chunks make up which file. A commit names a file by its SHA-256,
and Xet by a hash of its own; both are in the shards, whose blocks of 48 bytes are read here:

    header                    1 block
    for each file             hash, flags, number of segments n
                              n blocks of segments, n of verification (flag), 1 with the SHA-256 (flag)
    end                       hash of ones
"""

import struct
import time
from collections.abc import Iterator
from pathlib import Path

BLOCK = 48
VERIFIED, DESCRIBED = 1 << 31, 1 << 30
TOKEN = "local-xet-token"
MINUTES = 60


class XetStore:
    """Files in one folder, under their SHA-256."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def endpoint(self) -> str:
        """The URL for the client."""
        return f"local://{self.folder}"

    def hash_of(self, sha256: str) -> str | None:
        """The name under which the client knows a file, if it was uploaded."""
        return dict(self._files()).get(sha256)

    def fetch(self, sha256: str, size: int, place: Path) -> None:
        """Put a file together from its chunks, as the Hub does for clients that do not speak Xet."""
        import hf_xet

        ends = int(time.time()) + 60 * MINUTES
        session = hf_xet.XetSession()
        with session.new_file_download_group(endpoint=self.endpoint, token=TOKEN, token_expiry_unix_secs=ends) as group:
            group.start_download_file(hf_xet.XetFileInfo(self.hash_of(sha256), size), str(place))

    def _files(self) -> Iterator[tuple[str, str]]:
        for shard in self.folder.glob("**/shards/*.mdb"):
            content, at = shard.read_bytes(), BLOCK
            while content[at : at + 32] != b"\xff" * 32:
                flags, segments = struct.unpack_from("<II", content, at + 32)
                name = _hex(content[at : at + 32])
                at += BLOCK * (1 + segments * (2 if flags & VERIFIED else 1))
                if flags & DESCRIBED:
                    yield _hex(content[at : at + 32]), name
                    at += BLOCK


def _hex(stored: bytes) -> str:
    """Write a hash as the client does: four numbers of 64 bits, the lowest byte of each first."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", stored))
