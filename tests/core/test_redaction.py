"""The streaming redactor: every shape, every form of a known value, at every cut, in bounded memory."""

from __future__ import annotations

import base64
import json
import random
import re
import time
from itertools import pairwise
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aq.core.secrecy import redaction
from aq.core.secrecy.known_values import WORD, forms
from aq.core.secrecy.matching import is_suspicious
from aq.core.secrecy.redaction import Redactor
from aq.core.secrecy.secret_shapes import SHAPES
from aq.core.secrecy.secrets import Secret, find_secret, redact
from tests.support.canaries import BY_KIND, KINDS, KNOWN, ONE_LINE, leaked, secrets_of

AWS = "AK" + "IA" + "FAKE" * 4
HUB = "gh" + "p_" + "Fake" * 9


def stream(data: bytes, cuts: list[int], known: tuple[str, ...] = ()) -> bytes:
    redactor = Redactor(known)
    edges = [0, *sorted(cuts), len(data)]
    out = b"".join(redactor.write(data[a:b]) for a, b in pairwise(edges))
    return out + redactor.close()


def whole(data: bytes, known: tuple[str, ...] = ()) -> bytes:
    return stream(data, [], known)


HOSTILE = {
    "starts in one word": "ey" + "J_",
    "starts that end nowhere": "ey" + "J-abc",
    "starts within words": "xey" + "J",
}


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("tail", ["", ".ey" + "Jshort", ".ey" + "J" + "Fake" * 5], ids=len)
def test_text_of_starts_alone_costs_about_what_any_text_costs(piece: str, tail: str) -> None:
    hostile = piece * (100_000 // len(piece)) + tail
    benign = (piece + " ") * (100_000 // len(piece)) + "a-long-word-with-" + piece

    def cost(text: str) -> float:
        began = time.process_time()
        redact(text)
        return time.process_time() - began

    redact(benign[:1000])
    assert min(cost(hostile) for _ in range(2)) < 12 * min(cost(benign) for _ in range(3))


def test_a_token_with_a_long_head_is_found_whole() -> None:
    token = "ey" + "J" + "Fake" * 3000 + ".ey" + "J" + "Fake" * 5 + "." + "Fake" * 5
    assert redact(f"a {token} b") == "a [redacted:JSON web token] b"
    assert redact(f"a x{token} b") == f"a x{token} b"


def test_there_are_many_shapes_and_each_has_one_name() -> None:
    assert len(SHAPES) >= 40
    assert len(set(KINDS)) == len(SHAPES)


@pytest.mark.parametrize("kind", KINDS)
def test_a_secret_of_this_shape_is_replaced_and_nothing_around_it(kind: str) -> None:
    example = BY_KIND[kind].example
    text = redact(f"first\nuse {example}\nlast\n")
    assert not leaked(kind, text)
    assert f"[redacted:{kind}]" in text
    assert text.startswith("first\nuse ")
    assert text.endswith("\nlast\n")
    assert redact(text) == text, "what was redacted once is redacted"


@pytest.mark.parametrize("kind", KINDS)
def test_a_look_alike_of_this_shape_is_left_alone(kind: str) -> None:
    harmless = f"see {BY_KIND[kind].harmless} there\n"
    assert redact(harmless) == harmless
    assert find_secret(harmless) is None


@pytest.mark.parametrize("kind", KINDS)
def test_job_files_are_refused_for_the_shapes_that_prose_does_not_have(kind: str) -> None:
    found = find_secret(f"first\nuse {BY_KIND[kind].example}\n")
    assert found == (None if BY_KIND[kind].logs_only else Secret(kind, 2))


@pytest.mark.parametrize("kind", KINDS)
def test_a_secret_is_found_wherever_the_stream_is_cut(kind: str) -> None:
    data = f"a\nuse {BY_KIND[kind].example}\nb\n".encode()
    wanted = whole(data)
    assert not leaked(kind, wanted.decode())
    for cut in range(len(data) + 1):
        assert stream(data, [cut]) == wanted
    assert stream(data, list(range(len(data)))) == wanted


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dressed", ["json", "json in json", "after a letter's escape", "url", "coloured"])
def test_a_secret_is_found_in_other_dress(kind: str, dressed: str) -> None:
    example = BY_KIND[kind].example
    text = {
        "json": json.dumps({"text": f"x\n{example}\ty"}),
        "json in json": json.dumps({"text": json.dumps({"text": f"x\n{example}\ty"})}),
        "after a letter's escape": f'{{"a":"\\n{json.dumps(example)[1:-1]}\\n"}}',
        "url": f"https://x.invalid/?a=%22{example}",
        "coloured": re.sub("([A-Za-z])", "\x1b[1m\\1\x1b[0m", example, count=4),
    }[dressed]
    assert not leaked(kind, redact(text + "\n"))


@pytest.mark.parametrize("kind", ONE_LINE)
def test_a_secret_in_a_line_longer_than_a_window_is_found_at_the_windows_edge(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redaction, "WINDOW", 1024)
    monkeypatch.setattr(redaction, "HOLD", 512)
    example = BY_KIND[kind].example
    for before in range(490, 530, 3):
        data = b"-" * before + b" " + example.encode() + b" " + b"-" * 1500 + b"\n"
        wanted = whole(data)
        assert not leaked(kind, wanted.decode())
        assert stream(data, list(range(0, len(data), 7))) == wanted
        assert wanted.count(b"-") >= before + (0 if kind == "cookie" else 1500), "what is no secret stays"


FORMS = {
    "as it is": lambda value: value,
    "in base64": lambda value: base64.b64encode(value.encode()).decode(),
    "in base64 after one byte": lambda value: base64.b64encode(b"x" + value.encode()).decode(),
    "in base64 after two bytes": lambda value: base64.b64encode(b"xy" + value.encode() + b"z").decode(),
    "in base64 for URLs": lambda value: base64.urlsafe_b64encode(value.encode()).decode(),
    "in a URL": lambda value: quote(value, safe=""),
    "in a path": quote,
    "in a form": quote_plus,
    "in a URL, in small letters": lambda value: re.sub("%..", lambda m: m[0].lower(), quote(value, safe="")),
    "in JSON": lambda value: json.dumps(value)[1:-1],
    "in JSON, not in ASCII": lambda value: json.dumps(value, ensure_ascii=False)[1:-1],
    "in JSON in JSON": lambda value: json.dumps(json.dumps(value)[1:-1])[1:-1],
    "in JSON with its slashes escaped": lambda value: json.dumps(value)[1:-1].replace("/", "\\/"),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_known_value_is_found_in_this_form_at_every_cut(form: object) -> None:
    assert callable(form)
    for value in (KNOWN, "canary" + '"\\' * 3 + "!", "plain" + "canary" * 2):
        written = form(value)
        core = written.rstrip("=")[3:-2]
        data = f"start {written} end\n".encode()
        wanted = whole(data, (value,))
        assert core.encode() not in wanted
        assert wanted.startswith(b"start ")
        assert wanted.endswith(b" end\n")
        assert b"[redacted:environment]" in wanted
        for cut in range(len(data)):
            assert stream(data, [cut], (value,)) == wanted


def test_a_long_known_value_is_found_where_base64_wraps_it() -> None:
    value = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=200))
    encoded = base64.b64encode(value.encode()).decode()
    for columns in (64, 76):
        lines = [encoded[at : at + columns] for at in range(0, len(encoded), columns)]
        text = redact("\n".join(lines) + "\n", (value,))
        assert not [line for line in lines if len(line) > 8 and line in text]


def test_each_line_of_a_known_value_is_known_and_short_ones_are_not() -> None:
    value = "first-" + "canary" + "\r\nshort\n  second-" + "canary" + "  \n"
    text = redact("first-" + "canary\nshort\nx second-" + "canary y\n", (value, "", "abc"))
    assert text == "[redacted:environment]\nshort\nx [redacted:environment] y\n"


def test_a_known_value_longer_than_a_window_is_found_in_pieces() -> None:
    value = "".join(random.Random(2).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=50_000))
    text = redact(f"{'-' * 130_000} {value} {'-' * 100_000}\n", (value,))
    assert set(text.replace("[redacted:environment]", "")) == {"-", " ", "\n"}
    assert max(len(form) for form in forms((value,))) <= 4096


