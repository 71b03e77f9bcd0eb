/** Names that agents make from other names: chains of kube-proxy, sets and chains of its nftables mode, devices of Calico. */
import { chainHash } from "../model/agents/kube-proxy.ts";
import { formatSocket } from "../net/ip.ts";
import { characters, type Keyed } from "./pseudonym.ts";

/** A port of a Service, as kube-proxy names it. */
export type PortName = {
  readonly namespace: string;
  readonly name: string;
  readonly port: string;
  readonly protocol: string;
};

export interface Derived {
  /** kube-proxy makes chains for it. */
  learnPort(port: PortName): void;
  learnEndpoint(port: PortName, address: string, number: number): void;
  /** `KUBE-SVC-ABCDEFGHIJKLMNOP` */
  chain(name: string): string;
  /**
   * `cali0123456789a`, a hash of `namespace.pod`, and `cali01`, by which a rule means all that begin so: what began alike
   * begins alike.
   */
  device(name: string): string;
  /** `endpoint-ABCDEFGH-shop/web/tcp/http__10.244.1.5/8080` */
  nftables(name: string): string;
}

type Others = { readonly label: (text: string) => string; readonly address: (text: string) => string };

const CALI = "cali";

const keyOf = ({ namespace, name, port }: PortName): string =>
  port === "" ? `${namespace}/${name}` : `${namespace}/${name}:${port}`;

export function derivedNames(keyed: Keyed, others: Others): Derived {
  const ports = new Map<string, PortName>();
  const endpoints = new Map<string, { readonly port: PortName; readonly address: string; readonly number: number }>();

  const otherPort = (port: PortName): PortName => {
    const { label } = others;
    return { ...port, namespace: label(port.namespace), name: label(port.name), port: label(port.port) };
  };

  /** `10.244.1.5/8080`, `fd00..5/8080`: a colon may not stand in the name of a chain. */
  function otherSocket(socket: string): string {
    const [address = "", port = ""] = socket.split("/");
    const isV4 = /^\d+\.\d+\.\d+\.\d+$/.test(address);
    const other = others.address(isV4 ? address : address.replaceAll(".", ":"));
    return `${other.replaceAll(":", ".")}/${port}`;
  }

  return {
    learnPort(port) {
      ports.set(chainHash(keyOf(port) + port.protocol), port);
    },
    learnEndpoint(port, address, number) {
      endpoints.set(chainHash(keyOf(port) + port.protocol + formatSocket(address, number)), { port, address, number });
    },
    chain(name) {
      const hash = name.slice(-16);
      const lead = name.slice(0, -16);
      const port = ports.get(hash);
      if (port) return lead + chainHash(keyOf(otherPort(port)) + port.protocol);
      const endpoint = endpoints.get(hash);
      if (!endpoint) return lead + characters(keyed("chain", hash), 16, "base32");
      const { address, number } = endpoint;
      const socket = formatSocket(others.address(address), number);
      return lead + chainHash(keyOf(otherPort(endpoint.port)) + endpoint.port.protocol + socket);
    },
    device(name) {
      let other = "";
      for (const digit of name.slice(CALI.length)) {
        const before = name.slice(CALI.length, CALI.length + other.length);
        other += (Number.parseInt(digit, 16) ^ (keyed("device", before)[0]! & 15)).toString(16);
      }
      return CALI + other;
    },
    nftables(name) {
      const [whole, kind, base = ""] = /^(.*?)-[A-Z2-7]{8}-(.*)$/.exec(name) ?? [];
      if (whole === undefined) return name;
      const [service = "", socket] = base.split("__");
      const [namespace = "", of = "", protocol = "", port = ""] = service.split("/");
      const { label } = others;
      const other = [label(namespace), label(of), protocol, label(port)].join("/");
      const otherBase = socket === undefined ? other : `${other}__${otherSocket(socket)}`;
      return `${kind}-${chainHash(otherBase).slice(0, 8)}-${otherBase}`;
    },
  };
}
