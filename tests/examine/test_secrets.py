"""What is a secret and what only looks like one; what stands there afterwards."""

from __future__ import annotations

import ast
import random
import re
import string
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from re import _constants, _parser  # type: ignore[attr-defined]  # a pattern's own tree

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from codelupe_daemon.examine.secrets import (
    Finding,
    Kind,
    Policy,
    SecretPolicies,
    Secrets,
    count,
    redact,
)
from codelupe_daemon.examine.secrets.token import PROVIDERS, Provider
from codelupe_daemon.syntax.blocks import PADDING

EVERYTHING = SecretPolicies(email=Policy.REDACT, ip_address=Policy.REDACT)
MANY_BYTES = 1 << 20
WORD = string.ascii_letters + string.digits
HEX = "0123456789abcdef"


def made(size: int, alphabet: str = WORD, seed: int = 1) -> str:
    """A secret that nobody ever had."""
    return "".join(random.Random(seed).choices(alphabet, k=size))


def find_all(
    texts: list[bytes], policies: SecretPolicies, languages: list[str | None]
) -> dict[int, list[Finding]]:
    sizes = np.array([len(text) for text in texts], np.int64)
    offsets = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.int64)
    buffer = memoryview(b"".join(texts) + bytes(PADDING))
    return Secrets(policies).find(buffer, offsets, sizes, languages)


def find(
    text: str | bytes, policies: SecretPolicies = EVERYTHING, language: str | None = "Python"
) -> list[Finding]:
    data = text.encode() if isinstance(text, str) else text
    return find_all([data], policies, [language]).get(0, [])


def values(text: str, **options: SecretPolicies | str) -> list[tuple[Kind, str]]:
    data = text.encode()
    findings = find(text, **options)  # type: ignore[arg-type]
    return [(kind, data[start:end].decode()) for kind, start, end in findings]


def drawn(pattern: bytes, seed: int) -> str:
    """A text that the pattern matches, its letters drawn at random."""
    source = random.Random(seed)

    def of(tree: object) -> Iterator[str]:
        for op, arguments in tree:  # type: ignore[attr-defined]
            if op is _constants.LITERAL:
                yield chr(arguments)
            elif op is _constants.IN:
                yield source.choice([c for c in map(chr, range(33, 127)) if is_in(c, arguments)])
            elif op is _constants.MAX_REPEAT:
                low, high, part = arguments
                for _ in range(min(max(low, 2 if low else 0), high)):
                    yield from of(part)
            elif op is _constants.SUBPATTERN:
                yield from of(arguments[3])
            elif op is _constants.BRANCH:
                yield from of(arguments[1][0])
            else:
                raise AssertionError(op)

    def is_in(char: str, classes: list[tuple[object, object]]) -> bool:
        return any(
            (op is _constants.LITERAL and ord(char) == of)
            or (op is _constants.RANGE and of[0] <= ord(char) <= of[1])  # type: ignore[index]
            or (of is _constants.CATEGORY_DIGIT and char.isdigit())
            for op, of in classes
        )

    return "".join(of(_parser.parse(pattern)))


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.heads[0].decode())
def test_tokens_of_providers_are_found_and_their_beginnings_stay(provider: Provider) -> None:
    for seed, head in enumerate(provider.heads):
        scheme = "https://" if b".com/" in head else ""
        body = drawn(provider.body, seed + 7)
        text = f'x = load("{scheme}{head.decode()}{body}")\n'
        assert values(text) == [(Kind.TOKEN, body)]
        assert (
            redact(text.encode(), find(text))
            == f'x = load("{scheme}{head.decode()}REDACTED_TOKEN_1")\n'.encode()
        )


def test_tokens_without_a_beginning_of_their_own() -> None:
    bot = "A" + made(34)
    assert values(f"bot = '123456789:{bot}'") == [(Kind.TOKEN, bot)]
    parts = f"M{made(23)}.{made(6)}.{made(38)}"
    assert values(f'login("{parts}")') == [(Kind.TOKEN, parts)]
    cloud = f"{made(14)}.atlasv1.{made(66)}"
    assert values(f'tf("{cloud}")') == [(Kind.TOKEN, cloud)]


def test_a_web_token_is_found_by_its_header() -> None:
    header = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
    claims = "eyJpc3MiOiJhY21lIn0"  # {"iss":"acme"}
    token = f"{header}.{claims}.{made(43)}"
    assert values(f'verify("{token}")') == [(Kind.TOKEN, token[3:])]
    example = "eyJzdWIiOiIxMjM0NTY3ODkwIn0"  # {"sub":"1234567890"}
    assert values(f'verify("{header}.{example}.{made(43)}")') == []


