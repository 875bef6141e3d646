"""Local variables: types, callbacks, in-place operators."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import sapwood.tree as pr
from sapwood.errors import VariableError


def running(start: Any, **kwargs: Any) -> Any:
    device = pr.Device(name="dev")
    device.add(pr.LocalVariable(name="x", **kwargs))
    return start(device).dev.x


@pytest.mark.parametrize(
    ("default", "given", "want"),
    [
        (0.5, 2, 2.0),
        (0.5, np.int32(3), 3.0),
        (0.5, np.float32(0.25), 0.25),
        (1, np.uint8(9), 9),
        (1, True, True),
        (True, np.bool_(False), False),
        (True, 0, False),
        ("a", np.str_("b"), "b"),
        ([1], [2, 3], [2, 3]),
        ({"a": 1}, {"b": 2}, {"b": 2}),
        (np.uint8(1), 200, np.uint8(200)),
    ],
)
def test_harmless_values_are_converted(start: Any, default: Any, given: Any, want: Any) -> None:
    variable = running(start, value=default)
    variable.set(given)
    assert variable.get() == want
    assert type(variable.get()) is type(want)


@pytest.mark.parametrize(
    ("default", "given"),
    [
        (1, 1.5),
        (1, "1"),
        (0.5, True),
        (0.5, "0.5"),
        (True, 2),
        ("a", 1),
        ([1], 1),
        (np.uint8(1), 300),
        (1, None),
    ],
)
def test_other_types_are_refused(start: Any, default: Any, given: Any) -> None:
    variable = running(start, value=default)
    with pytest.raises(VariableError, match=r"Type mismatch for top\.dev\.x: expected .*, got "):
        variable.set(given)
    assert variable.value() == default


def test_type_check_can_be_switched_off(start: Any) -> None:
    variable = running(start, value=1, typeCheck=False)
    variable.set("any")
    assert variable.value() == "any"


def test_array_takes_lists(start: Any) -> None:
    variable = running(start, value=np.array([1, 2, 3], np.int16))
    variable.set([4, 5])
    assert variable.value().dtype == np.int16
    assert variable.ndTypeStr == "int16"
    assert variable.typeStr == "int16(3,)"
    variable.setDisp("[7, 8]")
    assert variable.value().tolist() == [7, 8]


def test_limits(start: Any) -> None:
    variable = running(start, value=1, minimum=0, maximum=9)
    with pytest.raises(VariableError, match=r"Value range error for top\.dev\.x\. Value=10, Min=0, Max=9"):
        variable.set(10)
    assert variable.value() == 1


def test_value_or_getter_is_needed() -> None:
    with pytest.raises(VariableError, match="without localGet must have value"):
        pr.LocalVariable(name="x")


@pytest.mark.parametrize("mode", ["rw", "", "RX"])
def test_unknown_mode(mode: str) -> None:
    with pytest.raises(VariableError, match=f"Invalid variable mode {mode}. Supported: RW, RO, WO"):
        pr.LocalVariable(name="x", value=0, mode=mode)


def test_set_callback(start: Any) -> None:
    calls: list[Any] = []
    variable = running(
        start, value=1, localSet=lambda dev, var, value, changed: calls.append((value, changed))
    )
    calls.clear()
    for value, write in ((1, True), (2, True), (3, False)):
        variable.set(value, write=write)
    assert calls == [(1, False), (2, True), (3, True)]


def test_changed_for_arrays_and_lists(start: Any) -> None:
    calls: list[bool] = []
    array = running(start, value=np.arange(3), localSet=lambda changed: calls.append(changed))
    calls.clear()
    array.set(np.arange(3))
    array.set(np.arange(3) + 1)
    assert calls == [False, True]


def test_a_failing_callback_leaves_the_old_value(start: Any) -> None:
    def refuse(value: int) -> None:
        if value > 5:
            raise RuntimeError("too much")

    variable = running(start, value=1, localSet=refuse)
    with pytest.raises(RuntimeError, match="too much"):
        variable.set(6)
    assert variable.value() == 1


def test_getter_gives_value_and_type(start: Any) -> None:
    numbers = iter(range(100))
    variable = running(start, localGet=lambda: float(next(numbers)), mode="RO")
    assert variable.nativeType is float
    assert variable.get() < variable.value() < variable.get()


def test_elements(start: Any) -> None:
    variable = running(start, value=[1, 2, 3])
    variable.set(9, index=1)
    assert variable.value() == [1, 9, 3]
    assert variable.get(index=1) == 9
    variable.setDisp("7", index=2)
    assert variable.value(index=2) == 7
    mapping = running(start, value={0: "a", 1: "b"})
    mapping.set("c", index=1)
    assert mapping.value() == {0: "a", 1: "c"}


def test_in_place_operators(start: Any) -> None:
    root = start(pr.Device(name="other"))
    device = pr.Device(name="dev")
    device.add([pr.LocalVariable(name="x", value=12), pr.LocalVariable(name="f", value=3.0)])
    variable = device.x
    device.x += 3
    device.x -= 1
    device.x *= 4
    device.x //= 3
    device.x %= 10
    device.x **= 2
    device.x <<= 3
    device.x >>= 1
    device.x |= 1
    device.x &= 0xFD
    device.x ^= 2
    device.f /= 2
    assert device.x is variable
    assert variable.value() == ((((((12 + 3 - 1) * 4 // 3) % 10) ** 2 << 3 >> 1) | 1) & 0xFD) ^ 2
    assert device.f.value() == 1.5
    assert root.running


def test_in_place_is_atomic(start: Any) -> None:
    variable = running(start, value=0)

    def add() -> None:
        for _ in range(300):
            variable.__iadd__(1)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert variable.value() == 1200


@pytest.mark.parametrize(
    ("default", "text", "want"),
    [
        (1, "0x10", 16),
        (1, "1_0", 10),
        (1, "-5", -5),
        (0.5, "2", 2.0),
        (0.5, "1e3", 1000.0),
        (0.5, "inf", float("inf")),
        ("a", "0x10", "0x10"),
        ([1], "[4, 5]", [4, 5]),
        ({}, "{'a': 1}", {"a": 1}),
        (True, "False", False),
    ],
)
def test_text_to_value(start: Any, default: Any, text: str, want: Any) -> None:
    variable = running(start, value=default)
    variable.setDisp(text)
    assert variable.value() == want
    assert type(variable.value()) is type(want)


@pytest.mark.parametrize(
    ("default", "text"),
    [
        (1, "zz"),
        (1, "1.5"),
        (1, ""),
        (0.5, "True"),
        (0.5, "abc"),
        (True, "true"),
        (1, "__import__('os')"),
        ([1], "[1,"),
    ],
)
def test_bad_text(start: Any, default: Any, text: str) -> None:
    variable = running(start, value=default)
    with pytest.raises(VariableError, match=r"Invalid value .* for variable x with type"):
        variable.setDisp(text)


def test_display(start: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert running(start, value=31, disp="{:#x}").valueDisp() == "0x1f"
    assert running(start, value=31, disp="").valueDisp() == ""
    enum = running(start, value=1, disp={1: "one", 2: "two"})
    assert enum.valueDisp() == "one"
    assert enum.disp == "enum"
    enum.set(3)
    assert enum.valueDisp() == "INVALID: 3"
    assert "Invalid enum value 3 in variable 'top.dev.x'" in caplog.text
    enum.setDisp("INVALID: 3")
    assert enum.value() == 3
    assert running(start, value=5, disp=[5, 6]).enum == {5: "5", 6: "6"}
    assert running(start, value=np.arange(2000), disp="{:d}").valueDisp().count(", ") == 1999


def test_precision(start: Any) -> None:
    assert running(start, value=0.5, disp="{:1.3f}").precision == 3
    assert running(start, value=0.5).precision == 8
    assert running(start, value=5).precision == 0


@pytest.mark.parametrize("value", [[1], {}, np.arange(2)])
def test_no_enum_for_containers(value: Any) -> None:
    with pytest.raises(VariableError, match="Invalid use of enum"):
        pr.LocalVariable(name="x", value=value, enum={0: "a"})


def test_misspelled_keyword_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    variable = pr.LocalVariable(name="x", value=0, pollIntervall=1, colour="red", fileName=True)
    assert "Unknown keyword 'pollIntervall' of variable x: did you mean 'pollInterval'?" in caplog.text
    assert "colour" not in caplog.text
    assert variable.getExtraAttribute("colour") == "red"
    assert variable.getExtraAttribute("pollIntervall") == 1
    assert variable.getExtraAttribute("nothing") is None


def test_check_is_the_former_name_of_wait(start: Any) -> None:
    variable = running(start, value=0)
    with pytest.warns(DeprecationWarning, match="now called 'wait'"):
        variable.set(1, check=False)
    with pytest.warns(DeprecationWarning, match="wait"), pytest.raises(ValueError, match="contradict"):
        variable.set(1, wait=True, check=False)


def test_alarms(start: Any) -> None:
    variable = running(start, value=0.0, lowAlarm=-2, lowWarning=-1, highWarning=1, highAlarm=2)
    states = {
        0: ("Good", "Good"),
        1: ("Good", "Good"),
        -1.5: ("AlarmLow", "AlarmMinor"),
        -3: ("AlarmLoLo", "AlarmMajor"),
        1.5: ("AlarmHigh", "AlarmMinor"),
        3: ("AlarmHiHi", "AlarmMajor"),
    }
    for value, state in states.items():
        variable.set(value)
        assert (variable.alarmStatus, variable.alarmSeverity) == state
    assert variable.hasAlarm
    plain = running(start, value=1)
    assert (plain.alarmStatus, plain.alarmSeverity) == ("None", "None")
    array = running(start, value=np.array([0, 5]), highAlarm=3)
    assert array.alarmStatus == "AlarmHiHi"
