"""A scripted stand-in for a model provider on loopback: it speaks four dialects, and fails on demand."""

from tests.engines.stub.server import Asked, Stub, stub_server

__all__ = ["Asked", "Stub", "stub_server"]
