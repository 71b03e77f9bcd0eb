import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { addEvents, agent, editConfig, editPods, installed, said } from "../../../testing/cluster-edits.ts";
import { logOf, NOW } from "../../../testing/cluster-nodes.ts";
import {
  ago,
  crashing,
  deleted,
  initialising,
  ready,
  unready,
  waiting,
  withContainers,
} from "../../../testing/object-states.ts";
import type { Pod } from "../../parse/objects.ts";
import { componentCrashLoop } from "./component-crash-loop.ts";

const healthy = () => cluster();
const ended = (exitCode: number, startedAt: string, finishedAt: string) => ({
  terminated: { exitCode, reason: exitCode === 0 ? "Completed" : "Error", startedAt, finishedAt },
});
/** A container that runs again since a while, after a run that took as long and ended with this code. */
const runsAgain = (since: number, ranFor: number, restartCount: number, exitCode = 1) => ({
  restartCount,
  state: { running: { startedAt: ago(since) } },
  lastState: ended(exitCode, ago(since + 1 + ranFor), ago(since + 1)),
});
const again = (...run: Parameters<typeof runsAgain>) => ready(ago(run[0]), runsAgain(...run));

/** The kernel ended it for want of memory, when it ended last. */
const killed = (pod: Pod): Pod => ({
  ...pod,
  status: {
    ...pod.status,
    containerStatuses: (pod.status?.containerStatuses ?? []).map((status) => ({
      ...status,
      lastState: { terminated: { exitCode: 137, reason: "OOMKilled", startedAt: ago(64), finishedAt: ago(63) } },
    })),
  },
});
const onAmazon = cluster({ flavour: "managed" }).with(
  installed("DaemonSet", agent("aws-node", "602401143452.dkr.ecr.eu-west-1.amazonaws.com/amazon-k8s-cni:v1.19.0")),
);

