"""Files are complete or absent, even if the system cannot sync a folder's list of files."""

import errno
import os
from pathlib import Path

import pytest

from bertlab.config.errors import InputError
from bertlab.tracking.files import write_whole


def test_a_system_that_opens_no_folder_writes_whole_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def refused(path: Path, how: int) -> int:
        if Path(path).is_dir():
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, how)

    monkeypatch.delattr(os, "O_DIRECTORY", raising=False)
    monkeypatch.setattr(os, "open", refused)
    write_whole(tmp_path / "a", "né")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"n\xc3\xa9"


@pytest.mark.skipif(not hasattr(os, "O_DIRECTORY"), reason="folders cannot be opened here")
@pytest.mark.parametrize(("number", "refused"), [(errno.EINVAL, False), (errno.ENOTSUP, False), (errno.EIO, True)])
def test_a_share_that_syncs_no_folder_is_used_and_a_failing_disk_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, refused: bool
) -> None:
    synced = os.fsync

    def failing(descriptor: int) -> None:
        if os.path.isdir(f"/dev/fd/{descriptor}"):  # noqa: PTH112
            raise OSError(number, os.strerror(number))
        synced(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    if refused:
        with pytest.raises(InputError, match="output_dir must be a folder with room"):
            write_whole(tmp_path / "a", "text")
    else:
        write_whole(tmp_path / "a", "text")
    assert (tmp_path / "a").read_text("utf-8") == "text", "the file itself is whole"
