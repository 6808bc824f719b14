"""The profiles of one tip, parsed when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aq.core.profile import Profile, resolve
from aq.ledger.manifests import ParseCache


class Profiles(Mapping[str, Profile]):
    """Profiles by name. `files` has the blob of each."""

    def __init__(self, cache: ParseCache, files: Mapping[str, str]) -> None:
        self._cache, self.files = cache, files
        self._resolved: dict[str, Profile] = {}

    def __getitem__(self, name: str) -> Profile:
        if name not in self._resolved:
            if name not in self.files:
                raise KeyError(name)
            self._resolved[name] = resolve(name, self.files, self._cache.profile)
        return self._resolved[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self.files))

    def __len__(self) -> int:
        return len(self.files)
