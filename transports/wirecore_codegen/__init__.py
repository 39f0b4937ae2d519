"""protoc-gen-wsrpc_python: typed clients and services for wsrpc, made of .proto files.

A plugin of protoc, which runs it; docs/codegen.md tells how. The generated code runs on
:mod:`wirecore_trio.wsrpc`; this package needs nothing of it, and protobuf instead.
"""
