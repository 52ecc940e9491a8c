"""Content Credentials: a signed statement inside a picture file that it is not to be used for training or mining.

References:
    C2PA Technical Specification 1.4, section 18.21 (`c2pa.training-mining`); CAWG, Training and Data Mining Assertion
    1.1 (`cawg.training-mining`), which replaces it; both are written, since readers know one or the other.
"""

import hashlib
import importlib
import io
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cloak import __version__
from cloak.certificate import Certificate, Signature
from cloak.destination import certificate_path
from cloak.errors import InputError, MissingExtraError, OutputError, UsageError
from cloak.image import PictureDocument, read_picture, write_file

__all__ = ["Credentials", "Signer", "matching_certificate", "read_credentials", "read_signer", "sign", "sign_file"]

USES = ("data_mining", "ai_inference", "ai_generative_training", "ai_training")
NAMESPACES = ("cawg", "c2pa")
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
_SETTINGS = {
    "verify": {"verify_trust": False, "remote_manifest_fetch": False, "ocsp_fetch": False},
    "builder": {"thumbnail": {"enabled": False}},
}
"""Nothing is fetched; who is to be trusted is the reader's decision, so only integrity is checked here."""


@dataclass(frozen=True)
class Signer:
    """What signs.

    Args:
        chain: certificates as PEM, the signer's own first.
        key: private key as PEM (PKCS #8), not encrypted.
        algorithm: C2PA's name, e.g. "es256".
        name: common name in the first certificate.
    """

    chain: bytes = field(repr=False)
    key: bytes = field(repr=False)
    algorithm: str
    name: str


@dataclass(frozen=True)
class Credentials:
    """What the Content Credentials of a file say.

    Args:
        state: "Valid", "Trusted" or "Invalid" as C2PA defines them; None when nothing could be checked.
        signer: common name in the certificate.
        training: "notAllowed", "allowed" or "constrained" for generative training; None when nothing is said.
        problems: codes of what failed.
    """

    state: str | None = None
    signer: str | None = None
    training: str | None = None
    problems: tuple[str, ...] = ()

    @property
    def valid(self) -> bool:
        """Whether the file is as it was signed; whether to trust the signer is another question."""
        return self.state in ("Valid", "Trusted")

    def as_json(self) -> dict[str, Any]:
        """As JSON types, with `valid`."""
        return {**asdict(self), "problems": list(self.problems), "valid": self.valid}


def read_signer(certificate: Path, key: Path, *, password: str | None = None) -> Signer:
    """Read a certificate chain and the private key that belongs to it.

    Args:
        certificate: PEM file, the signer's own certificate first, then those that issued it.
        key: PEM file with the private key.
        password: of the key, if it is encrypted.

    Raises:
        MissingExtraError: the extra `provenance` is not installed.
        UsageError: a file is unreadable or the two do not belong together.
    """
    _library()
    x509 = importlib.import_module("cryptography.x509")
    serialization = importlib.import_module("cryptography.hazmat.primitives.serialization")
    chain, secret = (_read(path) for path in (certificate, key))
    try:
        own = x509.load_pem_x509_certificates(chain)[0]
    except (ValueError, IndexError) as error:
        raise UsageError(f"{certificate} holds no certificate in PEM form.") from error
    try:
        private = serialization.load_pem_private_key(secret, password.encode() if password else None)
    except TypeError as error:
        raise UsageError(
            f"The key {key} needs its password, in the environment variable ARTCLOAK_SIGN_PASSWORD (and only then)."
        ) from error
    except ValueError as error:
        raise UsageError(f"{key} holds no private key in PEM form, or the password is wrong.") from error
    if private.public_key() != own.public_key():
        raise UsageError(f"The key {key} does not belong to the first certificate in {certificate}.")
    plain = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    names = own.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return Signer(chain, plain, _algorithm(private), str(names[0].value) if names else own.subject.rfc4514_string())


def sign(data: bytes, signer: Signer, *, name: str = "picture") -> bytes:
    """The same picture file with Content Credentials that refuse training and mining.

    Args:
        data: a PNG, JPEG, WebP, TIFF or AVIF file.
        signer: who signs.
        name: what to call the picture in messages and as its title.

    Raises:
        MissingExtraError: the extra `provenance` is not installed.
        InputError: it is no picture, or of a format without a place for it.
        UsageError: the certificate is not fit for it, e.g. expired.
        OutputError: what was signed does not hold when it is read back.
    """
    document = read_picture(data, name=name)
    if document.format == "bmp":
        raise InputError(f"{name} is a BMP, which has no place for Content Credentials; protect it with --format png.")
    c2pa, stream = _library(), io.BytesIO()
    info = c2pa.C2paSignerInfo(signer.algorithm.encode(), signer.chain, signer.key, None)
    try:
        with (
            _context(c2pa) as context,
            c2pa.Signer.from_info(info) as signing,
            c2pa.Builder(_manifest(name), context) as builder,
        ):
            builder.set_intent(c2pa.C2paBuilderIntent.EDIT)  # what was there becomes the parent
            builder.sign(signing, f"image/{document.format}", io.BytesIO(data), stream)
    except c2pa.C2paError as error:
        raise UsageError(f"{name} could not be signed: {_sentence(error)}.") from error
    _check(document, stream.getvalue(), name)
    return stream.getvalue()


