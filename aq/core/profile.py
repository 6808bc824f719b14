"""As whom a job runs: a persona, and the defaults that go with it. How profiles are written is in
`profilefile`; here they are resolved, with what they extend."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aq.core.manifest import Manifest
from aq.core.value import Value, field, names, replace

MAX_CHAIN = 8
JOB, SETTINGS, BUILT_IN = "the job", "queue/aq.yaml", "built-in"


class ProfileFile(Value):
    """What one file of `profiles/` says."""

    body: str = ""
    defaults: Manifest = field(default_factory=Manifest)
    extends: str = ""


class Profile(Value):
    """A profile with all that it extends. `blobs` are the ids of its files, its own first; `origins`
    names for each key the file that it is from; `problem` says why no job may run with it."""

    name: str = ""
    body: str = ""
    defaults: Manifest = field(default_factory=Manifest)
    blobs: tuple[str, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""

    @property
    def pin(self) -> str:
        """The ids of its files as one text, for a lease and a record."""
        return " ".join(self.blobs)

    @property
    def summary(self) -> str:
        """The first line of the persona."""
        lines = (line.strip() for line in self.body.splitlines())
        return next((line for line in lines if line and not line.startswith("#")), "")


NO_PROFILE = Profile()
# A blob's profile file, or what is wrong with it.
Read = Callable[[str], ProfileFile | str]


def resolve(name: str, files: Mapping[str, str], read: Read) -> Profile:
    """A profile of the tip. `files` has the blob of each name."""
    chain: list[tuple[str, str]] = []
    wanted = name
    while wanted:
        seen = [known for known, _ in chain]
        if wanted in seen:
            return _broken(name, chain, f"profiles extend each other: {' -> '.join((*seen, wanted))}")
        if wanted not in files:
            why = f"there is no profiles/{wanted}.md"
            return _broken(name, chain, f"{why} (extended by {seen[-1]})" if seen else why)
        if len(chain) == MAX_CHAIN:
            return _broken(name, chain, f"profile {name} extends more than {MAX_CHAIN - 1} others")
        chain.append((wanted, files[wanted]))
        found = read(files[wanted])
        if isinstance(found, str):
            return _broken(name, chain, f"profiles/{wanted}.md:{found.removeprefix('line ')}")
        wanted = found.extends
    return merged(name, chain, read)


def profile_for(asked: Manifest, defaults: Manifest, profiles: Mapping[str, Profile]) -> Profile:
    """The profile that a job asks for, or the queue's default one."""
    name = asked.profile or defaults.profile
    if not name:
        return NO_PROFILE
    return profiles.get(name) or Profile(name, problem=f"there is no profiles/{name}.md")


def _broken(name: str, chain: list[tuple[str, str]], problem: str) -> Profile:
    return Profile(name, blobs=tuple(blob for _, blob in chain), problem=problem)


def pinned(name: str, pin: str, read: Read) -> Profile | None:
    """The profile that a claim wrote down, or None when its files cannot be read."""
    chain = [(name, blob) for blob in pin.split()[:MAX_CHAIN]]
    if not chain or any(isinstance(read(blob), str) for _, blob in chain):
        return None
    return merged(name, chain, read)


def merged(name: str, chain: list[tuple[str, str]], read: Read) -> Profile:
    """One profile from its files: the nearer wins, requirements add up, personas follow each other with
    the most general first."""
    defaults, bodies, origins = Manifest(), [], {}
    for part, blob in chain:
        found = read(blob)
        if isinstance(found, str):  # its caller has looked
            continue
        origins.update({key: part for key in found.defaults.given if not defaults.settles(key)})
        defaults = combined(defaults, found.defaults)
        bodies.append(found.body.strip())
    body = "\n\n".join(filter(None, reversed(bodies)))
    return Profile(name, body, defaults, tuple(blob for _, blob in chain), origins)


def combined(nearer: Manifest, farther: Manifest) -> Manifest:
    """The nearer manifest over the other; what both require is required."""
    given = tuple(sorted({*nearer.given, *(key for key in farther.given if not nearer.settles(key))}))
    result = replace(nearer.over(farther), given=given)
    if "capabilities" in nearer.given and "capabilities" in farther.given:
        both = dict.fromkeys((*nearer.capabilities, *farther.capabilities))
        return replace(result, capabilities=tuple(both))
    return result


def applied(asked: Manifest, profile: Profile, defaults: Manifest) -> Manifest:
    """What a job asks for in all: its own keys, then its profile's, then the queue's. `given` stays what
    its file gives."""
    if not profile.defaults.given and not defaults.given:
        return asked
    whole = combined(asked, profile.defaults).over(defaults)
    return replace(whole, given=asked.given) if whole is not asked else asked


def sources(asked: Manifest, profile: Profile, defaults: Manifest) -> dict[str, str]:
    """Where the value of each key is from. `asked` is the job's own file."""
    found = {}
    for key in (name for name in names(Manifest) if name != "given"):
        adds = key == "capabilities" and key in asked.given and key in profile.defaults.given
        if key in asked.given:
            found[key] = f"{JOB} and profile {profile.origins.get(key, profile.name)}" if adds else JOB
        elif key in profile.defaults.given and not asked.settles(key):
            found[key] = f"profile {profile.origins.get(key, profile.name)}"
        elif key in defaults.given and not asked.settles(key) and not profile.defaults.settles(key):
            found[key] = SETTINGS
        else:
            found[key] = BUILT_IN
    return found
