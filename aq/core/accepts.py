"""What a host is willing to take: the other half of matching. A job must fit every list that is given."""

from __future__ import annotations

from aq.core.manifest import Manifest
from aq.core.value import Value


class Accepts(Value):
    """The only products, labels, priorities and repositories that a host takes. An empty list takes all."""

    products: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    priorities: tuple[str, ...] = ()
    repos: tuple[str, ...] = ()

    @property
    def given(self) -> bool:
        """Whether the host is choosy at all."""
        return bool(self.products or self.labels or self.priorities or self.repos)

    def blockers(self, manifest: Manifest) -> list[str]:
        """The clauses that a job does not fit."""
        asked = (
            ("products", self.products, (manifest.product,)),
            ("labels", self.labels, manifest.labels),
            ("priorities", self.priorities, (str(manifest.priority),)),
            ("repos", self.repos, (manifest.repo,)),
        )
        return [
            f"accepts only {name} {', '.join(taken)}"
            for name, taken, has in asked
            if taken and not set(taken) & set(has)
        ]


EVERYTHING = Accepts()
