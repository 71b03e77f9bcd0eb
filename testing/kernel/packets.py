"""Sends and sees single packets in the network namespace it runs in, for netfilter.kernel.test.ts.

A line in, a line out, as JSON:
  {"send": [{id, protocol, source, destination, sport, dport, flags, ack, mark}]}   gives the ids that the kernel refused
  {"collect": milliseconds}                                       gives what was seen since the last time
Each packet carries its id: a TCP packet as sequence number, the others as the first four bytes after their header.
Arguments: the IP version, and "host" (what comes to the devices, before any rule) or "local" (what is delivered, after all).
"""
import json, select, socket, struct, sys, time

version, mode = int(sys.argv[1]), sys.argv[2]
family = socket.AF_INET if version == 4 else socket.AF_INET6
ICMP = 1 if version == 4 else 58
PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": ICMP}
NAMES = {number: name for name, number in PROTOCOLS.items()}
FLAGS = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32}
ECHO, ANSWER = (8, 0) if version == 4 else (128, 129)

sender = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
if version == 6:
    sender.setsockopt(socket.IPPROTO_IPV6, 36, 1)  # IPV6_HDRINCL
if mode == "host":
    seeing = [socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800 if version == 4 else 0x86DD))]
else:
    seeing = [socket.socket(family, socket.SOCK_RAW, number) for number in PROTOCOLS.values()]
for one in seeing:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    if mode == "local" and version == 6:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def build(p):
    source, destination = (socket.inet_pton(family, p[end]) for end in ("source", "destination"))
    number = PROTOCOLS[p["protocol"]]
    mine = struct.pack("!I", p["id"])
    if number == 6:
        flags = sum(FLAGS[name] for name in p["flags"])
        body = struct.pack("!HHIIBBHHH", p["sport"], p["dport"], p["id"], p.get("ack", 0), 5 << 4, flags, 64240, 0, 0)
        at = 16
    elif number == 17:
        body, at = struct.pack("!HHHH", p["sport"], p["dport"], 12, 0) + mine, 6
    else:
        body, at = struct.pack("!BBHI", ANSWER if p.get("answer") else ECHO, 0, 0, p["echo"]) + mine, 2
    if version == 4 and number == ICMP:
        whole = body
    else:
        whole = source + destination + struct.pack("!II", len(body), number) + body
    total = checksum(whole) or 0xFFFF
    body = body[:at] + struct.pack("!H", total) + body[at + 2 :]
    if version == 4:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0x4000, 64, number, 0) + source + destination
    else:
        head = struct.pack("!IHBB", 6 << 28, len(body), number, 64) + source + destination
    return head + body


def send(packets):
    refused = []
    for p in packets:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, p.get("mark", 0))
        try:
            sender.sendto(build(p), (p["destination"], 0))
        except OSError as error:
            refused.append([p["id"], error.errno])
    return refused


def read(data):
    if version == 4:
        source, destination = (socket.inet_ntop(family, data[at : at + 4]) for at in (12, 16))
        return data[9], source, destination, data[(data[0] & 15) * 4 :]
    source, destination = (socket.inet_ntop(family, data[at : at + 16]) for at in (8, 24))
    return data[6], source, destination, data[40:]


def describe(number, source, destination, body):
    seen = {"protocol": NAMES.get(number), "source": source, "destination": destination}
    if number == 6 and len(body) >= 8:
        seen["sport"], seen["dport"], seen["id"] = struct.unpack("!HHI", body[:8])
        if len(body) >= 14:
            seen["ack"] = struct.unpack("!I", body[8:12])[0]
            seen["flags"] = [name for name, bit in FLAGS.items() if body[13] & bit]
    elif number == 17 and len(body) >= 12:
        seen["sport"], seen["dport"] = struct.unpack("!HH", body[:4])
        seen["id"] = struct.unpack("!I", body[8:12])[0]
    elif number == ICMP and len(body) >= 12:
        seen["type"], seen["code"] = body[0], body[1]
        if body[0] in (ECHO, ANSWER):
            seen["id"] = struct.unpack("!I", body[8:12])[0]
        elif (version == 4 and body[0] in (3, 11)) or (version == 6 and body[0] < 128):
            seen["about"] = describe(*read(body[8:])).get("id")
    return seen


def collect(milliseconds):
    until = time.monotonic() + milliseconds / 1000
    events = []
    while True:
        left = until - time.monotonic()
        ready, _, _ = select.select(seeing, [], [], max(0, left))
        for one in ready:
            data, extra, _, address = one.recvmsg(2048, 256)
            if mode == "host":
                if address[2] == 4:  # PACKET_OUTGOING
                    continue
                event = describe(*read(data))
                event["device"] = address[0]
            elif version == 4:
                event = describe(*read(data))
            else:
                event = describe(one.proto, address[0], socket.inet_ntop(family, extra[0][2][:16]), data)
            if event["protocol"]:
                events.append(event)
        if not ready and left <= 0:
            return events


for line in sys.stdin:
    command = json.loads(line)
    answer = send(command["send"]) if "send" in command else collect(command["collect"])
    print(json.dumps(answer), flush=True)
