"""Check the client certificate of Codat's enterprise customers before it is used.

Source: https://docs.codat.io/enterprise/tech-overview/security/api-mTLS.
"""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

from codat_iac.model.errors import ConfigError
from codat_iac.model.text import safe_text


def check(certificate: str, key: str) -> None:
    """Check that two PEM files can be read, belong together, and are valid now. Raises `ConfigError`."""
    shown = f"the client certificate {safe_text(certificate)} (CODAT_CLIENT_CERT)"
    shown_key = f"the key {safe_text(key)} (CODAT_CLIENT_KEY)"
    _check_pem(certificate, "CERTIFICATE", shown)
    _check_pem(key, "PRIVATE KEY", shown_key)

    def no_passphrase() -> str:
        raise ConfigError(
            f"{shown_key} is encrypted, and nobody is there to type its passphrase; decrypt it into a file"
            " that only you can read: openssl pkey -in KEY -out NEW"
        )

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, no_passphrase)
    except ssl.SSLError as error:
        wrong = "don't belong together" if error.reason == "KEY_VALUES_MISMATCH" else "can't be used"
        raise ConfigError(
            f"{shown} and {shown_key} {wrong}; name the two files that Codat gave you"
        ) from error
    try:
        _present(context, certificate, key)
    except ssl.SSLCertVerificationError as error:
        raise ConfigError(f"{shown}: {error.verify_message}; get a new one from Codat") from error


def _check_pem(path: str, what: str, shown: str) -> None:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{shown} can't be read: {error.strerror}") from error
    if f"{what}-----".encode() not in content:
        raise ConfigError(f"{shown} holds no {what} in PEM format, to which `openssl` converts others")


def _present(ours: ssl.SSLContext, certificate: str, key: str) -> None:
    """Present the certificate to ourselves, in memory: Python can verify one, but not read its dates."""
    ours.verify_mode = ssl.CERT_REQUIRED
    ours.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    ours.load_verify_locations(certificate)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    theirs.check_hostname = False
    theirs.verify_mode = ssl.CERT_NONE
    theirs.load_cert_chain(certificate, key)
    asked, answered = ssl.MemoryBIO(), ssl.MemoryBIO()
    client, server = theirs.wrap_bio(answered, asked), ours.wrap_bio(asked, answered, server_side=True)
    for side in (client, server, client, server):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
