"""The tests: one module for each module of the package, and `test_pulumi_*` on the real engine."""