def read_credentials(data: bytes) -> Credentials | None:
    """What the Content Credentials of a picture file say; None when it has none.

    Raises:
        MissingExtraError: the extra `provenance` is not installed.
        InputError: it is no picture.
    """
    kind = read_picture(data).format
    c2pa = _library()
    if kind == "bmp":
        return None
    try:
        with _context(c2pa) as context, c2pa.Reader(f"image/{kind}", io.BytesIO(data), context=context) as reader:
            found = json.loads(reader.json())
    except c2pa.C2paError as error:
        return None if "ManifestNotFound" in str(error) else Credentials("Invalid", problems=(_sentence(error),))
    manifest = found["manifests"][found["active_manifest"]]
    return Credentials(
        state=found.get("validation_state"),
        signer=manifest.get("signature_info", {}).get("common_name"),
        training=_training(manifest),
        problems=tuple(problem["code"] for problem in found.get("validation_status", [])),
    )


def sign_file(source: Path, destination: Path, signer: Signer) -> Credentials:
    """Sign a picture and write it; a certificate beside it that is about it goes along, with the new sha256.

    Args:
        source: the picture.
        destination: where the signed one goes, replacing what is there; may be the source.
        signer: who signs.

    Raises:
        CloakError: as for `sign`, or the file cannot be read or written.
    """
    data = _read(source)
    certificate = matching_certificate(source, data)
    signed = sign(data, signer, name=source.name)
    write_file(signed, destination, overwrite=True)
    if certificate is not None:
        beside = certificate_path(destination)
        write_file(_updated(certificate, signed, destination.name, signer), beside, overwrite=True)
    credentials = read_credentials(signed)
    assert credentials is not None  # `sign` has read it back
    return credentials


def matching_certificate(picture: Path, data: bytes) -> Certificate | None:
    """The certificate beside a picture, if there is one and it is about these bytes."""
    try:
        certificate = Certificate.model_validate_json(certificate_path(picture).read_bytes())
    except (OSError, ValueError):
        return None
    return certificate if certificate.output.sha256 == hashlib.sha256(data).hexdigest() else None


def _library() -> Any:
    try:
        return importlib.import_module("c2pa")
    except ImportError as error:
        raise MissingExtraError("c2pa-python", "provenance") from error


def _context(c2pa: Any) -> Any:
    return c2pa.Context.from_dict(_SETTINGS)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror or error}.") from error


def _algorithm(private: Any) -> str:
    curve = getattr(private, "curve", None)
    if curve is not None and curve.name in _CURVES:
        return _CURVES[curve.name]
    kind = type(private).__name__
    if kind.startswith("RSA"):
        return "ps256"
    if kind.startswith("Ed25519"):
        return "ed25519"
    raise UsageError(f"Keys of the kind {curve.name if curve else kind} cannot sign; take P-256, Ed25519 or RSA.")


def _manifest(name: str) -> dict[str, Any]:
    refusals = [
        {
            "label": f"{space}.training-mining",
            "data": {"entries": {f"{space}.{use}": {"use": "notAllowed"} for use in USES}},
        }
        for space in NAMESPACES
    ]
    return {
        "claim_generator_info": [{"name": "artcloak", "version": __version__}],
        "title": name,
        "assertions": refusals,
    }


def _training(manifest: dict[str, Any]) -> str | None:
    for space in NAMESPACES:
        for assertion in manifest.get("assertions", []):
            if assertion.get("label") == f"{space}.training-mining":
                use = assertion["data"].get("entries", {}).get(f"{space}.ai_generative_training", {}).get("use")
                return None if use is None else str(use)
    return None


def _check(before: PictureDocument, signed: bytes, name: str) -> None:
    """Read back: same samples, and credentials that hold and refuse."""
    after, credentials = read_picture(signed, name=name), read_credentials(signed)
    same = all(
        a is b or (a is not None and b is not None and np.array_equal(a, b))
        for a, b in ((before.raster.samples, after.raster.samples), (before.raster.alpha, after.raster.alpha))
    )
    if not same or credentials is None or not credentials.valid or credentials.training != "notAllowed":
        problems = ", ".join(credentials.problems) if credentials else "they are not there"
        raise OutputError(f"{name}: the credentials do not hold when read back ({problems or 'the picture changed'}).")


def _updated(certificate: Certificate, signed: bytes, name: str, signer: Signer) -> bytes:
    before = certificate.output
    output = before.model_copy(
        update={"name": name, "sha256": hashlib.sha256(signed).hexdigest(), "bytes": len(signed)}
    )
    signature = Signature(signer=signer.name, algorithm=signer.algorithm, unsigned_sha256=before.sha256)
    return certificate.model_copy(update={"output": output, "signature": signature}).model_dump_json(indent=1).encode()


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")[:200]
