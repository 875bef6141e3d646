"""Many files: processes and clusters whose members die, and what is remembered of a run."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sapwood.cli.main import cli
from sapwood.errors import SapwoodError
from sapwood.fileio import lh5
from sapwood.fileio.raw import OutSpecError
from sapwood.fileio.raw.executors import DaskCluster, OneByOne, Processes, build_many
from sapwood.fileio.raw.jobs import make_job, run_job
from sapwood.fileio.raw.manifest import Manifest

# A decoder that kills its process: the first time for every recording named `deadly`, always for `fatal`.
DEADLY = """
import os, signal
from pathlib import Path
from sapwood.fileio.raw import DataDecoder

class DeadlyDecoder(DataDecoder):
    decoded_values = {"size": {"dtype": "int64"}}

    def decode_batch(self, packets, packet_ids, buffers):
        mark = Path(os.environ["DEADLY_MARK"])
        if mark.name == "always" or not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        self.deliver(None, {"size": packets.size}, buffers)

class SlowDecoder(DataDecoder):
    decoded_values = {"size": {"dtype": "int64"}}

    def decode_batch(self, packets, packet_ids, buffers):
        Path(os.environ["DEADLY_MARK"]).write_text(str(os.getpid()))
        while True:
            signal.pause()
"""


@pytest.fixture
def inputs(compass: Any, tmp_path: Path) -> list[Path]:
    """Four CoMPASS files."""
    made = []
    for number in range(4):
        path = compass.write(9, [{"energy": number, "samples": range(4)}] * (10 + number))
        made.append(path.rename(tmp_path / f"run{number}.BIN"))
    return made


@pytest.fixture
def deadly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the module ``deadly`` and a recording."""
    from sapwood.fileio import StreamWriter
    from sapwood.streams import Frame, Master

    (tmp_path / "deadly.py").write_text(DEADLY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)  # what Dask gives to its processes
    monkeypatch.setenv("DEADLY_MARK", str(tmp_path / "once"))
    source, writer = Master(), StreamWriter()
    source >> writer.getChannel(0)
    writer.open(tmp_path / "run.dat")
    source._sendFrame(Frame(b"abc"))
    writer.close()
    return tmp_path


def rows(path: Path) -> int:
    return len(lh5.read("CompassEvent", str(path.with_suffix(".lh5"))))


@pytest.mark.parametrize("executor", [OneByOne(), Processes(2)])
def test_all_files_are_converted(inputs: list[Path], executor: Any, tmp_path: Path) -> None:
    bad = tmp_path / "bad.BIN"
    bad.write_bytes(b"nothing of this kind")
    cut = inputs[1].read_bytes()
    inputs[1].write_bytes(cut[:-3])
    told: dict[str, tuple[int, int]] = {}
    jobs = [make_job(path) for path in [*inputs, bad]]
    found = {
        outcome.in_stream: outcome
        for outcome in build_many(jobs, executor, None, lambda name, *read: told.update({name: read}))
    }
    assert [found[str(path)].status for path in inputs] == ["done", "damaged", "done", "done"]
    assert [rows(path) for path in inputs] == [10, 10, 12, 13]
    assert found[str(bad)].status == "unreadable"
    assert "no CoMPASS file" in found[str(bad)].error
    assert found[str(inputs[2])].summary["rows"][f"{inputs[2].with_suffix('.lh5')}:/CompassEvent"] == 12
    assert "is cut after" in found[str(inputs[1])].summary["problems"][0]
    if isinstance(executor, OneByOne):
        size = inputs[0].stat().st_size
        assert told[str(inputs[0])] == (size, size)