def test_a_token_longer_than_a_window_is_swallowed_to_its_end() -> None:
    token = "ey" + "J" + "Fake" * 5 + ".ey" + "J" + "Fake" * 100_000 + "." + "Fake" * 10
    data = f"{'-' * 120_000} {token} after {AWS}\nnext\n".encode()
    wanted = f"{'-' * 120_000} [redacted:JSON web token] after [redacted:AWS access key]\nnext\n".encode()
    assert whole(data) == wanted
    assert stream(data, list(range(0, len(data), 4099))) == wanted


def test_a_token_longer_than_a_window_may_be_the_last_of_the_stream() -> None:
    assert whole(b"a " + (HUB + "Fake" * 100_000).encode()) == b"a [redacted:GitHub token]"


PEM = "-----BEGIN RSA " + "PRIVATE KEY-----"
PEM_END = "-----END RSA " + "PRIVATE KEY-----"
BODY = ["Proc-Type: 4,ENCRYPTED", "DEK-Info: AES-128-CBC,00", "", *["Fake" * 16] * 30, "Fa=="]


@pytest.mark.parametrize("lead", ["", "   12\u2192", "2026-01-01 INFO ", "> "], ids=repr)
def test_a_key_is_redacted_as_a_whole_however_its_lines_begin(lead: str) -> None:
    lines = [lead + line for line in (PEM, *BODY, PEM_END)]
    data = ("\n".join(["before", *lines, "after " + AWS]) + "\n").encode()
    wanted = f"before\n{lead}[redacted:private key]\nafter [redacted:AWS access key]\n".encode()
    assert whole(data) == wanted
    for cut in range(0, len(data), 11):
        assert stream(data, [cut]) == wanted