@pytest.mark.parametrize(
    "line",
    [
        'api_key = "{}"',
        "const apiKey: string = '{}';",
        'const CLIENT_SECRET: &str = "{}";',
        'var authToken string = "{}"',
        'private static final String DB_PASSWORD = "{}";',
        '#define API_SECRET "{}"',
        'os.environ["AUTH_TOKEN"] = "{}"',
        '{{"client_secret": "{}"}}',
        'os.Setenv("DB_PASSWORD", "{}")',
        'builder.setPassword("{}")',
        '  password: "{}",',
        "connect(password='{}')",
        "export API_TOKEN={}",
        "# the old api_key: {}",
        'headers = {{"Authorization": "Bearer {}"}}',
    ],
)
def test_what_is_random_and_has_the_name_of_a_secret(line: str) -> None:
    for alphabet in (WORD, HEX, string.ascii_lowercase + string.digits):
        secret = made(32, alphabet)
        assert values(line.format(secret)) == [(Kind.SECRET, secret)]


@pytest.mark.parametrize(
    "text",
    [
        'key = "AKIAIOSFODNN7EXAMPLE"',
        'password = "changeme123456"',
        'password = "xxxxxxxxxxxx1"',
        'token = "<your-token-1>"',
        'token = "${GITHUB_TOKEN_2}"',
        "const token = process.env.TOKEN_2022_NEW;",
        'secret = "{{ vault_secret_3 }}"',
        'token = "test-token-1"',
        'auth = "AuthenticationProviderV2"',
        'password = "correct-horse-battery-1"',
        'access_token_url = "https://host/a1b2c3d4e5f6a7b8"',
        'token = "0123456789abcdef0123456789abcdef"',
        'token = "deadbeefdeadbeefdeadbeefdeadbeef"',
        'public_key = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A1b2"',
        "data_key = _mm512_srli_epi64(data_key, 32)",
        'secret = "c2VjcmV0IGlzIHNlY3VyZQ=="',  # "secret is secure"
        'token = "gh" + "p_" + rest1234567890',
        'x = "ghp_' + "x" * 36 + '"',
        'x = "ghp_' + "A" * 36 + '"',
        'stripe = "sk_test_your_stripe_secret_key_here"',
        "-----BEGIN CERTIFICATE-----\nMIIB" + "aB3/" * 60 + "\n-----END CERTIFICATE-----",
        'if line == "-----BEGIN RSA PRIVATE KEY-----":\n    return "-----END RSA PRIVATE KEY-----"',
        "-----BEGIN PRIVATE KEY-----\n" + "A" * 200 + "\n-----END PRIVATE KEY-----",
        'url = "https://user:password@host.io/"',
        'url = "https://user:${PASSWORD}@host.io/"',
        'url = "https://{user}:{password}@host.io/"',
        'url = "postgres://postgres:postgres@db/main"',
        'url = "ssh://git@host.io:2222/a"',
        "# user@example.com, root@localhost, you@host.test, noreply@firm.io",
        "# git@host.io:group/repo.git, lodash@4.17.21, a @decorator",
        "bind 127.0.0.1 0.0.0.0 10.1.2.3 192.168.1.1 172.16.0.9 192.0.2.7 198.51.100.3",
        "version = 91.0.4472.124.7; release 91.0.4472.12",
    ],
)
def test_what_only_looks_like_a_secret(text: str) -> None:
    assert values(text) == []


@pytest.mark.parametrize(
    "name", ["password_hash", "token_sha256", "api_key_id", "checksum", "integrity", "publicKey"]
)
def test_hashes_and_identifiers_are_no_secrets(name: str) -> None:
    assert values(f'{name} = "{made(64, HEX)}"') == []
    assert values(f'{name} = "sha512-{made(86)}=="') == []


def pem(separator: str, head: str = "RSA ") -> str:
    lines = ["MIIE" + made(60, seed=1), made(64, seed=2), made(21, seed=3) + "=="]
    return separator.join(
        (f"-----BEGIN {head}PRIVATE KEY-----", *lines, f"-----END {head}PRIVATE KEY-----")
    )


