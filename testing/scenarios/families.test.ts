/** Both address families, from the evidence to the report and to a path. */
import { describe, expect, it } from "vitest";
import { diagnose } from "../../src/diagnose.ts";
import type { Family } from "../../src/net/ip.ts";
import { isProblem, pathBetween } from "../../src/path.ts";
import { type Cluster, type ClusterOptions, cluster } from "../cluster.ts";
import { dropRules, type Edit, editIptables, editNft, editObjects } from "../cluster-edits.ts";

const dual = cluster({ families: "dual-stack" });

function verdictOf(built: Cluster, from: string, to: string, family?: Family): string {
  const path = pathBetween(built.capture, { from, to, family });
  if (isProblem(path)) throw new Error(path.problem.en);
  return path.verdict;
}

describe("in every kind of cluster IPv6 gets from anywhere to anywhere", () => {
  const kinds: readonly ClusterOptions[] = [
    { families: "dual-stack" },
    { families: "dual-stack", proxy: "nftables" },
    { families: "ipv6" },
    { families: "ipv6", proxy: "nftables" },
  ];
  const ENDS = [
    ["a Pod", "a Service by its name", "tools/client@w1", "backend.shop:8080"],
    ["a Pod", "a Service by its address", "tools/client@w1", "[fd00:10:96::a02]:80"],
    ["a Pod", "a headless Service", "tools/client@w1", "db.data:pg"],
    ["a Pod", "a Pod of another node", "tools/client@w1", "data/db-1:5432"],
    ["a Pod", "a Pod of its own node", "tools/client@w1", "[fd00:10:128:2::4]:8080"],
    ["a Pod", "another node", "tools/client@w1", "w2"],
    ["a Pod", "a node port", "tools/client@w1", "[fd00:172:16::3]:30080"],
    ["a node", "a Service", "w1", "svc/frontend.shop:80"],
    ["a node", "a Pod of another node", "w1", "data/db-1:5432"],
    ["a node", "its own node port", "w1", "[fd00:172:16::2]:30080"],
    ["outside", "a node port", "outside", "[fd00:172:16::2]:30080"],
    ["outside", "a node port on every node", "outside", "svc/frontend.shop:80"],
  ] as const;
  for (const options of kinds) {
    const built = cluster(options);
    it.each(ENDS)(`${options.families}, ${options.proxy ?? "iptables"}: from %s to %s`, (_, __, from, to) => {
      expect(verdictOf(built, from, to, 6)).toBe("reaches");
    });
    it(`${options.families}, ${options.proxy ?? "iptables"}: from a Pod to the world`, () => {
      expect(verdictOf(built, "tools/client@w1", "[2001:db8:7::1]:443")).toBe("leaves");
    });
  }

  it("and of two families the sender's first is taken", () => {
    const addresses = (built: Cluster, family?: Family) => {
      const path = pathBetween(built.capture, { from: "tools/client@w1", to: "svc/backend.shop:8080", family });
      return isProblem(path) ? [] : path.backEnds.map(({ address }) => address.includes(":"));
    };
    expect(addresses(dual)).not.toContain(true);
    expect(addresses(dual, 6)).not.toContain(false);
    expect(addresses(cluster({ families: "ipv6" }))).not.toContain(false);
  });
});

describe("IPv6 rules lost on one node only", () => {
  const lost: Edit = dropRules("w1", /KUBE-(SERVICES|SVC|SEP|EXT|SVL|NODEPORTS|POSTROUTING)/, 6);
  const nft = cluster({ families: "dual-stack", proxy: "nftables" });
  const rootsOf = (built: Cluster) => diagnose(built.capture).rootCauses.map(({ id }) => id);

  it.each([
    ["ip6tables", dual, dual.edit(lost)],
    ["nftables", nft, nft.edit(editNft("w1", "kube-proxy", () => undefined, "ip6"))],
  ])("%s: found, and gone once they are back", (_, healthy, broken) => {
    expect(rootsOf(broken)).toEqual(["service-rules-mismatch/Node/w1"]);
    const [root] = diagnose(broken.capture).rootCauses;
    expect(root?.title.en).toMatch(/^Node w1 has no IPv6 rules for Services/);
    expect(root?.nodes).toEqual(["w1"]);
    expect(diagnose(healthy.capture).verdict).toBe("healthy");
  });

  it("IPv4 goes on, IPv6 does not, and other nodes do both", () => {
    const broken = dual.edit(lost);
    const reaches = (from: string, family: Family) => verdictOf(broken, from, "svc/backend.shop:8080", family);
    expect([reaches("tools/client@w1", 4), reaches("tools/client@w2", 6)]).toEqual(["reaches", "reaches"]);
    expect(reaches("tools/client@w1", 6)).not.toBe("reaches");
    expect(verdictOf(broken, "outside", "[fd00:172:16::2]:30080")).toBe("fails");
    expect(verdictOf(broken, "outside", "[fd00:172:16::3]:30080")).toBe("reaches");
    expect(verdictOf(broken, "outside", "172.16.0.2:30080")).toBe("reaches");
  });

  it("cannot be told by who did not look at them", () => {
    const report = diagnose(dual.without("ip6tables", { node: "w1" }).capture);
    expect(report.rootCauses).toEqual([]);
    expect(report.verdict).toBe("unclear");
    expect(report.blindSpots.map(({ settle }) => JSON.stringify(settle))).toEqual(
      expect.arrayContaining([expect.stringContaining("ip6tables-save -c")]),
    );
    expect(verdictOf(dual.without("ip6tables", { node: "w1" }), "tools/client@w1", "w2", 6)).toBe("unclear");
  });
});

