/**
 * The short cut through kube-proxy's rules comes to what the walk rule by rule comes to: on every recording, and on
 * recorded rules in which something was removed, altered or put in.
 */
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { cluster } from "../../testing/cluster.ts";
import { editObjects } from "../../testing/cluster-edits.ts";
import { LONG } from "../../testing/long.ts";
import { captureOf, RECORDINGS, readRecording } from "../../testing/recordings.ts";
import type { Capture } from "../evidence/capture.ts";
import { overlay } from "../evidence/overlay.ts";
import { usualRules } from "./forwarding/kube-services.ts";
import { usualNftRules } from "./forwarding/kube-services-nft.ts";
import { type ClusterModel, modelOf } from "./model.ts";
import type { Programmed } from "./programmed.ts";
import type { ServicePort } from "./services/services.ts";

const portsOf = ({ services }: ClusterModel) =>
  services.all.filter(({ proxied }) => proxied).flatMap(({ ports }) => ports);
const sorted = (keys: Iterable<string>) => [...keys].sort();

/** What a walk found, in words that can be compared. */
const walkOf = ({ vantage, delivered, refusedBy, untouched }: Programmed) =>
  `${vantage}: ${sorted(delivered.keys()).join(" ")}${refusedBy.length > 0 ? " refused" : ""}${untouched ? " untouched" : ""}`;

function expectedBy(port: ServicePort, node: string, { services }: ClusterModel): readonly string[] {
  const { cluster = [] } = services.expected(port, node);
  return sorted(new Set(cluster.map(({ address, port: number }) => `${address}:${number}`)));
}

/** Where the short cut and the walk disagree; and how often the short cut was taken. */
function compare(model: ClusterModel): { disagreements: string[]; right: number; delivered: number } {
  const disagreements: string[] = [];
  let right = 0;
  let delivered = 0;
  for (const { name } of model.nodes.all) {
    const mode = model.proxy.mode(name);
    if (mode !== "iptables" && mode !== "nftables") continue;
    const rulesets = model.forwarding.of(name).filter.rulesetsFor(4);
    const usual = mode === "nftables" ? usualNftRules(rulesets, 4) : usualRules(rulesets, 4);
    for (const port of portsOf(model)) {
      const quick = usual.delivery(port);
      const isRight = model.proxy.isRight(port, name, 4);
      if (quick === undefined && !isRight) continue;
      const walks = model.proxy.programmed(port, name, 4);
      const found = walks?.map(walkOf) ?? ["not to be told"];
      const says = (keys: readonly string[]) => walks?.map(({ vantage }) => `${vantage}: ${keys.join(" ")}`) ?? [];
      if (isRight) {
        right++;
        const expected = says(expectedBy(port, name, model));
        if (found.join() !== expected.join()) disagreements.push(`${port.key} on ${name} is called right: ${found}`);
      }
      // what a Pod or the node itself sends; node ports and policies are not the short cut's business
      if (quick !== undefined) {
        delivered++;
        const inside = found.filter((_, index) => walks?.[index]?.vantage !== "outside");
        const expected = says(sorted(quick)).slice(0, inside.length);
        if (walks && inside.join() !== expected.join())
          disagreements.push(`${port.key} on ${name}: ${inside} ≠ ${expected}`);
      }
    }
  }
  return { disagreements, right, delivered };
}

describe("every Service, on every node, from everywhere", () => {
  it.each(RECORDINGS)("%s", async (id) => {
    const model = modelOf(captureOf((await readRecording(id)).files));
    const { disagreements, right, delivered } = compare(model);
    expect(disagreements).toEqual([]);
    const nodes = model.nodes.all.filter(({ name }) => model.proxy.mode(name) !== "ipvs").length;
    // the short cut must not agree by never being taken: most ports are as kube-proxy writes them
    const ports = portsOf(model).filter(({ service }) => service.clusterIps.some((ip) => !ip.includes(":")));
    expect(delivered).toBeGreaterThanOrEqual(nodes * ports.length * 0.5);
    expect(right).toBeLessThanOrEqual(delivered);
    if (id === "healthy-iptables" || id === "healthy-nftables") expect(right).toBeGreaterThan(nodes * 4);
  });
});

