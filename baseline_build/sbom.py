"""The bill of materials of a wheel (PEP 770): what was vendored, how it was changed, what compiled it for which CPU.

``write`` puts a CycloneDX 1.6 document into ``*.dist-info/sboms/`` and the licence texts of all vendored code into
``*.dist-info/licenses/``. The document is made by cyclonedx-python-lib, an extra that a build asks for when it needs
it. The same material gives the same bytes: the serial number is derived from the content, the time is given.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, List, Optional, Sequence, Tuple

from . import __version__
from .errors import ConfigError, InternalError, SourceError
from .sources.model import Pin, Tree

if TYPE_CHECKING:
    from cyclonedx.model import Property
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, Pedigree
    from cyclonedx.model.license import LicenseExpression

NAME = "baseline-build.cdx.json"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:baseline-build:sbom")


@dataclass(frozen=True)
class Compiler:
    """A compiler that made something of the wheel: ``gcc``, ``12.2.0``."""

    name: str
    version: str


@dataclass(frozen=True)
class Material:
    """Everything the document tells.

    :param name: of the distribution.
    :param version: of the distribution.
    :param licence: SPDX expression of the distribution's own code, where it is known.
    :param trees: the vendored sources that went in.
    :param compilers: what compiled them.
    :param levels: (machine, level) pairs that were promised and proven.
    :param moment: the document's time, seconds since 1970 (SOURCE_DATE_EPOCH, or the archive's own).
    """

    name: str
    version: str
    licence: Optional[str] = None
    trees: Tuple[Tree, ...] = ()
    compilers: Tuple[Compiler, ...] = ()
    levels: Tuple[Tuple[str, str], ...] = ()
    moment: int = 0


def write(dist_info: Path, material: Material) -> Tuple[Path, ...]:
    """Write the document and the licence texts below the unpacked *dist_info* folder; the files written, sorted.

    ``METADATA`` there names the licence texts afterwards, see :func:`declare`.

    :raises ConfigError: BB270, the library is not installed.
    :raises SourceError: BB271, a licence text that a pin names is not in the tree.
    """
    written: List[Path] = []
    for tree in material.trees:
        for path in tree.licence_paths:
            if not path.is_file():
                raise SourceError(
                    "BB271",
                    "the licence text that the pin names is not in the tree",
                    where=str(path),
                    fix=f"correct licence-files in {tree.pin.tree}/source.toml",
                )
            # One folder for each component: they all call their file LICENSE.
            target = dist_info / "licenses" / tree.pin.tree / path.relative_to(tree.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
            written.append(target)
    declare(dist_info, [tree.pin for tree in material.trees])
    place = dist_info / "sboms" / NAME
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(render(material), encoding="utf-8")
    written.append(place)
    return tuple(sorted(written))


def declare(dist_info: Path, pins: Sequence[Pin]) -> None:
    """Name the licence texts of *pins* in ``METADATA`` of *dist_info*, one ``License-File`` each.

    The field exists since version 2.4 of the metadata (PEP 639); older metadata is left as it is, for tools that check
    metadata refuse the field there.
    """
    path = dist_info / "METADATA"
    head, separator, body = path.read_text(encoding="utf-8").partition("\n\n")
    lines = head.splitlines()
    version = next((line.partition(":")[2].strip() for line in lines if line.startswith("Metadata-Version:")), "1.0")
    if tuple(int(part) for part in version.split(".")) < (2, 4):
        return
    wanted = [f"License-File: {pin.tree}/{name}" for pin in pins for name in pin.licence_files]
    lines = [*(line for line in lines if line), *(line for line in wanted if line not in lines)]
    path.write_text("\n".join(lines) + (separator or "\n") + body, encoding="utf-8")


def render(material: Material) -> str:
    """The CycloneDX document of *material*, JSON text. Raises ConfigError BB270 without cyclonedx-python-lib."""
    try:
        from cyclonedx.output.json import JsonV1Dot6
    except ImportError as error:
        raise ConfigError(
            "BB270",
            "cyclonedx-python-lib is not installed",
            why="the bill of materials (sbom = true) is made with it",
            fix="pip install 'baseline-build[sbom]', or set sbom = false",
        ) from error
    text: str = JsonV1Dot6(_bom(material)).output_as_string(indent=2)
    return text + "\n"


def validate(text: str) -> None:
    """Check *text* against CycloneDX's own schema. Raises InternalError BB902; needs the extra ``json-validation``."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if problem is not None:
        raise InternalError("BB902", f"the bill of materials breaks its schema: {problem}", where=NAME)


