import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Cluster, cluster } from "../../testing/cluster.ts";
import { addObjects, editConfig, editObjects, editPods } from "../../testing/cluster-edits.ts";
import { service } from "../../testing/cluster-objects.ts";
import type { Answer } from "./dns-answer.ts";
import { type Lookup, lookup } from "./resolve.ts";
import { namesAsked } from "./resolver.ts";

function ask(name: string, { from = "tools/client-w1", of = cluster(), family = 4 as 4 | 6 } = {}): Lookup {
  const model = of.model();
  const [namespace = "", pod = ""] = from.split("/");
  const sender = model.pods.get(namespace, pod);
  return lookup(name, sender ? { node: sender.node!, pod: sender } : { node: from }, family, model);
}

function inShort(answer: Answer): string {
  if (answer.is === "addresses") return answer.addresses.join(" ");
  if (answer.is === "alias") return `= ${answer.to}`;
  if (answer.is === "outside") return `outside ${answer.servers.join(" ")}`;
  if (answer.is === "unknown") return `unknown ${answer.because ?? answer.missing.map(({ kind }) => kind).join(" ")}`;
  return answer.is;
}

const said = (name: string, options?: Parameters<typeof ask>[1]) => inShort(ask(name, options).result);

/** What becomes of a cluster whose CoreDNS has these lines instead of the plugin's. */
const withCorefile = (change: (text: string) => string): Cluster =>
  cluster().edit(editConfig("coredns", "Corefile", change));

describe("the names that are asked for", () => {
  const search = ["shop.svc.cluster.local", "svc.cluster.local"];

  it.each([
    ["backend", 5, ["backend.shop.svc.cluster.local", "backend.svc.cluster.local", "backend"]],
    ["a.b.c.d.e", 5, ["a.b.c.d.e.shop.svc.cluster.local", "a.b.c.d.e.svc.cluster.local", "a.b.c.d.e"]],
    ["a.b.c.d.e.f", 5, ["a.b.c.d.e.f", "a.b.c.d.e.f.shop.svc.cluster.local", "a.b.c.d.e.f.svc.cluster.local"]],
    ["example.org", 1, ["example.org", "example.org.shop.svc.cluster.local", "example.org.svc.cluster.local"]],
    ["backend.", 5, ["backend"]],
  ])("of %s with ndots:%i", (name, ndots, names) => expect(namesAsked(name, { search, ndots })).toEqual(names));

  it("always hold the name itself, and each name once", () => {
    const label = fc.stringMatching(/^[a-z][a-z0-9]{0,5}$/);
    const names = fc.array(label, { minLength: 1, maxLength: 7 }).map((labels) => labels.join("."));
    fc.assert(
      fc.property(names, fc.array(names, { maxLength: 4 }), fc.nat(15), (name, domains, ndots) => {
        const asked = namesAsked(name, { search: domains, ndots });
        expect(asked).toContain(name);
        expect(new Set(asked).size).toBe(asked.length);
        expect(asked.every((one) => one === name || one.startsWith(`${name}.`))).toBe(true);
      }),
    );
  });
});

describe("what a Pod gets for a name", () => {
  it.each([
    ["backend.shop", "10.96.10.1"],
    ["backend.shop.svc.cluster.local", "10.96.10.1"],
    ["BACKEND.shop", "10.96.10.1"],
    ["db.data", "10.128.1.7 10.128.2.6"],
    ["10-128-1-7.db.data.svc.cluster.local", "10.128.1.7"],
    ["10-128-1-7.data.pod.cluster.local", "10.128.1.7"],
    ["shop.svc.cluster.local.", "no-data"],
    ["_http._tcp.backend.shop.svc.cluster.local.", "no-data"],
    ["backend.nowhere.svc.cluster.local.", "nxdomain"],
    ["nobody.shop.svc.cluster.local.", "nxdomain"],
    ["a.b.c.backend.shop.svc.cluster.local.", "nxdomain"],
    ["x.cluster.local.", "nxdomain"],
    ["api.example.org", "outside 172.16.255.254"],
  ])("%s: %s", (name, answer) => expect(said(name)).toBe(answer));

  it("its own namespace comes first", () => {
    expect(said("backend", { from: "shop/frontend-7d9f8c6b5-aaaa0" })).toBe("10.96.10.1");
    const queries = ask("backend.shop").queries.map((query) => `${query.name}: ${inShort(query.answer)}`);
    expect(queries).toEqual([
      "backend.shop.tools.svc.cluster.local: nxdomain",
      "backend.shop.svc.cluster.local: 10.96.10.1",
    ]);
  });

  it("a headless Service without ready back ends does not exist", () => {
    const unready = cluster().edit((draft) =>
      draft.setList(
        "endpointslices",
        draft.list("endpointslices").map((slice) =>
          slice.metadata.namespace === "data"
            ? {
                ...slice,
                endpoints: (slice.endpoints ?? []).map((one) => ({ ...one, conditions: { ready: false } })),
              }
            : slice,
        ),
      ),
    );
    expect(said("db.data.svc.cluster.local.", { of: unready })).toBe("nxdomain");
    expect(said("backend.shop.svc.cluster.local.", { of: unready })).toBe("10.96.10.1");
  });

  it("a name of a Pod of a StatefulSet is that of its end point", () => {
    const named = cluster().edit((draft) =>
      draft.setList(
        "endpointslices",
        draft.list("endpointslices").map((slice) => ({
          ...slice,
          endpoints: (slice.endpoints ?? []).map((one) => ({ ...one, hostname: one.targetRef?.name })),
        })),
      ),
    );
    expect(said("db-1.db.data", { of: named })).toBe("10.128.2.6");
    expect(said("db-9.db.data.svc.cluster.local.", { of: named })).toBe("nxdomain");
  });

  it("an ExternalName is followed", () => {
    const spec = { type: "ExternalName", externalName: "backend.shop.svc.cluster.local." };
    const inside = cluster().edit(addObjects("services", service("alias", "tools", spec)));
    expect(said("alias", { of: inside })).toBe("10.96.10.1");
    const away = cluster().edit(
      addObjects("services", service("alias", "tools", { ...spec, externalName: "example.org" })),
    );
    expect(said("alias", { of: away })).toBe("outside 172.16.255.254");
    const circle = cluster().edit(
      addObjects("services", service("alias", "tools", { ...spec, externalName: "alias.tools.svc.cluster.local" })),
    );
    expect(ask("alias", { of: circle }).result.is).toBe("refused");
  });

  it("has no address of a family that the Service lacks", () => {
    expect(said("backend.shop.svc.cluster.local.", { family: 6 })).toBe("no-data");
  });
});

