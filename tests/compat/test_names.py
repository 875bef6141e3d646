"""Names, signatures and messages that code written for PyRogue relies on."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyrogue as pr
import pytest
import rogue
import rogue.interfaces.memory as rim
import rogue.interfaces.stream as ris
import rogue.utilities

Run = Callable[..., "subprocess.CompletedProcess[str]"]


# ---- errors


def test_memory_error_carries_name_and_address() -> None:
    error = pr.MemoryError(name="Top.Dev.Reg", address=0x1234, msg="no answer", size=4)
    assert str(error) == "Memory Error for Top.Dev.Reg at address 0x001234 no answer"
    assert error.address == 0x1234
    assert str(pr.MemoryError("N", 16)) == "Memory Error for N at address 0x000010"
    assert isinstance(error, rogue.GeneralError)


@pytest.mark.parametrize("name", ["NodeError", "DeviceError", "VariableError", "CommandError", "MemoryError"])
def test_exceptions_are_general_errors(name: str) -> None:
    assert issubclass(getattr(pr, name), rogue.GeneralError)


def tree(*nodes: Any, **kwargs: Any) -> Any:
    root = pr.Root(name="top", pollEn=False, **kwargs)
    device = pr.Device(name="D", memBase=rim.Emulate(4, 0x1000))
    device.add(nodes)
    root.add(device)
    return root


@pytest.mark.parametrize(
    ("base", "value", "text"),
    [
        (pr.UInt, 256, "Value range error for .*Value=256, Min=0, Max=255"),
        (pr.Int, -129, "Value range error for .*Value=-129, Min=-128, Max=127"),
        (pr.Fixed(8, 4), 9.0, "Value range error for"),
    ],
)
def test_value_out_of_range_is_a_general_error(base: Any, value: Any, text: str) -> None:
    with tree(pr.RemoteVariable(name="R", offset=0, bitSize=8, base=base)) as root:
        with pytest.raises(rogue.GeneralError, match=text):
            root.D.R.set(value)
        assert root.D.R.value() == 0


def test_index_out_of_range_is_a_general_error() -> None:
    array = pr.RemoteVariable(name="R", offset=0, numValues=4, valueBits=16, valueStride=16, base=pr.UIntBE)
    with tree(array) as root:
        root.D.R.set(0x1234, index=3)
        assert root.D.R.get(index=3) == 0x1234
        with pytest.raises(rogue.GeneralError, match="Index 4 is out of range for"):
            root.D.R.get(index=4)
        with pytest.raises(rogue.GeneralError, match="Index 4 is out of range for"):
            root.D.R.set(1, index=4)


def test_overlap_is_a_general_error() -> None:
    root = tree(
        pr.RemoteVariable(name="A", offset=0, bitSize=8), pr.RemoteVariable(name="B", offset=0, bitSize=4)
    )
    with pytest.raises(rogue.GeneralError, match="Variable bit overlap detected for block"):
        root.start()


class Broken(rim.Slave):
    """Answers every access with an error."""

    def _doTransaction(self, transaction: Any) -> None:
        transaction.error("power is off")


def test_failed_access_names_block_address_and_cause() -> None:
    root = pr.Root(name="top", pollEn=False)
    device = pr.Device(name="D", memBase=Broken(4, 4))
    device.add(pr.RemoteVariable(name="R", offset=0x10))
    root.add(device)
    text = "Transaction error for block top.D.R.* with address 0x00000010.*power is off"
    with root, pytest.raises(rogue.GeneralError, match=text):
        root.D.R.get()


@pytest.mark.parametrize(
    ("build", "error", "text"),
    [
        (
            lambda: pr.LocalVariable(name="V", value=1).add(pr.LocalVariable(name="W", value=1)),
            pr.NodeError,
            "Attempting to add node with name W to non device node V.",
        ),
        (
            lambda: pr.Device(name="D").add([pr.Device(name="address")]),
            pr.NodeError,
            "name address to D. Name collision",
        ),
        (
            lambda: pr.LocalVariable(name="V", value=1, mode="XX"),
            pr.VariableError,
            "Invalid variable mode XX. Supported: RW, RO, WO",
        ),
        (
            lambda: pr.RemoteVariable(name="V", offset=0, bitSize=0),
            pr.VariableError,
            "BitSize of 0 is invalid",
        ),
        (
            lambda: pr.RemoteVariable(name="V", offset=0, numValues=2, valueBits=9, valueStride=8),
            pr.VariableError,
            "ValueBits 9 is greater than valueStrude 8",
        ),
        (lambda: pr.RemoteVariable(name="V"), TypeError, "offset"),
        (lambda: pr.Device(name="D", size=4), TypeError, "size"),
        (lambda: pr.LinkVariable(name="L", dependencies=[None]), pr.VariableError, "None"),
    ],
)
def test_wrong_definitions(build: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        build()


def test_device_without_memory_says_so() -> None:
    root = pr.Root(name="top", pollEn=False)
    root.add(pr.Device(name="D"))
    root.D.add(pr.RemoteVariable(name="R", offset=0))
    with pytest.raises(
        pr.DeviceError, match=r"Device 'top.D' has RemoteVariables or RemoteCommands but no memBase\."
    ):
        root.start()


def test_starting_twice_is_refused() -> None:
    with pr.Root(name="top") as root, pytest.raises(pr.NodeError, match="Root is already started!"):
        root.start()


def test_set_and_verify_raises_on_mismatch() -> None:
    class Stuck(rim.Emulate):
        def _doTransaction(self, transaction: Any) -> None:
            if transaction.type() == rim.Read:
                transaction.setData(bytearray(4), 0)
            transaction.done()

    root = pr.Root(name="top", pollEn=False)
    root.add(pr.Device(name="D", memBase=Stuck(4, 4)))
    root.D.add(pr.RemoteCommand(name="C", offset=0, bitSize=8, function=pr.BaseCommand.setAndVerifyArg))
    root.D.add(pr.RemoteVariable(name="R", offset=0, mode="RO", bitOffset=8, bitSize=8))
    with root, pytest.raises(pr.CommandError, match=r"Verification failed for top\.D\.C"):
        root.D.C(3)


def test_wrong_stream_ends() -> None:
    with pytest.raises(rogue.GeneralError, match="Attempt to use >> with incompatible stream slave"):
        _ = ris.Master() >> 3
    with pytest.raises(rogue.GeneralError, match="Attempt to use << with incompatable stream master"):
        _ = ris.Slave() << 3
    with pytest.raises(rogue.GeneralError, match="Invalid frame size"):
        rogue.utilities.Prbs().genFrame(7)
    with pytest.raises(rogue.GeneralError, match="Invalid width"):
        rogue.utilities.Prbs().setWidth(33)


# ---- former names


def test_check_is_wait_with_a_warning() -> None:
    with tree(pr.RemoteVariable(name="R", offset=0)) as root:
        with pytest.warns(DeprecationWarning, match="wait"):
            root.D.R.set(3, check=True)
        with pytest.warns(DeprecationWarning, match="wait"):
            assert root.D.R.get(check=False) == 3
        with (
            pytest.warns(DeprecationWarning, match="wait"),
            pytest.raises(ValueError, match="wait=True and check=False"),
        ):
            root.D.R.set(3, wait=True, check=False)


@pytest.mark.parametrize("name", ["check", "wait"])
def test_link_callbacks_get_wait_under_either_name(name: str, recwarn: pytest.WarningsRecorder) -> None:
    seen: list[bool] = []
    functions: dict[str, dict[str, Callable[..., Any]]] = {
        "check": {
            "linkedGet": lambda check: seen.append(check),
            "linkedSet": lambda value, check: seen.append(check),
        },
        "wait": {
            "linkedGet": lambda wait: seen.append(wait),
            "linkedSet": lambda value, wait: seen.append(wait),
        },
    }
    with tree(pr.LinkVariable(name="L", **functions[name])) as root:
        seen.clear()
        root.D.L.get(wait=False)
        root.D.L.set(1, wait=False)
        root.D.L.get()
    assert seen == [False, False, True]
    assert not recwarn.list


def test_force_check_each_is_force_wait_each() -> None:
    device = pr.Device(name="D")
    with pytest.warns(DeprecationWarning, match="forceWaitEach"):
        device.forceCheckEach = True
    assert device.forceWaitEach is True


def test_commands_are_one_class() -> None:
    assert pr.Command is pr.LocalCommand is pr.BaseCommand
    assert issubclass(pr.RemoteCommand, pr.BaseCommand)
    assert issubclass(pr.RemoteCommand, pr.RemoteVariable)


# ---- block functions


class FakeBlock:
    """Notes how it is called."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def _startTransaction(self, *args: Any) -> None:
        self.calls.append(args)

    def _waitTransaction(self) -> None:
        self.calls.append(("wait",))


