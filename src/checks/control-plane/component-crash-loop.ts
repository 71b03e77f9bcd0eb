import { quoteOf } from "../../evidence/origin.ts";
import type { Component } from "../../model/components/components.ts";
import type { Logs } from "../../model/logs.ts";
import type { ClusterModel } from "../../model/model.ts";
import { containerStatuses, type PodView } from "../../model/pods.ts";
import { type Ref, ref, refId } from "../../model/ref.ts";
import type { CaptureTime } from "../../model/time.ts";
import type { ContainerStatus } from "../../parse/objects.ts";
import { type Text, texts, verbatim } from "../../text.ts";
import { cannotTell, defineCheck, type Finding, fault, works } from "../check.ts";

const say = texts("component-crash-loop", {
  crashes: {
    en: "{component} on {node} does not stay up: container {container} ends again and again ({reason})",
    zh: "节点 {node} 上的 {component} 无法保持运行：容器 {container} 反复退出（{reason}）",
  },
  crashesBecause: {
    en: "{component} on {node} does not stay up: container {container} says “{line}”",
    zh: "节点 {node} 上的 {component} 无法保持运行：容器 {container} 报告“{line}”",
  },
  doesNotStart: {
    en: "{component} on {node} does not start: container {container} is {reason}",
    zh: "节点 {node} 上的 {component} 无法启动：容器 {container} 处于 {reason} 状态",
  },
  notReady: {
    en: "{component} on {node} runs and is not ready (container {container})",
    zh: "节点 {node} 上的 {component} 正在运行但未就绪（容器 {container}）",
  },
  exitCode: { en: "exit code {code}", zh: "退出码 {code}" },
  ended: { en: "{reason}, exit code {code}", zh: "{reason}，退出码 {code}" },
  restarts: { en: "{count} restarts", zh: "已重启 {count} 次" },
  unready: { en: "not ready", zh: "未就绪" },
  justStarted: {
    en: "it has just started again, and has not yet run for longer than before it ended last",
    zh: "刚刚重新启动，运行时间尚未超过上次退出前的时长",
  },
  readLog: { en: "Read why the container ended", zh: "查看容器退出的原因" },
  nothing: { en: "Nothing", zh: "无" },
  correct: {
    en: "Correct what its last lines complain of, then let it start anew",
    zh: "按其最后的报错修正，然后让它重新启动",
  },
});

/** Reasons for which a container never begins (kubelet, pkg/kubelet/{images,kuberuntime}). */
const CANNOT_START =
  /^(ImagePullBackOff|ErrImagePull|ErrImageNeverPull|InvalidImageName|CreateContainerConfigError|CreateContainerError|RunContainerError)$/;

type Trouble = {
  readonly kind: "crashes" | "doesNotStart" | "notReady";
  readonly reason: Text;
  readonly since?: string;
};

const RECENT = 10 * 60_000;
const SETTLING = 60_000;

function troubleOf(status: ContainerStatus, init: boolean, time: CaptureTime): Trouble | undefined {
  const { waiting, terminated, running } = status.state ?? {};
  const ended = terminated ?? status.lastState?.terminated;
  const since = ended?.finishedAt ? { since: ended.finishedAt } : {};
  if (waiting?.reason && CANNOT_START.test(waiting.reason))
    return { kind: "doesNotStart", reason: verbatim(waiting.reason) };
  if (waiting?.reason === "CrashLoopBackOff")
    return { kind: "crashes", reason: say.exitCode({ code: ended?.exitCode ?? "?" }), ...since };
  if (terminated && (!init || terminated.exitCode !== 0)) {
    const { reason, exitCode: code } = terminated;
    return { kind: "crashes", reason: reason ? say.ended({ reason, code }) : say.exitCode({ code }), ...since };
  }
  if (!running || init || status.ready) return undefined;
  const age = time.age(running.startedAt) ?? 0;
  // between two crashes it runs for a while
  const crashedAgo = time.age(status.lastState?.terminated?.finishedAt);
  if (status.restartCount > 1 && crashedAgo !== undefined && crashedAgo < RECENT && age < RECENT) {
    return { kind: "crashes", reason: say.restarts({ count: status.restartCount }), ...since };
  }
  return age > SETTLING ? { kind: "notReady", reason: say.unready() } : undefined;
}

/**
 * Without a readiness probe (flannel, kube-proxy) a container is ready as soon as it runs, also between two crashes: it
 * has recovered once it has run for longer than it did before it crashed.
 */
function mayCrashAgain({ state, lastState, restartCount }: ContainerStatus, time: CaptureTime): boolean {
  const { startedAt, finishedAt, exitCode } = lastState?.terminated ?? {};
  const age = time.age(state?.running?.startedAt);
  const crashedAgo = time.age(finishedAt);
  if (restartCount < 2 || !exitCode || age === undefined || crashedAgo === undefined) return false;
  const ranFor = (time.age(startedAt) ?? crashedAgo) - crashedAgo;
  return crashedAgo < RECENT && age < Math.max(ranFor, SETTLING / 2);
}

