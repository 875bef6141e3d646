# fmt: off
# ruff: noqa
import pyrogue as pr
import rogue.interfaces.stream


class SerialRx(rogue.interfaces.stream.Slave):
    def __init__(self, path):
        rogue.interfaces.stream.Slave.__init__(self)
        self._path = path
        self._line = []
        self.lines = []

    def _acceptFrame(self, frame):
        data = bytearray(frame.getPayload())
        frame.read(data, 0)
        for code in data[::4]:
            if code == 0x0D:
                self.lines.append(''.join(self._line))
                self._line = []
            else:
                self._line.append(chr(code))


class SerialTx(rogue.interfaces.stream.Master):
    def __init__(self):
        rogue.interfaces.stream.Master.__init__(self)

    def sendString(self, text):
        data = bytearray(4 * (len(text) + 1))
        data[:-4:4] = text.encode()
        data[-4] = 0x0D
        frame = self._reqFrame(len(data), True)
        frame.write(data, 0)
        self._sendFrame(frame)


class SerialPort(pr.Device):
    def __init__(self, serial, **kwargs):
        super().__init__(**kwargs)
        self._rx = SerialRx(self.path)
        self._tx = SerialTx()
        pr.streamConnect(serial, self._rx)
        pr.streamConnect(self._tx, serial)

        self.add(pr.LocalVariable(name='Baud', mode='RW', value=9600, enum={9600: '9600', 57600: '57600'}))
        self.add(pr.BaseCommand(name='SendString', value='', function=lambda cmd, arg: self._tx.sendString(arg)))


class EventCounter(pr.Device, rogue.interfaces.stream.Slave):
    """Device and stream slave in one."""

    def __init__(self, **kwargs):
        rogue.interfaces.stream.Slave.__init__(self)
        pr.Device.__init__(self, **kwargs)
        self.add(pr.LocalVariable(name='Events', mode='RO', value=0))

    def _acceptFrame(self, frame):
        with frame.lock():
            if frame.getError() == 0 and frame.getNumpy(0, frame.getPayload()).sum() > 0:
                self.Events.set(self.Events.value() + 1)


class Loopback(rogue.interfaces.stream.Master, rogue.interfaces.stream.Slave):
    """Sends back what it receives."""

    def __init__(self):
        rogue.interfaces.stream.Master.__init__(self)
        rogue.interfaces.stream.Slave.__init__(self)

    def _acceptFrame(self, frame):
        self._sendFrame(frame)
