import errno
import os

import numpy as np
import pytest

from sapwood.fileio import FileLayer
from sapwood.fileio.recording.iovector import IoVector, address_of

MEMORY = np.frombuffer(b"abcdefghij", np.uint8)


@pytest.fixture
def files() -> FileLayer:
    return FileLayer()


def test_exclusive_open_refuses_what_exists(files, tmp_path):
    path = str(tmp_path / "f")
    files.close(files.open(path, exclusive=True))
    with pytest.raises(FileExistsError):
        files.open(path, exclusive=True)


def test_exclusive_open_refuses_a_dangling_link(files, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    assert files.exists(str(link))
    with pytest.raises(FileExistsError):
        files.open(str(link), exclusive=True)


def test_open_without_exclusive_truncates(files, tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"old content")
    fd = files.open(str(path), exclusive=False)
    assert files.writev(fd, [b"n", b"ew"]) == 3
    files.fdatasync(fd)
    files.close(fd)
    assert path.read_bytes() == b"new"


def test_who_reads_a_file_that_is_replaced_keeps_its_bytes(files, tmp_path):
    """A mapping of a file that is truncated kills its process at the next look."""
    path = tmp_path / "f"
    path.write_bytes(b"old content")
    with path.open("rb") as reader:
        files.close(files.open(str(path), exclusive=False))
        assert reader.read() == b"old content"
    assert path.read_bytes() == b""


def test_what_a_link_leads_to_is_truncated(files, tmp_path):
    (tmp_path / "target").write_bytes(b"old content")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    files.close(files.open(str(tmp_path / "link"), exclusive=False))
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b""


def test_new_files_follow_the_umask(files, tmp_path):
    old = os.umask(0o027)
    try:
        files.close(files.open(str(tmp_path / "f"), exclusive=True))
    finally:
        os.umask(old)
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o640


def test_truncate_rename_remove_names(files, tmp_path):
    fd = files.open(str(tmp_path / "a"), exclusive=True)
    files.writev(fd, [b"0123456789"])
    files.truncate(fd, 4)
    files.close(fd)
    (tmp_path / "b").write_bytes(b"replaced")
    files.rename(str(tmp_path / "a"), str(tmp_path / "b"))
    files.sync_dir(str(tmp_path))
    assert files.names(str(tmp_path)) == ["b"]
    assert (tmp_path / "b").read_bytes() == b"0123"
    files.remove(str(tmp_path / "b"))
    assert not files.exists(str(tmp_path / "b"))


def test_free_is_a_plausible_number(files, tmp_path):
    assert 0 <= files.free(str(tmp_path)) <= os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize


def test_a_device_has_nothing_to_sync(files):
    fd = os.open(os.devnull, os.O_WRONLY)
    try:
        files.fdatasync(fd)
    finally:
        os.close(fd)


def test_sync_of_a_closed_descriptor_is_an_error(files, tmp_path):
    fd = files.open(str(tmp_path / "f"), exclusive=True)
    files.close(fd)
    with pytest.raises(OSError, match="Bad file descriptor"):
        files.fdatasync(fd)


def test_sync_of_a_missing_folder_is_an_error(files, tmp_path):
    with pytest.raises(FileNotFoundError):
        files.sync_dir(str(tmp_path / "none"))


@pytest.fixture
def vector() -> IoVector:
    first = address_of(MEMORY)
    table = np.array([[first, 3], [first + 5, 0], [first + 5, 4]], np.intp)
    return IoVector(address_of(table), len(table), table, lambda _: [b"abc", b"", b"fghi"], (MEMORY,))


def test_pieces_by_address_are_written_as_the_buffers_are(files, vector, tmp_path):
    fd = files.open(str(tmp_path / "f"), exclusive=True)
    assert files.writev(fd, vector) == 7
    files.close(fd)
    assert (tmp_path / "f").read_bytes() == b"".join(vector) == b"abcfghi"
    assert len(vector) == 3
    assert vector[2] == b"fghi"
    assert vector[:2] == [b"abc", b""]


def test_pieces_by_address_fail_as_the_system_does(files, vector):
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(OSError, match="No space left on device") as caught:
            files.writev(full, vector)
        assert caught.value.errno == errno.ENOSPC
    finally:
        os.close(full)
    with pytest.raises(OSError, match="Bad file descriptor"):
        files.writev(full, vector)
