"""A picture as a document: read exactly, changed only where asked, written back as it was.

Nothing here knows about models or attacks; the package imports only `cloak.errors` and `cloak.types`.
"""

from cloak.image.document import JpegCoding, PictureDocument, Raster, quantise
from cloak.image.encoding import encode_picture, settle
from cloak.image.notice import PROHIBITED_TRAINING, read_notice
from cloak.image.reading import read_picture
from cloak.image.sources import ReadLimits
from cloak.image.writing import WrittenPicture, write_file

__all__ = [
    "PROHIBITED_TRAINING",
    "JpegCoding",
    "PictureDocument",
    "Raster",
    "ReadLimits",
    "WrittenPicture",
    "encode_picture",
    "quantise",
    "read_notice",
    "read_picture",
    "settle",
    "write_file",
]
