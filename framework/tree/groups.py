"""Group names: labels that select nodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["GroupFilter", "Groups", "as_groups", "passes"]

Groups = str | Iterable[str] | None


def as_groups(groups: Groups) -> list[str]:
    """Return `groups` as a new list; a str is one group."""
    if not groups:
        return []
    return [groups] if isinstance(groups, str) else list(groups)


def passes(groups: Sequence[str], include: Sequence[str], exclude: Sequence[str]) -> bool:
    """Tell if a node in `groups` is let through: in `include` (when not empty), not in `exclude`."""
    if include and not any(group in groups for group in include):
        return False
    return not (exclude and any(group in groups for group in exclude))


class GroupFilter:
    """The pair of include and exclude groups, made once and used on many nodes."""

    __slots__ = ("exclude", "include", "open")

    def __init__(self, incGroups: Groups = None, excGroups: Groups = None) -> None:
        self.include = as_groups(incGroups)
        self.exclude = as_groups(excGroups)
        self.open = not self.include and not self.exclude

    def __call__(self, groups: Sequence[str]) -> bool:
        """Tell if a node in `groups` is let through."""
        return self.open or passes(groups, self.include, self.exclude)
