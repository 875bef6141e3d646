# fmt: off
# ruff: noqa
import pyrogue as pr
import rogue

rogue.Version.minVersion('5.4.0')


class BoardVersion(pr.Device):
    def __init__(
            self,
            name             = 'BoardVersion',
            description      = 'Version and build of the firmware',
            numUserConstants = 0,
            **kwargs):
        super().__init__(name=name, description=description, **kwargs)

        self.add(pr.RemoteVariable(
            name         = 'FpgaVersion',
            description  = 'Version of the firmware',
            offset       = 0x00,
            bitSize      = 32,
            bitOffset    = 0x00,
            base         = pr.UInt,
            mode         = 'RO',
            disp         = '{:#08x}',
        ))

        self.add(pr.RemoteVariable(
            name         = 'ScratchPad',
            description  = 'Register to test reads and writes',
            offset       = 0x04,
            bitSize      = 32,
            bitOffset    = 0x00,
            base         = pr.UInt,
            mode         = 'RW',
            disp         = '{:#08x}',
            value        = 0x1234,
        ))

        self.add(pr.RemoteVariable(
            name         = 'UpTimeCnt',
            description  = 'Seconds since the reset',
            hidden       = True,
            offset       = 0x08,
            bitSize      = 32,
            bitOffset    = 0x00,
            base         = pr.UInt,
            mode         = 'RO',
            disp         = '{:d}',
            units        = 'seconds',
            pollInterval = 1,
        ))

        self.add(pr.LinkVariable(
            name         = 'UpTime',
            description  = 'Time since the reset',
            mode         = 'RO',
            dependencies = [self.UpTimeCnt],
            variable     = self.UpTimeCnt,
            linkedGet    = lambda read: parseUpTime(self.UpTimeCnt, read),
            units        = 'HH:MM:SS',
        ))

        self.add(pr.RemoteVariable(
            name         = 'FpgaReloadHalt',
            offset       = 0x100,
            bitSize      = 1,
            bitOffset    = 0x00,
            base         = pr.UInt,
            mode         = 'RW',
            size         = 32,
        ))

        self.add(pr.RemoteCommand(
            name         = 'FpgaReload',
            description  = 'Optional reload of the FPGA',
            offset       = 0x104,
            bitSize      = 1,
            bitOffset    = 0x00,
            base         = pr.UInt,
            function     = lambda cmd: cmd.post(1),
        ))

        self.add(pr.RemoteVariable(
            name         = 'FpgaReloadAddress',
            offset       = 0x108,
            bitSize      = 32,
            mode         = 'RW',
            groups       = ['NoConfig', 'NoState'],
        ))

        @self.command(hidden=False, value='', description='Reload the FPGA at an address')
        def FpgaReloadAtAddress(arg):
            self.FpgaReloadAddress.set(0 if arg == '' else int(arg, 0))
            self.FpgaReload()

        self.add(pr.RemoteVariable(
            name         = 'UserReset',
            offset       = 0x10C,
            bitSize      = 1,
            bitOffset    = 0x00,
            base         = pr.Bool,
            mode         = 'RW',
        ))

        self.add(pr.RemoteVariable(
            name         = 'FdSerial',
            offset       = 0x300,
            bitSize      = 64,
            bitOffset    = 0x00,
            base         = pr.UInt,
            mode         = 'RO',
            hidden       = True,
        ))

        if numUserConstants > 0:
            self.addRemoteVariables(
                name         = 'UserConstants',
                offset       = 0x400,
                bitSize      = 32,
                bitOffset    = 0x00,
                base         = pr.UInt,
                mode         = 'RO',
                number       = numUserConstants,
                stride       = 4,
                hidden       = True,
            )

        self.add(pr.RemoteVariable(
            name         = 'GitHash',
            offset       = 0x600,
            bitSize      = 160,
            bitOffset    = 0x00,
            base         = pr.UInt,
            mode         = 'RO',
            hidden       = True,
        ))

        self.add(pr.LinkVariable(
            name         = 'GitHashShort',
            mode         = 'RO',
            dependencies = [self.GitHash],
            disp         = '{:07x}',
            linkedGet    = lambda read: self.GitHash.get(read=read) >> 132,
        ))

        self.add(pr.RemoteVariable(
            name         = 'BuildStamp',
            offset       = 0x800,
            bitSize      = 8*64,
            bitOffset    = 0x00,
            base         = pr.String,
            mode         = 'RO',
            hidden       = True,
        ))

        def parseBuildStamp(var, read):
            text = var.dependencies[0].get(read=read)
            return text.partition(':')[0]

        self.add(pr.LinkVariable(
            name         = 'ImageName',
            mode         = 'RO',
            linkedGet    = parseBuildStamp,
            dependencies = [self.BuildStamp],
            typeStr      = 'str',
        ))

        def parseUpTime(var, read):
            seconds = var.get(read=read)
            return f'{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}'

    def hardReset(self):
        self.FpgaReload()

    def initialize(self):
        self.UserReset.set(True)
        self.UserReset.set(False)

    def countReset(self):
        self.ScratchPad.set(0)
        super().countReset()
