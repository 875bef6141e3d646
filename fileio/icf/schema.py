"""The protobuf messages of SSDAQ, described here and built when first asked for."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

from sapwood.errors import FormatError
from sapwood.extras import need

__all__ = ["CDTS", "CHEC", "message", "messages", "parse"]

CHEC = "chec"
CDTS = "CTA.ACTL.CDTS"

# Of a package: message -> "number label type name [= default]" lines; label r(equired), o(ptional)
# or * (repeated), *p is packed. A dotted message lies in another; "enum" lists values.
_MESSAGES = {
    CHEC: {
        "LogData": """
            1 r int32 systemType; 2 r LogData.Severity severity; 3 r string sender; 4 r string message
            5 r int64 time; 6 r int32 pid; 7 r string sourceFile; 8 r int32 line; 9 o string position
            10 o string geoid; 11 o int32 seqid; 12 o int64 cameraPcTime""",
        "TimeUTC": "1 r int32 sec; 2 r int32 nsec",
        "MonitorData": "1 r TimeUTC time; 16 o MonitorData.Reciever reciver",
        "MonitorData.Reciever": """
            1 r string name; 2 o int32 pid; 3 o bool recv_data; 4 o float data_rate; 5 *p uint32 from_tm""",
        "MonitorFrame": "1 r TimeUTC time; 2 * MonitorData mondata",
        "TelData": "1 r TimeUTC time; 2 o float ra; 3 o float dec",
    },
    CDTS: {
        "TimeStamp": """
            1 o uint64 seconds; 2 o uint64 pico_seconds; 3 o uint32 index; 4 o uint32 tai_hi
            5 o uint32 tai_lo; 6 o uint32 cyc; 7 o uint32 tdc_hi; 8 o uint32 tdc_lo""",
        "TriggerMessage": """
            1 o uint32 telescope; 2 o uint64 event_counter; 3 o uint64 pps_counter
            4 o uint64 clock_counter; 5 o TimeStamp time; 6 o TriggerType type = ReadoutTrigger
            7 o WhiteRabbitStatus status = TrackPhase; 8 o fixed64 pattern""",
        "TriggerBunch": """
            1 o uint32 telescope; 2 o uint64 bunch_counter; 3 * TriggerMessage triggers
            4 o TimeStamp arrival_time""",
        "SpeedTestConfig": "1 o fixed64 bunches; 2 o fixed64 triggers",
        "FIFOMonitoring": "1 o uint64 invalid",
        "Monitoring": "1 o uint64 send_errors; 2 o FIFOMonitoring readout; 3 o FIFOMonitoring busy",
        "SimulationSettings": "1 o GeneratorType type; 2 o double frequency_in_hz; 3 o double rms_in_ps",
        "FIFOSettings": """
            1 o bool active; 2 o bool reset; 3 o bool purge; 4 o bool verbose
            5 o SimulationSettings simulation""",
        "SenderSettings": "1 o bool active; 2 o bool reset; 3 o bool verbose; 4 o uint64 telescope",
        "ExternalTriggerSettings": """
            1 o uint32 signal_width_in_ns; 2 o TimeStamp trigger_time; 3 o TimeStamp trigger_period
            4 o bool stop_trigger = false""",
        "Query": """
            1 * Query.QueryType type; 2 o string vuart; 3 o ExternalTriggerSettings external_trigger
            4 o Monitoring monitoring; 5 o SenderSettings sender; 6 o FIFOSettings readout
            7 o FIFOSettings busy; 8 o bool led; 9 o ClockFrequency clock; 666 o string error""",
    },
}
_ENUMS = {
    CHEC: {"LogData.Severity": "NOTSET 0 DEBUG 10 INFO 20 WARNING 30 ERROR 40 FATAL 50"},
    CDTS: {
        "TriggerType": """
            ReadoutTrigger 1 BusyTrigger 2 SoftTrigger 3 ExternalTrigger 4 FlatfieldTrigger 5
            SinglePeTrigger 6 PedestalTrigger 7 MuonTrigger 8""",
        "WhiteRabbitStatus": """
            Uninitialized 1 SyncNsec 2 SyncSec 3 SyncPhase 4 TrackPhase 5 WaitOffsetStable 6""",
        "GeneratorType": "GenNone 1 Disabled 2 Gaussian 3 Poisson 4",
        "ClockFrequency": "Unknown 1 Clock10MHz 2 Clock62_5MHz 3 Clock125MHz 4",
        "Query.QueryType": """
            VUART 1 ExternalTrigger 2 Monitoring 3 Terminate 666 Reboot 667 Reset 668 Sender 669
            Readout 670 Busy 671 LED 672 Clock 673 Status 997 Alive 998 Error 999""",
    },
}
_LABELS = {"o": 1, "r": 2, "*": 3, "*p": 3}
_PROTOBUF = "google.protobuf"


def _pb(name: str) -> Any:
    return need(f"{_PROTOBUF}.{name}", extra="icf")


def _field(message: Any, line: str, package: str) -> None:
    declared, _, default = line.partition(" = ")
    number, label, kind, name = declared.split()
    field = message.field.add(name=name, number=int(number), label=_LABELS[label])
    scalar = f"TYPE_{kind.upper()}"
    if scalar in type(field).Type.keys():  # noqa: SIM118  # no mapping, only keys()
        field.type = type(field).Type.Value(scalar)
    else:
        enum = kind in _ENUMS[package]
        field.type = type(field).TYPE_ENUM if enum else type(field).TYPE_MESSAGE
        field.type_name = f".{package}.{kind}"
    if default:
        field.default_value = default
    if label == "*p":
        field.options.packed = True


def _described(package: str) -> Any:
    """Return the descriptor of a package."""
    file = _pb("descriptor_pb2").FileDescriptorProto(
        name=f"sapwood/{package}.proto", package=package, syntax="proto2"
    )
    made: dict[str, Any] = {}
    for name, lines in _MESSAGES[package].items():
        outer, _, inner = name.rpartition(".")
        message = made[outer].nested_type.add(name=inner) if outer else file.message_type.add(name=name)
        made[name] = message
        for line in lines.replace("\n", ";").split(";"):
            if line.strip():
                _field(message, line.strip(), package)
    for name, text in _ENUMS[package].items():
        outer, _, inner = name.rpartition(".")
        enum = made[outer].enum_type.add(name=inner) if outer else file.enum_type.add(name=name)
        words = text.split()
        for label, value in zip(words[::2], words[1::2], strict=True):
            enum.value.add(name=label, number=int(value))
    return file


@cache
def messages() -> SimpleNamespace:
    """Return all message classes as attributes: ``messages().LogData`` and so on.

    Raises
    ------
    MissingExtra
        When protobuf is not installed.
    """
    pool = _pb("descriptor_pool").DescriptorPool()
    factory = _pb("message_factory")
    classes = {}
    for package, declared in _MESSAGES.items():
        pool.AddSerializedFile(_described(package).SerializeToString())
        for name in declared:
            if "." not in name:
                descriptor = pool.FindMessageTypeByName(f"{package}.{name}")
                classes[name] = factory.GetMessageClass(descriptor)
    return SimpleNamespace(**classes)


def message(name: str, **fields: Any) -> Any:
    """Return a new message of class `name` with these fields."""
    return getattr(messages(), name)(**fields)


def parse(name: str, data: bytes) -> Any:
    """Return the message of class `name` that `data` holds.

    Raises
    ------
    FormatError
        (A `ValueError`) when it holds none, or a required field is missing.
    """
    made = getattr(messages(), name)()
    try:
        made.ParseFromString(data)
    except _pb("message").DecodeError as error:
        raise FormatError(f"The object is no {name}", seen=str(error)) from error
    if not made.IsInitialized():
        missing = ", ".join(made.FindInitializationErrors())
        raise FormatError(f"The object is no {name}", seen=f"no {missing}")
    return made
