"""The shapes of secrets, one row each: what it is called, how it starts, its whole pattern, an example and
a look-alike. Patterns never match across lines; examples are put together here, so that none looks real."""

from __future__ import annotations

from aq.core.value import Value


class Shape(Value):
    """One shape. A match starts with one of the `anchors`, and its group `s`, or all of it, is the secret.
    `any_case`: the anchors are lower case, the text need not be. `glued`: it may follow a letter or digit,
    so distinctive is its start. `logs_only`: too common in prose to refuse a job file for. `end`: the
    pattern that ends a block, which is secret as a whole. `barren`: where a match fails, none begins in
    what this takes in from there, so that text of nothing but anchors is gone through once."""

    kind: str
    anchors: tuple[str, ...]
    pattern: str
    example: str
    harmless: str
    any_case: bool = False
    glued: bool = False
    logs_only: bool = False
    end: str = ""
    barren: str = ""


_SPACE = r"(?: |\+|%20)"
_KEY = rf"(?:{_SPACE}[A-Z0-9]{{1,20}}){{0,4}}{_SPACE}PRIVATE{_SPACE}KEY(?:{_SPACE}BLOCK)?-----"
# Between a name and its value: quotes and blanks, escaped or not, around a colon or an equals sign.
_IS = r"(?:[\\\"' \t]|%22){0,8}(?:=>|:=|[:=]|%3[AaDd])(?:[\\\"' \t]|%22){0,8}"
_MIXED = r"(?=[^\s\"'\\]{0,80}[0-9])(?=[^\s\"'\\]{0,80}[A-Za-z])"
_VALUE = r"[A-Za-z0-9/+_=.!@#$%^&*~-]"
_PASSWORDS = ("password", "passwd", "passphrase", "secret", "api_key", "apikey", "api-key", "access_token")
_NAMES = (*_PASSWORDS, "auth_token", "refresh_token", "access_key", "accesskey", "private_key", "credential")
_HEADERS = ("x-api-key", "x-goog-api-key", "x-auth-token", "private-token", "job-token", "api-key")
_GITLAB = ("glpat-", "glptt-", "glrt-", "gldt-", "gloas-", "glsoat-", "glcbt-", "glagent-", "glft-", "glimt-")
_DOPPLER = ("dp.pt.", "dp.st.", "dp.sa.", "dp.ct.", "dp.scim.", "dp.audit.")


def _token(
    kind: str,
    starts: str,
    rest: str,
    body: str,
    harmless: str = "",
    *,
    glued: bool = True,
    find: str = "",
    barren: str = "",
) -> Shape:
    """A vendor's prefix, one of some, and what follows it. `find` is what they have in common: few things
    to look for are looked for faster. Without a `harmless` of its own, the prefix in prose is it."""
    first, *_ = names = starts.split()
    either = "|".join(name.replace(".", r"\.") for name in names)
    anchors = (find,) if find else tuple(names)
    return Shape(
        kind,
        anchors,
        f"(?:{either}){rest}",
        first + body,
        harmless or f"it starts with {first}…",
        glued=glued,
        barren=barren,
    )


def _log(kind: str, anchors: tuple[str, ...], pattern: str, example: str, harmless: str) -> Shape:
    return Shape(kind, anchors, pattern, example, harmless, any_case=True, glued=True, logs_only=True)


