import stringWidth from "string-width";
import { describe, expect, it } from "vitest";
import { type Cluster, cluster } from "../../../testing/cluster.ts";
import { addRules } from "../../../testing/cluster-edits.ts";
import { isProblem, pathBetween } from "../../path.ts";
import type { Path } from "../path.ts";
import { PATH_FORMATS, type PathFormatName } from "./path.ts";

const dropping = cluster().edit(addRules("w2", "filter", "-A FORWARD -d 10.128.2.4/32 -j DROP"));

function path(from: string, to: string, given: Cluster = cluster(), explain = false): Path {
  const found = pathBetween(given.capture, { from, to }, { explain });
  if (isProblem(found)) throw new Error(found.problem.en);
  return found;
}

const draw = (found: Path, lang: "en" | "zh" = "en", format: PathFormatName = "text", width = 100, color = false) =>
  PATH_FORMATS[format](found, { lang, width, color });

describe("a drawn path", () => {
  it("tells what matters of one that fails", () => {
    expect(draw(path("client@w1", "backend.shop:8080", dropping), "en", "text", 80)).toMatchInlineSnapshot(`
      "✗ REACHED SOMETIMES  tools/client-w1 does not always reach
        shop/backend:8080/tcp: 1 of 3 back ends fails: a rule of node w2 drops it
        From  Pod/tools/client-w1 on w1, 10.128.1.2
        To    Service/shop/backend, 10.96.10.1 · 8080/tcp

      Name resolution · asks 10.96.0.10, ndots:5
        · first asked in vain: backend.shop.tools.svc.cluster.local
        ✓ backend.shop.svc.cluster.local is 10.96.10.1 (Service/shop/backend)
        ✓ queries to 10.96.0.10:53/udp are answered, by 2 servers

      Back ends
        ✗ 10.128.2.4:8080  Pod/shop/backend-7d9f8c6b5-aaaa1 on w2: a rule of node w2
          drops it
        ✓ 10.128.1.4:8080  Pod/shop/backend-7d9f8c6b5-aaaa0 on w1
        ✓ 10.128.1.5:8080  Pod/shop/backend-7d9f8c6b5-aaaa2 on w1

      The way to 10.128.2.4:8080, Pod/shop/backend-7d9f8c6b5-aaaa1
        ● Pod tools/client-w1 on w1
        │ sends       10.128.1.2 → 10.96.10.1:8080 tcp
        ● node w1 by veth101
        │ prerouting  destination becomes 10.128.2.4:8080
        │             > nat: [0:0] -A KUBE-SEP-SMSA73RQDSTP3LIO -p tcp -m comment
        │               --comment "shop/backend:http" -m tcp -j DNAT --to-destination
        │               10.128.2.4:8080
        │                 nodes/w1/iptables-save.txt:102
        │ route       10.128.2.0/24 via 10.128.2.0 dev flannel.1 onlink
        │ forward     let pass by filter FLANNEL-FWD  nodes/w1/iptables-save.txt:15
        │ flannel.1   wrapped, for 172.16.0.3
        │ underlay    by eth0 to node w2
        ✗ node w2
          flannel.1   unwrapped
          route       10.128.2.0/24 dev cni0
          forward     a rule of node w2 drops it
                      > filter: -A FORWARD -d 10.128.2.4/32 -j DROP
                          nodes/w2/iptables-save.txt:24

      4 more ways are not drawn (\`-o wide\` draws all)

      cluster built · Kubernetes v1.33.1 · evidence of 2026-11-21 03:00:00 UTC
      "
    `);
  });

  it("goes there and back", () => {
    expect(draw(path("client@w1", "data/db-1:5432"), "zh")).toMatchInlineSnapshot(`
      "✓ 可达  tools/client-w1 可以访问 data/db-1:5432/tcp
        起点  Pod/tools/client-w1，节点 w1，10.128.1.2
        终点  Pod/data/db-1，节点 w2，10.128.2.6 · 5432/tcp

      到 10.128.2.6:5432（Pod/data/db-1）的路径
        ● Pod tools/client-w1，节点 w1
        │ 发出       10.128.1.2 → 10.128.2.6:5432 tcp
        ● 节点 w1 经 veth101
        │ 路由       10.128.2.0/24 via 10.128.2.0 dev flannel.1 onlink
        │ forward    由 filter FLANNEL-FWD 放行  nodes/w1/iptables-save.txt:15
        │ flannel.1  封装后发往 172.16.0.3
        │ 底层网络   经 eth0 到节点 w2
        ● 节点 w2
        │ flannel.1  解封装
        │ 路由       10.128.2.0/24 dev cni0
        │ forward    由 filter FLANNEL-FWD 放行  nodes/w2/iptables-save.txt:15
        ● Pod data/db-1，节点 w2 经 veth105
        │ 监听       tcp *:5432 db  nodes/w2/pods/data/db-1/ss.txt:1
        │ 应答       10.128.2.6:5432 → 10.128.1.2 tcp
        ● 节点 w2 经 veth105
        │ 路由       10.128.1.0/24 via 10.128.1.0 dev flannel.1 onlink
        │ flannel.1  封装后发往 172.16.0.2
        │ 底层网络   经 eth0 到节点 w1
        ● 节点 w1
        │ flannel.1  解封装
        │ 路由       10.128.1.0/24 dev cni0
        ✓ Pod tools/client-w1，节点 w1 经 veth101 收到应答

      集群 built · Kubernetes v1.33.1 · 证据采集于 2026-11-21 03:00:00 UTC
      "
    `);
  });

  it("shows all ways, and every rule, to who asks for it", () => {
    const found = path("client@w1", "backend.shop:8080", dropping, true);
    const text = draw(found, "en", "wide");
    const ways = text.split("\n").filter((line) => line.startsWith("The way "));
    expect(ways).toHaveLength(5);
    expect(text).toMatch(/prerouting +meets \d+ rules/);
    expect(text).toContain("-A KUBE-SERVICES");
    expect(text).toContain("-d 10.128.2.4/32 -j DROP");
    expect(draw(found, "en", "text")).not.toContain("-A KUBE-SERVICES");
  });

  it("says where it could not see, and how to", () => {
    const text = draw(path("client@w1", "data/db-1:5432", cluster().without("sysctls", { node: "w1" })));
    expect(text).toMatch(/^\? UNCLEAR {2}it cannot be told whether tools\/client-w1 reaches data\/db-1:5432\/tcp/);
    expect(text).toContain("What would tell\n  On w1:\n    sysctl -a\n");
  });

  it("begins and ends outside, if it does", () => {
    const text = draw(path("outside", "w1:30080"));
    expect(text).toMatch(/● outside\n {2}│ sends +198\.51\.100\.1 → 172\.16\.0\.2:30080 tcp\n {2}● node w1/);
    expect(text).toContain("✓ outside has its answer");
    expect(draw(path("client@w1", "203.0.113.7:443"))).toContain("→ node w1 by ");
  });
});