def test_a_key_of_the_environment_is_redacted_as_a_block() -> None:
    key = "\n".join([PEM, *["Fake" * 16] * 3, PEM_END])
    assert redact(f"a\n{key}\nb\n", (key,)) == "a\n[redacted:private key]\nb\n"


def test_a_mention_of_a_key_takes_only_a_few_lines() -> None:
    text = redact(f'if "{PEM}" in text:\n' + "".join(f"line {n}\n" for n in range(20)))
    assert text.startswith('if "[redacted:private key]')
    assert text.endswith("".join(f"line {n}\n" for n in range(6, 20)))


def test_a_key_that_never_ends_is_given_up_and_no_memory_grows() -> None:
    redactor = Redactor()
    out = redactor.write(f"{PEM}\n".encode())
    for _ in range(3000):
        out += redactor.write(b"Fake" * 16 + b"\n")
    assert out.startswith(b"[redacted:private key]\n")
    assert 0 < out.count(b"Fake" * 16) < 2000


def test_a_key_on_one_long_line_ends_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "WINDOW", 1024)
    monkeypatch.setattr(redaction, "HOLD", 512)
    key = "\\n".join([PEM, *["Fake" * 16] * 40, PEM_END])
    for before in range(0, 1100, 37):
        data = f"{'-' * before} {key} after\n".encode()
        assert whole(data) == f"{'-' * before} [redacted:private key] after\n".encode()
        assert stream(data, list(range(0, len(data), 13))) == whole(data)


def test_a_window_ends_between_two_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "WINDOW", 100)
    monkeypatch.setattr(redaction, "HOLD", 50)
    for lead in range(3):
        redactor = Redactor()
        data = b"-" * lead + "\u4e2d".encode() * 100
        parts = [redactor.write(data[at : at + 10]) for at in range(0, len(data), 10)]
        for part in parts:
            part.decode()
        assert b"".join([*parts, redactor.close()]) == data


@pytest.mark.parametrize("kind", KINDS)
def test_what_would_be_redacted_is_suspicious_and_a_look_alike_is_not(kind: str) -> None:
    assert is_suspicious(f"x {BY_KIND[kind].example} y".encode())
    assert not is_suspicious(f"x {BY_KIND[kind].harmless} y".encode())