@pytest.mark.parametrize("head", ["RSA ", "EC ", "OPENSSH ", "ENCRYPTED ", ""])
@pytest.mark.parametrize(
    ("before", "separator", "after"),
    [
        ('key = """', "\n", '"""\n'),
        ('key = "', "\\n", '\\n"\n'),
        ('key = ("', '\\n"\n    "', '")\n'),
        ('key = "', '\\n" + "', '"\n'),
        ("# ", "\n# ", "\n"),
    ],
)
def test_a_private_key_leaves_its_marks_and_sound_code(
    head: str, before: str, separator: str, after: str
) -> None:
    text = before + pem(separator, head) + after
    (finding,) = find(text)
    assert finding.kind is Kind.PRIVATE_KEY
    left = redact(text.encode(), [finding]).decode()
    assert left.startswith(f"{before}-----BEGIN {head}PRIVATE KEY-----")
    assert left.endswith(f"-----END {head}PRIVATE KEY-----{after}")
    assert left.count("REDACTED_PRIVATE_KEY_1") == 1
    assert not re.search(r"[A-Za-z0-9+/]{20,}", left.replace("REDACTED_PRIVATE_KEY_1", ""))
    ast.parse(left)


def test_passwords_in_urls() -> None:
    password = made(14)
    for url in (
        "postgres://svc:{}@db.firm.io:5432/x",
        "https://:{}@cache.firm.io",
        "amqp://a:{}@q/",
    ):
        assert values(f'dial("{url.format(password)}")') == [(Kind.URL_PASSWORD, password)]


def test_addresses_of_people_and_machines() -> None:
    text = "# ask maria.keller@uni-bonn.de\nhost = '93.184.216.34'\n"
    assert values(text) == [
        (Kind.EMAIL, "maria.keller@uni-bonn.de"),
        (Kind.IP_ADDRESS, "93.184.216.34"),
    ]
    assert redact(text.encode(), find(text)) == (
        b"# ask REDACTED_EMAIL_1@example.com\nhost = '240.0.0.1'\n"
    )


@pytest.mark.parametrize(
    ("language", "text", "is_comment"),
    [
        ("Python", "# {}", True),
        ("Python", "x = 1  # {}", True),
        ("Python", 'def f():\n    """Ask {}"""', True),
        ("Python", '__author__ = "{}"', False),
        ("Python", 'x = """\nmail {}\n"""', False),
        ("Python", 'x = "#{}"', False),
        ("Java", "/**\n * @author {}\n */", True),
        ("Java", '/* */ String x = "{}";', False),
        ("JavaScript", "const glob = 'src/**/*.js'; mail('{}')", False),
        ("C", "int x; // {}", True),
        ("Go", "x := `{}`", False),
        ("Rust", "fn f<'a>(x: &'a str) {{}} // {}", True),
        ("Rust", 'let x = "//{}";', False),
        ("Lua", "-- {}", True),
        ("Fortran", "! {}", True),
        (None, "-- {}", True),
        (None, "mail {}", False),
    ],
)
def test_e_mail_addresses_are_redacted_in_comments_only(
    language: str | None, text: str, is_comment: bool
) -> None:
    data = text.format("maria.keller@uni-bonn.de").encode()
    assert bool(find(data, SecretPolicies(), language)) == is_comment
    assert len(find(data, EVERYTHING, language)) == 1


def test_policies_decide_what_is_found() -> None:
    token = f'x = "ghp_{made(36)}"'
    assert len(find(token, SecretPolicies(token=Policy.REJECT))) == 1
    assert find(token, SecretPolicies(token=Policy.KEEP)) == []
    assert find("# maria.keller@uni-bonn.de", SecretPolicies(email=Policy.KEEP)) == []
    assert find("# 93.184.216.34", SecretPolicies()) == []


@pytest.mark.parametrize("before", range(131))
def test_nothing_is_missed_wherever_it_stands(before: int) -> None:
    """The prefilter sees 64 bytes at a time."""
    token, secret, address = made(36), made(24), "maria.keller@uni-bonn.de"
    text = f"{' ' * before}'ghp_{token}' password='{secret}' {address} "
    url = f"{' ' * before}'db://me:{secret}@db.firm.io'"
    assert [value for _, value in values(text)] == [token, secret, address]
    assert values(url) == [(Kind.URL_PASSWORD, secret)]
    assert len(find(" " * before + pem("\n"))) == 1
    assert values(" " * before + "93.184.216.34") == [(Kind.IP_ADDRESS, "93.184.216.34")]