const PATHS: readonly Path[] = [
  path("client@w1", "backend.shop:8080", dropping, true),
  path("client@w1", "backend.shop", dropping),
  path("outside", "svc/frontend"),
  path("client@w1", "https://api.example.org"),
  path("w1", "w2"),
];

describe.each(["en", "zh"] as const)("in %s", (lang) => {
  it.each([40, 80, 100, 200])("no line is wider than %i columns", (width) => {
    for (const found of PATHS) {
      for (const format of ["text", "wide"] as const) {
        for (const line of draw(found, lang, format, width).split("\n")) {
          expect(stringWidth(line), line).toBeLessThanOrEqual(width);
        }
      }
    }
  });

  it("colours add nothing but colours", () => {
    for (const found of PATHS) {
      const plain = draw(found, lang, "wide", 100).replaceAll("`", "");
      const colored = draw(found, lang, "wide", 100, true);
      expect(plain).not.toContain("\u001b");
      expect(colored.replace(/\u001b\[\d+m/g, "").replace(/\s+/g, "")).toBe(plain.replace(/\s+/g, ""));
      expect(colored).toContain("\u001b[");
    }
  });

  it("every sentence is in the language", () => {
    const words = draw(path("client@w1", "backend.shop:8080", dropping), lang);
    expect(/\p{Script=Han}/u.test(words)).toBe(lang === "zh");
  });

  it("Markdown has a heading, and a list for each place", () => {
    const text = draw(PATHS[0]!, lang, "markdown");
    expect(text).toMatch(/^## ✗ /);
    expect(text).toContain("- ● **");
    expect(text).toContain("  - `");
  });

  it("JSON is the path itself", () => {
    for (const found of PATHS) expect(JSON.parse(draw(found, lang, "json"))).toEqual(found);
  });
});