type Edit = { readonly at: number; readonly how: number; readonly other: number };

/** Rules that tell some packets from others, before, after and between those of kube-proxy. */
const FOREIGN = [
  ["raw", "-A PREROUTING -d 10.96.0.10/32 -j DROP"],
  ["mangle", "-A PREROUTING -p tcp -m tcp --dport 8080 -j DROP"],
  ["mangle", "-A PREROUTING -p tcp -m multiport --dports 53,80,443 -j DROP"],
  ["mangle", "-A OUTPUT -p udp -j DROP"],
  ["nat", "-A PREROUTING -d 10.96.0.0/16 -p udp -j RETURN"],
  ["nat", "-A PREROUTING -d 10.96.0.0/12 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.1:80"],
  ["nat", "-A OUTPUT -p tcp -m tcp --dport 443 -j REDIRECT --to-ports 8443"],
  ["nat", "-A KUBE-SERVICES -p tcp -m tcp --dport 80 -j RETURN"],
  ["nat", "-A KUBE-SERVICES -s 10.244.0.0/16 -j RETURN"],
  ["nat", "-A KUBE-MARK-MASQ -j RETURN"],
  ["nat", "-A KUBE-MARK-MASQ -p udp -j DROP"],
  ["filter", "-A KUBE-SERVICES -d 10.96.0.0/12 -j REJECT"],
  ["filter", "-A OUTPUT -d 10.96.0.0/12 -j DROP"],
] as const;

const CHANCE = " -m statistic --mode random --probability 0.5 -j ";
const FIELDS = [/-d \S+/, /--dport \d+/, /-p (tcp|udp)/, /--to-destination \S+/];

/** Another protocol, or another last number. */
const altered = (field: string, other: number) =>
  field.startsWith("-p")
    ? field === "-p tcp"
      ? "-p udp"
      : "-p tcp"
    : field.replace(/\d+(?=\D*$)/, String(other % 200));

/** The text of iptables-save with one line removed, repeated, moved, taken from elsewhere, or a foreign one put in. */
function edited(text: string, { at, how, other }: Edit): string {
  const lines = text.split("\n");
  const rules = lines.flatMap((line, index) =>
    /^(\[[\d:]+\] )?-A KUBE-(SERVICES|SVC|SEP|MARK|NODE|EXT)/.test(line) ? [index] : [],
  );
  const index = rules[at % rules.length]!;
  const line = lines[index]!;
  const neighbour = lines[rules[other % rules.length]!]!;
  const target = / -j \S+.*/;
  switch (how % 7) {
    case 0:
      return lines.toSpliced(index, 1).join("\n");
    case 1:
      return lines.toSpliced(index, 0, line).join("\n");
    case 2:
      return lines.with(index, line.replace(target, target.exec(neighbour)?.[0] ?? "")).join("\n");
    case 3:
      return lines
        .with(
          index,
          line.replace(FIELDS[other % FIELDS.length]!, (field) => altered(field, other)),
        )
        .join("\n");
    case 4:
      return lines
        .with(
          index,
          line.replace(/ -j /, [" -s 10.0.0.0/8 -j ", " -i cni0 -j ", " -m mark --mark 0x1 -j ", CHANCE][other % 4]!),
        )
        .join("\n");
    case 5:
      return lines
        .with(index, line.replace(target, [" -j RETURN", " -j DROP", " -j ACCEPT", ""][other % 4]!))
        .join("\n");
    default: {
      const [table, rule] = FOREIGN[other % FOREIGN.length]!;
      const chain = rule.split(" ")[1]!;
      const start = lines.indexOf(`*${table}`);
      const commit = lines.indexOf("COMMIT", start);
      if (start < 0 || !lines.slice(start, commit).some((one) => one.startsWith(`:${chain} `))) return text;
      const first = lines.findIndex(
        (one, i) => i > start && i <= commit && (one.includes(`-A ${chain} `) || one === "COMMIT"),
      );
      return lines.toSpliced(at % 2 === 0 ? first : commit, 0, rule).join("\n");
    }
  }
}

