/** No name and no address of a cluster is left, and what is nobody's stays. Recordings: testing/scenarios/recordings.test.ts. */
import { describe, expect, it } from "vitest";
import { anonymized, type Files } from "../../testing/rewriting.ts";
import { chainHash } from "../model/agents/kube-proxy.ts";
import { parsePacketCaptures } from "../parse/packet-capture.ts";

const list = (...items: readonly object[]) => JSON.stringify({ kind: "List", items });
const named = (name: string, namespace?: string, more: object = {}) => ({ metadata: { name, namespace, ...more } });

const CLUSTER: Files = new Map([
  [
    "api/v1/nodes.json",
    list(named("rack7-a.acme.com"), named("w1", undefined, { labels: { "acme.com/row": "north" } })),
  ],
  ["api/v1/namespaces.json", list(named("shop"), named("data"), named("kube-system"))],
  [
    "api/v1/services.json",
    list(
      {
        ...named("checkout", "shop"),
        spec: { ports: [{ name: "web", protocol: "TCP" }], selector: { app: "checkout" } },
      },
      named("db", "data"),
      named("kube-dns", "kube-system", { labels: { "k8s-app": "kube-dns" } }),
    ),
  ],
  [
    "api/v1/pods.json",
    list(
      {
        ...named("checkout-7d4b9c6f5d-x2x4z", "shop", {
          labels: { app: "checkout", "pod-template-hash": "7d4b9c6f5d" },
          annotations: { "acme.com/owner": "Ann of Payments" },
        }),
        spec: {
          nodeName: "w1",
          containers: [
            {
              name: "till",
              image: "registry.acme.com/payments/till:1.2",
              env: [{ name: "MODE", value: "of payments" }],
            },
          ],
        },
      },
      named("coredns-7cd946d5c-484jb", "kube-system", { labels: { "k8s-app": "kube-dns" } }),
    ),
  ],
  ["api/v1/configmaps.json", list({ ...named("prices", "shop"), data: { "a.txt": "cheap" } })],
  [
    "apis/certificates.k8s.io/v1/certificatesigningrequests.json",
    // whose certificate has no padding, and so is one word
    list({ ...named("csr-1"), status: { certificate: btoa("-----BEGIN CERTIFICATE-----\nMIIacme\n") } }),
  ],
  ["nodes/w1/resolv.conf", "search corp.acme.com\nnameserver 10.0.0.2\n"],
  [
    "metrics/coredns/shop/checkout-7d4b9c6f5d-x2x4z.prom",
    [
      'coredns_dns_responses_total{plugin="forward",rcode="SERVFAIL",zone="corp.acme.com."} 3',
      'coredns_proxy_healthcheck_failures_total{proxy_name="forward",to="10.0.0.2:53"} 4\n',
    ].join("\n"),
  ],
]);

