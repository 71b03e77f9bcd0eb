/** Stories of paths: what a person asked, what had happened to the cluster, and what is said about it. */
import { describe, expect, it } from "vitest";
import { type Cluster, cluster, editNode } from "../testing/cluster.ts";
import {
  addObjects,
  addRules,
  dropRules,
  type Edit,
  editPods,
  ipvsMode,
  listening,
  probed,
} from "../testing/cluster-edits.ts";
import { service } from "../testing/cluster-objects.ts";
import { unready } from "../testing/object-states.ts";
import { isProblem, pathBetween } from "./path.ts";
import { type Path, pathSchema } from "./report/path.ts";
import type { AnswerOptions } from "./trace/answer.ts";

type Asked = { from?: string; to?: string; given?: Cluster } & AnswerOptions;

function path({ from = "client@w1", to = "backend.shop:8080", given = cluster(), ...options }: Asked = {}): Path {
  const found = pathBetween(given.capture, { from, to }, options);
  if (isProblem(found)) throw new Error(found.problem.en);
  return found;
}

const given = (...changes: readonly Edit[]): Cluster => cluster().edit(...changes);

const withoutRoute =
  (node: string, destination: string): Edit =>
  (draft) =>
    editNode(draft, "routes", node, (all) => all.filter((one) => one.destination !== destination));

const withoutRoutes =
  (node: string): Edit =>
  (draft) =>
    editNode(draft, "routes", node, (all) => all.filter(({ table }) => table === "local"));

describe("a healthy cluster", () => {
  it.each([
    [
      "a Service by its name",
      "client@w1",
      "backend.shop:8080",
      "tools/client-w1 reaches shop/backend:8080/tcp: all 3 back ends answer",
    ],
    [
      "a Service by its address",
      "client@cp1",
      "10.96.10.2:80",
      "tools/client-cp1 reaches shop/frontend:80/tcp: all 2 back ends answer",
    ],
    ["a headless Service", "client@w1", "db.data", "tools/client-w1 reaches data/db:5432/tcp: all 2 back ends answer"],
    ["a Pod", "client@w1", "data/db-1:5432", "tools/client-w1 reaches data/db-1:5432/tcp"],
    ["a ping", "client@w1", "data/db-1", "tools/client-w1 reaches data/db-1 (icmp)"],
    ["a node from a node", "w1", "w2:10250", "w1 reaches w2:10250/tcp"],
    [
      "itself through its Service",
      "data/db-0",
      "db.data:5432",
      "data/db-0 reaches data/db:5432/tcp: all 2 back ends answer",
    ],
    [
      "DNS over UDP",
      "client@w1",
      "svc/kube-dns:53/udp",
      "tools/client-w1 reaches kube-system/kube-dns:53/udp: all 2 back ends answer",
    ],
    ["a NodePort", "outside", "w1:30080", "outside reaches w1:30080/tcp: all 2 back ends answer"],
  ])("%s", (_, from, to, says) => {
    const { verdict, summary } = path({ from, to });
    expect([verdict, summary.en]).toEqual(["reaches", says]);
  });

  it("with kube-proxy in IPVS mode too", () => {
    const { verdict, backEnds } = path({ given: given(ipvsMode("w1"), dropRules("w1", /-A KUBE-SERVICES/)) });
    expect([verdict, backEnds.length]).toEqual(["reaches", 3]);
    expect(backEnds[0]!.ways[0]!.steps.map(({ did }) => did)).toContain("balance");
  });

  it("comes back as it was asked", () => {
    const [way] = path().backEnds.find(({ node }) => node === "w2")!.ways;
    const back = way!.steps.slice(way!.answer);
    expect(back[0]).toMatchObject({ did: "send", at: { pod: "shop/backend-7d9f8c6b5-aaaa1" } });
    expect(back.at(-1)).toMatchObject({ did: "receive", at: { pod: "tools/client-w1" } });
    const last = back.findLast((step) => step.did === "pass" && step.packet.source !== step.before.source);
    expect(last).toMatchObject({ at: { node: "w1" }, packet: { source: "10.96.10.1", sourcePort: 8080 } });
  });

  it("says which rules were met, if asked", () => {
    const met = path({ explain: true }).backEnds.flatMap(({ ways }) =>
      ways.flatMap(({ steps }) => steps.flatMap((step) => (step.did === "pass" ? (step.met ?? []) : []))),
    );
    expect(met.some(({ quote }) => quote.includes("-A KUBE-SERVICES"))).toBe(true);
    expect(met.every(({ origin }) => origin.path.endsWith("iptables-save.txt") && origin.line !== undefined)).toBe(
      true,
    );
  });
});

