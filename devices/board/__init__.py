"""The front-end board: emulated firmware and the tree device that drives it."""
