import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { ago, crashing, editPods, edits, said, unready, waiting } from "../../../testing/cluster-edits.ts";
import type { Pod } from "../../parse/objects.ts";
import { componentCrashLoop } from "./component-crash-loop.ts";

const healthy = () => cluster();
const status = (name: string, more: object) => ({ name, ready: false, restartCount: 0, ...more });
const ended = (exitCode: number, startedAt: string, finishedAt: string) => ({
  terminated: { exitCode, reason: exitCode === 0 ? "Completed" : "Error", startedAt, finishedAt },
});
/** A container that runs again since a while, after a run that took as long and ended with this code. */
const runsAgain = (since: number, ranFor: number, restartCount: number, exitCode = 1) => ({
  restartCount,
  state: { running: { startedAt: ago(since) } },
  lastState: ended(exitCode, ago(since + 1 + ranFor), ago(since + 1)),
});
const ready = (container: object) => (pod: Pod) => ({
  ...unready(container)(pod),
  status: { ...unready({ ready: true, ...container })(pod).status, conditions: [{ type: "Ready", status: "True" }] },
});
const init =
  (container: object, phase = "Pending") =>
  (pod: Pod) => ({
    ...pod,
    status: {
      ...waiting("PodInitializing", phase)(pod).status,
      initContainerStatuses: [status("install-cni", container)],
    },
  });

testCheck(componentCrashLoop, {
  finds: [
    {
      story: "flannel on w2 ends at once, and its log was not kept",
      given: cluster()
        .edit(editPods("kube-flannel-ds", crashing(2), "w2"))
        .without("containerLog"),
      repair: "DaemonSet/kube-flannel/kube-flannel-ds",
      says: ["flannel on w2 does not stay up: container kube-flannel ends again and again (exit code 2)"],
      breaks: ["component.run"],
      strength: "direct",
      healedBy: healthy,
    },
    {
      story: "kube-proxy on w1 cannot read its configuration, and says so before a last remark",
      given: cluster().edit(
        edits(
          editPods("kube-proxy", crashing(), "w1"),
          said("kube-proxy", ["I1 starting", "E1 failed to load config: unknown field", "I1 bye"], ago(60), "w1"),
        ),
      ),
      repair: "DaemonSet/kube-system/kube-proxy",
      says: ["kube-proxy on w1 does not stay up", "failed to load config: unknown field"],
      healedBy: healthy,
    },
    {
      story: "the registry has no such image of CoreDNS",
      given: cluster().edit(editPods("coredns", waiting("ImagePullBackOff"))),
      repair: "Deployment/kube-system/coredns",
      says: ["CoreDNS on w1 does not start: container coredns is ImagePullBackOff"],
      healedBy: healthy,
    },
    {
      story: "flannel's init container fails on every node",
      given: cluster().edit(editPods("kube-flannel-ds", init({ state: ended(1, ago(20), ago(19)) }))),
      repair: "DaemonSet/kube-flannel/kube-flannel-ds",
      says: ["container install-cni ends again and again (Error, exit code 1)"],
      healedBy: healthy,
    },
    {
      story: "CoreDNS runs and has never become ready",
      given: cluster().edit(editPods("coredns", unready())),
      repair: "Deployment/kube-system/coredns",
      says: ["CoreDNS on w1 runs and is not ready (container coredns)"],
      healedBy: healthy,
    },
    {
      story: "CoreDNS of a managed cluster is killed every two minutes, and was just started again",
      given: cluster({ flavour: "managed" }).edit(editPods("coredns", unready(runsAgain(20, 120, 7, 137)))),
      repair: "Deployment/kube-system/coredns",
      says: ["does not stay up"],
      healedBy: () => cluster({ flavour: "managed" }),
    },
  ],
  clears: [
    { story: "a healthy cluster", given: cluster() },
    { story: "a healthy k3s cluster", given: cluster({ flavour: "k3s" }) },
    {
      story: "agents that have finished their init containers",
      given: cluster().edit(
        editPods("kube-flannel-ds", (pod) => ({
          ...pod,
          status: {
            ...pod.status,
            initContainerStatuses: [status("install-cni", { ready: true, state: ended(0, ago(3600), ago(3599)) })],
          },
        })),
      ),
    },
    {
      story: "etcd was restarted once, yesterday",
      given: cluster().edit(editPods("etcd", ready(runsAgain(86_400, 600, 1)))),
    },
    {
      story: "flannel crashed while the API server was away, and has run well since",
      given: cluster().edit(editPods("kube-flannel-ds", ready(runsAgain(300, 30, 6)))),
    },
    {
      story: "a replica of CoreDNS has just started",
      given: cluster().edit(editPods("coredns", unready({ state: { running: { startedAt: ago(20) } } }), "w1")),
    },
    {
      story: "an evicted replica is still listed",
      given: cluster().edit(editPods("coredns", unready({}, "Failed"), "w1")),
    },
    {
      story: "an agent is being deleted",
      given: cluster().edit(
        editPods(
          "kube-proxy",
          (pod) => ({ ...crashing()(pod), metadata: { ...pod.metadata, deletionTimestamp: ago(5) } }),
          "w1",
        ),
      ),
    },
    { story: "an application crash-loops", given: cluster().edit(editPods("frontend", crashing())) },
  ],
  cannotTell: [
    {
      story: "flannel, which has no readiness probe, runs between two crashes",
      given: cluster().edit(editPods("kube-flannel-ds", ready(runsAgain(5, 31, 6)), "w2")),
      capability: "component.run",
    },
    { story: "we may not read Pods", given: cluster().without("pods"), capability: "component.run" },
  ],
});
