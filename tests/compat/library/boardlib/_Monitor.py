# fmt: off
# ruff: noqa
import math
import time

import pyrogue as pr
import rogue.interfaces.memory as rim


class LaneStatus(pr.Device):
    """A lane, with one getter of each style."""

    def __init__(self, *args, lanes=2, **kwargs):
        super().__init__(*args, **kwargs)

        for i in range(lanes):
            self.add(pr.RemoteVariable(
                name         = f'RxErrCnt[{i}]',
                mode         = 'RO',
                offset       = 0x10 + 4*i,
                bitSize      = 16,
                bitOffset    = 0,
                disp         = '{:d}',
                pollInterval = 1,
                bulkOpEn     = (i == 0),
                updateNotify = True,
                retryCount   = 2,
            ))

            self.add(pr.LinkVariable(
                name         = f'RxErrRate[{i}]',
                mode         = 'RO',
                units        = 'Hz',
                disp         = '{:1.3f}',
                dependencies = [self.RxErrCnt[i]],
                linkedGet    = lambda read, x=i: float(self.RxErrCnt[x].get(read=read)) / 2,
            ))

        self.addRemoteVariables(
            name        = 'Delay',
            description = 'Taps of the input delay',
            offset      = 0x40,
            bitSize     = 9,
            bitOffset   = 0,
            base        = pr.UInt,
            mode        = 'RW',
            number      = 4,
            stride      = 4,
            disp        = '{:d}',
            units       = 'taps',
            groups      = ['NoStream', 'NoState'],
            verify      = False,
            overlapEn   = True,
        )

        self.addRemoteVariables(
            name     = 'Pattern',
            offset   = 0x60,
            bitSize  = 8,
            mode     = 'RW',
            number   = 3,
            stride   = 1,
            pack     = True,
        )

        self.add(pr.RemoteVariable(
            name      = 'TempRaw',
            mode      = 'RO',
            offset    = 0x80,
            bitSize   = 12,
            bitOffset = 4,
            base      = pr.UInt,
            hidden    = True,
        ))

        self.add(pr.RemoteVariable(
            name      = 'Gain',
            mode      = 'RW',
            offset    = 0x84,
            base      = pr.Fixed(16, 8),
            minimum   = -10,
            maximum   = 10,
        ))

        self.add(pr.RemoteVariable(
            name      = 'Offset',
            mode      = 'RW',
            offset    = 0x88,
            bitSize   = 10,
            base      = pr.Int,
        ))

        self.add(pr.RemoteVariable(
            name      = 'Mac',
            mode      = 'RW',
            offset    = 0x90,
            bitSize   = 48,
            base      = pr.UIntBE,
        ))

        self.add(pr.RemoteVariable(
            name      = 'State',
            mode      = 'RW',
            offset    = 0x98,
            bitSize   = 2,
            bitOffset = 0,
            enum      = {0: 'Idle', 1: 'Align', 2: 'Locked'},
        ))

        self.add(pr.RemoteVariable(
            name      = 'Scattered',
            mode      = 'RW',
            offset    = [0xA0, 0xA4],
            bitSize   = [4, 8],
            bitOffset = [4, 0],
        ))

        self.add(pr.RemoteVariable(
            name        = 'Histogram',
            mode        = 'RW',
            offset      = 0x200,
            base        = pr.UInt,
            numValues   = 40,
            valueBits   = 16,
            valueStride = 16,
            hidden      = True,
            bulkOpEn    = False,
            groups      = ['NoStream', 'NoState', 'NoConfig'],
        ))

        self.add(pr.RemoteVariable(
            name      = 'Strobe',
            mode      = 'WO',
            offset    = 0xB0,
            bitSize   = 1,
            bitOffset = 0,
            base      = pr.UInt,
        ))

        def getTempKelvin(dev, var, read):
            return 273.15 + dev.TempRaw.get(read=read) / 16

        def getTempNote(dev, var):
            return 'hot' if dev.TempRaw.value() > 0x7FF else 'cold'

        def getSigned(var, read, check):
            return pr.twosComplement(var.dependencies[0].get(read=read, wait=check), 12)

        self.add(pr.LinkVariable(
            name='TempKelvin', mode='RO', linkedGet=getTempKelvin, dependencies=[self.TempRaw],
            disp='{:0.04f}', units='K', pollInterval=5))
        self.add(pr.LinkVariable(
            name='TempNote', mode='RO', linkedGet=getTempNote, dependencies=[self.TempRaw], typeStr='str'))
        self.add(pr.LinkVariable(
            name='TempSigned', linkedGet=getSigned, dependencies=[self.TempRaw]))
        self.add(pr.LinkVariable(
            name='LaneCount', mode='RO', linkedGet=lambda: lanes, guiGroup='Info'))
        self.add(pr.LinkVariable(
            name='TempBits', mode='RO', dependencies=[self.TempRaw], disp='0b{:012b}',
            linkedGet=lambda var, read: var.dependencies[0].get(read=read)))
        self.add(pr.LinkVariable(
            name='StateMirror', variable=self.State))

        def setGainDb(var, value, write, check):
            self.Gain.set(10 ** (value / 20), write=write, wait=check)

        self.add(pr.LinkVariable(
            name         = 'GainDb',
            mode         = 'RW',
            units        = 'dB',
            disp         = '{:1.2f}',
            dependencies = [self.Gain],
            linkedGet    = lambda read: 20 * math.log10(max(self.Gain.get(read=read), 1e-3)),
            linkedSet    = setGainDb,
        ))

        self.add(pr.LinkVariable(
            name         = 'Quality',
            mode         = 'RO',
            typeStr      = 'str',
            dependencies = [self.RxErrCnt[0]],
            enum         = {0: 'Good', 1: 'Bad'},
            linkedGet    = lambda var, read: int(var.dependencies[0].get(read=read) > 10),
        ))
        self.add(pr.LinkVariable(
            name         = 'Shift',
            value        = 2,
            dependencies = [self.Offset],
            linkedGet    = lambda: self.Offset.value() - 6,
            linkedSet    = lambda value, write: self.Offset.set(value + 6, write=write),
        ))

        common = dict(mode='RW', base=pr.UInt, disp='{:09_x}', updateNotify=False, hidden=True)
        for i, name in enumerate(['Mask', 'Force']):
            self.add(pr.RemoteVariable(name=name, offset=0xE0 + 4*i, bitSize=32, **common))

        self.add(pr.LocalVariable(
            name='Threshold', description='Software limit', mode='RW', value=5, units='counts',
            localSet=self._setThreshold))
        self.add(pr.LocalVariable(
            name='Color', mode='RW', value=1, enum={0: 'Red', 1: 'Green'}, hidden=True))
        self.add(pr.LocalVariable(
            name='Comment', mode='RW', value='', disp='{}', localSet=lambda dev, var, value, changed: None))

        self.add(pr.RemoteCommand(
            name='ResetRx', offset=0xC0, bitSize=1, bitOffset=0, base=pr.UInt, overlapEn=True,
            description='Resets the receiver', function=pr.BaseCommand.toggle))
        self.add(pr.RemoteCommand(
            name='ResetTx', offset=0xC0, bitSize=1, bitOffset=1, overlapEn=True, hidden=True,
            function=pr.BaseCommand.touchOne))
        self.add(pr.RemoteCommand(
            name='Load', offset=0xC4, bitSize=8, function=pr.BaseCommand.touch))
        self.add(pr.RemoteCommand(
            name='Clear', offset=0xC8, bitSize=8, function=pr.BaseCommand.touchZero))
        self.add(pr.RemoteCommand(
            name='Arm', offset=0xCC, bitSize=8, function=pr.BaseCommand.createToggle([3, 2, 0])))
        self.add(pr.RemoteCommand(
            name='Mark', offset=0xD0, bitSize=8, function=pr.RemoteCommand.createTouch(0x5A)))
        self.add(pr.RemoteCommand(
            name='Fire', offset=0xD4, bitSize=8, function=lambda cmd: cmd.post(7)))
        self.add(pr.BaseCommand(
            name='Calibrate', description='Sets all delays', function=self._calibrate))
        self.add(pr.LocalCommand(
            name='Scan', value='', hidden=True, function=lambda arg: arg))
        self.add(pr.Command(
            name='Align', function=lambda dev, cmd: dev.State.setDisp('Align')))

        @self.command(name='Sweep', description='Steps through all delays', value=3)
        def _sweep(arg):
            with self.root.updateGroup():
                for step in range(arg):
                    self.Delay[0].set(step)
                    self.Delay[0].post(step + 1)
            return self.Delay[0].get()

        self.hideVariables(True, ['Offset', self.Gain])
        self.attached = []

    def _setThreshold(self, dev, var, value, changed):
        if changed:
            self.Strobe.set(1, write=False)
            self.Strobe.write()

    def _calibrate(self):
        for delay in self.Delay.values():
            delay.set(0x1FF, write=False)
        self.writeBlocks(force=True, recurse=False)
        self.verifyBlocks()
        self.checkBlocks(recurse=True)

    def _rootAttached(self, parent, root):
        super()._rootAttached(parent, root)
        self.attached = [node.path for node in self.find(typ=pr.RemoteCommand, name='Reset.*')]


