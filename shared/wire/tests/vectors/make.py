#!/usr/bin/env python3
"""Makes the computed vectors beside this file, from the RFCs' text and the format of notices, with Python's hashlib and hmac alone.

    python3 make.py            # writes rfc2868.txt rfc2548.txt rfc3579.txt rfc5176.txt rfc6929.txt notice.txt

They were made once and are pinned; a change in them is a change on the wire.
"""
import hashlib, hmac, ipaddress, struct

SECRET = b"testing123testing123"
RA = bytes(range(0x10, 0x20))


def md5(*parts):
    return hashlib.md5(b"".join(parts)).digest()


def avp(number, value):
    return bytes([number, len(value) + 2]) + value


def vsa(vendor, number, value):
    return avp(26, struct.pack(">I", vendor) + bytes([number, len(value) + 2]) + value)


def packet(code, ident, authenticator, *attributes):
    body = b"".join(attributes)
    return struct.pack(">BBH", code, ident, 20 + len(body)) + authenticator + body


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


def hide(secret, authenticator, salt, clear):
    clear += bytes(-len(clear) % 16)
    out, last = b"", authenticator + salt
    for i in range(0, len(clear), 16):
        block = xor(clear[i:i + 16], md5(secret, last))
        out += block
        last = block
    return out


def salted(secret, authenticator, salt, value):
    return salt + hide(secret, authenticator, salt, bytes([len(value)]) + value)


MA = avp(80, bytes(16))


def sign_ma(raw, secret, field=None):
    """Fills in the first Message-Authenticator; `field` stands for the authenticator meanwhile."""
    at = 20
    while raw[at] != 80:
        at += raw[at + 1]
    covered = raw[:4] + (raw[4:20] if field is None else field) + raw[20:]
    mac = hmac.new(secret, covered, "md5").digest()
    return raw[:at + 2] + mac + raw[at + 18:]


def sign_reply(raw, secret, request_authenticator):
    if MA in raw[20:]:
        raw = sign_ma(raw, secret, request_authenticator)
    return raw[:4] + md5(raw[:4], request_authenticator, raw[20:], secret) + raw[20:]


def sign_computed(raw, secret):
    if MA in raw[20:]:
        raw = sign_ma(raw, secret, bytes(16))
    return raw[:4] + md5(raw[:4], bytes(16), raw[20:], secret) + raw[20:]


def hexdump(octets, indent="    "):
    text = octets.hex()
    rows = [text[i:i + 64] for i in range(0, len(text), 64)]
    return "\n".join(indent + " ".join(row[i:i + 2] for i in range(0, len(row), 2)) for row in rows)


class File:
    def __init__(self, name, head):
        self.name, self.lines = name, ["# " + line for line in head.splitlines()]

    def vector(self, name, *lines):
        self.lines += ["", "name " + name]
        for line in lines:
            if isinstance(line, tuple):
                self.lines += [line[0], hexdump(line[1])]
            else:
                self.lines.append(line)

    def close(self):
        with open(self.name, "w") as out:
            out.write("\n".join(self.lines) + "\n")


secret = "secret " + SECRET.decode()
access = sign_ma(packet(1, 7, RA, MA, avp(1, b"alice")), SECRET)

# ------------------------------------------------------------------ RFC 2868
f = File("rfc2868.txt", "Tunnel attributes in an Access-Accept (RFC 2868). Made by make.py.")
accept = packet(2, 7, bytes(16), MA,
                avp(64, b"\x01\x00\x00\x0d"), avp(65, b"\x01\x00\x00\x06"), avp(81, b"\x01120"),
                avp(69, b"\x01" + salted(SECRET, RA, b"\x8a\x01", b"tunnel-secret")),
                avp(69, b"\x02" + salted(SECRET, RA, b"\x8a\x02", b"exactly 15 octs")),
                avp(69, b"\x00" + salted(SECRET, RA, b"\x8a\x03", b"sixteen octets!!")),
                avp(66, b"10.0.0.1"))
f.vector("tagged attributes and passwords of one, one and two blocks", secret, ("request", access), "is valid",
         ("reply", sign_reply(accept, SECRET, RA)), "is valid",
         "tagged-integer 64 1 = 13", "tagged-integer 65 1 = 6", 'tagged 81 1 = "120"',
         'tunnel-password 1 = "tunnel-secret"', 'tunnel-password 2 = "exactly 15 octs"',
         'tunnel-password 0 = "sixteen octets!!"', 'tagged 66 - = "10.0.0.1"')