def test_block_functions_forward_their_arguments() -> None:
    block, variable = FakeBlock(), object()
    pr.startTransaction(block, type=rim.Write, forceWr=True, wait=True, variable=variable, index=7)
    pr.startTransaction(block, type=rim.Read)
    pr.waitTransaction(block)
    assert block.calls == [
        (rim.Write, True, True, variable, 7),
        (rim.Read, False, False, None, -1),
        ("wait",),
    ]


def test_block_functions_take_lists() -> None:
    blocks = [FakeBlock(), FakeBlock()]
    pr.writeBlocks(blocks, force=True, index=3)
    pr.verifyBlocks(blocks)
    pr.readBlocks(blocks, waitEach=True)
    pr.checkBlocks(blocks)
    expected = [
        (rim.Write, True, False, None, 3),
        (rim.Verify, False, False, None, -1),
        (rim.Read, False, True, None, -1),
        ("wait",),
    ]
    assert [block.calls for block in blocks] == [expected, expected]
    pr.writeAndVerifyBlocks(blocks, force=True)
    pr.readAndCheckBlocks(blocks, checkEach=True)
    assert [call[0] for call in blocks[0].calls[4:]] == [rim.Write, rim.Verify, "wait", rim.Read, "wait"]


def test_block_functions_move_registers() -> None:
    with tree(pr.RemoteVariable(name="R", offset=0), pr.RemoteVariable(name="S", offset=4)) as root:
        device = root.D
        blocks = [device.R._block, device.S._block]
        device.R.set(5, write=False)
        pr.startTransaction(device.R._block, type=rim.Write, variable=device.R, checkEach=True, unknown=1)
        pr.waitTransaction(device.R._block)
        device.S.set(6, write=False)
        pr.writeAndVerifyBlocks(blocks, force=True)
        pr.readAndWaitBlocks(blocks)
        assert (device.R.get(), device.S.get()) == (5, 6)


