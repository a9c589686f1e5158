"""What becomes of clients' file names."""

import pytest

from supervisor.jobs.filenames import sanitize_name


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("cat.jpg", "cat.jpg"),
        ("/home/me/cat.jpg", "cat.jpg"),
        (r"C:\photos\cat.jpg", "cat.jpg"),
        ("c\ra\x1b]t\x9b.jpg", "ca]t.jpg"),
        ("\ud800cat\udfff.jpg", "cat.jpg"),
        ("\ud800", "image"),
        ("", "image"),
        ("C:cat.jpg", "C_cat.jpg"),
        ("a|b?c*.jpg", "a_b_c_.jpg"),
        ("gpj.\u202ecat.jpg", "gpj.cat.jpg"),
        ("\ufeffcat\u200b.jpg", "cat.jpg"),
        ("кот 猫.jpg", "кот 猫.jpg"),
    ],
)
def test_a_name_is_one_that_can_be_told_again(sent: str, kept: str) -> None:
    """What UTF-8 cannot write would make a finished removal's files answer with 500."""
    assert sanitize_name(sent) == kept
