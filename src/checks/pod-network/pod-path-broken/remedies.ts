/** How the Pods' way through a node is mended, by where it ends. */
import { sh } from "../../../shell.ts";
import type { Fault } from "../../check.ts";
import type { Step } from "../../remedy.ts";
import { BRIDGE_CALLS } from "./ways.ts";
import { say } from "./words.ts";

export function stepOf({ repair, related, facts }: Fault): Step {
  const node = repair.name;
  const proxy = related.find(({ kind }) => kind === "DaemonSet");
  const device = String(facts.device);
  const family = facts.family === 6 ? 6 : 4;
  const shown = { run: `${family === 4 ? "iptables" : "ip6tables"}-save -t nat | grep KUBE-POSTROUTING`, node };
  const sysctl = (key: string, value: string, before: string) => ({
    change: { do: "sysctl", node, key, value } as const,
    undo: { do: "sysctl", node, key, value: before } as const,
    verify: { run: `sysctl ${key}`, node },
  });
  const run = (command: string, undo: string, verify: string) => ({
    change: { run: command, node },
    undo: { run: undo, node },
    verify: { run: verify, node },
  });
  switch (facts.end) {
    case "unmasqueraded":
      return proxy
        ? {
            why: say.rewrite({ node }),
            change: { do: "restart", component: proxy, node } as const,
            undo: say.restartBy(),
            verify: shown,
          }
        : { why: say.rewrite({ node }), verify: shown };
    case "no-route":
    case "unreachable": {
      const [, table, rule] = /^(\w+): (?:\[[\d:]+\] )?-A (.*)$/.exec(String(facts.what)) ?? [];
      const program = `${family === 4 ? "iptables" : "ip6tables"} -t ${table}`;
      if (rule !== undefined)
        return {
          why: say.removeRule(),
          ...run(`${program} -D ${rule}`, `${program} -I ${rule}`, `${program} -S`),
        };
      const { address } = facts;
      if (typeof address === "string")
        return {
          why: say.address(),
          ...run(
            `ip address add ${address} dev ${device}`,
            `ip address del ${address} dev ${device}`,
            `ip address show dev ${device}`,
          ),
        };
      const [pod] = related.filter(({ kind }) => kind === "Pod");
      const verify = {
        run: pod
          ? sh`kubectl get pod -n ${pod.namespace ?? ""} -o wide`
          : `kubectl get pods -A -o wide --field-selector spec.nodeName=${node}`,
      };
      return pod
        ? {
            why: say.renew(),
            change: { run: sh`kubectl delete pod -n ${pod.namespace ?? ""} ${pod.name}` },
            verify,
          }
        : { why: say.renew(), verify };
    }
    case "not-accepted":
      return { why: say.loosen(), ...sysctl("net.ipv4.conf.all.rp_filter", "2", "1") };
    case "wrong-answer":
      if (facts.case === "unloaded")
        return {
          why: say.load(),
          ...run(
            "modprobe br_netfilter && echo br_netfilter > /etc/modules-load.d/br_netfilter.conf",
            "rm /etc/modules-load.d/br_netfilter.conf && modprobe -r br_netfilter",
            `sysctl ${BRIDGE_CALLS[family]}`,
          ),
        };
      return { why: say.filterBridged(), ...sysctl(BRIDGE_CALLS[family], "1", "0") };
    case "not-bridged":
      return facts.kind === "itself"
        ? {
            why: say.allowHairpin(),
            ...run(
              `bridge link set dev ${device} hairpin on`,
              `bridge link set dev ${device} hairpin off`,
              `bridge -d link show dev ${device}`,
            ),
          }
        : {
            why: say.separate(),
            ...run(
              `bridge link set dev ${device} isolated off`,
              `bridge link set dev ${device} isolated on`,
              `bridge -d link show dev ${device}`,
            ),
          };
    default:
      return {
        why: say.setUp(),
        ...run(`ip link set ${device} up`, `ip link set ${device} down`, `ip link show ${device}`),
      };
  }
}