def test_failures_of_several_blocks_come_together() -> None:
    root = pr.Root(name="top", pollEn=False)
    root.add(pr.Device(name="D", memBase=Broken(4, 4)))
    root.D.add([pr.RemoteVariable(name="R", offset=0), pr.RemoteVariable(name="S", offset=4)])
    with root:
        blocks = [root.D.R._block, root.D.S._block]
        pr.readBlocks(blocks)
        with pytest.raises(rogue.GeneralError) as caught:
            pr.waitBlocks(blocks)
    assert len(caught.value.problems) == 2


# ---- numbers of the models


@pytest.mark.parametrize(
    ("number", "model"),
    [
        ("UInt", pr.UInt(8)),
        ("Int", pr.Int(8)),
        ("Bool", pr.Bool(1)),
        ("String", pr.String(8)),
        ("Float", pr.Float(32)),
        ("Double", pr.Double(64)),
        ("Fixed", pr.Fixed(8, 4)),
        ("UFixed", pr.UFixed(8, 4)),
        ("Float16", pr.Float16(16)),
        ("Float8", pr.Float8(8)),
        ("BFloat16", pr.BFloat16(16)),
        ("TensorFloat32", pr.TensorFloat32(32)),
        ("Float6", pr.Float6(8)),
        ("Float4", pr.Float4(8)),
        ("PyFunc", pr.UIntReversed(8)),
    ],
)
def test_numbers_of_models(number: str, model: Any) -> None:
    assert getattr(rim, number) == model.modelId


def test_bit_helpers() -> None:
    assert (pr.wordCount(33, 32), pr.byteCount(9), pr.byteCount(0)) == (2, 2, 1)
    assert (pr.reverseBits(0b0011, 4), pr.twosComplement(0xFFF, 12)) == (0b1100, -1)


# ---- version, logging


@pytest.mark.parametrize("older", ["0.0.1", "5.4.0", "v6.0.0", "6.15.0", "6.15.0-3-gabcdef"])
def test_older_versions_pass(older: str) -> None:
    rogue.Version.minVersion(older)
    assert rogue.Version.greaterThanEqual(older)
    assert not rogue.Version.lessThan(older)