f.close()

# ------------------------------------------------------------------ RFC 2548
f = File("rfc2548.txt", "Microsoft's vendor-specific attributes (RFC 2548). Made by make.py.")
send, recv = bytes(range(32)), bytes(range(32, 64))
nt = bytes(range(64, 88))
accept = packet(2, 7, bytes(16), MA,
                vsa(311, 16, salted(SECRET, RA, b"\x90\x01", send)),
                vsa(311, 17, salted(SECRET, RA, b"\x90\x02", recv)),
                vsa(311, 12, hide(SECRET, RA, b"", nt)),
                vsa(311, 7, struct.pack(">I", 1)))
f.vector("MPPE keys", secret, ("request", access), "is valid", ("reply", sign_reply(accept, SECRET, RA)), "is valid",
         "mppe 16 = " + send.hex(), "mppe 17 = " + recv.hex(), "vendor 311 7 = 00000001", "mschap-mppe = " + nt.hex())
f.close()

# ------------------------------------------------------------------ RFC 3579
f = File("rfc3579.txt", "EAP-Message and Message-Authenticator (RFC 3579, RFC 5997). Made by make.py.")
eap = struct.pack(">BBH", 2, 9, 600) + bytes([13]) + bytes(i & 0xff for i in range(595))
chunks = [avp(79, eap[i:i + 253]) for i in range(0, len(eap), 253)]
for where, attributes in [("first", [MA, avp(1, b"alice"), *chunks]), ("in the middle", [avp(1, b"alice"), MA, *chunks]),
                          ("last", [avp(1, b"alice"), *chunks, MA])]:
    f.vector(f"a long EAP message, Message-Authenticator {where}", secret,
             ("request", sign_ma(packet(1, 7, RA, *attributes), SECRET)), "is valid", "eap = " + eap.hex())
f.vector("EAP without Message-Authenticator", secret, "rule optional",
         ("request", packet(1, 7, RA, avp(1, b"alice"), *chunks)), "is eap-without-message-authenticator")
good = sign_ma(packet(1, 7, RA, MA, avp(1, b"alice")), SECRET)
f.vector("one bit of the value wrong", secret, ("request", good[:30] + bytes([good[30] ^ 1]) + good[31:]),
         "is bad-message-authenticator")
f.vector("another secret", "secret testing123testing124", ("request", good), "is bad-message-authenticator")
f.vector("twice, the first one right", secret,
         ("request", sign_ma(packet(1, 7, RA, MA, avp(80, bytes(15) + b"x")), SECRET)), "is bad-message-authenticator")
f.vector("a value of 15 octets", secret, ("request", packet(1, 7, RA, avp(80, bytes(15)))),
         "is bad-message-authenticator")
f.vector("absent and required", secret, ("request", packet(1, 7, RA, avp(1, b"alice"))),
         "is missing-message-authenticator")
f.vector("absent and optional", secret, "rule optional", ("request", packet(1, 7, RA, avp(1, b"alice"))), "is valid")
f.vector("absent beside a Proxy-State", secret, "rule limit",
         ("request", packet(1, 7, RA, avp(1, b"alice"), avp(33, b"x"))), "is proxy-state-without-message-authenticator")
f.vector("absent without a Proxy-State", secret, "rule limit", ("request", packet(1, 7, RA, avp(1, b"alice"))),
         "is valid")
status = sign_ma(packet(12, 3, RA, MA), SECRET)
f.vector("Status-Server and its two answers", secret, ("request", status), "is valid",
         ("reply", sign_reply(packet(2, 3, bytes(16), MA), SECRET, RA)), "is valid",
         ("reply", sign_reply(packet(5, 3, bytes(16), MA), SECRET, RA)), "is valid",
         ("reply", sign_reply(packet(5, 3, bytes(16)), SECRET, RA)), "is missing-message-authenticator",
         ("reply", sign_reply(packet(3, 3, bytes(16), MA), SECRET, RA)), "is code-unexpected")
f.vector("Status-Server without Message-Authenticator, whatever the rule", secret, "rule optional",
         ("request", packet(12, 3, RA)), "is missing-message-authenticator")
