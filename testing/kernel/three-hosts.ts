/**
 * A client, a router and a server, each in a network namespace, for IPv4 and IPv6; and processes in them that send and see
 * single packets. Client and server answer nothing by themselves, so that all packets are ours.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import { inNamespace } from "./namespaces.ts";

export type Family = 4 | 6;

export type Addressing = {
  readonly client: string;
  /** The router's addresses towards the client and towards the server. */
  readonly near: string;
  readonly far: string;
  readonly servers: readonly string[];
  /** Addresses that nobody has: the router sends what is for them to the server. */
  readonly virtual: readonly string[];
  readonly length: number;
  readonly clientNet: string;
  readonly serverNet: string;
  readonly virtualNet: string;
};

export const ADDRESSES: { readonly [F in Family]: Addressing } = {
  4: {
    client: "10.1.0.2",
    near: "10.1.0.1",
    far: "10.2.0.1",
    servers: ["10.2.0.2", "10.2.0.3"],
    virtual: ["10.9.0.1", "10.9.0.2"],
    length: 24,
    clientNet: "10.1.0.0/24",
    serverNet: "10.2.0.0/24",
    virtualNet: "10.9.0.0/24",
  },
  6: {
    client: "fd01::2",
    near: "fd01::1",
    far: "fd02::1",
    servers: ["fd02::2", "fd02::3"],
    virtual: ["fd09::1", "fd09::2"],
    length: 64,
    clientNet: "fd01::/64",
    serverNet: "fd02::/64",
    virtualNet: "fd09::/64",
  },
};

const MAC = {
  client: "02:00:00:00:00:02",
  near: "02:00:00:00:00:01",
  far: "02:00:00:00:00:11",
  server: "02:00:00:00:00:12",
};

export function layOut(client: string, router: string, server: string): void {
  const sh = (namespace: string, script: string): void => void inNamespace(namespace, ["sh", "-ec", script]);
  sh(
    router,
    `ip link add rc address ${MAC.near} type veth peer name c0 netns ${client} address ${MAC.client}
     ip link add rs address ${MAC.far} type veth peer name s0 netns ${server} address ${MAC.server}
     sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
     for i in all default rc rs; do sysctl -qw net.ipv4.conf.$i.rp_filter=0 net.ipv4.conf.$i.send_redirects=0; done
     sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0 net.netfilter.nf_conntrack_tcp_be_liberal=1
     sysctl -qw net.ipv4.icmp_echo_ignore_all=1 net.ipv6.icmp.echo_ignore_all=1
     sysctl -qw net.ipv4.icmp_msgs_per_sec=100000 net.ipv4.icmp_msgs_burst=100000 || true`,
  );
  for (const [namespace, device] of [
    [client, "c0"],
    [router, "rc"],
    [router, "rs"],
    [server, "s0"],
    [router, "lo"],
  ] as const) {
    sh(namespace, `ip link set lo up; sysctl -qw net.ipv6.conf.${device}.accept_dad=0; ip link set ${device} up`);
  }
  for (const family of [4, 6] as const) {
    const { near, far, length, servers, virtualNet, ...rest } = ADDRESSES[family];
    const ip = `ip -${family}`;
    sh(
      client,
      `${ip} addr add ${rest.client}/${length} dev c0; ${ip} neigh add ${near} lladdr ${MAC.near} dev c0; ${ip} route add default via ${near}`,
    );
    sh(router, `${ip} addr add ${near}/${length} dev rc; ${ip} addr add ${far}/${length} dev rs`);
    sh(
      router,
      `${ip} neigh add ${rest.client} lladdr ${MAC.client} dev rc; ${ip} route add ${virtualNet} via ${servers[0]}`,
    );
    for (const one of servers) {
      sh(server, `${ip} addr add ${one}/${length} dev s0`);
      sh(router, `${ip} neigh add ${one} lladdr ${MAC.server} dev rs`);
    }
    sh(server, `${ip} neigh add ${far} lladdr ${MAC.far} dev s0; ${ip} route add default via ${far}`);
    // What comes to client and server is seen before this rule. IPv6's own messages (routers, neighbours, groups) would be
    // counted by the router's rules.
    const noise = [130, 131, 132, 133, 134, 135, 136, 143].map(
      (type) => `-A OUTPUT -p icmpv6 --icmpv6-type ${type} -j DROP\n`,
    );
    const raw = `*raw\n-A PREROUTING -j DROP\n${family === 6 ? noise.join("") : ""}COMMIT\n`;
    for (const namespace of [client, server]) {
      inNamespace(namespace, [`${family === 4 ? "iptables" : "ip6tables"}-nft-restore`], raw);
    }
  }
}

/** A process in a namespace that sends and sees packets (packets.py). */
export type Prober = {
  send(packets: readonly object[]): Promise<readonly (readonly [id: number, errno: number])[]>;
  collect(milliseconds: number): Promise<readonly Seen[]>;
  stop(): void;
};

export type Seen = {
  readonly protocol: string;
  readonly source: string;
  readonly destination: string;
  readonly sport?: number;
  readonly dport?: number;
  readonly id?: number;
  readonly about?: number;
  readonly ack?: number;
  readonly flags?: readonly string[];
  readonly type?: number;
  readonly code?: number;
  readonly device?: string;
};

export function startProber(namespace: string, family: Family, mode: "host" | "local"): Prober {
  const script = fileURLToPath(new URL("packets.py", import.meta.url));
  const child: ChildProcess = spawn("ip", ["netns", "exec", namespace, PYTHON, script, `${family}`, mode], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines: Interface = createInterface({ input: child.stdout! });
  const waiting: ((line: string) => void)[] = [];
  lines.on("line", (line) => waiting.shift()?.(line));
  const ask = <T>(command: object): Promise<T> =>
    new Promise((resolve) => {
      waiting.push((line) => resolve(JSON.parse(line)));
      child.stdin!.write(`${JSON.stringify(command)}\n`);
    });
  return {
    send: (packets) => ask({ send: packets }),
    collect: (milliseconds) => ask({ collect: milliseconds }),
    stop: () => child.stdin!.end(),
  };
}

export const PYTHON = "/usr/bin/python3";