describe("rules that somebody touched", () => {
  const NODE = "w1";
  const PATH = `nodes/${NODE}/iptables-save.txt`;
  let capture: Capture;
  let text: string;
  beforeAll(async () => {
    const { files } = await readRecording("healthy-iptables");
    capture = captureOf(files);
    text = files.get(PATH)!;
  });

  const edit = fc.record({ at: fc.nat(), how: fc.nat(), other: fc.nat() });

  it("are judged by the short cut as by the walk, or not by it", () => {
    const seen = { changed: 0, right: 0 };
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 3 }), (edits) => {
        const touched = edits.reduce(edited, text);
        const place = { node: NODE };
        const observed = captureOf(new Map([[PATH, touched]])).get("iptables", place);
        const model = modelOf(overlay(capture, [{ kind: "iptables", place, observed }]));
        const { disagreements, right } = compareOn(model, NODE);
        if (touched !== text) seen.changed++;
        seen.right += right;
        expect(disagreements).toEqual([]);
      }),
      { numRuns: LONG ? 2000 : 400, ...(!LONG && { seed: 11 }) },
    );
    expect(seen.changed).toBeGreaterThan(50);
    expect(seen.right).toBeGreaterThan(100);
  });
});

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type Item = { [kind: string]: { [key: string]: Json } };

/** Rules for kube-proxy's chains, and for one of somebody else. */
const FOREIGN_NFT = [
  [
    "services",
    { match: { op: "==", left: { payload: { protocol: "ip", field: "daddr" } }, right: "10.96.0.10" } },
    { drop: null },
  ],
  [
    "services",
    { match: { op: "==", left: { payload: { protocol: "th", field: "dport" } }, right: 80 } },
    { return: null },
  ],
  [
    "services",
    { match: { op: "==", left: { payload: { protocol: "udp", field: "dport" } }, right: 53 } },
    { accept: null },
  ],
  ["services", { match: { op: "==", left: { meta: { key: "l4proto" } }, right: "udp" } }, { drop: null }],
  [
    "filter-prerouting-pre-dnat",
    { match: { op: "==", left: { payload: { protocol: "tcp", field: "dport" } }, right: 8080 } },
    { drop: null },
  ],
  [
    "filter-output-pre-dnat",
    {
      match: {
        op: "==",
        left: { payload: { protocol: "ip", field: "daddr" } },
        right: { prefix: { addr: "10.96.0.0", len: 16 } },
      },
    },
    { reject: null },
  ],
  [
    "nat-output",
    {
      match: {
        op: "==",
        left: { payload: { protocol: "ip", field: "daddr" } },
        right: { set: ["10.96.0.1", "10.96.0.10"] },
      },
    },
    { accept: null },
  ],
  ["mark-for-masquerade", { match: { op: "==", left: { meta: { key: "l4proto" } }, right: "udp" } }, { drop: null }],
  [
    "nat-prerouting",
    {
      match: {
        op: "==",
        left: { payload: { protocol: "ip", field: "saddr" } },
        right: { prefix: { addr: "10.244.0.0", len: 16 } },
      },
    },
    { return: null },
  ],
] as const;

