import { testCheck } from "../../../testing/check-stories.ts";
import { type Cluster, cluster } from "../../../testing/cluster.ts";
import { type Edit, editObjects, ipvsMode } from "../../../testing/cluster-edits.ts";
import { ago, annotated } from "../../../testing/object-states.ts";
import { parseConntrack } from "../../parse/conntrack/entries.ts";
import { flowsToRemovedEndpoint } from "./flows-to-removed-endpoint.ts";

const DNS = "10.96.0.10";
const GONE = "10.244.1.99";

const { pods, services } = cluster().model();
const client = pods.all.find(({ name, node }) => name.startsWith("client") && node === "w1")!.addresses[0]!;
const backend = services.endpoints(services.byAddress(DNS, 53, "UDP")!)[0]!.address;

/** The EndpointSlice controller wrote the back ends of cluster DNS last so many seconds ago. */
const changed = (seconds: number): Edit =>
  editObjects(
    "endpointslices",
    "kube-dns-00000",
    annotated({ "endpoints.kubernetes.io/last-change-trigger-time": ago(seconds) }),
  );

/** As `conntrack -L` printed it in a network namespace (conntrack-tools 1.4.7), with other addresses. */
const tracking =
  (...lines: readonly string[]): Edit =>
  (draft) => {
    const { value, gaps } = parseConntrack(lines.map((line) => `${line}\n`).join(""));
    if (gaps.length > 0) throw new Error(JSON.stringify(gaps));
    draft.set("conntrack", { node: "w1" }, value);
  };

const answered = (left: number, by = GONE, port = 40000) =>
  `udp      17 ${left} src=${client} dst=${DNS} sport=${port} dport=53 src=${by} dst=${client} sport=53 dport=${port} [ASSURED] mark=0 use=1`;
const unanswered = (left: number, by = GONE, port = 40000) =>
  `udp      17 ${left} src=${client} dst=${DNS} sport=${port} dport=53 [UNREPLIED] src=${by} dst=${client} sport=53 dport=${port} mark=0 use=1`;

const built = (seconds: number, ...lines: readonly string[]): Cluster =>
  cluster().edit(changed(seconds), tracking(...lines));
const removed = (broken: Cluster) => broken.edit(tracking());

testCheck(flowsToRemovedEndpoint, {
  finds: {
    "a resolver with one source port goes on to the CoreDNS that was replaced": {
      given: built(600, answered(118)),
      repair: "Node/w1",
      says: ["packets of tools/client-w1", "for Service kube-system/kube-dns:dns", GONE],
      breaks: ["service.flows"],
      strength: "differing",
      healedBy: removed,
    },
    "its flow was never answered, since the back end had gone before": {
      given: built(600, unanswered(29)),
      repair: "Node/w1",
      healedBy: removed,
    },
    "an entry was put in by hand, with a life of an hour": {
      given: built(200, unanswered(3590)),
      repair: "Node/w1",
      healedBy: removed,
    },
    "a client that always sends from port 5353 began before there were rules": {
      given: built(600, unanswered(29, DNS, 5353)),
      repair: "Node/w1",
      says: ["nowhere"],
      healedBy: removed,
    },
  },
  clears: {
    "flows to back ends that are there": built(600, answered(118, backend), unanswered(20, backend)),
    "questions that were asked once each, and answered before the back end left": built(
      600,
      `udp      17 26 src=${client} dst=${DNS} sport=35663 dport=53 src=${GONE} dst=${client} sport=53 dport=35663 mark=0 use=1`,
    ),
    "back ends were replaced a minute and a half ago, and the entries read before the end of the capture": built(
      90,
      answered(116),
    ),
    "back ends were replaced a minute ago: entries are as they were or will be": built(70, answered(90)),
    "nobody has sent since the back end left": built(120, answered(10)),
    "a flow without translation, of a port that is never used again": built(600, unanswered(29, DNS)),
    "IPVS looks back ends up by itself": built(600, answered(118)).edit(ipvsMode("w1")),
  },
  cannotTell: {
    "service.flows": {
      "the connection tracking was not collected": built(600, answered(118)).without("conntrack"),
      "nothing tells when the back ends changed": cluster().edit(tracking(answered(118))),
    },
  },
});
