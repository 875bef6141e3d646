"""A device as PyRogue users write it: registers, a variable made from them, commands.

Run it::

    python examples/custom_device.py
"""

import time

import sapwood as pr
from sapwood import memory as rim


class PowerSupply(pr.Device):
    """A supply with a 16-bit DAC, a 16-bit ADC and an on/off bit.

    Offsets are bytes from the start of the device; several variables may share a word.
    """

    VOLTS_PER_COUNT = 0.001

    def __init__(self, **kwargs):
        super().__init__(description="Bench power supply", **kwargs)

        self.add(
            pr.RemoteVariable(
                name="Dac",
                description="Set point",
                offset=0x00,
                bitSize=16,
                bitOffset=0,
                mode="RW",
                maximum=30_000,
                disp="{:d}",
                units="counts",
            )
        )
        self.add(
            pr.RemoteVariable(
                name="OutputOn",
                offset=0x00,
                bitSize=1,
                bitOffset=31,
                base=pr.Bool,
                mode="RW",
            )
        )
        self.add(
            pr.RemoteVariable(
                name="Range",
                offset=0x04,
                bitSize=2,
                mode="RW",
                enum={0: "Low", 1: "Mid", 2: "High"},
            )
        )
        self.add(
            pr.RemoteVariable(
                name="Limits",
                description="Current limits of the outputs",
                offset=0x10,
                mode="RW",
                base=pr.UInt,
                numValues=4,
                valueBits=16,
                valueStride=16,
                units="mA",
            )
        )

        # What users think in: volts. Reading and writing go through the register.
        self.add(
            pr.LinkVariable(
                name="Voltage",
                units="V",
                disp="{:.3f}",
                dependencies=[self.Dac],
                linkedGet=lambda read: self.Dac.get(read=read) * self.VOLTS_PER_COUNT,
                linkedSet=lambda value, write: self.Dac.set(round(value / self.VOLTS_PER_COUNT), write=write),
            )
        )

        @self.command(description="Go to a voltage in steps of 0.5 V, one every 20 ms", value=0.0)
        def Ramp(arg):
            now = self.Voltage.get()
            while abs(arg - now) > 0.5:
                now += 0.5 if arg > now else -0.5
                self.Voltage.set(now)
                time.sleep(0.02)
            self.Voltage.set(arg)

        self.add(
            pr.RemoteCommand(
                name="ClearFaults",
                offset=0x08,
                bitSize=1,
                bitOffset=0,
                function=pr.RemoteCommand.touchOne,
            )
        )


class Bench(pr.Root):
    """Two supplies on one bus; `Emulate` stands for the hardware."""

    def __init__(self):
        super().__init__(name="Bench")
        self.bus = rim.Emulate(4, 0x1000)
        for n in range(2):
            self.add(PowerSupply(name=f"Supply[{n}]", memBase=self.bus, offset=0x100 * n))


def main():
    with Bench() as bench:
        supply = bench.Supply[1]
        supply.Voltage.addListener(lambda path, value: print(f"  {path} is now {value.valueDisp} V"))
        supply.Limits.set([100, 200, 300, 400])
        supply.Range.setDisp("High")
        supply.OutputOn.set(True)
        supply.Ramp(2.25)
        supply.ClearFaults()
        bench.waitOnUpdate()
        print(bench.getYaml(modes=["RW"], readFirst=True, excGroups="Hidden"))
        try:
            supply.Voltage.set(99.0)
        except pr.SapwoodError as error:
            print(f"refused: {error}")


if __name__ == "__main__":
    main()
