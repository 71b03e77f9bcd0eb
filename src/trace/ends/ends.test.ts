import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cluster } from "../../../testing/cluster.ts";
import { addObjects } from "../../../testing/cluster-edits.ts";
import { service } from "../../../testing/cluster-objects.ts";
import { formatIp } from "../../net/ip.ts";
import { type Ends, endsOf } from "./ends.ts";
import { isProblem } from "./goal.ts";

const model = cluster().model();
const BACKEND = "shop/backend-7d9f8c6b5-aaaa0";

/** The ends in short, or the problem. */
function read(from: string, to: string, namespace?: string): string {
  const ends = endsOf({ from, to, namespace }, model);
  return isProblem(ends)
    ? `! ${ends.unknown ? `no ${ends.unknown.kind.en} ${ends.unknown.name}` : ends.problem.en}`
    : inShort(ends);
}

function inShort({ from, to, protocol, port }: Ends): string {
  const sender = "outside" in from ? `outside ${formatIp(from.outside)}` : (from.pod?.key ?? `node ${from.node}`);
  const goals = {
    pod: () => (to.is === "pod" ? to.pod.key : ""),
    service: () => (to.is === "service" ? `service ${to.service.namespace}/${to.service.name}` : ""),
    node: () => (to.is === "node" ? `node ${to.node}` : ""),
    address: () => (to.is === "address" ? formatIp(to.address) : ""),
    name: () => (to.is === "name" ? `name ${to.name}` : ""),
  };
  return `${sender} > ${goals[to.is]()} ${port ?? ""}/${protocol}`;
}

describe("FROM", () => {
  it.each([
    ["tools/client-w1", "tools/client-w1"],
    ["client-w1", "tools/client-w1"],
    ["pod/client-w1", "tools/client-w1"],
    ["Pod/tools/client-w1", "tools/client-w1"],
    ["tools:pod/client-w1", "tools/client-w1"],
    ["client@w2", "tools/client-w2"],
    ["ds/client@w2", "tools/client-w2"],
    ["shop:deploy/frontend@w2", "shop/frontend-7d9f8c6b5-aaaa1"],
    ["frontend@w1", "shop/frontend-7d9f8c6b5-aaaa0"],
    ["data/db-0", "data/db-0"],
    ["w1", "node w1"],
    ["node/w1", "node w1"],
    ["172.16.0.2", "node w1"],
    ["10.128.1.2", "tools/client-w1"],
    ["outside", "outside 198.51.100.1"],
    ["203.0.113.7", "outside 203.0.113.7"],
  ])("%s is %s", (typed, meant) => expect(read(typed, "w2")).toBe(`${meant} > node w2 /icmp`));

  it("takes the namespace that was given beside it", () => {
    expect(read("db-0", "w2", "data")).toBe("data/db-0 > node w2 /icmp");
    expect(read("db-0", "w2", "shop")).toBe("! no Pod, workload or node in namespace shop db-0");
  });

  it.each([
    ["client", "! `client` can mean several: `tools/client-cp1` (cp1), `tools/client-w1` (w1), `tools/client-w2` (w2)"],
    ["backend@w1", `! \`backend@w1\` can mean several: \`${BACKEND}\` (w1), \`shop/backend-7d9f8c6b5-aaaa2\` (w1)`],
    ["svc/backend", "! A Service sends nothing; shop/backend cannot be where a path begins"],
    ["nobody", "! no Pod, workload or node nobody"],
    ["client@w9", "! no node w9"],
    ["node/w9", "! no node w9"],
    ["", "! FROM and TO must not be empty"],
  ])("%j is a problem", (typed, problem) => expect(read(typed, "w2")).toBe(problem));

  it("a Pod that has no network yet is no end", () => {
    const draft = cluster().edit((edited) =>
      edited.setList("pods", [
        ...edited.list("pods"),
        { metadata: { name: "new", namespace: "tools" }, spec: { containers: [] }, status: { phase: "Pending" } },
      ]),
    );
    const ends = endsOf({ from: "tools/new", to: "w1" }, draft.model());
    expect(isProblem(ends) && ends.problem.en).toBe("Pod tools/new has no network to walk through: it is Pending");
  });
});