describe("the Corefile decides", () => {
  it.each([
    ["another domain", (text: string) => text.replace("cluster.local", "lab.local"), "outside 172.16.255.254"],
    [
      "no kubernetes plugin",
      (text: string) => text.replace(/kubernetes [\s\S]*?\n {4}\}/, ""),
      "outside 172.16.255.254",
    ],
    ["no forward", (text: string) => text.replace(/forward [\s\S]*?\n {4}\}/, ""), "10.96.10.1"],
    [
      "entries of hosts",
      (text: string) => text.replace("errors", "hosts {\n 10.0.0.9 backend.shop.svc.cluster.local\n }"),
      "10.0.0.9",
    ],
    ["rewriting", (text: string) => text.replace("errors", "rewrite name a b"), "unknown rewrite in the Corefile"],
    [
      "a choice of namespaces",
      (text: string) => text.replace("pods insecure", "namespaces tools"),
      "unknown namespaces of the kubernetes plugin",
    ],
  ])("%s", (_, change, answer) =>
    expect(said("backend.shop.svc.cluster.local.", { of: withCorefile(change) })).toBe(answer),
  );

  it("the block of the longest zone answers", () => {
    const stub = withCorefile((text) => `${text}\nshop.svc.cluster.local:53 {\n  forward . 10.9.9.9\n}\n`);
    expect(said("backend.shop.svc.cluster.local.", { of: stub })).toBe("outside 10.9.9.9");
    expect(said("db.data.svc.cluster.local.", { of: stub })).toBe("10.128.1.7 10.128.2.6");
  });

  it("names outside that nobody forwards are refused", () => {
    const closed = withCorefile((text) => text.replace(/forward [\s\S]*?\n {4}\}/, ""));
    expect(said("example.org.", { of: closed })).toBe("refused");
  });
});

describe("the resolver", () => {
  const blind = cluster().without("podResolvConf");

  it("is what the kubelet would write, if the file was not seen", () => {
    const { resolver } = ask("backend.shop", { of: blind });
    expect(resolver).toMatchObject({
      servers: ["10.96.0.10"],
      search: ["tools.svc.cluster.local", "svc.cluster.local", "cluster.local"],
      ndots: 5,
    });
  });

  it("holds what dnsConfig adds", () => {
    const own = blind.edit(
      editPods("client", (pod) => ({
        ...pod,
        spec: {
          ...pod.spec,
          dnsConfig: { nameservers: ["10.0.0.53"], searches: ["lab"], options: [{ name: "ndots", value: "2" }] },
        },
      })),
    );
    expect(ask("x", { of: own }).resolver).toMatchObject({ servers: ["10.96.0.10", "10.0.0.53"], ndots: 2 });
    expect(ask("x", { of: own }).resolver?.search.at(-1)).toBe("lab");
  });

  it.each([
    ["Default", ["172.16.255.254"]],
    ["ClusterFirst", ["10.96.0.10"]],
    ["ClusterFirstWithHostNet", ["10.96.0.10"]],
    ["None", []],
  ])("of dnsPolicy %s asks %j", (dnsPolicy, servers) => {
    const told = blind.edit(editPods("client", (pod) => ({ ...pod, spec: { ...pod.spec, dnsPolicy } })));
    expect(ask("x", { of: told }).resolver?.servers).toEqual(servers);
  });

  it("of a node is its own: it asks others than the cluster's DNS", () => {
    const { asks, result } = ask("backend.shop", { from: "w1" });
    expect([asks, inShort(result)]).toEqual(["others", "outside 172.16.255.254"]);
  });

  it("is unknown where nothing tells", () => {
    const { resolver, result, missing } = ask("backend.shop", { of: blind.without("kubeletConfig") });
    expect([resolver, result.is]).toEqual([undefined, "unknown"]);
    expect(missing.map(({ kind }) => kind)).toEqual(["podResolvConf", "kubeletConfig"]);
  });
});

describe("what was not seen is not absent", () => {
  it.each([
    ["services", "nobody.shop.svc.cluster.local.", "unknown services"],
    ["endpointslices", "db.data.svc.cluster.local.", "unknown endpointslices"],
    ["configmaps", "example.org.", "unknown configmaps"],
    ["configmaps", "backend.shop.svc.cluster.local.", "10.96.10.1"],
  ] as const)("without %s: %s", (kind, name, answer) => {
    expect(said(name, { of: cluster().without(kind) })).toBe(answer);
  });

  it("a namespace that is gone has no names", () => {
    const gone = cluster().edit(
      editObjects("namespaces", "data", () => undefined),
      editObjects("services", "db", () => undefined),
    );
    expect(said("db.data.svc.cluster.local.", { of: gone })).toBe("nxdomain");
  });
});
