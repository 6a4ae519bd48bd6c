"""Test tools as product code: hosts in namespaces, fakes, driver checks."""