describe("what is broken is named", () => {
  const stories: readonly (Asked & {
    readonly name: string;
    readonly verdict: Path["verdict"];
    readonly en: string | RegExp;
    readonly zh?: string;
    readonly quotes?: string;
  })[] = [
    {
      name: "a rule that drops",
      given: given(addRules("w2", "filter", "-A FORWARD -d 10.128.2.4/32 -j DROP")),
      verdict: "sometimes",
      en: "tools/client-w1 does not always reach shop/backend:8080/tcp: 1 of 3 back ends fails: a rule of node w2 drops it",
      zh: "tools/client-w1 访问 shop/backend:8080/tcp 时通时断：3 个后端中有 1 个失败：被节点 w2 的规则丢弃",
      quotes: "filter: -A FORWARD -d 10.128.2.4/32 -j DROP",
    },
    {
      name: "a rule that rejects the answer",
      to: "data/db-1:5432",
      given: given(addRules("w1", "filter", "-A FORWARD -s 10.128.2.6/32 -j REJECT")),
      verdict: "fails",
      en: "tools/client-w1 does not reach data/db-1:5432/tcp: on the way back, a rule of node w1 rejects it",
      quotes: "filter: -A FORWARD -s 10.128.2.6/32 -j REJECT --reject-with icmp-port-unreachable",
    },
    {
      name: "a route that is lost",
      to: "data/db-1:5432",
      given: given(withoutRoutes("w1")),
      verdict: "fails",
      en: "tools/client-w1 does not reach data/db-1:5432/tcp: node w1 has no route to 10.128.2.6",
    },
    {
      name: "a route that is lost while another takes the packets",
      to: "data/db-1:5432",
      given: given(withoutRoute("w1", "10.128.2.0/24")),
      verdict: "fails",
      en: /node w1 sends it to where nobody takes it: 10\.128\.2\.6 leaves by eth0/,
    },
    {
      name: "nothing that listens",
      to: "data/db-1:5432",
      given: given(listening("db", [])),
      verdict: "fails",
      en: /nothing listens there, in Pod data\/db-1 on w2: nothing listens on tcp 10\.128\.2\.6:5432/,
    },
    {
      name: "forwarding that is off",
      to: "data/db-1:5432",
      given: given((draft) =>
        editNode(draft, "sysctls", "w2", (all) => new Map([...all, ["net.ipv4.ip_forward", { value: "0", line: 1 }]])),
      ),
      verdict: "fails",
      en: /node w2 does not forward packets: net\.ipv4\.ip_forward = 0/,
    },
    {
      name: "packets that are too large",
      to: "data/db-1",
      size: 9000,
      verdict: "fails",
      en: /it is too large for Pod tools\/client-w1 on w1: eth0 mtu 1450/,
    },
    {
      name: "DNS that a rule cuts off",
      given: given(addRules("w1", "filter", "-A FORWARD -p udp -m udp --dport 53 -j DROP")),
      verdict: "fails",
      en: "tools/client-w1 does not reach shop/backend:8080/tcp: its DNS queries for backend.shop fail: a rule of node w1 drops it",
      zh: "tools/client-w1 无法访问 shop/backend:8080/tcp：其对 backend.shop 的 DNS 查询失败：被节点 w1 的规则丢弃",
    },
    {
      name: "DNS that fails sometimes",
      given: given(addRules("w2", "filter", "-A FORWARD -d 10.128.2.3/32 -j DROP")),
      verdict: "sometimes",
      en: /resolving backend\.shop fails sometimes: a rule of node w2 drops it/,
    },
    {
      name: "a Service for nobody outside",
      from: "outside",
      to: "svc/backend",
      verdict: "fails",
      en: "outside does not reach shop/backend:8080/tcp: Service shop/backend has no address for the outside: it is of type ClusterIP",
    },
    {
      name: "a name that there is not",
      to: "backend.nowhere.svc.cluster.local.:80",
      verdict: "fails",
      en: /it cannot resolve backend\.nowhere\.svc\.cluster\.local\.: there is no such name \(NXDOMAIN\)/,
    },
  ];

  it.each(stories)("$name", ({ verdict, en, zh, quotes, name: _, ...asked }) => {
    const found = path(asked);
    expect(found.verdict).toBe(verdict);
    expect(found.summary.en).toMatch(en);
    if (zh !== undefined) expect(found.summary.zh).toBe(zh);
    const ends = found.backEnds.flatMap(({ ways }) => ways.map(({ end }) => end));
    if (quotes !== undefined) expect(ends[0]?.evidence[0]?.quote).toBe(quotes);
  });
});

