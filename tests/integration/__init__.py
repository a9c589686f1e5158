import pytest

pytest.register_assert_rewrite("tests.integration.removebg_cases")  # so that failed checks show their values