describe("the way of IPv6 between nodes", () => {
  const drop =
    (what: "routes" | "neighbours" | "fdb"): Edit =>
    (draft) => {
      const isOf6 = (entry: object) => JSON.stringify(entry).includes('"flannel-v6.1"');
      const all = draft.get(what, { node: "w1" }) ?? [];
      draft.set(what, { node: "w1" }, all.filter((entry) => !isOf6(entry)) as never);
    };

  it.each(["routes", "neighbours", "fdb"] as const)("without its %s: found, and IPv4 is not blamed", (what) => {
    const broken = dual.edit(drop(what));
    expect(diagnose(broken.capture).rootCauses.map(({ id }) => id)).toEqual(["pod-network-entry-mismatch/Node/w1"]);
    expect(verdictOf(broken, "tools/client@w1", "[fd00:10:128:3::4]:8080")).toBe("fails");
    expect(verdictOf(broken, "tools/client@w1", "10.128.2.4:8080")).toBe("reaches");
  });
});

describe("a firewall that knows no ICMPv6", () => {
  const closed = (...allowed: readonly string[]): Edit =>
    editIptables(
      "w1",
      (text) =>
        text
          .replace("*filter\n:INPUT ACCEPT", "*filter\n:INPUT DROP")
          .replace(/(\*filter\n.*?)(?=\n(\[[\d:]+\] )?-A )/s, (head) => [head, ...allowed].join("\n")),
      6,
    );
  const established = "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT";

  it("lets nobody ask for the node's hardware address: its Pods lose their gateway, others the node", () => {
    const built = dual.edit(closed(established));
    for (const [from, to] of [
      ["tools/client@w1", "svc/backend.shop:8080"],
      ["tools/client@w1", "w2"],
      ["w2", "w1"],
      ["w1", "w2"],
    ] as const)
      expect([from, to, verdictOf(built, from, to, 6)]).toEqual([from, to, "fails"]);
    expect(verdictOf(built, "tools/client@w1", "svc/backend.shop:8080", 4)).toBe("reaches");
  });

  it("is none once it lets neighbour discovery pass", () => {
    const discovery = [135, 136].map((type) => `-A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type ${type} -j ACCEPT`);
    const built = dual.edit(closed(established, ...discovery));
    expect(verdictOf(built, "tools/client@w1", "[fd00:10:128:3::4]:8080", 6)).not.toBe("unclear");
    expect(verdictOf(built, "w1", "w2", 6)).toBe("reaches");
  });
});

describe("SCTP", () => {
  const sctp = dual
    .edit(
      editObjects("deployments", "backend", (one) => ({
        ...one,
        spec: {
          ...one.spec,
          template: {
            ...one.spec.template,
            spec: {
              ...one.spec.template.spec,
              containers: one.spec.template.spec.containers.map((container) => ({
                ...container,
                ports: [{ name: "http", containerPort: 38412, protocol: "SCTP" }],
              })),
            },
          },
        },
      })),
      editObjects("services", "backend", ({ spec, ...one }) => ({
        ...one,
        spec: { ...spec, ports: [{ name: "http", port: 38412, targetPort: 38412, protocol: "SCTP" }] },
      })),
    )
    .with({ do: "restart", component: { kind: "DaemonSet", name: "kube-proxy", namespace: "kube-system" } });

  it.each([4, 6] as const)("is delivered as TCP is, over IPv%i", (family) => {
    const asked = sctp.edit((draft) => {
      for (const { metadata, spec } of draft.list("pods")) {
        if (!metadata.name.startsWith("backend-")) continue;
        const place = { node: spec.nodeName ?? "", namespace: "shop", pod: metadata.name };
        const socket = { protocol: "sctp" as const, address: "*", port: 38412, processes: [], line: 1 };
        draft.set("podSockets", place, [socket]);
      }
    });
    expect(verdictOf(asked, "tools/client@w1", "svc/backend.shop:38412/sctp", family)).toBe("reaches");
    expect(verdictOf(sctp.edit(), "tools/client@w1", "svc/backend.shop:38413/sctp", family)).not.toBe("reaches");
  });

  it("is not said to be refused by who did not ask for its sockets", () => {
    expect(verdictOf(sctp, "tools/client@w1", "svc/backend.shop:38412/sctp")).toBe("unclear");
  });
});
