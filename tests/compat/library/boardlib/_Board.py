# fmt: off
# ruff: noqa
import pyrogue as pr
import pyrogue.interfaces.simulation
import pyrogue.utilities.fileio
import pyrogue.utilities.prbs

from boardlib._Monitor import *
from boardlib._Proxy import *
from boardlib._Serial import *
from boardlib._Version import *


class Board(pr.Device):
    def __init__(self, lanes=2, serial=None, **kwargs):
        super().__init__(**kwargs)
        self.add(BoardVersion(offset=0x0000, numUserConstants=4, expand=False))
        for i in range(2):
            self.add(LaneStatus(name=f'Lane[{i}]', offset=0x1000 * (i + 1), lanes=lanes, expand=False))
        self.add(Snapshot(name='Snapshot', offset=0x4000))
        self.add(IndirectChip(name='Indirect', offset=0x5000))
        self.add(ByMemBase(name='Direct', offset=0x6000))
        if serial is not None:
            self.add(SerialPort(serial, name='Uart'))


class BoardRoot(pr.Root):
    def __init__(self, memBase=None, serial=None, **kwargs):
        super().__init__(name='Top', description='A board', **kwargs)
        if memBase is None:
            memBase = pyrogue.interfaces.simulation.MemEmulate(minWidth=4, maxSize=0x1000)
            self.addInterface(memBase)
        self.add(Board(name='Board', memBase=memBase, serial=serial))
        self.add(EventCounter(name='Counter'))
        self.add(pyrogue.utilities.prbs.PrbsTx(name='Source'))
        self.add(pyrogue.utilities.fileio.StreamWriter(name='Writer'))
        self.Source >> self.Writer.getChannel(1)