/** Of a container's last lines the one that says why it ended: the last fatal or error line, else the last. */
function reasonLine(pod: PodView, container: string, logs: Logs) {
  const words = logs.lastWords(pod, container);
  if (!words) return undefined;
  const lines = words.lines.filter(({ message }) => message.trim() !== "");
  const line =
    lines.findLast(({ severity }) => severity === "fatal") ??
    lines.findLast(
      ({ severity, message }) =>
        severity === "error" || /\b(error|fail|panic|cannot|can't|invalid|unknown|denied|forbidden)/i.test(message),
    ) ??
    lines.at(-1);
  return line && words.quote(line);
}

/** What it is configured by: often the thing to correct. */
function configMapsOf({ spec, ref: { namespace } }: Component): Ref[] {
  const names = (spec?.volumes ?? []).flatMap(({ configMap }) => configMap?.name ?? []);
  return names.map((name) => ref("ConfigMap", name, namespace));
}

function* judgePod(
  component: Component,
  pod: PodView,
  { logs, time, objects }: Pick<ClusterModel, "logs" | "time" | "objects">,
): Iterable<Finding> {
  const node = pod.node!;
  const capability = { name: "component.run", component: refId(component.ref), node } as const;
  const name = component.definition.name;
  let healthy = pod.ready;
  for (const { status, init } of containerStatuses(pod)) {
    const trouble = troubleOf(status, init, time);
    if (!trouble) continue;
    healthy = false;
    const { kind, reason, since } = trouble;
    const container = status.name;
    const why = kind === "crashes" ? reasonLine(pod, container, logs) : undefined;
    const args = { component: name, node, container };
    const title = why ? say.crashesBecause({ ...args, line: why.quote }) : say[kind]({ ...args, reason });
    const state = status.state?.waiting?.message ?? status.state?.terminated?.message;
    const seen = `${pod.key}: container ${container}: ${reason.en}, ${status.restartCount} restarts${state ? `: ${state}` : ""}`;
    yield fault({
      repair: component.ref,
      related: [pod.ref, ...configMapsOf(component)],
      nodes: [node],
      breaks: [capability],
      title,
      evidence: [objects.quote("pods", pod.object, seen), ...(why ? [why] : [])],
      strength: "direct",
      since,
      facts: { pod: pod.key, container, kind },
    });
  }
  if (healthy && containerStatuses(pod).some(({ status }) => mayCrashAgain(status, time)))
    yield cannotTell(capability, [], say.justStarted());
  else if (healthy) yield works(capability, [quoteOf(objects.origin("pods", pod.object), `${pod.key}: Ready`)]);
}

/** A component of the network does not stay up on a node, or runs without becoming ready. */
export const componentCrashLoop = defineCheck({
  id: "component-crash-loop",
  reads: ["components", "logs", "time", "objects"],

  *find(model) {
    for (const component of model.components.all) {
      if (component.workload && !model.objects.isWhole("pods"))
        yield cannotTell({ name: "component.run", component: refId(component.ref) }, [{ kind: "pods" }]);
      for (const pod of component.pods) {
        if (pod.node !== undefined && !pod.terminating && !pod.finished) yield* judgePod(component, pod, model);
      }
    }
  },

  remedies({ repair, facts }) {
    const [namespace, pod] = String(facts.pod).split("/");
    const log = `kubectl logs -n ${namespace} ${pod} -c ${facts.container} --previous`;
    return [
      {
        id: "correct-and-restart",
        risk: "low",
        interrupts: say.nothing(),
        steps: [
          { why: say.readLog(), change: { run: log }, undo: say.nothing(), verify: log },
          {
            why: say.correct(),
            change: { do: "restart", component: repair },
            undo: say.nothing(),
            verify: `kubectl rollout status -n ${namespace} ${repair.kind.toLowerCase()}/${repair.name}`,
          },
        ],
        prevent: [],
      },
    ];
  },

  manual: {
    title: { en: "A network component crash-loops", zh: "网络组件反复崩溃" },
    page: {
      en: `A Pod of a network component (CNI agent, kube-proxy, CoreDNS, control plane) ends again and again, its init container fails, its image cannot be had, or it runs without becoming ready.

**How it looks.** \`CrashLoopBackOff\`, \`Init:CrashLoopBackOff\`, \`ImagePullBackOff\`, or \`0/1 Running\`. What the agent had written into the kernel stays and works on, until something changes or the node restarts. Its last lines usually name the reason, and netwhy quotes the one that does.

**When this is not the cause.** Often it is a link of the chain: an agent without permission, without the API server, or with a broken configuration crash-loops as well. If netwhy finds such a cause, it stands above this one.`,
      zh: `网络组件（CNI 代理、kube-proxy、CoreDNS、控制面）的 Pod 反复退出、init 容器失败、镜像无法拉取，或虽在运行却始终未就绪。

**现象。** \`CrashLoopBackOff\`、\`Init:CrashLoopBackOff\`、\`ImagePullBackOff\` 或 \`0/1 Running\`。组件此前写入内核的配置仍然有效，直到发生变更或节点重启。日志最后几行通常说明了原因，netwhy 会引用那一行。

**何时不是它。** 它常常只是链条中的一环：没有权限、连不上 API Server 或配置错误都会让组件崩溃。若 netwhy 找到了这样的原因，它会列在本项之上。`,
    },
  },
});
