"""The language host: runs Python programs for the Pulumi engine, over gRPC.

Pulumi's own isn't on the Go module proxy, so a build of ours brings this one. It is copied into the
build and started there by `../parts/pulumi-language-python`, with whatever Python has the Pulumi SDK:
it imports that and the standard library, and nothing of codat-iac.

The service: proto/pulumi/language.proto of https://github.com/pulumi/pulumi. What isn't here
(`pulumi new`, `pulumi convert`, plugins and policy packs in Python) is answered UNIMPLEMENTED.
"""