describe("notes", () => {
  const notes = (asked: Asked): string[] => path(asked).notes.map(({ en }) => en);

  it("of a healthy path there are none", () => expect(notes({})).toEqual([]));

  it("a port that the Service does not have", () => {
    expect(notes({ to: "svc/backend:9999" })).toEqual([
      "Service shop/backend has no port 9999/tcp: it has http 8080/tcp",
    ]);
  });

  it("no ready back ends", () => {
    const empty = cluster().with({
      do: "scale",
      target: { kind: "Deployment", namespace: "shop", name: "backend" },
      replicas: 0,
    });
    const { verdict, notes: said } = path({ given: empty });
    expect([verdict, said.map(({ en }) => en)]).toEqual(["fails", ["Service shop/backend has no ready back end"]]);
  });

  it("a back end to which no rule leads, and rules that lead to none", () => {
    const stale = given(dropRules("w1", /KUBE-SVC-.*10\.128\.2\.4:8080/));
    expect(notes({ given: stale })).toEqual([
      "Service shop/backend has a ready back end 10.128.2.4:8080 on w2, and no rule leads there",
    ]);
    const moved = given((draft) =>
      draft.setList(
        "endpointslices",
        draft.list("endpointslices").map((slice) => ({
          ...slice,
          endpoints: (slice.endpoints ?? []).filter(({ addresses }) => addresses?.[0] !== "10.128.2.4"),
        })),
      ),
    );
    expect(notes({ given: moved })).toEqual([
      "10.128.2.4:8080 is no back end of Service shop/backend: the rules that lead there are out of date",
    ]);
  });

  it("a Pod that is not ready", () => {
    expect(notes({ to: "data/db-1:5432", given: given(editPods("db", unready())) })).toEqual([
      "Pod data/db-1 is not ready",
    ]);
  });

  it("a Pod that asks another server than the cluster's DNS", () => {
    const told = given((draft) =>
      draft.set(
        "podResolvConf",
        { node: "w1", namespace: "tools", pod: "client-w1" },
        {
          nameservers: ["10.96.0.99"],
          search: ["tools.svc.cluster.local"],
          options: new Map([["ndots", "5"]]),
        },
      ),
    );
    expect(notes({ given: told })).toEqual([
      "The Pod asks 10.96.0.99, which is not the cluster's DNS: that is at 10.96.0.10",
    ]);
    expect(path({ given: told }).verdict).toBe("unclear");
  });

  it("how a Service was taken where its name does not help", () => {
    expect(notes({ from: "w1", to: "backend.shop:8080" })).toEqual([
      "Nodes do not ask the cluster's DNS: Service shop/backend is taken by its address",
    ]);
    expect(notes({ from: "outside", to: "svc/frontend" })).toEqual(["Taken through the NodePort 30080 of every node"]);
    const alias = addObjects(
      "services",
      service("alias", "tools", { type: "ExternalName", externalName: "backend.shop.svc.cluster.local" }),
    );
    expect(notes({ to: "svc/alias:8080", given: given(alias) })).toEqual([
      "Service tools/alias is another name for backend.shop.svc.cluster.local",
    ]);
  });
});