def _bom(material: Material) -> Bom:
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.tool import ToolRepository
    from packageurl import PackageURL

    own = f"pkg:pypi/{material.name}@{material.version}"
    root = Component(
        name=material.name,
        version=material.version,
        type=ComponentType.LIBRARY,
        bom_ref=own,
        purl=PackageURL.from_string(own),
        licenses=_licences(material.licence),
        properties=_properties(material),
    )
    tools = [Component(name="baseline-build", version=__version__, type=ComponentType.APPLICATION, bom_ref="tool:self")]
    tools += [
        Component(name=one.name, version=one.version, type=ComponentType.APPLICATION, bom_ref=f"tool:{one.name}")
        for one in sorted(material.compilers, key=lambda one: (one.name, one.version))
    ]
    vendored = [_component(tree.pin) for tree in material.trees]
    bom = Bom(
        serial_number=uuid.uuid5(_NAMESPACE, _digest(material)),
        metadata=BomMetaData(
            component=root,
            tools=ToolRepository(components=tools),
            timestamp=dt.datetime.fromtimestamp(material.moment, dt.timezone.utc),
        ),
        components=vendored,
    )
    bom.register_dependency(root, vendored)
    return bom


def _component(pin: Pin) -> Component:
    from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    archive = pin.archive
    digest = HashType(alg=HashAlgorithm.SHA_256, content=archive.sha256)
    return Component(
        name=pin.name,
        version=pin.version,
        type=ComponentType.LIBRARY,
        bom_ref=f"vendored:{pin.tree}",
        purl=PackageURL.from_string(pin.purl),
        licenses=_licences(pin.licence),
        pedigree=_pedigree(pin),
        external_references=[
            ExternalReference(
                type=ExternalReferenceType.SOURCE_DISTRIBUTION,
                url=XsUri(f"pkg:pypi/{archive.project}@{archive.version}?file_name={archive.file}"),
                comment="the archive that the sources were cut from",
                hashes=[digest],
            )
        ],
    )


def _pedigree(pin: Pin) -> Pedigree:
    from cyclonedx.model import HashAlgorithm, HashType, XsUri
    from cyclonedx.model.component import Component, ComponentType, Diff, Patch, PatchClassification, Pedigree
    from cyclonedx.model.issue import IssueClassification, IssueType
    from packageurl import PackageURL

    archive = pin.archive
    purl = f"pkg:pypi/{archive.project}@{archive.version}"
    ancestor = Component(
        name=archive.project,
        version=archive.version,
        type=ComponentType.LIBRARY,
        bom_ref=f"archive:{pin.tree}",
        purl=PackageURL.from_string(purl),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=archive.sha256)],
    )
    patches = [
        Patch(
            type=PatchClassification.UNOFFICIAL,
            diff=Diff(url=XsUri(patch.file)),
            resolves=[IssueType(type=IssueClassification.SECURITY, id=identifier) for identifier in patch.closes],
        )
        for patch in pin.patches
    ]
    return Pedigree(ancestors=[ancestor], patches=patches, notes=f"cut from {archive.file}, patched in the pin's order")


def _licences(expression: Optional[str]) -> List[LicenseExpression]:
    from cyclonedx.model.license import LicenseExpression

    return [LicenseExpression(value=expression)] if expression else []


def _properties(material: Material) -> List[Property]:
    from cyclonedx.model import Property

    pairs = [(f"baseline-build:level:{machine}", level) for machine, level in material.levels]
    pairs += [("baseline-build:compiler", f"{one.name} {one.version}") for one in material.compilers]
    return [Property(name=name, value=value) for name, value in pairs]


def _digest(material: Material) -> str:
    """A digest of everything that tells two documents apart; paths of this machine do not belong to it."""
    parts = [material.name, material.version, material.licence or "", str(material.moment), __version__]
    parts += [tree.pin.digest for tree in material.trees]
    parts += [f"{one.name} {one.version}" for one in material.compilers]
    parts += [f"{machine} {level}" for machine, level in material.levels]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
