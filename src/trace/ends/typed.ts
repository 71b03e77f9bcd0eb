/** What was typed, taken apart: names with what stands around them, ports and protocols. */
import { parseIp } from "../../net/ip.ts";
import type { Protocol } from "../packet.ts";

const KINDS: Readonly<Record<string, "pod" | "service" | "node" | "workload">> = {
  ...Object.fromEntries(["pod", "pods", "po"].map((word) => [word, "pod"])),
  ...Object.fromEntries(["service", "services", "svc"].map((word) => [word, "service"])),
  ...Object.fromEntries(["node", "nodes", "no"].map((word) => [word, "node"])),
  ...Object.fromEntries(
    ["deployment", "deployments", "deploy", "daemonset", "daemonsets", "ds", "statefulset", "statefulsets", "sts"]
      .concat(["replicaset", "replicasets", "rs", "job", "jobs"])
      .map((word) => [word, "workload"]),
  ),
};

/** A name with what was typed around it. */
export type Name = {
  readonly kind?: "pod" | "service" | "node" | "workload";
  readonly namespace?: string;
  readonly name: string;
  readonly on?: string;
};

/** `[NS:][KIND/][NS/]NAME[@NODE]` */
export function nameOf(typed: string, fallback: string | undefined): Name {
  const before = /^([a-z0-9-]+):(?=[A-Za-z]+\/)(.*)$/.exec(typed);
  const [path = "", on] = (before?.[2] ?? typed).split("@");
  const parts = path.split("/").filter((part) => part !== "");
  const kind = parts.length > 1 ? KINDS[parts[0]!.toLowerCase()] : undefined;
  const rest = kind ? parts.slice(1) : parts;
  const inside = rest.length > 1 ? rest[0] : before?.[1];
  const last = rest.at(-1) ?? "";
  // svc/NAME.NAMESPACE
  const dot = kind === "service" ? last.indexOf(".") : -1;
  const name = dot < 0 ? last : last.slice(0, dot);
  const namespace = dot < 0 ? (inside ?? fallback) : last.slice(dot + 1).split(".")[0];
  return { ...(kind && { kind }), ...(namespace !== undefined && { namespace }), name, ...(on && { on }) };
}

export type Aim = { readonly what: string; readonly port?: string; readonly protocol?: Protocol };

/** Takes the port and the protocol off the end; a URL tells them too. */
export function aimOf(typed: string): Aim {
  const url = /^(https?|grpc|tcp|udp):\/\/(\[[^\]]+\]|[^/:?#]+)(?::(\w+))?/i.exec(typed);
  if (url) {
    const scheme = url[1]!.toLowerCase();
    const port = url[3] ?? { http: "80", https: "443" }[scheme];
    return {
      what: url[2]!.replace(/[[\]]/g, ""),
      ...(port !== undefined && { port }),
      protocol: scheme === "udp" ? "udp" : "tcp",
    };
  }
  const suffix = /^(.+)\/(tcp|udp|sctp|icmp)$/i.exec(typed);
  const rest = suffix?.[1] ?? typed;
  const protocol = suffix ? { protocol: suffix[2]!.toLowerCase() as Protocol } : {};
  const bracketed = /^\[([^\]]+)\](?::([^:]*))?$/.exec(rest);
  if (bracketed) return { what: bracketed[1]!, ...(bracketed[2] !== undefined && { port: bracketed[2] }), ...protocol };
  const at = rest.lastIndexOf(":");
  // an IPv6 address, or NS:KIND/NAME
  if (at < 0 || parseIp(rest) || rest.slice(at + 1).includes("/")) return { what: rest, ...protocol };
  return { what: rest.slice(0, at), port: rest.slice(at + 1), ...protocol };
}

export const OUTSIDE = ["outside", "internet", "external"];
