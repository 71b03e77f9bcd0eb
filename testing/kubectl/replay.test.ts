/** Real kubectl against replayed bundles. Which kubectl it is, is in the name of the tests. */
import { load } from "js-yaml";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ApiServer, apiServer } from "../api-server/api-server.ts";
import { recordingPath } from "../recordings.ts";
import { IS_MODERN, KUBECTL_VERSION, type Kubectl, kubectl, type Said } from "./kubectl.ts";

const NAME = `kubectl ${KUBECTL_VERSION ?? "(none: install it, or name one with NETWHY_KUBECTL)"}`;

describe.skipIf(KUBECTL_VERSION === undefined)(`${NAME} on a replayed bundle`, () => {
  let api: ApiServer;
  let client: Kubectl;
  const run = (line: string, forMs?: number): Promise<Said> => client.run(line.split(" "), forMs);
  const out = async (line: string): Promise<string> => {
    const { out: text, err, code } = await run(line);
    expect({ line, err, code }).toEqual({ line, err: "", code: 0 });
    return text;
  };
  const lines = async (line: string): Promise<string[][]> =>
    (await out(line))
      .trimEnd()
      .split("\n")
      .map((row) => row.trim().split(/\s{2,}/));

  beforeAll(async () => {
    api = await apiServer({ bundle: recordingPath("calico-healthy") });
    client = kubectl(api.kubeconfig);
  });
  afterAll(async () => {
    client[Symbol.dispose]();
    await api.close();
  });

  it("gets tables, with ages as of the bundle", async () => {
    const [head, ...rows] = await lines("get pods -n data");
    expect(head).toEqual(["NAME", "READY", "STATUS", "RESTARTS", "AGE"]);
    expect(rows).toEqual([
      ["db-0", "1/1", "Running", "0", "2m41s"],
      ["db-1", "1/1", "Running", "0", expect.stringMatching(/^2m/)],
    ]);
    const [wide] = await lines("get nodes -o wide");
    expect(wide).toEqual(expect.arrayContaining(["VERSION", "INTERNAL-IP", "CONTAINER-RUNTIME"]));
    expect((await lines("get deploy,ds -A --show-labels"))[0]).toEqual(expect.arrayContaining(["NAMESPACE", "LABELS"]));
  });

  it.each([
    "pods",
    "services",
    "nodes",
    "deployments",
    "daemonsets",
    "statefulsets",
    "replicasets",
    "endpointslices",
    "events",
    "configmaps",
    "namespaces",
    "serviceaccounts",
    "networkpolicies",
    "clusterroles",
    "clusterrolebindings",
    "roles",
    "rolebindings",
    "leases",
    "crds",
  ])("gets %s", async (resource) => {
    const items = JSON.parse(await out(`get ${resource} -A -o json`)).items as unknown[];
    const rows = await out(`get ${resource} -A --no-headers`);
    expect(rows.trimEnd().split("\n").length).toBe(items.length);
    expect(items.length).toBeGreaterThan(0);
  });

  it.skipIf(!IS_MODERN)("explains what the bundle has schemas of, and says where the others are", async () => {
    expect(await out("explain ippools.spec.cidr")).toContain("The pool CIDR.");
    const { err } = await run("explain pods");
    expect(err).toContain("the bundle has no schemas of these resources: ask a cluster of its version");
  });

  it("gets every output", async () => {
    const pod = load(await out("get pod db-0 -n data -o yaml")) as { kind: string; metadata: { name: string } };
    expect(pod).toMatchObject({ kind: "Pod", apiVersion: "v1", metadata: { name: "db-0", namespace: "data" } });
    expect(JSON.parse(await out("get pod db-0 -n data -o json"))).toEqual(pod);
    expect(await out("get pods -n data -o name")).toBe("pod/db-0\npod/db-1\n");
    expect(await out("get pods -n data -o jsonpath={.items[*].spec.nodeName}")).toMatch(/^w\d w\d$/);
    expect(await lines("get pods -n data -o custom-columns=N:.metadata.name,NODE:.spec.nodeName")).toEqual([
      ["N", "NODE"],
      ["db-0", expect.stringMatching(/^w/)],
      ["db-1", expect.stringMatching(/^w/)],
    ]);
    expect(await out("get pods -n data -o go-template={{.kind}}")).toBe("List");
    const sorted = await out("get services -A --sort-by=.metadata.name -o name");
    expect(sorted.trimEnd().split("\n")).toEqual(sorted.trimEnd().split("\n").toSorted());
  });

  it("gets what is selected", async () => {
    expect(await out("get pods -A -l app=db -o name")).toBe("pod/db-0\npod/db-1\n");
    const exact = await client.run(["get", "pods", "-n", "shop", "-l", "app in (backend),!none", "-o", "name"]);
    expect(exact.out.trimEnd().split("\n").length).toBe(3);
    const all = (await out("get pods -A -o name")).trimEnd().split("\n").length;
    const onNode = await Promise.all(
      ["cp1", "w1", "w2"].map((node) => out(`get pods -A --field-selector spec.nodeName=${node} -o name`)),
    );
    expect(onNode.join("").trimEnd().split("\n").length).toBe(all);
    expect(await out("get pods -A --chunk-size=3 -o name")).toBe(await out("get pods -A -o name"));
    const wrong = await run("get pods --field-selector spec.foo=1");
    expect(wrong).toMatchObject({ code: 1, err: expect.stringContaining("field label not supported: spec.foo") });
  });

  it("describes", async () => {
    expect(await out("describe pod db-0 -n data")).toMatch(/Name: +db-0[\s\S]*Events:[\s\S]*Scheduled/);
    expect(await out("describe node w1")).toMatch(/Non-terminated Pods: +\(\d+ in total\)/);
    expect(await out("describe service kube-dns -n kube-system")).toMatch(/TargetPort: +53\/UDP/);
    expect(await out("describe deployment backend -n shop")).toContain("backend-");
  });

  it("reads logs", async () => {
    const whole = await out("logs db-0 -n data");
    expect(whole).not.toMatch(/^\d{4}-\d{2}-\d{2}T/);
    const stamped = await out("logs db-0 -n data --timestamps");
    expect(stamped).toMatch(/^\d{4}-\d{2}-\d{2}T/);
    expect((await run("logs -n shop deploy/frontend -c web --tail=1")).out.trimEnd().split("\n").length).toBe(1);
    expect((await run("logs db-0 -n data -c none")).err).toContain("none");
    expect((await run("logs db-0 -n data --previous")).err).toContain(
      "the bundle has no logs/data/db-0/db.previous.log",
    );
    expect(await out("logs db-0 -n data -f")).toBe(whole);
    expect(await out("logs db-0 -n data --since=1s")).toBe("");
  });

  it("watches, and waits for what is so already", async () => {
    const { out: watched } = await run("get pods -n data -w -o name", 3000);
    expect(watched).toBe("pod/db-0\npod/db-1\n");
    expect(await out("wait --for=condition=Ready pod --all -n data --timeout=20s")).toContain("pod/db-1 condition met");
    expect(await out("rollout status deployment/backend -n shop --timeout=20s")).toContain("successfully rolled out");
  });

  it("asks what it may", async () => {
    expect(await run("auth can-i list pods")).toMatchObject({ code: 0, out: "yes\n" });
    expect(await run("auth can-i delete pods")).toMatchObject({ code: 1, out: "no - a replay is read-only\n" });
    expect(await run("auth can-i get pods --subresource=log")).toMatchObject({ code: 0, out: "yes\n" });
    expect(await out("auth can-i --list")).toMatch(/pods\/log +\[\] +\[\] +\[get list watch\]/);
    if (IS_MODERN) expect(await out("auth whoami")).toContain("netwhy:replay");
  });

  it("discovers", async () => {
    const rows = await lines("api-resources");
    expect(rows.map(([name]) => name)).toEqual(
      expect.arrayContaining(["pods", "endpointslices", "ippools", "clusterroles"]),
    );
    expect(await out("api-versions")).toMatch(/^crd.projectcalico.org\/v1$/m);
    expect(await out("version -o json")).toContain("serverVersion");
    expect(await out("cluster-info")).toContain(`is running at ${api.url}`);
  });

  it("does not take for empty what the bundle does not hold", async () => {
    const { out: found, err, code } = await run("get all -n shop");
    expect(found).toContain("deployment.apps/backend");
    expect(err).toContain("jobs.batch is forbidden: the bundle does not hold it: it was not collected");
    expect(code).toBe(1);
  });

  it("changes nothing, and says so", async () => {
    for (const line of [
      "delete pod db-0 -n data --wait=false",
      "label node w1 a=b",
      "scale deploy backend -n shop --replicas=0",
    ]) {
      expect(await run(line)).toMatchObject({ code: 1, err: expect.stringContaining("read-only replay") });
    }
    expect((await run("get pod none")).err).toBe('Error from server (NotFound): pods "none" not found\n');
  });
});

