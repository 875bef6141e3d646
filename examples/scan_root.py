"""A scan: a stage goes over a sample, a spectrometer looks at each point.

Serve it, then scan from another terminal::

    sapwood run examples/scan_root.py:ScanRoot
    sapwood set Top.Scan.DataFile sample.h5
    sapwood set Top.Scan.Axes '{"Top.Stage.X": {"start": 0, "stop": 10, "steps": 21}, "Top.Stage.Y": [0, 5]}'
    sapwood exec Top.Scan.Start
    sapwood watch Top.Scan.Progress
    silx view sample.h5

Run as a script it makes one scan by itself::

    python examples/scan_root.py sample.h5
"""

import sys

import numpy as np

import sapwood
from sapwood.devices import ScanDevice
from sapwood.fileio.pymodaq.loader import DataLoader

WAVELENGTHS = np.linspace(400.0, 700.0, 256)


class Stage(sapwood.Device):
    """Two axes of motion."""

    X = sapwood.Local(0.0, units="mm", minimum=0.0, maximum=10.0)
    Y = sapwood.Local(0.0, units="mm", minimum=0.0, maximum=10.0)


class Spectrometer(sapwood.Device):
    """Sees a line whose place and height depend on where the stage is."""

    def __init__(self, stage, **kwargs):
        super().__init__(**kwargs)
        self._stage = stage
        self.add(sapwood.LocalVariable(name="Spectrum", mode="RO", value=WAVELENGTHS, units="counts",
                                       localGet=self.spectrum))  # fmt: skip
        self.add(sapwood.LocalVariable(name="Power", mode="RO", value=0.0, units="mW", localGet=self.power))

    def spectrum(self):
        """Counts at each wavelength, where the stage is now."""
        x, y = self._stage.X.value(), self._stage.Y.value()
        return 100 * np.exp(-(((WAVELENGTHS - 500 - 10 * x) / (5 + y)) ** 2))

    def power(self):
        """All of the spectrum."""
        return float(self.spectrum().sum() / 1000)


class ScanRoot(sapwood.Root):
    """Stage, spectrometer and the scan of both."""

    def __init__(self):
        super().__init__(name="Top", description="A scanned sample")
        self.add(Stage(name="Stage"))
        self.add(Spectrometer(self.Stage, name="Spectrometer"))
        self.add(
            ScanDevice(
                name="Scan",
                axes=[(self.Stage.X, np.linspace(0, 10, 11)), (self.Stage.Y, [0.0, 2.5, 5.0])],
                detectors=[self.Spectrometer.Power, self.Spectrometer.Spectrum],
            )
        )


def main(path):
    with ScanRoot() as root:
        root.Scan.DataFile.set(path)
        root.Scan.Snake.set(True)
        root.Scan.Start()
        root.Scan.waitDone()
        print(f"{path}: {root.Scan.PointCount.get()} of {root.Scan.TotalPoints.get()} points")
    with DataLoader(path) as loader:
        power = loader.load_data_from_name_origin("Power")
        axes = " x ".join(f"{axis.label} ({axis.units})" for axis in power.axes)
        print(f"{power.name} in {power.units} over {axes}: {power.shape}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
