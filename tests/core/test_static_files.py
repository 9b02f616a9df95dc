"""What is sent with scripts and style sheets."""

from django.test import Client


def test_a_static_file_says_no_more_than_it_needs(client: Client) -> None:
    answer = client.get("/static/css/base.css")
    assert set(answer.headers) == {
        "Content-Type",
        "Cache-Control",
        "Last-Modified",
        "ETag",
        "Content-Length",
        "X-Content-Type-Options",
    }
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert not answer.cookies
