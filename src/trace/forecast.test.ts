/** Where the connection tracking of both ends last saw the packets of a test that should have worked. */
import { expect, it } from "vitest";
import { type Cluster, cluster, editNode } from "../../testing/cluster.ts";
import { probed } from "../../testing/cluster-edits.ts";
import { parseConntrack } from "../parse/conntrack/entries.ts";
import { parseIpLinkStats } from "../parse/iproute2/link-stats.ts";
import { parseNstat } from "../parse/iproute2/nstat.ts";
import { forecastsOf } from "./forecast.ts";

/** A Pod of w2; the first client is on another node. */
const TARGET = "10.128.2.4";
const tested = cluster().edit(probed("client", "tcp", `${TARGET}:8080`, "timeout"));
const [observation] = tested.model().observations.failed;
const near = observation!.client.node;
const source = observation!.client.pod!.addresses[0]!;

const entry = (from: string, port: number, isReplied: boolean) =>
  `tcp      6 97 SYN_SENT src=${from} dst=${TARGET} sport=${port} dport=8080 ${isReplied ? "" : "[UNREPLIED] "}src=${TARGET} dst=${from} sport=8080 dport=${port} mark=0 use=1\n`;
const OTHER = entry("10.128.1.9", 1, true);
const SENT = entry(source, 4001, false) + entry(source, 4002, false);

const tracked = (node: string, text: string) => (given: Cluster) =>
  given.edit((draft) => draft.set("conntrack", { node }, parseConntrack(text).value));

function sighted(sent: string, arrived: string | undefined): string | undefined {
  const sending = tracked(near, sent)(tested);
  const given = arrived === undefined ? sending.without("conntrack", { node: "w2" }) : tracked("w2", arrived)(sending);
  const model = given.model();
  const [failed] = model.observations.failed;
  const forecasts = forecastsOf(model);
  expect(forecasts.of(failed!)?.says).toBe("works");
  return forecasts.sighting(failed!)?.is;
}

it.each([
  ["sent, and never seen where they go", SENT, OTHER, "lost-between"],
  ["come, and nothing answered there", SENT, SENT, "unanswered"],
  ["answered there, and the answer never seen here", SENT, entry(source, 4001, true), "answer-lost"],
  ["sent once only: that may have run out meanwhile", entry(source, 4001, false), OTHER, undefined],
  ["answered", entry(source, 4001, true), OTHER, undefined],
  ["nobody looked at the far end", SENT, undefined, undefined],
  ["the far end tracks nothing", SENT, "", undefined],
])("%s", (_, sent, arrived, expected) => expect(sighted(sent, arrived)).toBe(expected));

const counted = (node: string, text: string) => (given: Cluster) =>
  given.edit((draft) => draft.set("networkCounters", { node }, parseNstat(text).value));

it("tells what the node where packets were last seen has thrown away", () => {
  const arrived = tracked("w2", SENT)(tracked(near, SENT)(tested));
  const devices = `[{"ifname":"eth0","stats64":{"rx":{"errors":0,"dropped":0},"tx":{"errors":0,"dropped":0}}},{"ifname":"flannel.1","stats64":{"rx":{"errors":0,"dropped":0},"tx":{"errors":0,"dropped":10}}}]`;
  const model = counted(
    "w2",
    "TcpExtListenOverflows 532 0.0\nTcpExtListenDrops 0 0.0\n",
  )(arrived)
    .edit((draft) => draft.set("linkCounters", { node: "w2" }, parseIpLinkStats(devices).value))
    .model();
  const evidence = forecastsOf(model)
    .sighting(model.observations.failed[0]!)
    ?.evidence.map(({ quote }) => quote);
  expect(evidence?.slice(2)).toEqual(["TcpExtListenOverflows 532", "flannel.1: sent, dropped 10"]);
});

/** w2 sends to the Pods of the client's node by another device, and validates sources strictly. */
const asymmetric = tested.edit((draft) => {
  const range = draft.list("nodes").find(({ metadata }) => metadata.name === near)!.spec!.podCIDRs![0]!;
  editNode(draft, "routes", "w2", (routes) =>
    routes.map((one) =>
      one.destination === range
        ? { ...one, nextHops: [{ gateway: "172.16.255.254", device: "eth0", flags: [] }] }
        : one,
    ),
  );
  editNode(
    draft,
    "sysctls",
    "w2",
    (all) => new Map([...all, ["net.ipv4.conf.all.rp_filter", { value: "1", line: 1 }]]),
  );
});

it.each([
  ["nobody counted", undefined, "fails"],
  ["some were counted", "TcpExtIPReversePathFilter 9 0.0\n", "fails"],
  ["none was thrown away there since the node was booted", "TcpExtIPReversePathFilter 0 0.0\n", undefined],
])("a walk that ends at the source check: %s", (_, counters, expected) => {
  const model = (counters === undefined ? asymmetric : counted("w2", counters)(asymmetric)).model();
  const forecast = forecastsOf(model).of(model.observations.failed[0]!);
  expect(forecast?.says).toBe(expected);
  if (forecast) expect(forecast.failing[0]!.end.is).toBe("not-accepted");
});