describe("TO", () => {
  it.each([
    ["backend.shop", "name backend.shop 8080/tcp"],
    ["backend.shop:8080", "name backend.shop 8080/tcp"],
    ["backend.shop:http", "name backend.shop 8080/tcp"],
    ["backend.shop.svc.cluster.local", "name backend.shop.svc.cluster.local 8080/tcp"],
    ["http://backend.shop:8080/healthz?x=1", "name backend.shop 8080/tcp"],
    ["http://frontend.shop", "name frontend.shop 80/tcp"],
    ["https://api.example.org", "name api.example.org 443/tcp"],
    ["svc/backend", "service shop/backend 8080/tcp"],
    ["svc/backend.shop", "service shop/backend 8080/tcp"],
    ["shop/backend", "service shop/backend 8080/tcp"],
    ["shop:svc/backend:8080", "service shop/backend 8080/tcp"],
    ["Service/shop/backend", "service shop/backend 8080/tcp"],
    ["svc/kube-dns:53/udp", "service kube-system/kube-dns 53/udp"],
    ["svc/kube-dns:dns", "service kube-system/kube-dns 53/udp"],
    ["svc/kube-dns:53", "service kube-system/kube-dns 53/tcp"],
    ["db.data", "name db.data 5432/tcp"],
    ["data/db-0", "data/db-0 /icmp"],
    ["data/db-0:pg", "data/db-0 5432/tcp"],
    [`${BACKEND}:8080`, `${BACKEND} 8080/tcp`],
    ["10.96.10.1:8080", "10.96.10.1 8080/tcp"],
    ["10.96.0.10:53/udp", "10.96.0.10 53/udp"],
    ["10.128.1.4", "10.128.1.4 /icmp"],
    ["203.0.113.7:443", "203.0.113.7 443/tcp"],
    ["[fd00::7]:443", "fd00::7 443/tcp"],
    ["fd00::7", "fd00::7 /icmp"],
    ["w2", "node w2 /icmp"],
    ["node/w2:30080", "node w2 30080/tcp"],
    ["w2:22/sctp", "node w2 22/sctp"],
  ])("%s is %s", (typed, meant) => expect(read("client@w1", typed)).toBe(`tools/client-w1 > ${meant}`));

  it("is taken as the sender would: by its own names, if it asks the cluster's DNS", () => {
    expect(read("frontend@w1", "backend:8080")).toContain("> name backend 8080/tcp");
    expect(read("client@w1", "backend:8080")).toBe("! Pods of namespace tools know no `backend`");
    expect(read("w1", "backend:8080")).toBe("node w1 > service shop/backend 8080/tcp");
    expect(read("w1", "backend.shop:8080")).toBe("node w1 > service shop/backend 8080/tcp");
    expect(read("outside", "frontend")).toContain("> service shop/frontend 80/tcp");
  });

  it("a port that there is for one protocol only is meant for that", () => {
    const withUdp = cluster().edit(
      addObjects(
        "services",
        service("log", "shop", { clusterIP: "10.96.10.9", ports: [{ port: 514, protocol: "UDP" }] }),
      ),
    );
    const ends = endsOf({ from: "client@w1", to: "log.shop:514" }, withUdp.model());
    expect(ends).toMatchObject({ protocol: "udp", port: 514 });
  });

  it.each([
    ["backend.shop:grpc", "! Service shop/backend has no port named `grpc`"],
    ["svc/kube-dns", "! Service kube-system/kube-dns has several ports"],
    ["bakend.shop", "! no Pod, workload, Service or node bakend.shop"],
    ["svc/bakend", "! no Service bakend"],
    ["nothing", "! no Pod, workload, Service or node nothing"],
    ["w2:0", "! `0` is no port: it is a number from 1 to 65535, or the name of a port"],
    ["w2:70000", "! `70000` is no port: it is a number from 1 to 65535, or the name of a port"],
    ["w2/tcp", "! tcp needs a port"],
    ["w2:22/icmp", "! A ping goes to no port: `w2:22/icmp`"],
    ["outside", "! “outside” is no address: a path can begin there, not end there"],
  ])("%s is a problem", (typed, problem) => expect(read("client@w1", typed)).toBe(problem));

  it("names what is near, for whoever prints it", () => {
    const ends = endsOf({ from: "client@w1", to: "bakend.shop" }, model);
    expect(isProblem(ends) && ends.unknown?.names).toContain("backend.shop");
  });
});

describe("whatever is typed", () => {
  const words = fc.string({
    unit: fc.constantFrom(..."abw1/.:@[]-", "svc/", "pod/", "client", "shop", "backend", "10.96.0.10"),
  });

  it("gives ends or says why not, in both languages", () => {
    fc.assert(
      fc.property(words, words, (from, to) => {
        const ends = endsOf({ from, to }, model);
        if (isProblem(ends)) {
          expect(ends.problem.en).not.toBe("");
          expect(ends.problem.zh).not.toBe("");
          return;
        }
        expect(ends.port === undefined).toBe(ends.protocol === "icmp");
      }),
      { numRuns: 2000 },
    );
  });

  it("what a Pod is called is read back, with any port and protocol", () => {
    const pods = model.pods.all.map(({ key }) => key);
    const protocols = fc.constantFrom("tcp", "udp", "sctp");
    fc.assert(
      fc.property(fc.constantFrom(...pods), fc.integer({ min: 1, max: 65535 }), protocols, (pod, port, protocol) => {
        expect(read("outside", `pod/${pod}:${port}/${protocol}`)).toContain(`> ${pod} ${port}/${protocol}`);
      }),
    );
  });
});
