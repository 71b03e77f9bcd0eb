/**
 * What netwhy may and may not read: the ClusterRole that it prints is enough and no more than it uses, and what a report
 * asks for, once granted, is what was missing.
 */
import { loadAll } from "js-yaml";
import { describe, expect, it } from "vitest";
import { diagnose } from "../../src/diagnose.ts";
import { type Capture, createIntake } from "../../src/evidence/capture.ts";
import { catalogue, type KindId } from "../../src/evidence/catalogue.ts";
import { clusterRoleYaml } from "../../src/evidence/cluster-role.ts";
import { connect } from "../../src/sources/live/connection.ts";
import { LISTED } from "../../src/sources/live/read-api.ts";
import { readCluster } from "../../src/sources/live/read-cluster.ts";
import { authorizer, wantOf } from "../authorizer.ts";
import { captureOf, readRecording } from "../recordings.ts";
import { discovers, lists, podObject, sendJson, stubServer } from "../stub-api-server.ts";
import { execStub } from "../stub-exec.ts";

type Rule = { apiGroups?: string[]; resources?: string[]; nonResourceURLs?: string[]; verbs: string[] };
type ClusterRole = { kind: string; metadata: { name: string }; rules: Rule[] };

const USER = "jane";
const ROLES = loadAll(clusterRoleYaml()) as ClusterRole[];
const binding = ({ metadata: { name } }: ClusterRole) => ({
  kind: "ClusterRoleBinding",
  metadata: { name },
  roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name },
  subjects: [{ kind: "User", name: USER, apiGroup: "rbac.authorization.k8s.io" }],
});

const PROXY = podObject("kube-proxy-1", {
  metadata: { name: "kube-proxy-1", namespace: "kube-system", uid: "1" },
  spec: { nodeName: "w1", hostNetwork: true, containers: [{ name: "kube-proxy" }] },
  status: {
    phase: "Running",
    containerStatuses: [{ name: "kube-proxy", ready: true, restartCount: 1, state: { running: {} } }],
  },
});
const COREDNS = podObject("coredns-1", {
  metadata: { name: "coredns-1", namespace: "kube-system", uid: "2" },
  spec: { nodeName: "w1", containers: [{ name: "coredns" }] },
  status: { phase: "Running" },
});
const OBJECTS = {
  "/api/v1/nodes": [{ metadata: { name: "w1" }, status: { conditions: [{ type: "Ready", status: "True" }] } }],
  "/api/v1/pods": [PROXY, COREDNS],
};

