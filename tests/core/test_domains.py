"""Host names in ASCII, by IDNA 2008."""

import pytest

from apps.core.domains import ascii_domain, ascii_sender, ascii_url


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("Example.ORG", "example.org"),
        ("straße.de", "xn--strae-oqa.de"),
        ("STRASSE.de", "strasse.de"),
        ("ＢÜCHER.example", "xn--bcher-kva.example"),
        ("xn--strae-oqa.de", "xn--strae-oqa.de"),
        ("βόλος.com", "xn--nxasmm1c.com"),  # a final sigma, which IDNA 2003 maps to another letter
    ],
)
def test_a_domain_is_encoded_as_typed(typed: str, name: str) -> None:
    assert ascii_domain(typed) == name


@pytest.mark.parametrize("typed", ["☃.net", "-ü.de", "ü" * 60 + ".de", "ü..de", "\u200dü.de"])
def test_an_invalid_host_name_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        ascii_domain(typed)


def test_the_rest_of_a_url_is_unchanged() -> None:
    assert ascii_url("https://a:b@straße.de:8443/ö?x#y") == "https://a:b@xn--strae-oqa.de:8443/ö?x#y"
    assert ascii_url("http://[::1]:81") == "http://[::1]:81"


@pytest.mark.parametrize("name", ["", "Grüße von Parley <", '"A, B" <'])
def test_a_senders_name_is_unchanged(name: str) -> None:
    end = ">" if name else ""
    assert ascii_sender(f"{name}a@straße.de{end}") == f"{name}a@xn--strae-oqa.de{end}"
    assert ascii_sender(f"{name}a@example.org{end}") == f"{name}a@example.org{end}"