def test_words_and_names_of_outputs(
    inputs: list[Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = {
        "CompassEventDecoder": {"raw": {"key_list": ["*"], "out_stream": "{where}/{orig_basename}.lh5:/x"}}
    }
    jobs = [make_job(path, out_spec=spec, where="sub") for path in inputs]
    assert [outcome.status for outcome in build_many(jobs)] == ["done"] * 4
    for number in range(4):
        assert len(lh5.read("x/raw", str(tmp_path / f"sub/run{number}.lh5"))) == 10 + number


def test_two_inputs_never_share_an_output(inputs: list[Path]) -> None:
    with pytest.raises(OutSpecError, match="would be written"):
        list(build_many([make_job(path, out_spec="one.lh5") for path in inputs]))
    spec = {"*": {"{name}": {"key_list": ["*"], "out_stream": "one.lh5"}}}
    with pytest.raises(OutSpecError, match="orig_basename"):
        list(build_many([make_job(path, out_spec=spec) for path in inputs]))


def test_a_process_that_dies_is_begun_again(deadly: Path) -> None:
    job = make_job("run.dat", decoders=["deadly:DeadlyDecoder"])
    (outcome,) = build_many([job], Processes(1))
    assert (outcome.status, outcome.attempts) == ("done", 2)
    assert len(lh5.read("Deadly", str(deadly / "run.lh5"))) == 1
    assert not list(deadly.glob("*.part"))


def test_a_file_that_kills_every_process_is_given_up(
    deadly: Path, monkeypatch: pytest.MonkeyPatch, inputs: list[Path]
) -> None:
    monkeypatch.setenv("DEADLY_MARK", str(deadly / "always"))
    jobs = [make_job("run.dat", decoders=["deadly:DeadlyDecoder"]), *map(make_job, inputs)]
    found = {Path(outcome.in_stream).name: outcome for outcome in build_many(jobs, Processes(1, attempts=2))}
    assert (found["run.dat"].status, found["run.dat"].attempts) == ("failed", 2)
    assert "ended with code -9" in found["run.dat"].error
    assert [found[path.name].status for path in inputs] == ["done"] * 4
    assert not (deadly / "run.lh5").exists()


def test_who_stops_listening_ends_the_processes(deadly: Path, inputs: list[Path]) -> None:
    jobs = [make_job(inputs[0]), make_job("run.dat", decoders=["deadly:SlowDecoder"])]
    outcomes = build_many(jobs, Processes(1))
    assert next(outcomes).status == "done"
    waiting = threading.Event()
    while not (deadly / "once").exists() or not (deadly / "once").read_text():
        waiting.wait(0.01)
    outcomes.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int((deadly / "once").read_text()), 0)


def test_a_worker_ends_with_who_began_it(deadly: Path) -> None:
    import subprocess

    job = make_job("run.dat", decoders=["deadly:SlowDecoder"])
    command = [sys.executable, "-m", "sapwood.fileio.raw.worker"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        worker.stdin.write(json.dumps({"job": job, "since": None}) + "\n")
        worker.stdin.flush()
        waiting = threading.Event()
        while not (deadly / "once").exists():
            waiting.wait(0.01)
        worker.stdin.close()
        assert worker.wait(60) == 0


def test_an_output_of_an_attempt_that_could_not_tell_is_replaced(inputs: list[Path]) -> None:
    job = make_job(inputs[0])
    output = inputs[0].with_suffix(".lh5")
    output.write_bytes(b"older")
    assert run_job(job).status == "failed"
    changed = output.stat().st_mtime
    assert run_job(job, since=changed + 100).status == "failed"
    assert output.read_bytes() == b"older"
    assert run_job(job, since=changed).status == "done"
    assert rows(inputs[0]) == 10


class TestManifest:
    def statuses(self, jobs: list[dict[str, Any]], path: Path, **options: Any) -> list[str]:
        found = {one.in_stream: one.status for one in build_many(jobs, OneByOne(), Manifest(path, **options))}
        return [found[job["in_stream"]] for job in jobs]

    def test_another_run_does_what_is_missing(self, inputs: list[Path], tmp_path: Path) -> None:
        path, jobs = tmp_path / "done.jsonl", [make_job(one, overwrite=True) for one in inputs]
        whole = inputs[3].read_bytes()
        inputs[3].write_bytes(b"")
        assert self.statuses(jobs, path) == ["done"] * 3 + ["unreadable"]
        inputs[0].with_suffix(".lh5").unlink()
        inputs[1].write_bytes(inputs[1].read_bytes() * 1 + b"x")
        inputs[3].write_bytes(whole)
        assert self.statuses(jobs, path) == ["done", "damaged", "skipped", "done"]
        assert self.statuses(jobs, path) == ["skipped"] * 4
        assert self.statuses(jobs, path, afresh=True) == ["done", "damaged", "done", "done"]
        other = [make_job(one, overwrite=True, n_max=5) for one in inputs]
        assert self.statuses(other, path) == ["done"] * 4

    def test_leave_to_overwrite_does_not_count(self, inputs: list[Path], tmp_path: Path) -> None:
        path, plain = tmp_path / "done.jsonl", [make_job(one) for one in inputs[:2]]
        assert self.statuses([make_job(one, overwrite=True) for one in inputs[:2]], path) == ["done"] * 2
        assert self.statuses(plain, path) == ["skipped"] * 2
        inputs[0].write_bytes(inputs[0].read_bytes() + b"x")
        assert self.statuses(plain, path) == ["damaged", "skipped"]  # its own output is replaced
        inputs[0].write_bytes(inputs[0].read_bytes() + b"y")
        inputs[0].with_suffix(".lh5").write_bytes(b"of somebody else")
        assert self.statuses(plain, path) == ["failed", "skipped"]

    def test_lines_that_make_no_sense_are_passed_over(self, inputs: list[Path], tmp_path: Path) -> None:
        path, jobs = tmp_path / "done.jsonl", [make_job(one, overwrite=True) for one in inputs[:2]]
        assert self.statuses(jobs, path) == ["done"] * 2
        lines = path.read_text().splitlines()
        path.write_text('[1]\n{"input": 3}\n\xff\n' + lines[0] + "\n" + lines[1][:-9])
        assert self.statuses(jobs, path) == ["skipped", "done"]
        assert self.statuses(jobs, path) == ["skipped", "skipped"]

    def test_an_unreadable_one(self, tmp_path: Path) -> None:
        with pytest.raises(OSError, match="Failed to read"):
            Manifest(tmp_path)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A Dask cluster of two processes on this machine."""
    distributed = pytest.importorskip("distributed", reason="the extra dask is not installed")
    import dask

    settings = {"distributed.scheduler.work-stealing": False, "distributed.admin.log-length": 0}
    with (
        dask.config.set({**settings, "logging.distributed": "critical"}),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address=None,
            local_directory=str(tmp_path / "dask"),
            silence_logs=logging.CRITICAL,
        ) as made,
    ):
        yield made


@pytest.mark.filterwarnings("ignore")  # those of the other package
def test_a_cluster_that_loses_a_worker(deadly: Path, inputs: list[Path], cluster: Any) -> None:
    jobs = [make_job("run.dat", decoders=["deadly:DeadlyDecoder"]), *map(make_job, inputs)]
    manifest = Manifest(deadly / "done.jsonl")
    executor = DaskCluster(cluster.scheduler_address)
    found = {Path(one.in_stream).name: one for one in build_many(jobs, executor, manifest)}
    assert {name: (one.status, one.error) for name, one in found.items()} == dict.fromkeys(
        found, ("done", None)
    )
    assert len(found) == 5
    assert (deadly / "once").exists()
    assert [rows(path) for path in inputs] == [10, 11, 12, 13]
    assert [one.status for one in build_many(jobs, executor, manifest)] == ["skipped"] * 5
    command = ["raw", "build", *map(str, inputs), "--overwrite", "--scheduler", cluster.scheduler_address]
    ran = CliRunner().invoke(cli, command)
    assert ran.exit_code == 0, ran.output
    assert len(ran.stdout.splitlines()) == 4
    assert len(Path("sapwood-raw.jsonl").read_text().splitlines()) == 4


def test_a_scheduler_that_is_not_there(inputs: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    import sapwood.fileio.raw.executors as module

    monkeypatch.setattr(module, "_CONNECT_S", 0.3)
    with pytest.raises(SapwoodError, match="No Dask scheduler"):
        list(build_many([make_job(inputs[0])], DaskCluster("tcp://127.0.0.1:9")))
