"""Servers and clients in the network namespace it runs in, for small-cluster.ts.

Arguments: a name, and the TCP and UDP addresses to listen on (`tcp:0.0.0.0:8080`). A line in, a line out, as JSON:
  {"ask": [{"how": "tcp|udp|icmp", "to": address, "port": n, "size": bytes of the IP packet}], "patience": seconds}
gives for each what came of it, [result, who answered and whom it saw, errno]. A server tells its name and its client's address.
"""
import errno, json, os, socket, struct, sys, threading, time

name = sys.argv[1]
# linux/in.h; Python names them only since 3.14
IP_PKTINFO, IP_RECVERR, IP_MTU_DISCOVER, PMTUDISC_DO = 8, 11, 10, 2
IPV6_RECVPKTINFO, IPV6_PKTINFO, IPV6_RECVERR, IPV6_MTU_DISCOVER, IPV6_DONTFRAG = 49, 50, 25, 23, 62


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def serve_tcp(listener):
    while True:
        client, peer = listener.accept()
        try:
            client.sendall(f"{name} {peer[0]}".encode())
            client.close()
        except OSError:
            pass


def serve_udp(server):
    # it answers from the address that was asked
    is6 = server.family == socket.AF_INET6
    level, kind = (socket.IPPROTO_IPV6, IPV6_PKTINFO) if is6 else (socket.IPPROTO_IP, IP_PKTINFO)
    server.setsockopt(level, IPV6_RECVPKTINFO if is6 else kind, 1)
    while True:
        _, extra, _, peer = server.recvmsg(2048, 256)
        told = extra[0][2]
        try:
            info = told[:16] + struct.pack("=I", 0) if is6 else struct.pack("=I", 0) + told[4:8] + struct.pack("=I", 0)
            server.sendmsg([f"{name} {peer[0]}".encode()], [(level, kind, info)], 0, peer)
        except OSError:
            pass


for one in sys.argv[2:]:
    protocol, place = one.split(":", 1)
    address, port = place.rsplit(":", 1)
    address = address.strip("[]")
    server = socket.socket(family_of(address), socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((address, int(port)))
    if protocol == "tcp":
        server.listen(64)
    threading.Thread(target=serve_tcp if protocol == "tcp" else serve_udp, args=(server,), daemon=True).start()


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ask_tcp(to, port, patience):
    client = socket.socket(family_of(to))
    client.settimeout(patience)
    client.connect((to, port))
    try:
        return client.recv(200).decode()
    except OSError:
        return ""


def ask_udp(to, port, patience):
    client = socket.socket(family_of(to), socket.SOCK_DGRAM)
    client.settimeout(patience)
    client.connect((to, port))
    client.send(b"?")
    return client.recv(200).decode()


def ask_icmp6(to, number, size, patience):
    client = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    client.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
    if size:
        client.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_DO)
        client.setsockopt(socket.IPPROTO_IPV6, IPV6_DONTFRAG, 1)
    client.connect((to, 0))
    # the kernel puts in the checksum
    client.send(struct.pack("!BBHHH", 128, 0, 0, number, 1) + b"x" * max(0, (size or 84) - 48))
    until = time.monotonic() + patience
    while time.monotonic() < until:
        client.settimeout(max(0.001, until - time.monotonic()))
        answer = client.recv(65536)
        if answer[0] == 129 and struct.unpack("!H", answer[4:6])[0] == number:
            return ""
    raise TimeoutError


def ask_icmp(to, number, size, patience):
    if ":" in to:
        return ask_icmp6(to, number, size, patience)
    client = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    client.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    if size:
        client.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_DO)
    client.connect((to, 0))
    body = struct.pack("!BBHHH", 8, 0, 0, number, 1) + b"x" * max(0, (size or 84) - 28)
    client.send(body[:2] + struct.pack("!H", checksum(body)) + body[4:])
    until = time.monotonic() + patience
    while time.monotonic() < until:
        client.settimeout(max(0.001, until - time.monotonic()))
        answer = client.recv(65536)[20:]
        if answer[0] == 0 and struct.unpack("!H", answer[4:6])[0] == number:
            return ""
    raise TimeoutError


def ask(question, patience, put):
    how, to = question["how"], question["to"]
    try:
        if how == "icmp":
            said = ask_icmp(to, int.from_bytes(os.urandom(2), "big"), question.get("size"), patience)
        else:
            said = (ask_tcp if how == "tcp" else ask_udp)(to, question["port"], patience)
        put(["ok", said, 0])
    except OSError as error:
        put(["refused" if error.errno == errno.ECONNREFUSED else "silent", "", error.errno or 0])


print("[]", flush=True)
for line in sys.stdin:
    command = json.loads(line)
    results = [None] * len(command["ask"])
    threads = [
        threading.Thread(target=ask, args=(question, command["patience"], lambda r, i=i: results.__setitem__(i, r)))
        for i, question in enumerate(command["ask"])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(results), flush=True)
