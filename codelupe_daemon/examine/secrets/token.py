"""Tokens that providers issue in shapes of their own.

A new provider is one line: how its tokens begin, and what follows. Where the beginning is not part
of the secret it stays in the text, so that the shape is still seen.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import NamedTuple

from codelupe_daemon.examine.secrets.base import Finding, Kind
from codelupe_daemon.examine.secrets.randomness import entropy, is_example, oddness

MIN_ENTROPY = 2.7


class Provider(NamedTuple):
    """`heads`: literal beginnings; `body`: what follows, the secret."""

    name: str
    heads: tuple[bytes, ...]
    body: bytes


PROVIDERS = (
    Provider("adobe", (b"p8e-",), rb"[0-9a-z]{32}"),
    Provider("age", (b"AGE-SECRET-KEY-1",), rb"[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}"),
    Provider("alibaba", (b"LTAI",), rb"[0-9A-Za-z]{12,20}"),
    Provider("anthropic", (b"sk-ant-",), rb"(?:api|admin|oat)\d\d-[0-9A-Za-z_-]{80,120}"),
    Provider("atlassian", (b"ATATT3", b"ATCTT3", b"ATBB"), rb"[0-9A-Za-z_=-]{24,220}"),
    Provider("aws", (b"AKIA", b"ASIA", b"ABIA", b"ACCA"), rb"[A-Z2-7]{16}"),
    Provider("brevo", (b"xkeysib-",), rb"[0-9a-f]{64}-[0-9A-Za-z]{16}"),
    Provider("buildkite", (b"bkua_",), rb"[0-9a-f]{40}"),
    Provider("clojars", (b"CLOJARS_",), rb"[0-9a-f]{60}"),
    Provider("cloudflare", (b"v1.0-",), rb"[0-9a-f]{24}-[0-9a-f]{146}"),
    Provider("databricks", (b"dapi",), rb"[0-9a-f]{32}(?:-\d)?"),
    Provider("definednetworking", (b"dnkey-",), rb"[0-9A-Za-z]{26}-[0-9A-Za-z]{52}"),
    Provider("digitalocean", (b"dop_v1_", b"doo_v1_", b"dor_v1_"), rb"[0-9a-f]{64}"),
    Provider("docker", (b"dckr_pat_", b"dckr_oat_"), rb"[0-9A-Za-z_-]{27,32}"),
    Provider("doppler", (b"dp.pt.", b"dp.st.", b"dp.sa."), rb"[0-9A-Za-z]{40,44}"),
    Provider("duffel", (b"duffel_live_", b"duffel_test_"), rb"[0-9A-Za-z_-]{43}"),
    Provider("dynatrace", (b"dt0c01.",), rb"[0-9A-Z]{24}\.[0-9A-Z]{64}"),
    Provider("easypost", (b"EZAK", b"EZTK"), rb"[0-9A-Za-z]{54}"),
    Provider("facebook", (b"EAACEdEose0cBA", b"EAAM", b"EAAC"), rb"[0-9A-Za-z]{40,250}"),
    Provider("figma", (b"figd_", b"figo_"), rb"[0-9A-Za-z_-]{40,46}"),
    Provider("flutterwave", (b"FLWSECK_TEST-", b"FLWSECK-"), rb"[0-9a-h]{12,32}(?:-X)?"),
    Provider("fly", (b"fo1_",), rb"[0-9A-Za-z_-]{43}"),
    Provider("frameio", (b"fio-u-",), rb"[0-9A-Za-z_-]{64}"),
    Provider("google", (b"AIza",), rb"[0-9A-Za-z_-]{35}"),
    Provider("google", (b"GOCSPX-",), rb"[0-9A-Za-z_-]{28}"),
    Provider("google", (b"ya29.",), rb"[0-9A-Za-z_-]{60,250}"),
    Provider("google", (b"1//0",), rb"[0-9A-Za-z_-]{40,110}"),
    Provider("github", (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_"), rb"[0-9A-Za-z]{36}"),
    Provider("github", (b"github_pat_",), rb"[0-9A-Za-z]{22}_[0-9A-Za-z]{59}"),
    Provider("gitlab", (b"glpat-", b"glrt-", b"gldt-", b"glcbt-", b"glft-", b"glagent-", b"glimt-"),
             rb"[0-9A-Za-z_-]{20,60}"),
    Provider("gitlab", (b"glptt-",), rb"[0-9a-f]{40}"),
    Provider("gitlab", (b"gloas-",), rb"[0-9a-f]{64}"),
    Provider("gitlab", (b"GR1348941",), rb"[0-9A-Za-z_-]{20}"),
    Provider("grafana", (b"glc_",), rb"[0-9A-Za-z+/]{32,400}={0,2}"),
    Provider("grafana", (b"glsa_",), rb"[0-9A-Za-z]{32}_[0-9a-fA-F]{8}"),
    Provider("grafana", (b"eyJrIjoi",), rb"[0-9A-Za-z]{70,400}={0,2}"),
    Provider("groq", (b"gsk_",), rb"[0-9A-Za-z]{52}"),
    Provider("huggingface", (b"hf_", b"api_org_"), rb"[A-Za-z]{34}"),
    Provider("infracost", (b"ico-",), rb"[0-9A-Za-z]{32}"),
    Provider("linear", (b"lin_api_", b"lin_oauth_"), rb"[0-9A-Za-z]{40,64}"),
    Provider("mailgun", (b"key-", b"pubkey-"), rb"[0-9a-f]{32}"),
    Provider("mapbox", (b"sk.",), rb"eyJ[0-9A-Za-z]{57}\.[0-9A-Za-z_-]{22}"),
    Provider("mws", (b"amzn.mws.",), rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    Provider("newrelic", (b"NRAK-",), rb"[0-9A-Z]{27}"),
    Provider("newrelic", (b"NRII-",), rb"[0-9A-Za-z-]{32}"),
    Provider("npm", (b"npm_",), rb"[0-9A-Za-z]{36}"),
    Provider("notion", (b"ntn_",), rb"\d{11}[0-9A-Za-z]{35}"),
    Provider("notion", (b"secret_",), rb"[0-9A-Za-z]{43}"),
    Provider("nuget", (b"oy2",), rb"[a-z0-9]{43}"),
    Provider("nvidia", (b"nvapi-",), rb"[0-9A-Za-z_-]{60,70}"),
    Provider("onepassword", (b"ops_eyJ",), rb"[0-9A-Za-z+/]{250,1000}={0,3}"),
    Provider("openai", (b"sk-",), rb"[0-9A-Za-z]{20}T3BlbkFJ[0-9A-Za-z]{20}"),
    Provider("openai", (b"sk-proj-", b"sk-svcacct-", b"sk-admin-"),
             rb"[0-9A-Za-z_-]{20,80}T3BlbkFJ[0-9A-Za-z_-]{20,80}"),
    Provider("perplexity", (b"pplx-",), rb"[0-9A-Za-z]{48}"),
    Provider("planetscale", (b"pscale_tkn_", b"pscale_oauth_", b"pscale_pw_"),
             rb"[0-9A-Za-z_-]{32,64}"),
    Provider("postman", (b"PMAK-",), rb"[0-9a-f]{24}-[0-9a-f]{34}"),
    Provider("prefect", (b"pnu_", b"pnb_"), rb"[0-9A-Za-z]{36}"),
    Provider("pulumi", (b"pul-",), rb"[0-9a-f]{40}"),
    Provider("pypi", (b"pypi-AgEIcHlwaS5vcmc", b"pypi-AgENdGVzdC5weXBpLm9yZ"),
             rb"[0-9A-Za-z_-]{50,1000}"),
    Provider("readme", (b"rdme_",), rb"[0-9a-z]{70}"),
    Provider("replicate", (b"r8_",), rb"[0-9A-Za-z]{37}"),
    Provider("rubygems", (b"rubygems_",), rb"[0-9a-f]{48}"),
    Provider("scalingo", (b"tk-us-",), rb"[0-9A-Za-z_-]{48}"),
    Provider("sendgrid", (b"SG.",), rb"[0-9A-Za-z_-]{22}\.[0-9A-Za-z_-]{43}"),
    Provider("sentry", (b"sntrys_",), rb"eyJ[0-9A-Za-z+/=_-]{60,400}"),
    Provider("sentry", (b"sntryu_",), rb"[0-9a-f]{64}"),
    Provider("shippo", (b"shippo_live_", b"shippo_test_"), rb"[0-9a-f]{40}"),
    Provider("shopify", (b"shpat_", b"shpca_", b"shppa_", b"shpss_"), rb"[0-9a-fA-F]{32}"),
    Provider("slack", (b"xoxb-", b"xoxp-", b"xoxe-", b"xoxa-", b"xoxr-", b"xoxs-", b"xoxo-"),
             rb"(?:\d-)?(?:\d{8,14}-){0,3}[0-9A-Za-z]{16,166}"),
    Provider("slack", (b"xapp-",), rb"\d-[A-Z0-9]+-\d+-[0-9a-z]{20,80}"),
    Provider("slack", (b"hooks.slack.com/services/", b"hooks.slack.com/workflows/"),
             rb"[0-9A-Za-z+/]{40,60}"),
    Provider("discord", (b"discord.com/api/webhooks/", b"discordapp.com/api/webhooks/"),
             rb"\d{17,20}/[0-9A-Za-z_-]{60,72}"),
    Provider("square", (b"sq0atp-", b"sq0csp-", b"EAAA"), rb"[0-9A-Za-z_-]{22,60}"),
    Provider("stripe", (b"sk_live_", b"sk_test_", b"sk_prod_", b"rk_live_", b"rk_test_"),
             rb"[0-9A-Za-z]{16,120}"),
    Provider("stripe", (b"whsec_",), rb"[0-9A-Za-z+/]{32,64}"),
    Provider("supabase", (b"sbp_",), rb"[0-9a-f]{40}"),
    Provider("tailscale", (b"tskey-",), rb"[a-z]+-[0-9A-Za-z]{10,20}-[0-9A-Za-z]{20,40}"),
    Provider("twilio", (b"SK",), rb"[0-9a-f]{32}"),
    Provider("typeform", (b"tfp_",), rb"[0-9A-Za-z_-]{44,60}"),
    Provider("vault", (b"hvs.", b"hvb."), rb"[0-9A-Za-z_-]{90,212}"),
    Provider("xai", (b"xai-",), rb"[0-9A-Za-z]{80}"),
    Provider("yandex", (b"AQVN",), rb"[0-9A-Za-z_-]{35,38}"),
)  # fmt: skip
_WORD_END = rb"(?![0-9A-Za-z_-])"
_TERRAFORM = re.compile(rb"[0-9A-Za-z_=-]{60,70}" + _WORD_END)
_TERRAFORM_HEAD = re.compile(rb"[0-9A-Za-z]{14}\.atlasv1\.\Z")
_TELEGRAM = re.compile(rb"A[0-9A-Za-z_-]{34}" + _WORD_END)
_TELEGRAM_HEAD = re.compile(rb"(?<!\d)\d{5,16}:\Z")
_DISCORD_BOT = re.compile(
    rb"[MNO][0-9A-Za-z_-]{21,27}\.[0-9A-Za-z_-]{6}\.[0-9A-Za-z_-]{27,40}" + _WORD_END
)
_JWT = re.compile(rb"(eyJ[\w-]{10,})\.(eyJ[\w-]{8,})\.[\w-]{20,}" + _WORD_END)
_EXAMPLE_CLAIMS = re.compile(
    rb'1234567890|John ?Doe|Jane ?Doe|"joe"|example|foo|"bar"|"test', re.IGNORECASE
)


class _Rule(NamedTuple):
    head: bytes
    run_at: int
    """Where in the head the run begins that the prefilter sees: after the last other byte."""
    body: re.Pattern[bytes]


def _rules() -> list[_Rule]:
    """The longer heads first."""
    rules = []
    for provider in PROVIDERS:
        body = re.compile(provider.body + _WORD_END)
        for head in provider.heads:
            run = re.search(rb"[0-9A-Za-z_-]*\Z", head)
            run_at = run.start() if run and not _is_host(head) else 0
            rules.append(_Rule(head, run_at, body))
    return sorted(rules, key=lambda rule: -len(rule.head))


def _is_host(head: bytes) -> bool:
    """The prefilter knows these by themselves, and sees where they begin."""
    return b".com/" in head


RULES = _rules()
_ALONE = [rule for rule in RULES if not rule.run_at and not _is_host(rule.head)]
_BEGINNING: dict[bytes, list[_Rule]] = {}
for _rule in RULES:
    if not _rule.run_at:
        _BEGINNING.setdefault(_rule.head[:2], []).append(_rule)
_FOLLOWING = [rule for rule in RULES if rule.run_at]

HEADS = [
    *{rule.head[:4] for rule in _ALONE if len(rule.head) > 2},
    *(b"SK%c" % digit for digit in b"0123456789abcdef"),
    *(b"0-%c" % digit for digit in b"0123456789abcdef"),  # after `v1.`
    b"eyJ",
]
"""For the prefilter: the 3 or 4 bytes that begin a run."""
BEFORE_HEADS = [*({rule.head[: rule.run_at][-4:] for rule in _FOLLOWING} - {b"v1."}), b"sv1."]
"""For the prefilter: the 3 or 4 bytes before a run; `v1.` stands before too much in code."""


def check(text: bytes, at: int) -> Finding | None:
    """The secret part of the token whose run of letters begins at `at`."""
    for rule in _FOLLOWING:
        if text.startswith(rule.head, max(at - rule.run_at, 0)):
            return _finding(text, rule.body, at - rule.run_at + len(rule.head))
    for rule in _BEGINNING.get(text[at : at + 2], ()):
        if text.startswith(rule.head, at):
            found = _finding(text, rule.body, at + len(rule.head))
            if found:
                return found
    return _shapes_without_head(text, at)


def _finding(text: bytes, body: re.Pattern[bytes], at: int) -> Finding | None:
    found = body.match(text, at)
    if found is None or not _is_secret(found[0]):
        return None
    return Finding(Kind.TOKEN, *found.span())


def _is_secret(body: bytes) -> bool:
    return entropy(body) >= MIN_ENTROPY and oddness(body) > 0 and not is_example(body)


def _shapes_without_head(text: bytes, at: int) -> Finding | None:
    if text.startswith(b"eyJ", at):
        return _web_token(text, at)
    before = text[max(at - 24, 0) : at]
    if before.endswith(b".atlasv1.") and (head := _TERRAFORM_HEAD.search(before)):
        found = _finding(text, _TERRAFORM, at)
        return found and found._replace(start=at - len(before) + head.start())
    if before.endswith(b":") and _TELEGRAM_HEAD.search(before):
        return _finding(text, _TELEGRAM, at)
    if text[at : at + 1] in (b"M", b"N", b"O"):
        return _finding(text, _DISCORD_BOT, at)
    return None


def _web_token(text: bytes, at: int) -> Finding | None:
    """A JSON web token with a signature, unless its claims are those of an example."""
    found = _JWT.match(text, at)
    if found is None:
        return None
    header, claims = _decoded(found[1]), _decoded(found[2])
    if b'"alg"' not in header or _EXAMPLE_CLAIMS.search(claims) or b"REDACTED" in found[0]:
        return None
    return Finding(Kind.TOKEN, at + 3, found.end())  # `eyJ` stays, as other beginnings do


def _decoded(part: bytes) -> bytes:
    try:
        return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    except binascii.Error:
        return b""