describe("tests in the evidence", () => {
  const url = "http://10.96.10.1:8080/";

  it("of the same path are named", () => {
    const tested = given(
      probed("client", "http", url, "ok"),
      probed("client", "dns", "backend.shop.svc.cluster.local", "ok"),
      probed("client", "http", "http://10.96.10.2/", "ok"),
      probed("backend", "http", url, "ok"),
    );
    const { tests, notes } = path({ from: "client@cp1", given: tested });
    expect(tests.map(({ outcome, evidence }) => [outcome, evidence.origin.line])).toEqual([
      ["ok", 1],
      ["ok", 2],
    ]);
    expect(notes).toEqual([]);
  });

  it("decide over the walk: what contradicts it leaves a doubt", () => {
    const lost = path({ from: "client@cp1", given: given(probed("client", "http", url, "timeout")) });
    expect([lost.verdict, lost.summary.en]).toEqual([
      "unclear",
      "tools/client-cp1 should reach shop/backend:8080/tcp by all that is recorded, yet 1 test of it fails: something else takes the packets, as the network between the nodes could",
    ]);
    const dropped = addRules("cp1", "filter", "-A FORWARD -p tcp -m tcp --dport 8080 -j DROP");
    const passed = path({ from: "client@cp1", given: given(dropped, probed("client", "http", url, "ok")) });
    expect(passed.verdict).toBe("unclear");
    expect(passed.summary.en).toMatch(/should not reach .* yet 1 test of it succeeds; .* a rule of node cp1 drops it/);
    const both = path({ from: "client@cp1", given: given(dropped, probed("client", "http", url, "timeout")) });
    expect(both.verdict).toBe("fails");
  });
});

describe("what was not seen", () => {
  it.each([
    ["iptables", "w1", "on w1: iptables-save -c"],
    ["routes", "w1", "on w1: ip -j -d route show table all"],
    ["sysctls", "w1", "on w1: sysctl -a"],
    ["links", "w2", "on w2: ip -j -d addr"],
  ] as const)("%s of %s: it cannot be told, and the command that would tell is named", (kind, node, command) => {
    const found = path({ to: "data/db-1:5432", given: cluster().without(kind, { node }) });
    expect(found.verdict).toBe("unclear");
    const settle = found.backEnds.flatMap(({ ways }) => ways.flatMap(({ end }) => end.settle));
    expect(settle.map(({ run, node: on }) => `on ${on}: ${run}`)).toContain(command);
  });

  it("the world outside is neither good nor bad", () => {
    const { verdict, summary } = path({ to: "203.0.113.7:443" });
    expect(verdict).toBe("leaves");
    expect(summary.en).toContain("it leaves the cluster from node w1, with source 172.16.0.2");
  });

  it("a name that servers outside know", () => {
    const { verdict, summary, backEnds } = path({ to: "https://api.example.org" });
    expect([verdict, backEnds]).toEqual(["unclear", []]);
    expect(summary.en).toContain("only servers outside (172.16.255.254) know the address of api.example.org");
  });

  it("a rule that is not understood leaves a doubt", () => {
    const strange = "-A FORWARD -d 10.128.2.6/32 -m strange --thing 7 -j DROP";
    const doubtful = given(addRules("w1", "filter", strange));
    const { verdict, summary, backEnds } = path({ to: "data/db-1:5432", given: doubtful });
    expect(verdict).toBe("unclear");
    expect(summary.en).toMatch(
      /what becomes of the packet at `filter: .*-m strange.*` \(nodes\/w1\/.*\) is not known; if nothing/,
    );
    const guessed = backEnds.flatMap(({ ways }) => ways.filter(({ certainty }) => certainty === "guessed"));
    expect(guessed.flatMap(({ doubts }) => doubts).some(({ quote }) => quote.includes("strange"))).toBe(true);
  });
});

describe("the path as data", () => {
  it.each([
    {},
    { from: "outside", to: "svc/frontend" },
    { to: "api.example.org:443" },
    { from: "w1", to: "w2", size: 9000 },
    { explain: true },
  ])("of %j fits its schema", (asked: Asked) => {
    const found = path(asked);
    expect(pathSchema.strict().parse(found)).toEqual(found);
    expect(JSON.parse(JSON.stringify(found))).toEqual(found);
  });
});
