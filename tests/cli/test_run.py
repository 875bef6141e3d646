"""``sapwood run`` and ``sapwood watch`` as processes, driven from outside."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sapwood.fileio import open as open_recording

TARGETS = Path(__file__).parent / "targets" / "small.py"


def _serve(start: Callable[..., Any], *arguments: object) -> tuple[Any, str]:
    """Start a server; return the process and its address."""
    process = start("run", f"{TARGETS}:Small", "--port", 0, *arguments)
    line = process.wait_for("Serving Top at")
    found = re.search(r"--server (\S+)", line)
    assert found is not None
    return process, found[1]


def test_a_run_from_outside_then_sigterm(
    start: Callable[..., Any], sapwood: Callable[..., Any], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    process, server = _serve(start, "--data-dir", "data")
    for command in (
        ["set", "Top.Writer.DataFile", "run1.dat"],
        ["exec", "Top.Writer.Open"],
        ["set", "Top.Board.Run", "True"],
    ):
        assert sapwood(*command, "--server", server).code == 0
    frames = 0
    while frames < 20:
        frames = int(sapwood("get", "Top.Writer.DataFrameCount", "--server", server).out)
    refused = sapwood("set", "Top.Writer.DataFile", "/elsewhere.dat", "--server", server)
    assert refused.code == 1
    assert "data folder" in refused.error
    process.send(signal.SIGTERM)
    assert process.end() == 0
    assert process.lines[-1] == "Stopped Top."
    assert process.errors == []
    with open_recording(data / "run1.dat") as reader:
        info = reader.info()
    assert info["torn_bytes"] == 0
    assert info["frames"] - info["channels"]["255"]["frames"] >= frames
    assert info["config"]["Top"]["Writer"]["DataFile"] == "run1.dat"


def test_ctrl_c_and_for(start: Callable[..., Any]) -> None:
    process, _ = _serve(start)
    process.send(signal.SIGINT)
    assert process.end() == 0
    process, _ = _serve(start, "--for", "0.1")
    assert process.end() == 0


def test_a_second_signal_forces(
    start: Callable[..., Any], sapwood: Callable[..., Any], tmp_path: Path
) -> None:
    stubborn = tmp_path / "stubborn.py"
    stubborn.write_text(
        "import time\n"
        "from sapwood.tree import Root\n"
        "class Stubborn(Root):\n"
        "    def _stop(self):\n"
        "        print('not yet', flush=True)\n"
        "        time.sleep(60)\n"
    )
    process = start("run", f"{stubborn}:Stubborn", "--port", 0)
    process.wait_for("Serving")
    process.send(signal.SIGTERM)
    process.wait_for("not yet")
    process.send(signal.SIGTERM)
    assert process.end() == -signal.SIGTERM


def test_configuration_is_loaded(
    start: Callable[..., Any], sapwood: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "lab.yml").write_text("Top:\n  Level: 9\n")
    _, server = _serve(start, "--config", "lab.yml")
    assert sapwood("get", "Top.Level", "--server", server).out == "9\n"


def test_a_bad_configuration_stops_it(start: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "lab.yml").write_text("Top:\n  Temp: hot\n")
    process = start("run", f"{TARGETS}:Small", "--port", 0, "--config", "lab.yml")
    assert process.end() == 1
    assert "Temp" in process.errors[-1]
    assert not any("Traceback" in line for line in process.errors)


def test_a_port_in_use_is_one_line(start: Callable[..., Any]) -> None:
    _, server = _serve(start)
    process = start("run", f"{TARGETS}:Small", "--port", server.rpartition(":")[2])
    assert process.end() == 1
    assert len(process.errors) == 1
    assert server.rpartition(":")[2] in process.errors[0]


def test_a_token_is_asked_for(start: Callable[..., Any], sapwood: Callable[..., Any]) -> None:
    _, server = _serve(start, "--token", "secret")
    assert sapwood("get", "Top.Level", "--server", server).code == 1
    assert sapwood("set", "Top.Level", "3", "--server", server, "--token", "secret").code == 0


def test_watch(start: Callable[..., Any], sapwood: Callable[..., Any]) -> None:
    server_process, server = _serve(start)
    watch = start("watch", "Top.Temp", "Top.Level", "--server", server)
    lines = start("watch", "Top.Temp", "--server", server, "--json")
    watch.wait_for("Top.Level = 1")
    lines.wait_for('"disp": "21.50"')
    sapwood("set", "Top.Temp", "35", "--server", server)
    line = watch.wait_for("Top.Temp = 35.00 degC AlarmMinor")
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} Top\.Temp", line)
    update = json.loads(lines.wait_for('"disp": "35.00"'))
    assert update["path"] == "Top.Temp"
    assert update["value"] == 35.0
    assert update["severity"] == "AlarmMinor"
    watch.send(signal.SIGINT)
    assert watch.end() == 0
    assert watch.errors == []
    server_process.send(signal.SIGTERM)
    assert server_process.end() == 0
    lines.wait_for("does not answer", errors=True)
    lines.send(signal.SIGTERM)
    assert lines.end() == 0


def test_watch_of_a_device_and_of_nothing(start: Callable[..., Any], sapwood: Callable[..., Any]) -> None:
    _, server = _serve(start)
    watch = start("watch", "Top.Board.Ch[0]", "--server", server)
    watch.wait_for("Top.Board.Ch[0].Rate = 1000 Hz")
    ran = sapwood("watch", "Top.Borad", "--server", server)
    assert ran.code == 1
    assert "Top.Board" in ran.error
