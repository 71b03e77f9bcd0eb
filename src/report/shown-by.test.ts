import { describe, expect, it } from "vitest";
import { shownBy } from "./shown-by.ts";

const test = (quote: string) => shownBy({ origin: { kind: "probe", path: "probes.jsonl", line: 1 }, quote });
const of = (path: string, quote = "x", about = [{ kind: "ClusterRole", name: "flannel" }]) =>
  shownBy({ origin: { kind: "api", path }, quote }, about);

describe("the command that shows a piece of evidence", () => {
  it("makes a test again, from where it was made", () => {
    expect(test("pod tools/c on w1: dns a.svc @10.96.0.10: timeout")).toEqual({
      run: "kubectl exec -n tools c -- nslookup a.svc 10.96.0.10",
    });
    expect(test("node w1: tcp [fd00::1]:443: refused")).toEqual({ node: "w1", run: "nc -zv -w 3 fd00::1 443" });
    // as large in all: 20 bytes of IPv4 (40 of IPv6) and 8 of ICMP go before what ping counts
    expect(test("node w1: icmp 10.0.0.1 (1378 bytes): timeout")?.run).toBe("ping -c 3 -W 2 -M do -s 1350 10.0.0.1");
    expect(test("node w1: icmp fd00::1 (1378 bytes): timeout")?.run).toBe("ping -c 3 -W 2 -M do -s 1330 fd00::1");
  });

  it("asks for the object that it is about, else for the list", () => {
    const roles = "apis/rbac.authorization.k8s.io/v1/clusterroles.json";
    expect(of(roles, "no ClusterRole flannel")?.run).toBe("kubectl get clusterrole/flannel -o yaml");
    expect(of(roles, "72 ClusterRoles")?.run).toBe("kubectl get clusterroles -o wide");
    expect(of("api/v1/services.json")?.run).toBe("kubectl get services -A -o wide");
    expect(of("apis/cilium.io/v2/ciliumnetworkpolicies.json")?.run).toBe(
      "kubectl get ciliumnetworkpolicies.cilium.io -A -o wide",
    );
    expect(of("api/v1/pods.json", "kube-system/coredns-x: not ready")?.run).toBe(
      "kubectl describe pod -n kube-system coredns-x",
    );
  });

  it("reads logs, and asks nodes and agents", () => {
    expect(of("logs/kube-system/p/c.previous.log")?.run).toBe("kubectl logs -n kube-system p -c c --previous");
    expect(of("nodes/w1/iptables-save.txt")).toEqual({ node: "w1", run: "iptables-save -c" });
    expect(of("exec/kube-system/cilium-x/cilium-dbg-endpoint-list.json")?.run).toBe(
      "kubectl exec -n kube-system cilium-x -c cilium-agent -- cilium-dbg endpoint list -o json",
    );
  });

  it("knows no command for what it does not know", () => {
    expect(of("some/other/file.txt")).toBeUndefined();
    expect(test("a friend said that it fails")).toBeUndefined();
  });
});