describe("a cluster of names", () => {
  const { all, rewritten, text } = anonymized(CLUSTER);

  it("keeps none of them", () => {
    const everything = [...all].flat().join("\n");
    for (const gone of [
      "shop",
      "checkout",
      "acme",
      "w1",
      "rack7",
      "north",
      "payments",
      "Payments",
      "till",
      "prices",
      "cheap",
      "10.0.0.2",
      "LS0tLS1CRUdJTi",
    ]) {
      expect(everything).not.toContain(gone);
    }
    expect(everything).not.toMatch(/"(?:data|db)"[^:]/);
    for (const kept of [
      "kube-system",
      "kube-dns",
      "coredns-7cd946d5c-484jb",
      '"k8s-app"',
      "-7d4b9c6f5d-x2x4z",
      "MODE",
      'coredns_dns_responses_total{plugin="forward",rcode="SERVFAIL",zone=',
      ':53"} 4',
    ]) {
      expect(everything).toContain(kept);
    }
  });

  it("calls the same thing the same in objects, paths and text", () => {
    const [path] = rewritten("logs/shop/checkout-7d4b9c6f5d-x2x4z/till.log", "")!;
    const [, namespace = "", pod = "", log = ""] = path.split("/");
    const service = pod.replace("-7d4b9c6f5d-x2x4z", "");
    expect(text("shop/checkout")).toBe(`${namespace}/${service}`);
    expect(text("dial checkout.shop.svc.cluster.local: no such host")).toBe(
      `dial ${service}.${namespace}.svc.cluster.local: no such host`,
    );
    expect(text('pod="shop/checkout-7d4b9c6f5d-x2x4z"')).toBe(`pod="${namespace}/${pod}"`);
    expect(text("CHECKOUT_SERVICE_HOST")).toBe(`${service.toUpperCase()}_SERVICE_HOST`);
    // one that is gone
    expect(text("checkout-6899bf5c4d-abcde")).toBe(`${service}-6899bf5c4d-abcde`);
    expect(log).not.toContain("till");
  });

  it("leaves a word of tools in prose, and not where it stands as a name", () => {
    expect(text("no data for table data")).toBe("no data for table data");
    expect(text('namespace="data"')).not.toContain("data");
    expect(text("data/db db.data.svc")).not.toMatch(/data|\bdb\b/);
  });

  it("names kube-proxy's chains as kube-proxy would", () => {
    const other = text("shop/checkout");
    expect(text(`-A KUBE-SVC-${chainHash("shop/checkout:webtcp")} -j RETURN`)).toBe(
      `-A KUBE-SVC-${chainHash(`${other}:webtcp`)} -j RETURN`,
    );
    const base = (service: string) => `${service}/tcp/web`;
    expect(text(`service-${chainHash(base("shop/checkout")).slice(0, 8)}-shop/checkout/tcp/web`)).toBe(
      `service-${chainHash(base(other)).slice(0, 8)}-${base(other)}`,
    );
    expect(text("KUBE-SERVICES KUBE-MARK-MASQ")).toBe("KUBE-SERVICES KUBE-MARK-MASQ");
  });

  it.each([
    '2026-11-21T04:05:59.981575885Z I1121 04:05:59.9 1 proxier.go:812] "SyncProxyRules complete" elapsed="41.2ms"',
    "registry.k8s.io/kube-proxy:v1.32.13 github.com/coredns/coredns",
    "net.ipv4.conf.all.rp_filter = 0",
    "system:serviceaccount:kube-system:coredns 3d97c7d1-ef7e-4d3f-8856-f2565490756e",
    '-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',
  ])("leaves alone: %s", (line) => expect(text(line)).toBe(line));

  it.each([
    ["in a path", "key:/registry/masterleases/10.0.0.2"],
    ["with dashes", "ip-10-0-0-2.eu-west-1.compute.internal"],
    ["in reverse", "2.0.0.10.in-addr.arpa"],
    ["with a port", "10.0.0.2.53 > 10.0.0.2:53"],
    ["mapped", "::ffff:10.0.0.2"],
    ["of mail", "ann@acme.com"],
    ["a domain that nothing told of", "https://wiki.widgets.org/x"],
  ])("replaces what is hidden %s", (_, line) => {
    expect(text(line)).not.toMatch(/10[.-]0[.-]0[.-]2|2\.0\.0\.10|ann|acme|widgets/);
  });

  it("comes out the same in whatever pieces it came", () => {
    const [path, pods] = [...CLUSTER][3]!;
    expect(rewritten(path, pods, 50)).toEqual(rewritten(path, pods));
  });

  it("is another under another key, and the same under the same", () => {
    expect(anonymized(CLUSTER).all).toEqual(all);
    expect(anonymized(CLUSTER, 8).text("shop")).not.toBe(text("shop"));
  });

  it("leaves out what it does not know", () => expect(rewritten("notes.txt", "shop")).toBeUndefined());
});

it("keeps a packet capture readable, and of its node", () => {
  const head =
    "# netwhy capture node=w1 device=flannel.1 from=1700000000 filter=host 10.244.1.5 and host 10.244.2.7 and tcp port 80";
  const lines = [head, "1700000004.123456 IP 10.244.1.5.43284 > 10.244.2.7.80: tcp 0", "1 packet captured", ""];
  const { all } = anonymized(new Map([...CLUSTER, ["captures/w1.txt", lines.join("\n")]]));
  const [path, text] = [...all].find(([name]) => name.startsWith("captures/"))!;
  const [one] = parsePacketCaptures(text).value;
  const { source, destination, sourcePort, destinationPort } = one!.packets[0]!;
  expect(path).toBe(`captures/${one!.node}.txt`);
  expect(one!.node).not.toBe("w1");
  expect(text).not.toContain("10.244.1.5");
  expect([one!.device, sourcePort, destinationPort]).toEqual(["flannel.1", 43284, 80]);
  expect(one!.filter).toBe(`host ${source} and host ${destination} and tcp port 80`);
});
