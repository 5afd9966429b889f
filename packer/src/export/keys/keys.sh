#!/bin/sh
# Makes the encrypted keys here with openssl 3, pass phrase "x": usual ones, and ones that ask for too much.
set -e
openssl genpkey -algorithm ed25519 -out plain.pem
make() { openssl pkcs8 -topk8 -in plain.pem -passout pass:x -out "$@"; }
make scrypt.pem -scrypt
make pbkdf2.pem
make million.pem -iter 1000000
make rounds.pem -iter 10000001
rm plain.pem
python3 - <<'PY'
# Of what openssl itself does not make, the numbers alone are changed: N (2^14, three bytes) and p (1).
import base64
der = bytearray(base64.b64decode("".join(open("scrypt.pem").read().split("\n")[1:-2])))
n = der.index(b"\x02\x02\x40\x00\x02\x01\x08\x02\x01\x01")
def save(name, numbers):
    changed = bytes(der[:n]) + numbers + bytes(der[n + 10 :])
    # Every sequence around it is longer by as much; their lengths stand before it.
    more, at, end = len(numbers) - 10, 0, n
    changed = bytearray(changed)
    while at < end:
        # Down through the sequences that hold the numbers.
        tag, length, head = changed[at], changed[at + 1], 2
        if length == 0x81:
            length, head = changed[at + 2], 3
            place = at + 2
        else:
            place = at + 1
        if at + head + length > end and tag == 0x30:
            changed[place] += more
            at += head
        else:
            at += head + length
    text = base64.b64encode(changed).decode()
    lines = "\n".join(text[i : i + 64] for i in range(0, len(text), 64))
    open(name, "w").write(f"-----BEGIN ENCRYPTED PRIVATE KEY-----\n{lines}\n-----END ENCRYPTED PRIVATE KEY-----\n")
save("scrypt_512_mib.pem", b"\x02\x03\x08\x00\x00\x02\x01\x08\x02\x01\x01")
save("scrypt_p.pem", b"\x02\x02\x40\x00\x02\x01\x08\x02\x01\x05")
PY
