"""An artist's certificate, made here: a root that issues a leaf which may sign for C2PA."""

import datetime
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("c2pa")

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cloak.testing import toy_picture

KEYS: dict[str, Callable[[], Any]] = {
    "es256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "es384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ps256": lambda: rsa.generate_private_key(65537, 2048),
}
USAGES = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
USAGES += ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
PEM = serialization.Encoding.PEM


@dataclass(frozen=True)
class Identity:
    certificate: Path
    key: Path


def _name(common: str) -> x509.Name:
    organisation = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Artists")
    return x509.Name([organisation, x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _certificate(common: str, key: Any, issuer: Any, *, ca: bool, days: int = 30) -> x509.Certificate:
    now = datetime.datetime.now(datetime.timezone.utc)
    granted = {"key_cert_sign", "crl_sign"} if ca else {"digital_signature"}
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(common))
        .issuer_name(_name("Root"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=60))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False)
        .add_extension(x509.KeyUsage(**{usage: usage in granted for usage in USAGES}), critical=True)
    )
    if not ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=True)
    return builder.sign(issuer, hashes.SHA256())


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Identity]:
    """Makes a chain and its key as two PEM files."""

    def make(kind: str = "es256", *, days: int = 30, password: str = "") -> Identity:
        root, own = KEYS["es256"](), KEYS[kind]()
        chain = [_certificate("An Artist", own, root, ca=False, days=days), _certificate("Root", root, root, ca=True)]
        secret = password.encode()
        hidden = serialization.BestAvailableEncryption(secret) if secret else serialization.NoEncryption()
        folder = tmp_path_factory.mktemp("identity")
        found = Identity(folder / "chain.pem", folder / "key.pem")
        found.certificate.write_bytes(b"".join(each.public_bytes(PEM) for each in chain))
        found.key.write_bytes(own.private_bytes(PEM, serialization.PrivateFormat.PKCS8, hidden))
        return found

    return make


@pytest.fixture(scope="session")
def artist(identity: Callable[..., Identity]) -> Identity:
    return identity()


@pytest.fixture(scope="session")
def drawing() -> Callable[..., bytes]:
    """Contents of a picture file."""

    def make(kind: str, mode: str = "RGB", **options: Any) -> bytes:
        samples = (toy_picture(40, 48)[0].permute(1, 2, 0) * 255).round().byte().numpy()
        image = Image.fromarray(samples).convert(mode)
        if mode == "RGBA":
            image.putalpha(Image.fromarray(np.arange(40 * 48, dtype=np.uint16).reshape(40, 48).astype(np.uint8)))
        stream = io.BytesIO()
        image.save(stream, kind, **options)
        return stream.getvalue()

    return make