challenge = struct.pack(">BBH", 1, 10, 6) + bytes([13, 0x20])
f.vector("Access-Challenge with EAP", secret, ("request", access), "is valid",
         ("reply", sign_reply(packet(11, 7, bytes(16), MA, avp(24, b"state-1"), avp(79, challenge)), SECRET, RA)),
         "is valid", "eap = " + challenge.hex(), 'attribute 24 = "state-1"',
         ("reply", sign_reply(packet(11, 7, bytes(16), avp(79, challenge)), SECRET, RA)),
         "is eap-without-message-authenticator")
reject = sign_reply(packet(3, 7, bytes(16), MA, avp(18, b"no")), SECRET, RA)
f.vector("a reply with a wrong Response Authenticator, and one to another request", secret, ("request", access),
         "is valid", ("reply", reject), "is valid",
         ("reply", reject[:4] + bytes([reject[4] ^ 0x80]) + reject[5:]), "is bad-authenticator",
         ("reply", sign_reply(packet(3, 7, bytes(16), MA), SECRET, bytes(16))), "is bad-authenticator")
wrong = packet(3, 7, bytes(16), avp(80, b"0123456789abcdef"))
f.vector("a reply whose Message-Authenticator alone is wrong", secret, ("request", access), "is valid",
         ("reply", wrong[:4] + md5(wrong[:4], RA, wrong[20:], SECRET) + wrong[20:]), "is bad-message-authenticator")
plain = sign_reply(packet(3, 7, bytes(16), avp(18, b"no")), SECRET, RA)
f.vector("a reply without Message-Authenticator", secret, ("request", access), "is valid", ("reply", plain),
         "is missing-message-authenticator", "rule optional", ("reply", plain), "is valid")
f.close()

# ------------------------------------------------------------------ RFC 5176 and 2866
f = File("rfc5176.txt", "Computed Request Authenticators: accounting, CoA, Disconnect (RFC 2866, RFC 5176). Made by make.py.")
start = sign_computed(packet(4, 9, bytes(16), avp(40, struct.pack(">I", 1)), avp(44, b"session-1"), avp(1, b"alice")), SECRET)
f.vector("Accounting-Request", secret, ("request", start), "is valid", "attribute 40 = 00000001",
         ("reply", sign_reply(packet(5, 9, bytes(16)), SECRET, start[4:20])), "is valid",
         ("reply", sign_reply(packet(2, 9, bytes(16)), SECRET, start[4:20])), "is code-unexpected")
f.vector("Accounting-Request with padding after its length", secret, ("request", start + b"padding"), "is valid")
f.vector("Accounting-Request with one bit wrong", secret, ("request", start[:-1] + bytes([start[-1] ^ 1])),
         "is bad-authenticator")
f.vector("Accounting-Request with Message-Authenticator", secret,
         ("request", sign_computed(packet(4, 9, bytes(16), avp(40, struct.pack(">I", 2)), MA), SECRET)), "is valid")
zeros = sign_ma(packet(5, 9, bytes(16), MA), SECRET)
f.vector("Accounting-Response whose Message-Authenticator is over zeros, as FreeRADIUS makes it", secret,
         ("request", start), "is valid",
         ("reply", zeros[:4] + md5(zeros[:4], start[4:20], zeros[20:], SECRET) + zeros[20:]), "is valid")
for code, name in [(40, "Disconnect"), (43, "CoA")]:
    ask = sign_computed(packet(code, 5, bytes(16), MA, avp(1, b"alice"), avp(44, b"session-1")), SECRET)
    f.vector(f"{name}-Request with its ACK and its NAK", secret, ("request", ask), "is valid",
             ("reply", sign_reply(packet(code + 1, 5, bytes(16), MA), SECRET, ask[4:20])), "is valid",
             ("reply", sign_reply(packet(code + 2, 5, bytes(16), avp(101, struct.pack(">I", 503))), SECRET, ask[4:20])),
             "is valid", "attribute 101 = 000001f7")