class Snapshot(pr.Device):
    """Reads and writes by overrides of the bulk operations, as libraries of several releases do."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.add(pr.RemoteVariable(name='Freeze', offset=0x0, bitSize=1, mode='RW', bulkOpEn=False))
        self.add(pr.RemoteVariable(name='Level', offset=0x4, mode='RO', pollInterval=1))
        self.add(pr.RemoteVariable(name='Limit', offset=0x8, mode='RW'))
        self.add(Lane(name='Lane', offset=0x100))
        self.seen = []

    def readBlocks(self, *, recurse=True, variable=None, checkEach=False, index=-1, **kwargs):
        self.seen.append(('read', variable.name if variable is not None else None))
        if variable is not None:
            pr.startTransaction(
                variable._block, type=rim.Read, checkEach=checkEach, variable=variable, index=index, **kwargs)
            return
        pr.startTransaction(self.Freeze._block, type=rim.Write, forceWr=True, checkEach=True)
        for block in self._blocks:
            if block.bulkOpEn:
                pr.startTransaction(block, type=rim.Read, checkEach=checkEach, **kwargs)
        if recurse:
            for key, value in self.devices.items():
                value.readBlocks(recurse=True, checkEach=checkEach, **kwargs)

    def writeBlocks(self, *, force=False, recurse=True, variable=None, checkEach=False, index=-1, **kwargs):
        self.seen.append(('write', variable.name if variable is not None else None))
        if variable is not None:
            pr.startTransaction(
                variable._block, type=rim.Write, forceWr=force, checkEach=checkEach,
                variable=variable, index=index)
        else:
            for block in self._blocks:
                if block.bulkOpEn:
                    pr.startTransaction(block, type=rim.Write, forceWr=force, checkEach=checkEach)
            if recurse:
                for key, value in self.devices.items():
                    value.writeBlocks(force=force, recurse=True, checkEach=checkEach)

    def freeze(self):
        self.Freeze.set(1)
        self.readBlocks()
        self.checkBlocks()
        self.readAndCheckBlocks(recurse=True)
        self.writeAndVerifyBlocks(force=True, recurse=True)


class Lane(pr.Device):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.add(pr.RemoteVariable(name='Skew', offset=0x0, bitSize=8, mode='RW'))
        self.started = 0

    def _start(self):
        super()._start()
        self.started = time.monotonic()

    def _stop(self):
        self.started = 0
        super()._stop()