_PRIVATE = "PRIVATE KEY-----"
_HEX = "0fa4" * 16
SHAPES: tuple[Shape, ...] = (
    Shape(
        "private key",
        ("-----BEGIN",),
        f"-----BEGIN{_KEY}",
        "\n".join([f"-----BEGIN RSA {_PRIVATE}", "FakeFake" * 8, "Fake==", f"-----END RSA {_PRIVATE}"]),
        "-----BEGIN CERTIFICATE-----",
        glued=True,
        end=f"-----END{_KEY}",
    ),
    Shape(
        "PuTTY key",
        ("Private-Lines:",),
        r"Private-Lines: [0-9]{1,3}(?![0-9])",
        "Private-Lines" + ": 2\n" + "FakeFake" * 8 + "\nFake=\nPrivate-MAC" + ": " + _HEX[:40],
        "Private-Lines: none",
        glued=True,
        end=r"Private-MAC: [0-9a-f]{40,64}",
    ),
    _token("age key", "AGE-SECRET-KEY-1", r"[0-9A-Z]{20,}", "FAKE" * 14),
    _token(
        "AWS access key",
        "AKIA ASIA ABIA ACCA",
        r"(?![0-9A-Z]{9}EXAMPLE)[0-9A-Z]{16}",
        "FAKE" * 4,
        "AKIA is a prefix",
        glued=False,
    ),
    Shape(
        "AWS secret key",
        ("aws_secret_access_key", "secretaccesskey", "aws_secret_key"),
        rf"(?:aws_)?secret_?(?:access_?)?key{_IS}(?P<s>[A-Za-z0-9/+]{{40}})",
        "aws_secret_access" + "_key = " + "Fa/ke+Fake" * 4,
        "aws_secret_access_key = your secret key",
        any_case=True,
        glued=True,
    ),
    Shape(
        "AWS session token",
        ("aws_session_token", "sessiontoken"),
        rf"(?:aws_)?session_?token{_IS}(?P<s>[A-Za-z0-9/+=]{{100,}})",
        "aws_session" + "_token=" + "Fa/ke+Fake" * 16,
        "aws_session_token=$TOKEN",
        any_case=True,
        glued=True,
    ),
    _token("GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_", r"[A-Za-z0-9]{36,}", "Fake" * 9, find="gh"),
    _token("GitHub fine-grained token", "github_pat_", r"[A-Za-z0-9_]{60,}", "Fake" * 20),
    _token("GitLab token", " ".join(_GITLAB), r"[A-Za-z0-9_.-]{20,}", "Fake" * 5, "glpat-short", find="gl"),
    _token("Anthropic key", "sk-ant-", r"[A-Za-z0-9_-]{20,}", "api00-" + "Fake" * 8),
    _token("OpenRouter key", "sk-or-v1-", r"[0-9a-f]{48,}", _HEX),
    _token(
        "OpenAI key",
        "sk-",
        r"(?:proj-|svcacct-|admin-)?(?=[a-z_-]{0,80}[A-Z0-9])[A-Za-z0-9_-]{32,}",
        "Fake" * 10,
        "sk-a-class-name-that-is-as-long-as-any-key-there-is",
        glued=False,
    ),
    _token("Google API key", "AIza", r"[0-9A-Za-z_-]{35}", "Fake" * 8 + "Fak"),
    _token("Google client secret", "GOCSPX-", r"[A-Za-z0-9_-]{20,}", "Fake" * 7),
    _token("Google access token", "ya29.", r"[A-Za-z0-9_-]{20,}", "Fake" * 12, glued=False),
    _token("Google refresh token", "1//0", r"[A-Za-z0-9_-]{40,}", "Fake" * 12, glued=False),
    _token(
        "Slack token",
        "xoxa- xoxb- xoxe- xoxo- xoxp- xoxr- xoxs-",
        r"[A-Za-z0-9-]{10,}",
        "Fake" * 6,
        find="xox",
    ),
    _token("Slack app token", "xapp-", r"[0-9]-[A-Za-z0-9-]{20,}", "1-" + "FAKE" * 10),
    Shape(
        "Slack webhook",
        ("hooks.slack.com/",),
        r"hooks\.slack\.com/(?P<s>(?:services|workflows|triggers)/[A-Za-z0-9+/_-]{30,})",
        "https://hooks.slack.com" + "/services/" + "T0FAKE000/B0FAKE000/" + "Fake" * 6,
        "https://hooks.slack.com/services/…",
        glued=True,
    ),
    Shape(
        "Discord webhook",
        ("/api/webhooks/",),
        r"/api/webhooks/(?P<s>[0-9]{17,20}/[A-Za-z0-9_-]{50,})",
        "https://discord.com" + "/api/webhooks/" + "0" * 18 + "/" + "Fake" * 17,
        "/api/webhooks/new",
        glued=True,
    ),
    _token("npm token", "npm_", r"[A-Za-z0-9]{36,}", "Fake" * 9, "npm_config_registry"),
    Shape(
        "npm registry password",
        ("_authToken", ":_password"),
        r"(?:_authToken|:_password)[ \t]{0,4}=[ \t]{0,4}(?P<s>[A-Za-z0-9+/=_-]{16,})",
        "//registry.invalid/:_authToken" + "=" + "Fake" * 9,
        "//registry.invalid/:_authToken=${NPM_TOKEN}",
        glued=True,
    ),
    _token("PyPI token", "pypi-", r"[A-Za-z0-9_-]{50,}", "Fake" * 20, "pypi-attestations"),
    _token("RubyGems key", "rubygems_", r"[0-9a-f]{48}", _HEX[:48]),
    _token("crates.io token", "cio", r"[A-Za-z0-9]{32}(?![A-Za-z0-9])", "Fake" * 8, "a cio", glued=False),
    _token("Docker token", "dckr_pat_ dckr_oat_", r"[A-Za-z0-9_-]{20,}", "Fake" * 7, find="dckr_"),
    _token("Stripe key", "sk_live_ rk_live_ sk_test_ rk_test_", r"[A-Za-z0-9]{20,}", "Fake" * 6),
    _token("Stripe webhook secret", "whsec_", r"[A-Za-z0-9+/]{24,}", "Fake" * 8),
    _token("Square token", "sq0atp- sq0csp-", r"[A-Za-z0-9_-]{22,}", "Fake" * 8, find="sq0"),
    _token("Shopify token", "shpat_ shpca_ shppa_ shpss_", r"[0-9a-fA-F]{32}", _HEX[:32], find="shp"),
    _token(
        "SendGrid key",
        "SG.",
        r"[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,}",
        "Fake" * 5 + "." + "Fake" * 10,
        "SG.a.b",
        glued=False,
    ),
    _token("Mailgun key", "key-", r"[0-9a-f]{32}(?![0-9A-Za-z])", _HEX[:32], "key-value store", glued=False),
    _token("Twilio key", "SK", r"[0-9a-f]{32}(?![0-9A-Za-z])", _HEX[:32], "SKU", glued=False),
    _token("DigitalOcean token", "dop_v1_ doo_v1_ dor_v1_", r"[0-9a-f]{64}", _HEX),
    _token("Heroku key", "HRKU-", r"[A-Za-z0-9_-]{30,}", "Fake" * 10),
    _token("Hugging Face token", "hf_", r"[A-Za-z0-9]{30,}", "Fake" * 9, "hf_hub_download", glued=False),
    _token("Groq key", "gsk_", r"[A-Za-z0-9]{40,}", "Fake" * 13),
    _token("xAI key", "xai-", r"[A-Za-z0-9]{60,}", "Fake" * 20),
    _token("Perplexity key", "pplx-", r"[A-Za-z0-9]{40,}", "Fake" * 12),
    _token("Replicate token", "r8_", r"[A-Za-z0-9]{30,}", "Fake" * 10, glued=False),
    _token("Cursor key", "key_", r"[0-9a-f]{64}", _HEX, "key_error", glued=False),
    _token(
        "LangSmith key",
        "lsv2_pt_ lsv2_sk_",
        r"[0-9a-f]{32}_[0-9a-f]{10}",
        _HEX[:32] + "_" + _HEX[:10],
        find="lsv2_",
    ),
    _token("Databricks token", "dapi", r"[0-9a-f]{32}", _HEX[:32], "a dapi", glued=False),
    _token("Atlassian token", "ATATT3", r"[A-Za-z0-9_=-]{50,}", "Fake" * 40),
    _token("Bitbucket token", "ATBB", r"[A-Za-z0-9]{24,}", "Fake" * 8, glued=False),
    _token("Linear key", "lin_api_ lin_oauth_", r"[A-Za-z0-9]{32,}", "Fake" * 10, find="lin_"),
    _token("Notion token", "ntn_", r"[A-Za-z0-9]{40,}", "Fake" * 12),
    _token("Figma token", "figd_ figo_", r"[A-Za-z0-9_-]{36,}", "Fake" * 10, find="fig"),
    _token("Postman key", "PMAK-", r"[0-9a-f]{24}-[0-9a-f]{34}", _HEX[:24] + "-" + _HEX[:34]),
    _token("Sentry token", "sntrys_ sntryu_", r"[A-Za-z0-9+/=_-]{40,}", "Fake" * 16, find="sntry"),
    _token("New Relic key", "NRAK-", r"[A-Z0-9]{27}", "FAKE" * 6 + "FAK"),
    _token("Grafana token", "glsa_ glc_", r"[A-Za-z0-9+/=_]{32,}", "Fake" * 8 + "_" + _HEX[:8], find="gl"),
    _token("Vault token", "hvs. hvb. hvr.", r"[A-Za-z0-9_-]{24,}", "Fake" * 22, find="hv"),
    _token(
        "Doppler token",
        " ".join(_DOPPLER),
        r"(?:[a-z0-9_-]{1,40}\.)?[A-Za-z0-9]{40,}",
        "Fake" * 11,
        find="dp.",
    ),
    _token("1Password token", "ops_eyJ", r"[A-Za-z0-9_-]{100,}", "Fake" * 50),
    _token(
        "PlanetScale token",
        "pscale_tkn_ pscale_pw_ pscale_oauth_",
        r"[A-Za-z0-9_.-]{32,}",
        "Fake" * 11,
        find="pscale_",
    ),
    _token("Supabase key", "sbp_ sb_secret_", r"[A-Za-z0-9_]{24,}", _HEX[:40], glued=False),
    _token("Pulumi token", "pul-", r"[0-9a-f]{40}", _HEX[:40], glued=False),
    _token("Fly.io token", "fm1r_ fm2_ fo1_", r"[A-Za-z0-9+/=_-]{40,}", "Fake" * 20, glued=False),
    _token("Netlify token", "nfp_", r"[A-Za-z0-9]{36,}", "Fake" * 10),
    _token("Tailscale key", "tskey-", r"[a-z]{2,10}-[A-Za-z0-9-]{16,}", "auth-" + "Fake" * 8),
    _token(
        "Dynatrace token",
        "dt0c01. dt0s16.",
        r"[A-Z0-9]{24}\.[A-Z0-9]{64}",
        "FAKE" * 6 + "." + "FAKE" * 16,
        find="dt0",
    ),
    Shape(
        "Azure storage key",
        ("AccountKey=", "SharedAccessKey="),
        r"(?:AccountKey|SharedAccessKey)=(?P<s>[A-Za-z0-9+/]{43,86}={1,2})",
        "Account" + "Key=" + "Fake" * 21 + "Fa==",
        "AccountKey=<your key>",
        glued=True,
    ),
    Shape(
        "Azure signature",
        ("sig=",),
        r"sig=(?P<s>[A-Za-z0-9/+]{40,60}(?:=|%3[Dd])|(?:[A-Za-z0-9]|%2[BbFf]){40,60}%3[Dd])",
        "https://x.invalid/y?sv=1&" + "sig=" + "Fake" * 10 + "Fak%3D",
        "https://x.invalid/y?sig=none",
        glued=True,
    ),
    Shape(
        "Telegram token",
        (":AA",),
        r":(?P<s>AA[A-Za-z0-9_-]{33})(?![A-Za-z0-9_-])",
        "bot" + "0" * 9 + ":AA" + "Fake" * 8 + "F",
        "12345678:AA",
        glued=True,
    ),
    _token(
        "JSON web token",
        "eyJ",
        r"[A-Za-z0-9_-]{10,}+\.eyJ[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*)?",
        "Fake" * 5 + ".ey" + "J" + "Fake" * 5 + "." + "Fake" * 5,
        glued=False,
        barren=r"[A-Za-z0-9_-]+",
    ),
    _log(
        "password",
        ("://",),
        r"://(?P<s>[^\s/:@\"'\\]{0,256}:[^\s/@\"'\\]{1,1024}+)@",
        "postgres" + "://bob:" + "fake" * 3 + "@db.invalid/x",
        "see http://localhost:8080/a@b",
    ),
    _log(
        "authorization",
        ("authorization",),
        rf"authorization{_IS}(?:(?:basic|bearer|token|bot|digest)[ \t]{{1,4}})?"
        rf"(?P<s>{_MIXED}[A-Za-z0-9._~+/=-]{{8,}})",
        "Authorization" + ": Basic " + "fake0" * 5,
        "authorization: who may do what",
    ),
    _log(
        "bearer token",
        ("bearer",),
        rf"bearer(?:[ \t]{{1,4}}|%20)(?P<s>{_MIXED}[A-Za-z0-9._~+/=-]{{20,}})",
        "Bearer" + " " + "fake0" * 6,
        "bearer of the good news",
    ),
    _log(
        "key in a header",
        _HEADERS,
        rf"(?:{'|'.join(_HEADERS)}){_IS}(?P<s>{_MIXED}[A-Za-z0-9._~+/=-]{{8,}})",
        "X-Api" + "-Key: " + "fake0" * 4,
        "x-api-key: see below",
    ),
    _log(
        "cookie",
        ("cookie",),
        r"cookie[\\\"']{0,4}:[\\\"' \t]{0,6}(?P<s>[A-Za-z0-9_.-]{1,64}=[^\r\n\"'\\]{8,})",
        "Set-Cookie" + ": sid=" + "fake0" * 5,
        "a cookie: small and dry",
    ),
    _log(
        "value of a secret's name",
        _NAMES,
        rf"(?:{'|'.join(_NAMES)})[a-z0-9_]{{0,20}}{_IS}(?P<s>{_MIXED}{_VALUE}{{8,}})",
        "DB_PASS" + 'WORD="' + "fake0" * 3 + '"',
        "password: ask bob for it; secret = True",
    ),
)
