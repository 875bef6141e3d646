# fmt: off
# ruff: noqa
import threading

import pyrogue as pr
import rogue.interfaces.memory


class ChipRegisters(pr.Device):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.add(pr.RemoteVariable(name='ChipId', offset=0x04, bitSize=8, mode='RO'))
        self.add(pr.RemoteVariable(name='Power', offset=0x20, bitSize=2, mode='RW', enum={0: 'Off', 1: 'On'}))
        self.add(pr.RemoteVariable(name='Wide', offset=0x30, bitSize=8, mode='RW'))


class IndirectProxy(rogue.interfaces.memory.Slave):
    """Registers of a chip behind a pair of address and data registers."""

    def __init__(self, device):
        super().__init__(4, 4)
        self._device = device
        self._lock = threading.Lock()

    def _doTransaction(self, transaction):
        with self._lock, transaction.lock():
            if transaction.expired():
                return
            address = transaction.address() >> 2
            if transaction.type() in (rogue.interfaces.memory.Write, rogue.interfaces.memory.Post):
                data = bytearray(4)
                transaction.getData(data, 0)
                self._device.Address.set(address)
                self._device.Data.set(int.from_bytes(data, 'little'))
                self._device.commit(address)
                transaction.done()
            elif transaction.type() in (rogue.interfaces.memory.Read, rogue.interfaces.memory.Verify):
                value = self._device.fetch(address)
                transaction.setData(bytearray(value.to_bytes(4, 'little', signed=False)), 0)
                transaction.done()
            else:
                transaction.error(f'Unsupported transaction type {transaction.type()}')


class IndirectChip(pr.Device):
    """A device whose children are reached by a proxy of its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.chip = {1: 0x77}
        self.add(pr.RemoteVariable(name='Address', offset=0x0, mode='RW', hidden=True, groups='NoConfig'))
        self.add(pr.RemoteVariable(name='Data', offset=0x4, mode='RW', hidden=True, verify=False, groups=['NoConfig']))
        self.proxy = IndirectProxy(self)
        self.add(ChipRegisters(name='Chip'))

    def add(self, node):
        pr.Node.add(self, node)
        if isinstance(node, pr.Device) and node._memBase is None:
            node._setSlave(self.proxy)

    def commit(self, address):
        self.chip[address] = self.Data.value()

    def fetch(self, address):
        return self.chip.get(address, 0)


class ByMemBase(pr.Device):
    """The same chip with the proxy as memBase."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.chip = {1: 0x66}
        self.add(pr.RemoteVariable(name='Address', offset=0x0, mode='RW', groups='NoConfig'))
        self.add(pr.RemoteVariable(name='Data', offset=0x4, mode='RW', verify=False, groups='NoConfig'))
        self.proxy = IndirectProxy(self)
        self.add(ChipRegisters(name='Chip', memBase=self.proxy, offset=0x0))

    def commit(self, address):
        self.chip[address] = self.Data.value()

    def fetch(self, address):
        return self.chip.get(address, 0)