describe.skipIf(KUBECTL_VERSION === undefined)(`${NAME} on the API server of our tests`, () => {
  it("makes, applies, labels and deletes", async () => {
    await using api = await apiServer({ isWritable: true });
    using client = kubectl(api.kubeconfig);
    const run = async (line: string): Promise<string> => {
      const { code, out, err } = await client.run(line.split(" "));
      expect({ line, code, err }).toEqual({ line, code: 0, err: "" });
      return out;
    };
    const map = (data: object) => ({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "settings", namespace: "shop" },
      data,
    });
    await run(`apply --validate=false -f ${client.file("one.json", map({ a: "0", gone: "1" }))}`);
    await run(`apply --validate=false -f ${client.file("two.json", map({ a: "1" }))}`);
    expect(await run("get configmap settings -n shop -o jsonpath={.data}")).toBe('{"a":"1"}');
    await run(`apply --server-side --validate=false -f ${client.file("two.json", map({ a: "1" }))}`);
    await run("label configmap settings -n shop tier=front");
    await run("annotate configmap settings -n shop note=x");
    await client.run(["patch", "configmap", "settings", "-n", "shop", "-p", '{"data":{"b":"2"}}']);
    expect(await run("get configmap -n shop -l tier=front -o jsonpath={.items[0].data}")).toBe('{"a":"1","b":"2"}');
    expect(await run("delete configmap settings -n shop")).toContain('configmap "settings" deleted');
    expect((await client.run(["get", "configmap", "settings", "-n", "shop"])).err).toContain("NotFound");
  });
});
