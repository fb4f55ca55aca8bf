"""Random values that are given to names like `password`, `api_key` or `client_secret`."""

from __future__ import annotations

import base64
import binascii
import re

from codelupe_daemon.examine.secrets.base import Finding, Kind
from codelupe_daemon.examine.secrets.randomness import entropy, is_example, is_random

MAX_BYTES = 256
CONTEXT_BYTES = 120
MIN_UUID_ENTROPY = 3.0
_HEX_SIZES = frozenset((32, 40, 48, 56, 64, 96, 128))

_QUOTED = {
    quote[0]: re.compile(rb"[^\s\"'`\\]{8,%d}(?=%b)" % (MAX_BYTES, quote))
    for quote in (b'"', b"'", b"`")
}
_BARE = re.compile(rb"[0-9A-Za-z+/_.~-]{16,%d}={0,2}(?=[\s;,\"'`)&]|\Z)" % MAX_BYTES)
_OPERATOR = rb"(?:=>|:=|\|\|=?|\?\?=?|===?|!==?|=|:|,|\()"
_NAME = re.compile(
    rb"(?<![\w/])([A-Za-z_][\w.-]*)"  # the name
    rb"(?:\[\w*\])?[\"'`]?\]?\)?"  # how it may be closed: `secrets["name"] =`, `char key[] =`
    rb"(?:\s*:\s*(?:&\s*)?(?:'\w+\s+)?[A-Za-z_][\w.<>\[\]| ]{0,30}|\s+string)?"  # its type
    rb"\s*" + _OPERATOR + rb"[\s(]*(?:[A-Za-z_][\w.:]*\(\s*)?[bBrRuUfLS@$]{0,2}[\"'`]?\Z"
)
_DEFINE = re.compile(rb"#\s*define\s+(\w+)\s+\(?[\"']\Z")
_BEARER = re.compile(rb"\b(?:[Bb]earer|[Bb]asic|[Tt]oken) \Z")
_SECRET = re.compile(
    rb"pass(?:wor[dt]|wd|phrase|code)?(?![a-z])|pwd|secret|token(?!iz)|credential"
    rb"|[a-z]{3,}[_.-]?key(?![a-z])"
    rb"|(?<![a-z])auth(?![a-z])|authorization|bearer"
)
_NO_SECRET = re.compile(
    rb"pub(?:lic)?[_-]?key|hash|digest|checksum|sha\d|md5|crc|fingerprint|thumbprint|integrity|etag"
    rb"|uuid|guid|(?:_|-|\b)ids?$|identifier|name$|names$|ur[il]$|endpoint|path$|file$|dir$|regex"
    rb"|pattern|format|type$|kind$|header|field$|label|title|message|descri|example|sample|dummy"
    rb"|mock|placeholder|page_?token|next_?token|sync_?token|cursor|cache_?key|(?:sort|row|primary"
    rb"|partition|foreign|group|hot|map|dict|query|object|lookup|index|arrow|short|i18n|locale"
    rb"|translation|idempotency|site|storage_?path)_?key|expected|version|length|size$|prefix|suffix"
    rb"|valid|error|column|table|attr|param$|env$|var$|setting|option|policy|class|selector|css"
    rb"|redacted"
)
_CAMEL = re.compile(rb"(?<=[a-z0-9])(?=[A-Z])")
_BASE64 = re.compile(rb"[0-9A-Za-z+/_-]{10,}={0,2}\Z")
_TEXT = re.compile(rb"[\t\n\r -~]+\Z")
_EXPRESSION = re.compile(rb"[^=]= +\Z")
"""Without quotes and with blanks around `=` stands code."""
_CODE = re.compile(rb"[a-z]_[a-z]|[A-Z]_[A-Z]|\.[a-z]+\Z|\.\w+\.")
_SETTER = re.compile(
    rb"(?:set|with|use|put|add|new|from)?_?(?:\w+_)?(?:pass\w*|secret|token|api_?key|auth|bearer)"
)
_HEX = re.compile(rb"(?:0x)?[0-9a-fA-F]+\Z")
_UUID = re.compile(rb"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_OTHER = re.compile(
    rb"[<>{}|\[\]\s\\]|://|^[./~#@]|\$\{|\(|\)$|^sha\d+-|^\w+(?:\.\w+){2,}$"
    rb"|^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$|^(?:[a-z0-9]+[-_.:/])+[a-z]{3,}$|^(?:MII|ssh-|AAAA[BCE])"
)


def check(text: bytes, at: int) -> Finding | None:
    """The value that begins at `at`, if a name before it says that it is secret."""
    quoted = _QUOTED.get(text[at - 1]) if at else None
    found = (quoted or _BARE).match(text, at)
    if found is None or not _is_secret_value(found[0]):
        return None
    begin = max(at - CONTEXT_BYTES, 0)
    context = text[max(text.rfind(b"\n", begin, at) + 1, begin) : at]
    if not _is_secret_name(context):
        return None
    if quoted is None and (_EXPRESSION.search(context) or _CODE.search(found[0])):
        return None
    return Finding(Kind.SECRET, *found.span())


def _is_secret_name(context: bytes) -> bool:
    if _BEARER.search(context):
        return True
    found = _NAME.search(context) or _DEFINE.search(context)
    if found is None:
        return False
    name = _CAMEL.sub(b"_", found[1]).lower()
    if found[0].rstrip(b"\"'`bBrRuUfLS@$ ").endswith(b"(") and not _SETTER.match(
        name.rpartition(b".")[2]
    ):
        return False
    return _SECRET.search(name) is not None and _NO_SECRET.search(name) is None


def _is_secret_value(value: bytes) -> bool:
    if _OTHER.search(value):
        return False
    if _UUID.match(value):
        return entropy(value) > MIN_UUID_ENTROPY and not is_example(value)
    if _HEX.match(value):
        return len(value) in _HEX_SIZES and is_random(value)
    return is_random(_password_of(value) or value)


def _password_of(value: bytes) -> bytes | None:
    """What is said in base64, if that is text; of `user:password` the password."""
    if not _BASE64.match(value):
        return None
    try:
        decoded = base64.b64decode(
            value + b"=" * (-len(value) % 4), b"-_" if b"-" in value else None
        )
    except binascii.Error:
        return None
    return decoded.rpartition(b":")[2] if _TEXT.match(decoded) else None
