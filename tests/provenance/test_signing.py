"""Content Credentials: what is signed holds when read back, refuses training, and changes no sample."""

import io
import json
import struct

import c2pa
import numpy as np
import png
import pytest

from cloak.errors import InputError, MissingExtraError, OutputError, UsageError
from cloak.image import PROHIBITED_TRAINING, encode_picture, read_notice, read_picture
from cloak.provenance import USES, Credentials, read_credentials, read_signer, sign

FORMATS = {
    "PNG": ("PNG", "RGB"),
    "PNG with alpha": ("PNG", "RGBA"),
    "JPEG": ("JPEG", "RGB"),
    "grey JPEG": ("JPEG", "L"),
    "CMYK JPEG": ("JPEG", "CMYK"),
    "WebP": ("WEBP", "RGBA"),
    "TIFF": ("TIFF", "RGB"),
    "CMYK TIFF": ("TIFF", "CMYK"),
    "AVIF": ("AVIF", "RGB"),
}
HOLDS = Credentials(state="Valid", signer="An Artist", training="notAllowed")


@pytest.fixture(scope="module")
def signer(artist):
    return read_signer(artist.certificate, artist.key)


def _noticed(data):
    document = read_picture(data)
    return encode_picture(document, document.pixels, notice=True)


@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_signed_holds_and_is_the_same_picture(kind, signer, drawing):
    data = _noticed(drawing(*FORMATS[kind]))
    signed = sign(data, signer, name="a")
    assert read_credentials(signed) == HOLDS
    before, after = read_picture(data), read_picture(signed)
    assert (before.manifest, after.manifest) == (False, True)
    assert np.array_equal(before.raster.samples, after.raster.samples)
    assert (before.mode, before.metadata.icc, before.metadata.dpi) == (
        after.mode,
        after.metadata.icc,
        after.metadata.dpi,
    )
    assert read_notice(signed) == PROHIBITED_TRAINING


def test_sixteen_bits_stay(signer):
    stream = io.BytesIO()
    samples = np.random.default_rng(0).integers(0, 65536, (20, 30 * 3), np.uint16)
    png.from_array(samples, "RGB;16").write(stream)
    document = read_picture(sign(stream.getvalue(), signer))
    assert np.array_equal(document.raster.samples.reshape(20, 90), samples)
    assert document.bit_depth == 16


def test_every_use_is_refused_under_both_labels(signer, drawing):
    with c2pa.Reader("image/png", io.BytesIO(sign(drawing("PNG"), signer))) as reader:
        found = json.loads(reader.json())
    assertions = {each["label"]: each["data"] for each in found["manifests"][found["active_manifest"]]["assertions"]}
    for space in ("cawg", "c2pa"):
        entries = assertions[f"{space}.training-mining"]["entries"]
        assert entries == {f"{space}.{use}": {"use": "notAllowed"} for use in USES}


@pytest.mark.parametrize("kind", ["es384", "ed25519", "ps256"])
def test_other_kinds_of_keys(kind, identity, drawing):
    own = identity(kind)
    signer = read_signer(own.certificate, own.key)
    assert signer.algorithm == kind
    assert read_credentials(sign(drawing("PNG"), signer)) == HOLDS


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_a_changed_picture_no_longer_holds(kind, signer, drawing):
    data = drawing(kind)
    signed = bytearray(sign(data, signer))
    if kind == "PNG":  # another valid chunk, so that the picture still reads
        stream = io.BytesIO()
        png.write_chunk(stream, b"tEXt", b"Title\0changed")
        signed[-12:-12] = stream.getvalue()
    elif kind == "JPEG":
        signed[-2:-2] = b"\0"
    else:
        tail = {"WEBP": b"XTRA" + struct.pack("<I", 2) + b"xx", "TIFF": b"xx"}[kind]
        signed += tail
        if kind == "WEBP":
            signed[4:8] = struct.pack("<I", len(signed) - 8)
    credentials = read_credentials(bytes(signed))
    assert not credentials.valid
    assert credentials.problems


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_a_manifest_goes_with_any_rewriting(kind, signer, drawing):
    document = read_picture(sign(drawing(kind), signer))
    written = encode_picture(document, document.pixels)
    assert b"c2pa" not in written
    assert not read_picture(written).manifest
    assert read_credentials(written) is None


def test_signing_twice_keeps_the_first_as_parent(signer, drawing):
    once = sign(drawing("JPEG"), signer)
    twice = sign(once, signer)
    assert len(twice) > len(once)
    assert read_credentials(twice) == HOLDS


def test_a_picture_without_credentials_has_none(drawing):
    assert read_credentials(drawing("PNG")) is None
    assert read_credentials(drawing("BMP")) is None


@pytest.mark.parametrize("content", [b"", b"nothing", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_what_is_no_picture_is_refused(content, signer):
    with pytest.raises(InputError):
        sign(content, signer)
    with pytest.raises(InputError):
        read_credentials(content)


def test_bmp_has_no_place_for_it(signer, drawing):
    with pytest.raises(InputError, match="no place"):
        sign(drawing("BMP"), signer)


def test_an_expired_certificate_is_refused(identity, drawing):
    own = identity(days=-10)
    with pytest.raises(UsageError, match="could not be signed"):
        sign(drawing("PNG"), read_signer(own.certificate, own.key))


def test_a_key_of_somebody_else_is_refused(identity, artist):
    with pytest.raises(UsageError, match="does not belong"):
        read_signer(artist.certificate, identity().key)


def test_an_encrypted_key_needs_its_password(identity, drawing):
    own = identity(password="open")
    with pytest.raises(UsageError, match="ARTCLOAK_SIGN_PASSWORD"):
        read_signer(own.certificate, own.key)
    with pytest.raises(UsageError, match="password is wrong"):
        read_signer(own.certificate, own.key, password="shut")
    assert read_credentials(sign(drawing("PNG"), read_signer(own.certificate, own.key, password="open"))) == HOLDS


def test_files_that_are_no_certificate_or_key(artist, tmp_path):
    (tmp_path / "none.pem").write_bytes(b"\xff\0nothing")
    with pytest.raises(UsageError, match="no certificate"):
        read_signer(tmp_path / "none.pem", artist.key)
    with pytest.raises(UsageError, match="no private key"):
        read_signer(artist.certificate, tmp_path / "none.pem")
    with pytest.raises(InputError, match="Cannot read"):
        read_signer(artist.certificate, tmp_path / "gone.pem")


def test_what_does_not_read_back_is_not_given_out(signer, drawing, monkeypatch):
    monkeypatch.setattr("cloak.provenance.read_credentials", lambda *_: Credentials("Invalid", problems=("broken",)))
    with pytest.raises(OutputError, match="broken"):
        sign(drawing("PNG"), signer)


def test_without_the_extra_its_command_is_named(artist, drawing, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "c2pa", None)
    for call in (lambda: read_signer(artist.certificate, artist.key), lambda: read_credentials(drawing("PNG"))):
        with pytest.raises(MissingExtraError, match=r"artcloak\[provenance\]"):
            call()