def test_texts_of_a_batch_do_not_see_each_other() -> None:
    token = b"ghp_" + made(36).encode()
    texts = [token[:20], token[20:], b"", token, b"password=", b'"' + made(24).encode() + b'"']
    assert find_all(texts, EVERYTHING, [None] * 6) == {3: [Finding(Kind.TOKEN, 4, 40)]}


def test_threads_share_one_finder() -> None:
    texts = [f'password = "{made(24, seed=seed)}"'.encode() for seed in range(50)]
    sizes = np.array([len(text) for text in texts], np.int64)
    offsets = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.int64)
    buffer = memoryview(b"".join(texts) + bytes(PADDING))
    secrets = Secrets(EVERYTHING)
    with ThreadPoolExecutor(4) as threads:
        runs = [
            threads.submit(secrets.find, buffer, offsets, sizes, ["Python"] * 50) for _ in range(16)
        ]
        found = [run.result() for run in runs]
    assert len(found[0]) == 50
    assert all(one == found[0] for one in found)


def test_the_same_secret_has_the_same_placeholder() -> None:
    one, two = made(24, seed=1), made(24, seed=2)
    text = f'password = "{one}"\ntoken = "{two}"\npassword = "{one}"\n'
    left = redact(text.encode(), find(text))
    assert left.decode() == (
        'password = "REDACTED_SECRET_1"\ntoken = "REDACTED_SECRET_2"\n'
        'password = "REDACTED_SECRET_1"\n'
    )
    assert count(left) == {"secret": 3}
    assert count(text.encode()) == {}


def test_a_token_is_redacted_alone_within_a_value() -> None:
    text = f'api_token = "ghp_{made(36)}"'
    assert redact(text.encode(), find(text)) == b'api_token = "ghp_REDACTED_TOKEN_1"'


@pytest.mark.parametrize(
    "line",
    [
        "-----BEGIN RSA PRIVATE KEY-----\n",
        'key="a1b2c3d4e5f6"\n',
        "# a.b@cd.ef ",
        "\\'" * 200 + "a.b@cd.ef",
        "://a:b@c\n",
        "eyJaaaaaaaaaaaaaaaaa.",
        "password:" * 20 + "\n",
        "1.1.1.1 ",
        '"""/*',
        "key=" * 20 + "a1b2c3d4e5f6",
    ],
)
def test_a_file_full_of_candidates_is_looked_at_in_time(line: str) -> None:
    text = (line * (MANY_BYTES // len(line))).encode()
    begun = time.process_time()
    redact(text, find(text, SecretPolicies(), "Java"))
    assert time.process_time() - begun < 20, "more than linear: an honest second is enough"


_FRAGMENTS = st.one_of(
    st.builds(
        lambda provider, seed: provider.heads[0].decode() + drawn(provider.body, seed),
        st.sampled_from(PROVIDERS),
        st.integers(0, 50),
    ),
    st.builds(
        lambda name, seed, size: f'{name} = "{made(size, seed=seed)}"',
        st.sampled_from(["password", "token", "hash", "api_key:"]),
        st.integers(0, 50),
        st.integers(8, 70),
    ),
    st.builds(lambda seed: f"db://me:{made(9, seed=seed)}@db.io", st.integers(0, 50)),
    st.builds(lambda seed: f"{made(6, seed=seed)}@firm.io", st.integers(0, 50)),
    st.builds(pem, st.sampled_from(["\n", "\\n", '\\n" + "'])),
    st.sampled_from(
        ["93.184.216.34", "# ", "// ", '"', "'", "/* ", "\n", "REDACTED_TOKEN_1", "=", "."]
    ),
    st.text(max_size=12),
)


@given(st.lists(_FRAGMENTS, max_size=12).map("".join))
@example(f"0UAqFz@firm.io{2 * f'dp.pt.{made(42)}'}")
@settings(max_examples=300, deadline=None)
def test_what_was_redacted_holds_nothing_to_be_found(text: str) -> None:
    data = text.encode()
    findings = find(data)
    assert all(0 <= f.start < f.end <= len(data) for f in findings)
    assert all(a.end <= b.start for a, b in pairwise(findings))
    left = redact(data, findings)
    left.decode()
    assert find(left) == []
    if "REDACTED" not in text:
        assert sum(count(left).values()) >= len(findings)


@settings(deadline=None)
@given(st.binary(max_size=400).map(lambda data: data.replace(b"\0", b"")))
def test_any_bytes_are_stood(data: bytes) -> None:
    assert find(redact(data, find(data))) == []
