"""Settings of a CoMPASS run: boards, channels and their parameters, from its XML file."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from sapwood.errors import FileError
from sapwood.fileio.formats import PathLike
from sapwood.fileio.raw.errors import BadStreamError

__all__ = ["Board", "CompassConfig", "read_config"]

_SAMPLES_PER_NS = {"DT5730": 0.5, "DT5725": 0.25}
_RECORD_LENGTH = "SRV_PARAM_RECLEN"
_ENABLED = "SRV_PARAM_CH_ENABLED"
_MOST_BYTES = 64 << 20
_DEEPEST = 64
_LONGEST_NS = 1e12


@dataclass(frozen=True)
class Board:
    """One digitiser.

    Parameters
    ----------
    model, adc_bits
        As the file says them.
    sample_rate
        Samples per ns.
    samples
        Of a waveform.
    channels
        Number of each channel -> its own parameters.
    enabled
        Channels that are read out.
    """

    model: str
    adc_bits: str
    sample_rate: float
    samples: int
    channels: dict[int, dict[str, str]] = field(default_factory=dict)
    enabled: frozenset[int] = frozenset()


@dataclass(frozen=True)
class CompassConfig:
    """The boards of a run, in the order of the file, which is that of their numbers in the data."""

    boards: list[Board]


def read_config(path: PathLike) -> CompassConfig:
    """Read the settings file of a run.

    Document types and entities are refused, as are files over 64 MiB and deep nesting.

    Raises
    ------
    FileError
        When it cannot be read.
    BadStreamError
        When it is no settings file, or does not tell the length of waveforms or the sampling rate.
    """
    name = os.fspath(path)
    try:
        with open(name, "rb") as file:
            text = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise FileError(f"Failed to open settings file: {name}", file=name, seen=error.strerror) from error
    if len(text) > _MOST_BYTES:
        raise BadStreamError("The settings file is too large", file=name, expected=f"{_MOST_BYTES} bytes")
    root = _parse(text, name)
    boards = [root] if root.tag == "board" else root.findall("board")
    if not boards:
        raise BadStreamError("The settings name no board", file=name, expected="configuration/board")
    return CompassConfig([_board(board, name) for board in boards])


def _parse(text: bytes, name: str) -> Element:
    builder = TreeBuilder()
    parser = expat.ParserCreate()
    depth = 0

    def refuse(*_: object) -> None:
        raise BadStreamError(
            "The settings file declares a document type or entities",
            file=name,
            offset=parser.CurrentByteIndex,
            hint="Files of CoMPASS have none.",
        )

    def begin(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise BadStreamError("The settings file is nested too deeply", file=name, expected=_DEEPEST)
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise BadStreamError(
            "The settings file is no XML", file=name, offset=parser.ErrorByteIndex, seen=str(error)
        ) from error
    return builder.close()


def _board(board: Element, name: str) -> Board:
    model = _text(board, "modelName")
    parameters = _entries(board.find("parameters"))
    rate = _rate(board, model, name)
    channels = {}
    for channel in board.findall("channel"):
        number = _text(channel, "index")
        if not number.isdecimal() or len(number) > 4:
            raise BadStreamError(
                "A channel has no number", file=name, expected="index", seen=number or "nothing"
            )
        own = _entries(channel.find("values"))
        channels[int(number)] = {key: value or parameters.get(key, "") for key, value in own.items()}
    enabled = [
        number
        for number, own in channels.items()
        if own.get(_ENABLED, parameters.get(_ENABLED, "true")).lower() == "true"
    ]
    return Board(
        model=model,
        adc_bits=_text(board, "adcBitCount"),
        sample_rate=rate,
        samples=_samples(parameters, rate, name),
        channels=channels,
        enabled=frozenset(enabled),
    )


def _rate(board: Element, model: str, name: str) -> float:
    """Return samples per ns: of the models known, else what the file itself says."""
    known = _SAMPLES_PER_NS.get(model)
    if known is not None:
        return known
    picoseconds = _number(_text(board, "sampleTime"))
    if picoseconds is None or not 1 <= picoseconds <= 1e9:
        raise BadStreamError(
            f"The sampling rate of {model or 'a board without model'} is not known",
            file=name,
            expected=f"sampleTime (ps), or one of {', '.join(_SAMPLES_PER_NS)}",
            seen=_text(board, "sampleTime") or "nothing",
        )
    return 1000 / picoseconds


def _samples(parameters: dict[str, str], rate: float, name: str) -> int:
    length = _number(parameters.get(_RECORD_LENGTH, ""))
    if length is None or not 0 <= length <= _LONGEST_NS:
        raise BadStreamError(
            "The settings do not tell the length of waveforms",
            file=name,
            expected=f"{_RECORD_LENGTH} (ns)",
            seen=parameters.get(_RECORD_LENGTH, "nothing"),
        )
    return round(length * rate)


def _entries(parent: Element | None) -> dict[str, str]:
    """Return key -> value of the entries below `parent`; values lie one or two levels deep."""
    found: dict[str, str] = {}
    for entry in [] if parent is None else parent.findall("entry"):
        value = entry.find("value")
        inner = None if value is None else value.find("value")
        text = value if inner is None else inner
        found[_text(entry, "key")] = "" if text is None else (text.text or "").strip()
    return found


def _text(parent: Element, tag: str) -> str:
    return (parent.findtext(tag) or "").strip()


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
