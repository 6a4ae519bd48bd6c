"""`make demo`: networks and containers on the real kernel, by the real docker CLI, in namespaces that go afterwards."""
