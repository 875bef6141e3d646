"""Tree devices made from streams, recorders and registers.

Names are imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sapwood.extras import lazy_exports

if TYPE_CHECKING:
    from sapwood.devices.board.device import FrontEndBoard
    from sapwood.devices.board.firmware import FrontEndFirmware
    from sapwood.devices.bridge import StreamBridge
    from sapwood.devices.datareceiver import DataReceiver
    from sapwood.devices.datawriter import DataWriter
    from sapwood.devices.eventbuilder import EventBuilder
    from sapwood.devices.lh5writer import Lh5Writer
    from sapwood.devices.network import UdpRssiPack
    from sapwood.devices.prbs import PrbsPair, PrbsRx, PrbsTx
    from sapwood.devices.reader import StreamReader
    from sapwood.devices.recorders import ApxWriter, FormatWriter, Hdf5Writer, IcfWriter, PymodaqWriter
    from sapwood.devices.replay import ReplaySource
    from sapwood.devices.runcontrol import RunControl
    from sapwood.devices.runsequence import RunSequence
    from sapwood.devices.scan import ScanDevice
    from sapwood.devices.scanstream import ScanStream
    from sapwood.devices.stage import Fifo, Filter, RateDrop, StageDevice
    from sapwood.devices.variable import StreamVariable, Variable
    from sapwood.devices.writer import StreamWriter

__all__ = [
    "ApxWriter",
    "DataReceiver",
    "DataWriter",
    "EventBuilder",
    "Fifo",
    "Filter",
    "FormatWriter",
    "FrontEndBoard",
    "FrontEndFirmware",
    "Hdf5Writer",
    "IcfWriter",
    "Lh5Writer",
    "PrbsPair",
    "PrbsRx",
    "PrbsTx",
    "PymodaqWriter",
    "RateDrop",
    "ReplaySource",
    "RunControl",
    "RunSequence",
    "ScanDevice",
    "ScanStream",
    "StageDevice",
    "StreamBridge",
    "StreamReader",
    "StreamVariable",
    "StreamWriter",
    "UdpRssiPack",
    "Variable",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "ApxWriter": "sapwood.devices.recorders",
        "DataReceiver": "sapwood.devices.datareceiver",
        "DataWriter": "sapwood.devices.datawriter",
        "EventBuilder": "sapwood.devices.eventbuilder",
        "Fifo": "sapwood.devices.stage",
        "Filter": "sapwood.devices.stage",
        "FormatWriter": "sapwood.devices.recorders",
        "FrontEndBoard": "sapwood.devices.board.device",
        "FrontEndFirmware": "sapwood.devices.board.firmware",
        "Hdf5Writer": "sapwood.devices.recorders",
        "IcfWriter": "sapwood.devices.recorders",
        "Lh5Writer": "sapwood.devices.lh5writer",
        "PrbsPair": "sapwood.devices.prbs",
        "PrbsRx": "sapwood.devices.prbs",
        "PrbsTx": "sapwood.devices.prbs",
        "PymodaqWriter": "sapwood.devices.recorders",
        "RateDrop": "sapwood.devices.stage",
        "ReplaySource": "sapwood.devices.replay",
        "RunControl": "sapwood.devices.runcontrol",
        "RunSequence": "sapwood.devices.runsequence",
        "ScanDevice": "sapwood.devices.scan",
        "ScanStream": "sapwood.devices.scanstream",
        "StageDevice": "sapwood.devices.stage",
        "StreamBridge": "sapwood.devices.bridge",
        "StreamReader": "sapwood.devices.reader",
        "StreamVariable": "sapwood.devices.variable",
        "StreamWriter": "sapwood.devices.writer",
        "UdpRssiPack": "sapwood.devices.network",
        "Variable": "sapwood.devices.variable",
    },
)
