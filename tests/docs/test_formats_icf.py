"""What docs/formats/icf.md shows runs, and the names of SSDAQ's page on data and IO are there."""

from __future__ import annotations

import inspect
import re
import runpy
from pathlib import Path

from sapwood.fileio import DataReader, RawObjectReaderBase, RawObjectWriterBase
from sapwood.fileio.icf import errors

PAGE = Path(__file__).resolve().parents[2] / "docs" / "formats" / "icf.md"
TEXT = PAGE.read_text()


def test_the_examples_run(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.py").write_text("\n\n".join(re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)))
    names = runpy.run_path(str(tmp_path / "page.py"))
    assert capsys.readouterr().out.splitlines() == [
        "1000 b'object 0' b'object 7' b'object 999'",
        "[b'object 2', b'object 3'] [b'object 998', b'object 5']",
        "10000",
        "1 b'first'",
        "loss 9542 2",
        "4",
        "Frame(trigger: TriggerPacketV2, readout: SSReadout)",
        "[1000] [2]",
    ]
    assert names["total"] == sum(len(b"object %d" % number) for number in range(1000))


def test_the_errors_are_what_the_table_says() -> None:
    rows = re.findall(r"^\| (`[A-Z]\w+`(?:, `\w+`)*) \| ((?:`\w+Error`(?:, )?)+) \|", TEXT, re.MULTILINE)
    told = {
        name: re.findall(r"`(\w+)`", also) for names, also in rows for name in re.findall(r"`(\w+)`", names)
    }
    assert set(told) == set(errors.__all__)
    for name, also in told.items():
        bases = {base.__name__ for base in getattr(errors, name).__mro__}
        assert bases >= set(also)


def test_the_page_of_ssdaq() -> None:
    """Names, and arguments by position and by keyword."""
    assert list(inspect.signature(RawObjectWriterBase).parameters)[:3] == [
        "filename",
        "protocol",
        "compressor",
    ]
    assert inspect.signature(RawObjectWriterBase).parameters["compressor"].default == "bz2"
    assert inspect.signature(RawObjectWriterBase).parameters["protocol"].default == 1
    for kind in (RawObjectReaderBase, DataReader):
        for name in ("close", "filesize", "n_entries", "read", "read_at", "reload", "resetfp", "timestamp"):
            assert inspect.getdoc(getattr(kind, name))
        assert next(iter(inspect.signature(kind).parameters)) == "filename"
    assert list(inspect.signature(RawObjectReaderBase.read_at).parameters) == ["self", "ind"]


def test_reading_and_writing_as_on_the_page_of_ssdaq(tmp_path) -> None:
    path = str(tmp_path / "a.sof")
    for protocol in (0, 1):
        writer = RawObjectWriterBase(filename=path, protocol=protocol, compressor="bz2")
        writer.write(data=b"one")
        writer.write(b"two")
        assert writer.data_counter == 2
        writer.close()
        reader = RawObjectReaderBase(filename=path)
        assert (reader.read(), reader.read_at(ind=1), reader.n_entries) == (b"one", b"two", 2)
        reader.resetfp()
        assert reader.read() == b"one"
        reader.reload()
        assert reader.timestamp.year == (1970 if protocol == 0 else reader.timestamp.year)
        assert reader.filesize == Path(path).stat().st_size
        assert (reader.filename, type(reader.metadata)) == (path, dict)
        file = reader.file
        assert file.read(3) == (b"SOF" if protocol else bytes(3))
        assert reader.file is file
        reader.close()
        assert file.closed