f.vector("a reply as a request", secret, ("request", packet(2, 5, bytes(16))), "is code-unexpected")
f.vector("frames that are none", secret, ("frame", bytes(19)), "is short", ("frame", packet(1, 1, RA)[:2] + b"\0\x13" + RA),
         "is length-field", ("frame", b"\x01\x01\x10\x01" + bytes(4093)), "is length-field",
         ("frame", b"\x01\x01\x00\x40" + bytes(40)), "is truncated",
         ("frame", b"\x01\x01\x00\x15" + bytes(16) + b"\x01"), "is attribute-length 20",
         ("frame", b"\x01\x01\x00\x16" + bytes(16) + b"\x01\x01"), "is attribute-length 20",
         ("frame", b"\x01\x01\x00\x1a" + bytes(16) + b"\x01\x03x\x01\x04x"), "is attribute-length 23")
f.close()

# ------------------------------------------------------------------ RFC 6929
f = File("rfc6929.txt", "Extended attributes, TLVs and vendor formats (RFC 6929, RFC 2865 5.26). Made by make.py.")
long = bytes(i * 7 & 0xff for i in range(600))
evs = struct.pack(">I", 9) + b"\x05" + bytes(i * 3 & 0xff for i in range(300))


def fragments(number, extended, value):
    pieces = [value[i:i + 251] for i in range(0, len(value), 251)]
    return [avp(number, bytes([extended, 0x80 if i + 1 < len(pieces) else 0]) + p) for i, p in enumerate(pieces)]


one, two, three = fragments(245, 1, long)
body = [MA, avp(241, b"\x05" + b"\0\0\0\x2a"), avp(241, b"\x1a" + struct.pack(">I", 9) + b"\x07evs"),
        avp(242, b"\x02" + avp(1, b"outer") + avp(2, avp(3, b"inner"))), one, avp(1, b"between"), two, three,
        *fragments(245, 26, evs), avp(246, b"\x01\x80" + bytes(251))]
f.vector("extended, long extended with another attribute between its fragments, EVS, TLVs", secret,
         ("request", sign_ma(packet(1, 7, RA, *body), SECRET)), "is valid", "extended 241.5 = 0000002a",
         "extended 241.26 = " + (struct.pack(">I", 9) + b"\x07evs").hex(), "extended 245.1 = " + long.hex(),
         "extended 245.26 = " + evs.hex(), "extended 246.1 none", "extended 242.2 = " + (avp(1, b"outer") + avp(2, avp(3, b"inner"))).hex())
body = [MA, avp(26, struct.pack(">I", 9) + avp(1, b"one") + avp(1, b"two")),
        avp(26, struct.pack(">IHB", 4846, 0x0102, 6) + b"abc"),
        avp(26, struct.pack(">II", 429, 0x01020304) + b"usr"),
        avp(26, struct.pack(">IHH", 5000, 0x0203, 7) + b"xyz"),
        avp(26, struct.pack(">I", 24757) + b"\x05\x06\x80abc")]
f.vector("vendor formats 1,1 and 2,1 and 4,0 and 2,2 and 1,1,c", secret, ("request", sign_ma(packet(1, 7, RA, *body), SECRET)),
         "is valid", 'vendor 9 1 = "one"', "format 2,1", 'vendor 4846 258 = "abc"', "format 4,0",
         'vendor 429 16909060 = "usr"', "format 2,2", 'vendor 5000 515 = "xyz"', "format 1,1,c", 'vendor 24757 5 = "abc"')
f.close()

# ------------------------------------------------------------------ notices
f = File("notice.txt", "Notices. Made by make.py.")
KEY = bytes.fromhex("0f1e2d3c4b5a69788796a5b4c3d2e1f0" * 2)


def identity(text):
    address = ipaddress.ip_address(text)
    return b"\0" * 10 + b"\xff\xff" + address.packed if address.version == 4 else address.packed


def hkdf(ikm, info):
    prk = hmac.new(bytes(32), ikm, "sha256").digest()
    return hmac.new(prk, info + b"\x01", "sha256").digest()


def notice(mac, kind, flags, key_id, reason, sender, epoch, sequence, utc, validity, reduction, load, stagger, server,
           client, tlvs=b"", key=KEY):
    s, c = identity(server), identity(client)
    head = struct.pack(">4sBBBBHBBIIIQHBBHH", b"FWN1", 1, mac, kind, flags, 72 + len(tlvs) + 16, key_id, reason, sender,
                       epoch, sequence, utc, validity, reduction, load, stagger, len(tlvs)) + s + c
    assert len(head) == 72
    covered = s + c + head + tlvs
    if mac == 1:
        tag = hmac.new(key, covered, "md5").digest()
    elif mac == 2:
        tag = hmac.new(hkdf(key, b"forewarn notice 1" + s + c), covered, "sha256").digest()[:16]
    else:
        tag = md5(key, covered, key)
    return head + tlvs + tag


