"""Files whose name says that they are no text; they are not read."""

from __future__ import annotations

from codelupe_daemon.examine.rules.base import PathRule
from codelupe_daemon.model import Reason

_EXTENSIONS = (
    "png jpg jpeg gif bmp ico icns webp tif tiff psd xcf heic avif raw pdf ps eps ai indd "
    "mp3 mp4 m4a m4v mov avi mkv webm wav ogg oga ogv flac aac mid woff woff2 ttf otf eot "
    "zip gz tgz bz2 xz zst lz4 7z rar tar jar war ear whl egg deb rpm apk ipa dmg iso cab msi "
    "so dylib dll exe o a lib obj class pyc pyo pyd wasm bin dat elf ko pdb ilk beam dex "
    "db sqlite sqlite3 mdb parquet avro orc feather h5 hdf5 npy npz pkl pickle pt pth onnx "
    "tflite safetensors gguf ckpt doc docx xls xlsx ppt pptx odt ods odp keystore jks p12 pfx "
    "der gpg blend fbx glb nib swf fla sketch fig gpkg shp"
)

RULE = PathRule(Reason.BINARY, endings=tuple(f".{extension}" for extension in _EXTENSIONS.split()))