/** Reads a cluster as somebody who is granted what these objects grant. */
async function readAs(objects: readonly object[], debugPods?: object) {
  const asked = authorizer(USER, objects as Parameters<typeof authorizer>[1]);
  const server = await stubServer(
    asked.answering,
    ({ pathname }, response, { method }) => {
      if (method === "POST" || method === "DELETE") return sendJson(response, {});
      if (/\/log$|\/proxy\//.test(pathname)) return void response.end("");
      if (pathname === "/api/v1/nodes/w1") {
        return sendJson(response, { status: { images: [{ names: ["registry.k8s.io/kube-proxy:v1"] }] } });
      }
      return /\/netwhy-debug-/.test(pathname) ? sendJson(response, { status: { phase: "Running" } }) : false;
    },
    discovers(),
    lists(OBJECTS),
  );
  const exec = execStub({ run: () => ({ command: ["true"] }) });
  const refuseExec = execStub({ refuse: 403 });
  server.upgrade.current = (request, socket, head) => {
    // as since Kubernetes 1.35: a WebSocket is a GET, and `create` is asked for as well
    const want = wantOf("GET", new URL(request.url!, "http://stub"));
    const isRefused = [want, { ...want, verb: "create" }].map(asked.refusal).some((words) => words !== undefined);
    (isRefused ? refuseExec : exec)(request, socket, head);
  };
  const connection = await connect({ kubeconfig: server.kubeconfig });
  const { signal } = new AbortController();
  // as `collect` reads, which keeps more than `diagnose` looks at
  const options = { signal, keepsAll: true, nodes: "all", debugPods, pauseMs: 5, budgetMs: 20_000 } as const;
  const { capture } = await readCluster(connection, options);
  connection.close();
  return { capture, report: diagnose(capture, { isOwn: true }), ...asked };
}

describe("the ClusterRole that netwhy prints", () => {
  it("is enough for all that it reads", async () => {
    const { refused, report } = await readAs([...ROLES, ...ROLES.map(binding)], {});
    expect(refused).toEqual([]);
    expect(report.rights).toBeUndefined();
  });

  it("grants nothing that it does not use", async () => {
    const { wanted } = await readAs([...ROLES, ...ROLES.map(binding)], {});
    for (const { resources = [], apiGroups = [], verbs } of ROLES.flatMap(({ rules }) => rules)) {
      for (const resource of resources) {
        // a watch only brings a large list faster
        for (const verb of verbs.filter((each) => each !== "watch")) {
          const isWanted = wanted.some(
            (want) =>
              !("path" in want) &&
              want.resource === resource &&
              want.verb === verb &&
              apiGroups.includes(want.apiGroup),
          );
          expect(isWanted, `${verb} ${resource}`).toBe(true);
        }
      }
    }
  });

  it("lists nothing that no check, and nothing below the checks, ever looks at", async () => {
    const read = new Set<KindId>();
    for (const id of ["two-faults", "calico-healthy", "cilium-healthy", "netpol-default-deny-egress"]) {
      const capture = captureOf((await readRecording(id)).files);
      const watched: Capture = {
        ...capture,
        get: (kind, place) => {
          read.add(kind);
          return capture.get(kind, place);
        },
        all: (kind) => {
          read.add(kind);
          return capture.all(kind);
        },
      };
      diagnose(watched);
    }
    expect(LISTED.filter((kind) => !read.has(kind))).toEqual([]);
  });
});

describe("what is refused", () => {
  const reader = ROLES[0]!;

  it.each(LISTED)("%s: is asked for, by the rule that is missing", async (kind) => {
    const { how } = catalogue[kind];
    const [, root, group = "", ...rest] = "list" in how ? how.list.split("/") : [];
    const apiGroup = root === "api" ? "" : group;
    const resource = root === "api" ? rest[0]! : rest[1]!;
    const rules = reader.rules.map((rule) =>
      rule.apiGroups?.includes(apiGroup)
        ? { ...rule, resources: (rule.resources ?? []).filter((each) => each !== resource) }
        : rule,
    );
    const { report } = await readAs([{ ...reader, rules }, ...ROLES.slice(1), ...ROLES.map(binding)]);
    const [asked] = report.rights!.missing;
    expect(asked).toMatchObject({ right: { verb: "list", group: apiGroup, resource } });
    expect(report.rights!.grant).toMatchObject([
      {
        kind: "ClusterRole",
        rules: expect.arrayContaining([{ apiGroups: [apiGroup], resources: [resource], verbs: ["list", "watch"] }]),
      },
      { kind: "ClusterRoleBinding", subjects: [{ kind: "User", name: USER }] },
    ]);
    // an API that is forbidden is not one that is absent, and none that is empty
    expect(known(kind, report)).toBe(true);
  });

  it("discovery: is asked for, both of its roots", async () => {
    const lacks = ({ nonResourceURLs }: Rule) => nonResourceURLs?.includes("/api") === true;
    const plain = { nonResourceURLs: ["/version", "/readyz"], verbs: ["get"] };
    const rules = reader.rules.map((rule) => (lacks(rule) ? plain : rule));
    const { report } = await readAs([{ ...reader, rules }, ...ROLES.slice(1), ...ROLES.map(binding)]);
    expect(report.rights!.grant[0]).toMatchObject({ rules: [{ nonResourceURLs: ["/api", "/apis"], verbs: ["get"] }] });
  });

  it("and then granted as asked, is refused no more", async () => {
    // as system:discovery grants to everybody
    const few = {
      kind: "ClusterRole",
      metadata: { name: "few" },
      rules: [{ nonResourceURLs: ["/version", "/api", "/apis"], verbs: ["get"] }],
    };
    let granted: readonly object[] = [few, binding(few)];
    const counts: number[] = [];
    // what is below a list is only asked for once the list is there
    for (let round = 0; round < 5; round++) {
      const { report, refused } = await readAs(granted);
      counts.push(refused.length);
      granted = [...granted, ...(report.rights?.grant ?? [])];
      if (refused.length === 0) break;
    }
    expect(counts.at(-1)).toBe(0);
    expect(counts.length).toBeLessThan(5);
  });

  it("is told with a name to fill in, if the evidence may be a stranger's", async () => {
    const { capture } = await readAs([]);
    const words = JSON.stringify(diagnose(capture).rights!.grant);
    expect(words).toContain("WHO-RUNS-NETWHY");
    expect(words).not.toContain(USER);
  });

  it("by 401 asks for no rights", async () => {
    const intake = createIntake();
    const sink = intake.open("api/v1/pods.json.err")!;
    sink.write("Unauthorized");
    sink.end({ bytes: 12 });
    expect(diagnose(intake.capture()).rights).toBeUndefined();
  });
});

const known = (kind: KindId, { rights }: ReturnType<typeof diagnose>) =>
  rights!.missing.some(({ hides }) => hides.en.includes(catalogue[kind].hides.en));