/** The text of nft with something of kube-proxy's table removed, repeated, moved, altered, or a foreign rule put in. */
function editedNft(items: readonly Item[], { at, how, other }: Edit): readonly Item[] {
  const isOwn = (item: Item): boolean => {
    const { family, table } = Object.values(item)[0]!;
    return family === "ip" && table === "kube-proxy";
  };
  const places = items.flatMap((item, index) => (isOwn(item) && item.rule ? [index] : []));
  const index = places[at % places.length]!;
  const item = items[index]!;
  const map = items.findIndex((one) => isOwn(one) && one.map?.name === "service-ips");
  const elements = (items[map]?.map?.elem ?? []) as Json[];
  const withElements = (elem: Json[]): readonly Item[] => items.with(map, { map: { ...items[map]!.map!, elem } });
  switch (how % 8) {
    case 0:
      return items.toSpliced(index, 1);
    case 1:
      return items.toSpliced(index, 0, item);
    case 2:
      return items.with(index, { rule: { ...item.rule!, expr: items[places[other % places.length]!]!.rule!.expr! } });
    case 3:
      return items.with(index, JSON.parse(JSON.stringify(item).replace(/(\d+)(?=[^\d]*$)/, String(other % 31))));
    case 4:
      return withElements(elements.toSpliced(at % elements.length, 1));
    case 5: {
      const pair = elements[at % elements.length] as Json[];
      const target = (elements[other % elements.length] as Json[])[1]!;
      return withElements(elements.with(at % elements.length, [pair[0]!, other % 3 === 0 ? { drop: null } : target]));
    }
    case 6: {
      const expr = item.rule!.expr as Json[];
      return items.with(index, { rule: { ...item.rule!, expr: expr.toSpliced(other % expr.length, 1) } });
    }
    default: {
      const [chain, ...expr] = FOREIGN_NFT[other % FOREIGN_NFT.length]!;
      const first = places.find((one) => items[one]!.rule!.chain === chain);
      const rule = { rule: { family: "ip", table: "kube-proxy", chain, handle: 9999, expr: expr as unknown as Json } };
      return first === undefined ? items : items.toSpliced(at % 2 === 0 ? first : first + 1, 0, rule);
    }
  }
}

describe("nftables that somebody touched", () => {
  const NODE = "w1";
  const PATH = `nodes/${NODE}/nft-ruleset.json`;
  const place = { node: NODE };
  let capture: Capture;
  let items: readonly Item[];
  beforeAll(async () => {
    const { files } = await readRecording("healthy-nftables");
    capture = captureOf(files);
    items = JSON.parse(files.get(PATH)!).nftables;
  });
  const modelWith = (touched: readonly Item[]): ClusterModel => {
    const observed = captureOf(new Map([[PATH, JSON.stringify({ nftables: touched })]])).get("nftables", place);
    return modelOf(overlay(capture, [{ kind: "nftables", place, observed }]));
  };

  const edit = fc.record({ at: fc.nat(), how: fc.nat(), other: fc.nat() });

  it("are judged by the short cut as by the walk, or not by it", () => {
    const seen = { changed: 0, right: 0 };
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 3 }), (edits) => {
        const touched = edits.reduce(editedNft, items);
        const { disagreements, right } = compareOn(modelWith(touched), NODE);
        if (JSON.stringify(touched) !== JSON.stringify(items)) seen.changed++;
        seen.right += right;
        expect(disagreements).toEqual([]);
      }),
      { numRuns: LONG ? 2000 : 300, ...(!LONG && { seed: 11 }) },
    );
    expect(seen.changed).toBeGreaterThan(50);
    expect(seen.right).toBeGreaterThan(100);
  });
});

/** Of what the short cut calls right on one node: what the walk says of it. */
function compareOn(model: ClusterModel, node: string): { disagreements: string[]; right: number } {
  const right = portsOf(model).filter((port) => model.proxy.isRight(port, node, 4));
  const disagreements = right.flatMap((port) => {
    const walks = model.proxy.programmed(port, node, 4);
    const expected = expectedBy(port, node, model).join(" ");
    const isSame = walks?.every((walk) => walkOf(walk) === `${walk.vantage}: ${expected}`);
    return isSame ? [] : [`${port.key} is called right: ${walks?.map(walkOf)}`];
  });
  return { disagreements, right: right.length };
}

it("reads kube-proxy's configuration where EKS keeps it", () => {
  const built = cluster().edit(
    editObjects("daemonsets", "kube-proxy", (daemonSet) =>
      JSON.parse(
        JSON.stringify(daemonSet).replaceAll(
          '"configMap":{"name":"kube-proxy"',
          '"configMap":{"name":"kube-proxy-config"',
        ),
      ),
    ),
    (draft) =>
      draft.setList("configmaps", [
        ...draft.list("configmaps").filter(({ metadata }) => metadata.name !== "kube-proxy"),
        {
          metadata: { name: "kube-proxy-config", namespace: "kube-system" },
          data: {
            config: 'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: "ipvs"\n',
          },
        },
      ]),
  );
  const { proxy, components } = built.model();
  expect(components.byId("kube-proxy").map(proxy.configuredMode)).toEqual(["ipvs"]);
});
