"""Seals bytes as engine/access/sealed.rs says, with the Python package `cryptography` alone.

Prints what the known-answer test of that file compares with.
"""

import base64
import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CHUNK = 64 * 1024


def raw(public):
    return public.public_bytes(Encoding.Raw, PublicFormat.Raw)


def montgomery(edwards):
    """u = (1 + y) / (1 - y), RFC 7748 section 4.1."""
    prime = 2**255 - 19
    y = int.from_bytes(edwards, "little") & ((1 << 255) - 1)
    return ((1 + y) * pow(1 - y, -1, prime) % prime).to_bytes(32, "little")


def seal(plain, recipient, ephemeral, grant_id, start):
    public = raw(ephemeral.public_key())
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(recipient))
    end = start + len(plain)
    info = public + recipient + hashlib.sha256(plain).digest()
    info += start.to_bytes(8, "big") + end.to_bytes(8, "big") + grant_id
    cipher = ChaCha20Poly1305(HKDF(SHA256(), 32, b"signet seal v1", info).derive(shared))
    sealed = b""
    for number, begin in enumerate(range(0, max(len(plain), 1), CHUNK)):
        is_last = begin + CHUNK >= len(plain)
        nonce = bytes(3) + number.to_bytes(8, "big") + bytes([is_last])
        sealed += cipher.encrypt(nonce, plain[begin : begin + CHUNK], b"")
    return public, sealed


def main():
    secret = bytes(range(32))
    lab = Ed25519PrivateKey.from_private_bytes(secret)
    recipient = montgomery(raw(lab.public_key()))
    # The holder of the key arrives at the same point from the other side.
    scalar = X25519PrivateKey.from_private_bytes(hashlib.sha512(secret).digest()[:32])
    assert raw(scalar.public_key()) == recipient
    plain = bytes((i * 7 + i // 251) % 256 for i in range(CHUNK + 100))
    ephemeral = X25519PrivateKey.from_private_bytes(bytes([7] * 32))
    public, sealed = seal(plain, recipient, ephemeral, b"grant-1", 5)
    print("key    ", base64.urlsafe_b64encode(raw(lab.public_key())).decode().rstrip("="))
    print("header  v1", base64.urlsafe_b64encode(public).decode().rstrip("="))
    print("sealed ", len(sealed), hashlib.sha256(sealed).hexdigest())


main()
