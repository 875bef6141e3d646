"""Files of ours read by other people's packages (the `interop` extra)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import sapwood as sw
import sapwood.fileio
from sapwood.devices import StreamVariable, StreamWriter
from sapwood.streams import Frame, Master


def recording(folder: Path) -> Path:
    """Record three frames."""
    source, writer, path = Master(), sapwood.fileio.StreamWriter(), folder / "run.dat"
    source >> writer.getChannel(0)
    writer.open(str(path))
    for channel, text in enumerate((b"first", b"second frame", b"3")):
        source._sendFrame(Frame(text, channel=channel, flags=channel * 1000, error=channel % 2))
    writer.close()
    return path


def test_pandas_reads_the_csv_of_headers(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is of the interop extra")
    sapwood.fileio.convert(recording(tmp_path), tmp_path / "run.csv")
    table = pandas.read_csv(tmp_path / "run.csv")
    assert table["channel"].tolist() == [0, 1, 2]
    assert table["flags"].tolist() == [0, 1000, 2000]
    assert table["error"].tolist() == [0, 1, 0]
    data = (tmp_path / "run.dat").read_bytes()
    start, size = table["start"].tolist(), table["size"].tolist()
    found = [data[first : first + count] for first, count in zip(start, size, strict=True)]
    assert found == [b"first", b"second frame", b"3"]


class Bench(sw.Root):
    """One variable of each kind whose text could be misread."""

    def __init__(self) -> None:
        super().__init__(name="Top", pollEn=False)
        self.add(sw.LocalVariable(name="Tiny", value=1.25e-17))
        self.add(sw.LocalVariable(name="Large", value=429984.655, disp="{:,.3f}"))
        self.add(sw.LocalVariable(name="Word", value="On"))
        self.add(sw.LocalVariable(name="Number", value="1_000"))
        self.add(sw.LocalVariable(name="Flag", value=True))
        self.add(StreamWriter(name="Writer", configStream={255: StreamVariable(root=self)}))


def checked(values: dict[str, object]) -> None:
    assert values["Tiny"] == 1.25e-17
    assert values["Large"] == 429984.655
    assert str(values["Word"]) == "On"
    assert str(values["Number"]) == "1_000"
    assert values["Flag"] is True


def test_another_yaml_library_reads_saved_configurations(tmp_path: Path) -> None:
    ruamel = pytest.importorskip("ruamel.yaml", reason="ruamel.yaml is of the interop extra")
    with Bench() as top:
        top.SaveConfig(str(tmp_path / "config.yml"))
    data = ruamel.YAML(typ="safe", pure=True).load((tmp_path / "config.yml").read_text())
    checked(data["Top"])


def test_another_yaml_library_reads_configuration_records(tmp_path: Path) -> None:
    ruamel = pytest.importorskip("ruamel.yaml", reason="ruamel.yaml is of the interop extra")
    with Bench() as top:
        top.Writer.DataFile.set(str(tmp_path / "run.dat"))
        top.Writer.Open()
        top.Writer.Close()
    with sapwood.fileio.open(tmp_path / "run.dat") as reader:
        batch = reader.read()
    assert np.all(batch.channel == 255)
    checked(ruamel.YAML(typ="safe", pure=True).load(bytes(batch[0]).decode())["Top"])
