"""The shared checks explain themselves as those in tests do."""

import pytest

pytest.register_assert_rewrite("tests.faults.setting", "tests.faults.running")