@pytest.mark.parametrize("newer", ["6.15.1", "6.16.0", "v7.0.0"])
def test_newer_versions_are_refused(newer: str) -> None:
    with pytest.raises(
        rogue.GeneralError, match=rf"Installed rogue version 6\.15\.0 is less than minimum {newer}"
    ):
        rogue.Version.minVersion(newer)
    rogue.Version.maxVersion(newer)
    assert rogue.Version.lessThanEqual(newer)
    assert not rogue.Version.greaterThan(newer)


def test_version_numbers() -> None:
    assert rogue.Version.current() == rogue.__version__ == pr.__version__ == "6.15.0"
    assert (rogue.Version.major(), rogue.Version.minor(), rogue.Version.maint()) == (6, 15, 0)
    assert rogue.Version.devel() == 0
    assert sys.version.startswith(rogue.Version.pythonVersion())
    rogue.Version.exactVersion("6.15.0")
    with pytest.raises(rogue.GeneralError, match=r"not the required 6\.0\.0"):
        rogue.Version.exactVersion("6.0.0")
    with pytest.raises(rogue.GeneralError, match=r"greater than maximum 6\.0\.0"):
        rogue.Version.maxVersion("6.0.0")


@pytest.mark.parametrize("text", ["", "6.15", "six", "6.15.0 beta"])
def test_bad_versions_are_errors(text: str) -> None:
    with pytest.raises(rogue.GeneralError, match="Invalid compare string"):
        rogue.Version.minVersion(text)


def test_native_logging_levels(caplog: pytest.LogCaptureFixture) -> None:
    names = ("sapwood", "sapwood.stream.Fifo", "sapwood.tests")
    before = {name: logging.getLogger(name).level for name in names}
    try:
        rogue.Logging.setLevel(rogue.Logging.Error)
        rogue.Logging.setFilter("pyrogue.stream.Fifo", rogue.Logging.Debug)
        assert logging.getLogger("sapwood").level == logging.ERROR
        assert logging.getLogger("sapwood.stream.Fifo").level == logging.DEBUG
        log = rogue.Logging("tests")
        rogue.Logging.setFilter("tests", rogue.Logging.Info)
        for method in ("debug", "info", "warning", "error", "critical"):
            getattr(log, method)(f"{method} 100%")
        assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
            (level, f"{level.lower()} 100%") for level in ("INFO", "WARNING", "ERROR", "CRITICAL")
        ]
        assert log.name() == "sapwood.tests"
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


def test_log_names() -> None:
    class Player:
        pass

    assert pr.logInit(cls=Player(), name="one").name == "pyrogue.Player.one"
    assert pr.logInit(cls=pr.Device(name="D"), path="top.D").name == "pyrogue.Device.Device.top.D"
    assert pr.logInit().name == "pyrogue"
    assert pr.logName("stream.Fifo") == "pyrogue.stream.Fifo"


def test_exceptions_are_logged_with_their_traceback_but_not_bus_failures(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = logging.getLogger("pyrogue.tests")
    for error in (ValueError("odd"), pr.MemoryError("N", 1)):
        pr.logException(log, error)
    assert [record.exc_info is not None for record in caplog.records] == [True, False]


# ---- helpers of scripts


def test_base_list_goes_up_to_object() -> None:
    class A:
        pass

    class B(A):
        pass

    assert pr.genBaseList(B) == [str(B), str(A)]
    assert str(pr.Node) in pr.genBaseList(pr.Root)


def test_library_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lib" / "extra").mkdir(parents=True)
    (tmp_path / "lib" / "extra" / "found_by_path.py").write_text("X = 8\n")
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "scripts" / "run.py")])
    monkeypatch.setattr(sys, "path", list(sys.path))
    pr.addLibraryPath("../lib/extra")
    assert importlib.import_module("found_by_path").X == 8
    count = len(sys.path)
    pr.addLibraryPath([str(tmp_path / "lib" / "extra")])
    assert len(sys.path) == count
    with pytest.raises(rogue.GeneralError, match="Library path nowhere does not exist"):
        pr.addLibraryPath("nowhere")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_wait_for_the_end_of_the_program(number: signal.Signals, tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text("import pyrogue\npyrogue.waitCntrlC()\nprint('ended well')\n")
    program = subprocess.Popen(
        [sys.executable, "-m", "sapwood.compat", str(script)], stdout=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    with program:
        assert str(program.pid) in program.stdout.readline()
        os.kill(program.pid, number)
        assert program.communicate(timeout=30)[0] == "ended well\n"
    assert program.returncode == 0