def tlv(number, value):
    return bytes([number, len(value)]) + value


names = {1: "hmac-md5", 2: "hmac-sha256", 3: "md5"}
pair = "pair 127.0.0.11 127.0.0.21"
fields = ["kind = failover", "flags = 5", "key-id = 1", "reason = 2", "sender = 4711", "epoch = 1700000000",
          "sequence = 42", "utc-ms = 1700000123456", "validity-s = 30", "reduction = 100", "load = 97", "stagger-s = 3"]
tlvs = tlv(1, b"\x64" + ipaddress.ip_address("127.0.0.12").packed) + tlv(2, b"\x32" + ipaddress.ip_address("2001:db8::12").packed) \
    + tlv(4, b"example.org") + tlv(5, b"auth") + tlv(200, b"from the future")
for mac in (1, 2, 3):
    args = (mac, 1, 5, 1, 2, 4711, 1700000000, 42, 1700000123456, 30, 100, 97, 3, "127.0.0.11", "127.0.0.21")
    key = f"notice-key {names[mac]} {KEY.hex()}"
    f.vector(f"FAILOVER with alternates, {names[mac]}", key, pair, ("notice", notice(*args, tlvs)), "is valid", *fields,
             "alternate 100 127.0.0.12", "alternate 50 2001:db8::12", "realm = example.org", "service = auth")
    f.vector(f"FAILOVER bare, {names[mac]}", key, pair, ("notice", notice(*args)), "is valid", *fields)
    f.vector(f"FAILOVER for another client, {names[mac]}", key, "pair 127.0.0.11 127.0.0.22", ("notice", notice(*args)),
             "is bad-pair")
    f.vector(f"FAILOVER with another key, {names[mac]}", f"notice-key {names[mac]} {KEY.hex()}01", pair,
             ("notice", notice(*args)), "is bad-mac")
    other = names[mac % 3 + 1]
    f.vector(f"FAILOVER with {names[mac]} where {other} is configured", f"notice-key {other} {KEY.hex()}", pair,
             ("notice", notice(*args)), "is bad-kind")
key = f"notice-key hmac-sha256 {KEY.hex()}"
v6 = ("2001:db8::11", "2001:db8::21")
f.vector("ACK over IPv6", key, "pair 2001:db8::11 2001:db8::21",
         ("notice", notice(2, 3, 0, 1, 0, 0, 1700000500, 7, 1700000501000, 0, 0, 0, 0, *v6,
                           tlv(7, struct.pack(">IIB", 1700000000, 42, 1)))), "is valid", "kind = ack",
         "acked 1700000000 42 moved")
f.vector("RECONNECT with a slot and the nonce of a CHALLENGE", key, pair,
         ("notice", notice(2, 2, 1, 1, 12, 0, 1700000000, 43, 1700000200000, 0, 0, 12, 30, "127.0.0.11", "127.0.0.21",
                           tlv(6, struct.pack(">I", 12345)) + tlv(3, RA))), "is valid", "kind = reconnect", "reason = 12",
         "slot-ms = 12345", "nonce = " + RA.hex())
base = (2, 1, 0, 1, 0, 0, 1, 1, 0, 30, 100, 0, 0, "127.0.0.11", "127.0.0.21")
good = notice(*base)
f.vector("layouts that are none", key, pair, ("notice", b""), "is magic", ("notice", b"FWN2" + good[4:]), "is magic",
         ("notice", good[:87]), "is length", ("notice", good + b"\0"), "is length", ("notice", good[:40]), "is length",
         ("notice", good[:4] + b"\x02" + good[5:]), "is version", ("notice", good[:5] + b"\x04" + good[6:]), "is mac",
         ("notice", good[:6] + b"\x0a" + good[7:]), "is kind", ("notice", good[:34] + b"\x65" + good[35:]), "is percent",
         ("notice", notice(*base, tlv(6, b"abc"))), "is tlv 72",
         ("notice", notice(*base, tlv(6, b"abcd") + b"\x09\x05x")), "is tlv 78",
         ("notice", notice(*base, tlv(4, b"\xff"))), "is tlv 72")
f.close()
