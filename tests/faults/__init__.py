"""What vendors may do wrong, each of them, to a session as its client sees it: nothing is lost, nothing doubled."""

import pytest

pytest.register_assert_rewrite("tests.faults.setting", "tests.faults.running")
