"""The control tree: Root, Device, Variable, Command."""
