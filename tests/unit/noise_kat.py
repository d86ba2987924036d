#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
noise_kat.py - known answers for Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b, computed from the Noise
specification (revision 34) with pyca/cryptography and hashlib, sharing no code with warp.

Prints {"hkdf": [...], "noise": [...]} as JSON; all bytes are hex. Exits with 77 when
pyca/cryptography is missing. test_handshake.c runs it and compares.
"""
import hashlib
import hmac
import json
import sys

try:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
except ImportError:
    sys.exit(77)

PROTOCOL = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b"


def hmac_hash(key, data):
    return hmac.new(key, data, hashlib.blake2b).digest()


def hkdf(chaining_key, data, outputs):
    temp_key = hmac_hash(chaining_key, data)
    result, last = [], b""
    for number in range(1, outputs + 1):
        last = hmac_hash(temp_key, last + bytes([number]))
        result.append(last)
    return result


class KeyPair:
    def __init__(self, private):
        self.private = private
        self.key = X25519PrivateKey.from_private_bytes(private)
        self.public = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def dh(self, public):
        return self.key.exchange(X25519PublicKey.from_public_bytes(public))


class CipherState:
    def __init__(self, key):
        self.aead = ChaCha20Poly1305(key)
        self.nonce = 0

    def encrypt(self, ad, plain):
        nonce = bytes(4) + self.nonce.to_bytes(8, "little")
        self.nonce += 1
        return self.aead.encrypt(nonce, plain, ad)


class SymmetricState:
    def __init__(self, prologue):
        self.hash = PROTOCOL.ljust(64, b"\0")
        self.chaining_key = self.hash
        self.cipher = None
        self.mix_hash(prologue)

    def mix_hash(self, data):
        self.hash = hashlib.blake2b(self.hash + data).digest()

    def mix_key(self, data):
        self.chaining_key, temp = hkdf(self.chaining_key, data, 2)
        self.cipher = CipherState(temp[:32])

    def mix_key_and_hash(self, data):
        self.chaining_key, temp_hash, temp = hkdf(self.chaining_key, data, 3)
        self.mix_hash(temp_hash)
        self.cipher = CipherState(temp[:32])

    def encrypt_and_hash(self, plain):
        sealed = self.cipher.encrypt(self.hash, plain)
        self.mix_hash(sealed)
        return sealed

    def mix_ephemeral(self, public):
        self.mix_hash(public)
        self.mix_key(public)

    def split(self):
        return [CipherState(key[:32]) for key in hkdf(self.chaining_key, b"", 2)]


def handshake(case):
    """Both sides are known here, so one transcript serves for both."""
    s_i, e_i = KeyPair(case["init_static"]), KeyPair(case["init_ephemeral"])
    s_r, e_r = KeyPair(case["resp_static"]), KeyPair(case["resp_ephemeral"])
    state = SymmetricState(case["prologue"])
    state.mix_hash(s_r.public)

    first = e_i.public
    state.mix_ephemeral(e_i.public)
    state.mix_key(e_i.dh(s_r.public))  # es
    first += state.encrypt_and_hash(s_i.public)
    state.mix_key(s_i.dh(s_r.public))  # ss
    first += state.encrypt_and_hash(case["payloads"][0])

    second = e_r.public
    state.mix_ephemeral(e_r.public)
    state.mix_key(e_r.dh(e_i.public))  # ee
    state.mix_key(e_r.dh(s_i.public))  # se
    state.mix_key_and_hash(case["psk"])
    second += state.encrypt_and_hash(case["payloads"][1])

    messages = [first, second]
    ciphers = state.split()
    for number, payload in enumerate(case["payloads"][2:]):
        messages.append(ciphers[number % 2].encrypt(b"", payload))
    return messages, state.hash


def bytes_of(label, size):
    return hashlib.shake_128(label.encode()).digest(size)


def noise_case(number, sizes, with_psk):
    case = {name: bytes_of(f"{name} {number}", 32) for name in
            ("init_static", "init_ephemeral", "resp_static", "resp_ephemeral")}
    case["psk"] = bytes_of(f"psk {number}", 32) if with_psk else bytes(32)
    case["prologue"] = b"" if number == 1 else b"warp protocol %d" % number
    case["payloads"] = [bytes_of(f"payload {number} {i}", n) for i, n in enumerate(sizes)]
    return case


def noise_cases():
    yield noise_case(0, [16, 16, 20, 20, 1400, 0], True)
    yield noise_case(1, [0, 0, 1, 1], True)
    yield noise_case(2, [16, 16, 64, 64, 64, 64], False)
    yield noise_case(3, [1000, 1, 8192, 15, 16, 17], True)


def answer(case):
    messages, final_hash = handshake(case)
    result = {name: value.hex() for name, value in case.items() if name != "payloads"}
    result["handshake_hash"] = final_hash.hex()
    result["messages"] = [{"payload": p.hex(), "ciphertext": c.hex()}
                          for p, c in zip(case["payloads"], messages)]
    return result


def hkdf_cases():
    for number, size in enumerate([0, 1, 32, 64, 127, 128, 129, 1000]):
        chaining_key, data = bytes_of(f"chain {number}", 64), bytes_of(f"input {number}", size)
        yield {"chaining_key": chaining_key.hex(), "input": data.hex(),
               "outputs": [output.hex() for output in hkdf(chaining_key, data, 3)]}


print(json.dumps({"hkdf": list(hkdf_cases()), "noise": [answer(case) for case in noise_cases()]}))