def test_two_keys_of_two_kinds_are_found_in_their_order() -> None:
    putty = BY_KIND["PuTTY key"].example
    pem = BY_KIND["private key"].example
    assert redact(f"{putty} and {pem}, {putty}\n") == (
        "[redacted:PuTTY key] and [redacted:private key], [redacted:PuTTY key]\n"
    )


def test_what_runs_into_a_key_does_not_hide_it() -> None:
    text = redact(f"pass=known-canary{PEM}\n{'Fake' * 16}\n{PEM_END}\nx\n", ("known-canary---",))
    assert text == "pass=[redacted:environment][redacted:private key]\nx\n"


def test_overlapping_secrets_are_one() -> None:
    value = "Fake" * 2 + "tail-of-known"
    assert redact(f"x {HUB}{value} y\n", (value,)) == "x [redacted:GitHub token] y\n"


BOUNDARIES = {
    f"x {AWS}": True,
    f"={AWS}": True,
    f"\\n{AWS}": True,
    f"%3D{AWS}": True,
    f"\\u0022{AWS}": True,
    f"\\x22{AWS}": True,
    f"WORD{AWS}": False,
    f"n{AWS}": False,
}


@pytest.mark.parametrize(("text", "secret"), BOUNDARIES.items(), ids=BOUNDARIES)
def test_a_short_prefix_counts_only_where_a_word_begins(text: str, secret: bool) -> None:
    assert ("[redacted" in redact(text)) is secret


PIECES = [
    "plain words ",
    "\n",
    "\r\n",
    "\r",
    "\x1b[0;31m",
    "\x1b]0;title\x07",
    "\x1b]8;;https://x.invalid\x1b\\",
    "\x1b",
    "[",
    "\u009b1m",
    "\u00e9\u4e2d",
    "-" * 40,
    AWS,
    HUB,
    PEM,
    PEM_END,
    "Fake" * 16,
    KNOWN,
    base64.b64encode(KNOWN.encode()).decode(),
    "https://bob:" + "fake" * 3 + "@x.invalid",
]
STREAMS = st.lists(st.sampled_from(PIECES) | st.binary(max_size=4), max_size=40)


@given(STREAMS, st.lists(st.integers(0, 2000), max_size=30), st.booleans())
def test_the_result_does_not_depend_on_how_the_stream_was_cut(
    pieces: list[str | bytes], cuts: list[int], small: bool
) -> None:
    data = b"".join(piece.encode() if isinstance(piece, str) else piece for piece in pieces)
    before = redaction.WINDOW, redaction.HOLD
    if small:
        redaction.WINDOW, redaction.HOLD = 200, 100
    try:
        wanted = whole(data, (KNOWN,))
        assert stream(data, [cut for cut in cuts if cut < len(data)], (KNOWN,)) == wanted
        assert stream(data, list(range(len(data))), (KNOWN,)) == wanted
    finally:
        redaction.WINDOW, redaction.HOLD = before
    wanted.decode()
    assert not any(byte < 32 and byte not in b"\t\n" for byte in wanted)


def test_memory_is_bounded_for_a_line_that_never_ends() -> None:
    redactor = Redactor()
    for _ in range(200):
        redactor.write(b"0123456789 " * 1000)
        assert len(redactor._held) <= redaction.WINDOW + 16_000


def test_a_line_is_given_out_when_it_ends_and_the_rest_at_the_close() -> None:
    redactor = Redactor()
    assert redactor.write(b"one\ntw") == b"one\n"
    assert redactor.write(b"o") == b""
    assert redactor.close() == b"two"


def test_text_that_no_encoding_holds_does_not_stop_it() -> None:
    assert redact("a \ud800 b") == "a ? b"


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_shape_starts_with_is_a_part_of_one_word(kind: str) -> None:
    for anchor in BY_KIND[kind].anchors:
        assert set(anchor.encode()) <= WORD
        assert anchor == anchor.lower() or not BY_KIND[kind].any_case


@pytest.mark.parametrize("kind", KINDS)
def test_an_example_is_obviously_fake(kind: str) -> None:
    repeated = re.compile(r"(.{1,8}?)\1{2,}")
    assert all(repeated.search(part) or "Fake" in part or "fake" in part for part in secrets_of(kind))