testCheck(componentCrashLoop, {
  finds: {
    "kind with many nodes: no inotify instance is left for kube-proxy of w1": {
      given: cluster().edit(
        editPods("kube-proxy", crashing(), "w1"),
        said(
          "kube-proxy",
          ['E1 run.go:74] "command failed" err="failed complete: too many open files"'],
          ago(60),
          "w1",
        ),
      ),
      repair: "Node/w1",
      says: ["kube-proxy crash-loops on w1: “failed complete: too many open files”"],
      breaks: ["component.run"],
      strength: "direct",
      healedBy: healthy,
    },
    "flannel on w2 ends at once, and its log was not kept": {
      given: cluster()
        .edit(editPods("kube-flannel-ds", crashing(2), "w2"))
        .without("containerLog"),
      repair: "DaemonSet/kube-flannel/kube-flannel-ds",
      says: ["flannel crash-loops on w2: container kube-flannel (exit code 2)"],
      breaks: ["component.run"],
      strength: "direct",
      healedBy: healthy,
    },
    "kube-proxy on w1 cannot read its configuration, and says so before a last remark": {
      given: cluster().edit(
        editPods("kube-proxy", crashing(), "w1"),
        said("kube-proxy", ["I1 starting", "E1 failed to load config: unknown field", "I1 bye"], ago(60), "w1"),
      ),
      repair: "DaemonSet/kube-system/kube-proxy",
      says: ["kube-proxy crash-loops on w1", "failed to load config: unknown field"],
      healedBy: healthy,
    },
    "kube-proxy names the value that it cannot use, and one line of its configuration has it": {
      given: cluster().edit(
        editConfig("kube-proxy", "config.conf", (text) => `${text}\nconntrack:\n  tcpCloseWaitTimeout: 1hour\n`),
        editPods("kube-proxy", crashing(), "w1"),
        said(
          "kube-proxy",
          ['E1 "command failed" err="unknown unit \\"hour\\" in duration \\"1hour\\""'],
          ago(60),
          "w1",
        ),
      ),
      repair: "ConfigMap/kube-system/kube-proxy",
      says: ["kube-proxy crash-loops on w1"],
      breaks: ["component.run"],
      healedBy: healthy,
    },
    "it names one that its configuration has not": {
      given: cluster().edit(
        editPods("kube-proxy", crashing(), "w1"),
        said(
          "kube-proxy",
          ['E1 "command failed" err="unknown unit \\"hour\\" in duration \\"1hour\\""'],
          ago(60),
          "w1",
        ),
      ),
      repair: "DaemonSet/kube-system/kube-proxy",
      healedBy: healthy,
    },
    "the registry has no such image of CoreDNS": {
      given: cluster().edit(editPods("coredns", waiting("ImagePullBackOff"))),
      repair: "Deployment/kube-system/coredns",
      says: ["CoreDNS does not start on w1: image"],
      healedBy: healthy,
    },
    "flannel's init container fails on every node": {
      given: cluster().edit(editPods("kube-flannel-ds", initialising("install-cni", ended(1, ago(20), ago(19))))),
      repair: "DaemonSet/kube-flannel/kube-flannel-ds",
      says: ["container install-cni (Error, exit code 1)"],
      healedBy: healthy,
    },
    "CoreDNS runs, and the kubelet tells what its probe is answered": {
      given: cluster().edit(editPods("coredns", unready()), (draft) => {
        for (const { metadata } of draft.list("pods")) {
          if (!metadata.name.startsWith("coredns-")) continue;
          const pod = { kind: "Pod", namespace: metadata.namespace!, name: metadata.name };
          addEvents(pod, "Unhealthy", ["Readiness probe failed: HTTP probe failed with statuscode: 503\n"])(draft);
        }
      }),
      repair: "Deployment/kube-system/coredns",
      says: ["CoreDNS runs on w1 and does not become ready", "says “HTTP probe failed with statuscode: 503”"],
      healedBy: healthy,
    },
    "CoreDNS runs and has never become ready": {
      given: cluster().edit(editPods("coredns", unready())),
      repair: "Deployment/kube-system/coredns",
      says: ["CoreDNS runs on w1 and does not become ready"],
      healedBy: healthy,
    },
    "CoreDNS of a managed cluster is killed every two minutes, and was just started again": {
      given: cluster({ flavour: "managed" }).edit(editPods("coredns", unready(runsAgain(20, 120, 7, 137)))),
      repair: "Deployment/kube-system/coredns",
      says: ["crash-loops"],
      healedBy: () => cluster({ flavour: "managed" }),
    },
    "CoreDNS is given less memory than it needs": {
      given: cluster().edit(
        editPods(
          "coredns",
          withContainers((one) => ({ ...one, resources: { limits: { memory: "170Mi" } } })),
        ),
        editPods("coredns", crashing()),
        editPods("coredns", killed),
        said("coredns", ["[INFO] plugin/reload: Running configuration SHA512 = 5f9d"]),
      ),
      repair: "Deployment/kube-system/coredns",
      says: ["CoreDNS is killed on w1 again and again", "container coredns needs more memory than its limit of 170Mi"],
      healedBy: healthy,
    },
    "SELinux keeps flannel's init container from the node's folder": {
      given: cluster().edit(
        editPods("kube-flannel-ds", initialising("install-cni", { waiting: { reason: "CrashLoopBackOff" } }), "w2"),
        (draft) =>
          draft.set(
            "containerLog",
            { namespace: "kube-flannel", pod: "kube-flannel-ds-w2", container: "install-cni" },
            logOf(["cp: can't create '/etc/cni/net.d/10-flannel.conflist': Permission denied"], NOW),
          ),
      ),
      repair: "DaemonSet/kube-flannel/kube-flannel-ds",
      says: ["flannel crash-loops on w2", "10-flannel.conflist': Permission denied"],
      healedBy: healthy,
    },
    "Amazon's CNI agent crash-loops": {
      given: onAmazon.edit(
        editPods("aws-node", crashing(), "w2"),
        said("aws-node", ["Unable to reach API Server: dial tcp 172.20.0.1:443: i/o timeout"], ago(60), "w2"),
      ),
      repair: "DaemonSet/kube-system/aws-node",
      says: ["Amazon VPC CNI crash-loops on w2", "Unable to reach API Server"],
      healedBy: () => onAmazon,
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "a healthy cluster of Amazon's": onAmazon,
    "a healthy k3s cluster": cluster({ flavour: "k3s" }),
    "agents that have finished their init containers": cluster().edit(
      editPods("kube-flannel-ds", initialising("install-cni", ended(0, ago(3600), ago(3599)), "Running")),
    ),
    "etcd was restarted once, yesterday": cluster().edit(editPods("etcd", again(86_400, 600, 1))),
    "flannel crashed while the API server was away, and has run well since": cluster().edit(
      editPods("kube-flannel-ds", again(300, 30, 6)),
    ),
    "a replica of CoreDNS has just started": cluster().edit(
      editPods("coredns", unready({ state: { running: { startedAt: ago(20) } } }), "w1"),
    ),
    "an evicted replica is still listed": cluster().edit(editPods("coredns", unready({}, "Failed"), "w1")),
    "an agent is being deleted": cluster().edit(
      editPods("kube-proxy", (pod) => deleted(ago(5))(crashing()(pod)), "w1"),
    ),
    "an application crash-loops": cluster().edit(editPods("frontend", crashing())),
  },
  cannotTell: {
    "component.run": {
      "flannel, which has no readiness probe, runs between two crashes": cluster().edit(
        editPods("kube-flannel-ds", again(5, 31, 6), "w2"),
      ),
      "we may not read Pods": cluster().without("pods"),
    },
  },
});
