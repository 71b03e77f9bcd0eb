import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { load } from "js-yaml";
import { describe, expect, it } from "vitest";
import { brokenCommand, commandOf, manifestYaml } from "./commands.ts";

const shop = (kind: string, name: string) => ({ kind, namespace: "shop", name });

describe("a change as a command", () => {
  it("applies an object from a here-document, as people write manifests", () => {
    const object = {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "coredns", namespace: "kube-system" },
      data: { Corefile: ".:53 {\n  forward . /etc/resolv.conf\n}\n" },
      verbs: ["get", "on"],
    };
    expect(commandOf({ do: "apply", object })).toMatchInlineSnapshot(`
      {
        "run": "kubectl apply -f - <<'EOF'
      apiVersion: "v1"
      kind: "ConfigMap"
      metadata:
        name: "coredns"
        namespace: "kube-system"
      data:
        Corefile: |
          .:53 {
            forward . /etc/resolv.conf
          }
      verbs: ["get", "on"]
      EOF",
      }
    `);
  });

  it("patches, deletes and scales", () => {
    const patch = commandOf({
      do: "patch",
      target: shop("Service", "backend"),
      patch: { spec: { selector: { app: "it's" } } },
    });
    expect(patch.run).toBe(
      `kubectl patch -n shop service/backend --type=merge -p '{"spec":{"selector":{"app":"it'\\''s"}}}'`,
    );
    expect(commandOf({ do: "delete", target: { kind: "ClusterRole", name: "flannel" } }).run).toBe(
      "kubectl delete clusterrole/flannel",
    );
    expect(commandOf({ do: "scale", target: shop("Deployment", "db"), replicas: 2 }).run).toBe(
      "kubectl scale -n shop deployment/db --replicas=2",
    );
  });

  it("names the group of a kind that kubectl could take for another", () => {
    const target = { ...shop("NetworkPolicy", "deny"), apiGroup: "networking.k8s.io" };
    expect(commandOf({ do: "delete", target }).run).toBe("kubectl delete -n shop networkpolicy.networking.k8s.io/deny");
  });

  it("restarts a component everywhere, on one node, or as the one Pod that it is", () => {
    const component = { kind: "DaemonSet", namespace: "kube-flannel", name: "kube-flannel-ds" };
    expect(commandOf({ do: "restart", component }).run).toBe(
      "kubectl rollout restart -n kube-flannel daemonset/kube-flannel-ds",
    );
    expect(commandOf({ do: "restart", component, node: "w2" }).run).toBe(
      "kubectl get pods -n kube-flannel --field-selector spec.nodeName=w2 -o name | grep -E '^pod/kube-flannel-ds-[a-z0-9]{5}$' | xargs kubectl delete -n kube-flannel",
    );
    expect(
      commandOf({ do: "restart", component: { kind: "Pod", namespace: "kube-system", name: "etcd-cp1" } }).run,
    ).toBe("kubectl delete -n kube-system pod/etcd-cp1");
  });

  it("sets a kernel parameter now and for the next boot, on its node", () => {
    expect(commandOf({ do: "sysctl", node: "w2", key: "net.ipv4.ip_forward", value: "1" })).toEqual({
      node: "w2",
      run: "sysctl -w net.ipv4.ip_forward=1 && echo 'net.ipv4.ip_forward = 1' > /etc/sysctl.d/99-net.ipv4.ip_forward.conf",
    });
  });

  it("leaves a command as it is, with the node where it runs", () => {
    expect(commandOf({ run: "conntrack -C", node: "w1" })).toEqual({ run: "conntrack -C", node: "w1" });
  });

  it("patches long texts from a here-document, in which lines are lines", () => {
    const Corefile = `.:53 {\n  forward . /etc/resolv.conf\n${"  # and so on\n".repeat(12)}}\n`;
    const target = { kind: "ConfigMap", namespace: "kube-system", name: "coredns" };
    const { run } = commandOf({ do: "patch", target, patch: { data: { Corefile } } });
    expect(run.split("\n").slice(0, 5)).toEqual([
      "kubectl patch -n kube-system configmap/coredns --type=merge --patch-file=/dev/stdin <<'EOF'",
      "data:",
      "  Corefile: |",
      "    .:53 {",
      "      forward . /etc/resolv.conf",
    ]);
  });
});

/** The words that a shell makes of a command line. */
function wordsOf(command: string): string[] {
  const output = execFileSync("sh", ["-c", `printf '%s\\0' ${command}`], { encoding: "utf8" });
  return output.split("\0").slice(0, -1);
}

describe("what a stranger's bundle could smuggle into a command", () => {
  it("ends no here-document", () => {
    const { run } = commandOf({
      do: "apply",
      object: { apiVersion: "v1", kind: "X", data: { a: "EOF\nrm -rf /\nEOF\n" } },
    });
    expect(run.split("\n").filter((text) => text === "EOF")).toHaveLength(1);
  });
});

describe("YAML", () => {
  it("is read back as what it was made of", () => {
    const value = fc.jsonValue({ maxDepth: 4 }).map((json) => JSON.parse(JSON.stringify(json)) as unknown);
    fc.assert(
      fc.property(fc.dictionary(fc.string(), value), (object) => {
        const plain = JSON.parse(JSON.stringify(object)) as Record<string, unknown>;
        expect(load(manifestYaml(plain))).toEqual(plain);
      }),
    );
  });
});

describe("a long command", () => {
  const RUN =
    "kubectl get pods -n kube-flannel --field-selector spec.nodeName=w2 -o name | grep -E '^pod/a b$' | xargs kubectl delete -n kube-flannel";

  it("is broken at pipes, and an option stays with its value", () => {
    expect(brokenCommand(RUN, 60)).toEqual([
      "kubectl get pods -n kube-flannel \\",
      "  --field-selector spec.nodeName=w2 -o name \\",
      "  | grep -E '^pod/a b$' \\",
      "  | xargs kubectl delete -n kube-flannel",
    ]);
    expect(brokenCommand(RUN, 200)).toEqual([RUN]);
  });

  it("is several commands where it was", () => {
    expect(brokenCommand("kubectl describe pod/a; kubectl logs a", 30)).toEqual([
      "kubectl describe pod/a;",
      "kubectl logs a",
    ]);
  });

  it("means the same when it is broken", () => {
    const command = "a 'b c' \"d  e\" $(echo 'f g') --h=i\\ j -k l m 'n'";
    for (let width = 5; width < 60; width++)
      expect(wordsOf(brokenCommand(command, width).join("\n"))).toEqual(wordsOf(command));
  });
});
