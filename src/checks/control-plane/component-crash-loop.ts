import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import type { Component } from "../../model/components/components.ts";
import { type Setting, settingNamed, wantedConfigMaps } from "../../model/components/config-maps.ts";
import type { Logs } from "../../model/logs.ts";
import type { ClusterModel } from "../../model/model.ts";
import { containerStatuses, type PodView } from "../../model/pods.ts";
import { kubectlName, type Ref, ref, refId } from "../../model/ref.ts";
import type { CaptureTime } from "../../model/time.ts";
import type { ContainerStatus } from "../../parse/objects.ts";
import { sh } from "../../shell.ts";
import { type Text, texts, verbatim } from "../../text.ts";
import { cannotTell, defineCheck, type Finding, fault, works } from "../check.ts";
import { rolledOut } from "../remedy.ts";

const say = texts("component-crash-loop", {
  crashes: {
    en: "{component} crash-loops on {node}: container {container} ({reason})",
    zh: "节点 {node} 上的 {component} 反复崩溃：容器 {container}（{reason}）",
  },
  crashesBecause: {
    en: "{component} crash-loops on {node}: “{line}”",
    zh: "节点 {node} 上的 {component} 反复崩溃：“{line}”",
  },
  outOfMemory: {
    en: "{component} is killed on {node} again and again: container {container} needs more memory than its limit{limit} (OOMKilled)",
    zh: "节点 {node} 上的 {component} 反复被杀死：容器 {container} 所需内存超过其上限{limit}（OOMKilled）",
  },
  limitOf: { en: " of {limit}", zh: " {limit}" },
  noImage: {
    en: "{component} does not start on {node}: image {image} cannot be pulled",
    zh: "节点 {node} 上的 {component} 无法启动：镜像 {image} 拉取失败",
  },
  doesNotStart: {
    en: "{component} does not start on {node}: container {container} is in {reason}",
    zh: "节点 {node} 上的 {component} 无法启动：容器 {container} 处于 {reason} 状态",
  },
  notReady: {
    en: "{component} runs on {node} and does not become ready: the readiness probe of container {container} fails",
    zh: "节点 {node} 上的 {component} 已运行但始终未就绪：容器 {container} 的就绪探针失败",
  },
  notReadySaying: {
    en: "{component} runs on {node} and does not become ready: the readiness probe of container {container} says “{line}”",
    zh: "节点 {node} 上的 {component} 已运行但始终未就绪：容器 {container} 的就绪探针返回“{line}”",
  },
  probesClosedPort: {
    en: "{component} on {node} does not become ready: its readiness probe asks port {port}, on which nothing listens",
    zh: "节点 {node} 上的 {component} 始终未就绪：其就绪探针访问端口 {port}，而该端口无人监听",
  },
  exitCode: { en: "exit code {code}", zh: "退出码 {code}" },
  ended: { en: "{reason}, exit code {code}", zh: "{reason}，退出码 {code}" },
  restarted: { en: "it restarted {count} times, last a moment ago", zh: "已重启 {count} 次，最近一次就在刚才" },
  unready: { en: "not ready", zh: "未就绪" },
  justStarted: {
    en: "it has just started again, and has not yet run for longer than before it ended last",
    zh: "刚刚重新启动，运行时间尚未超过上次退出前的时长",
  },
  readLog: { en: "Read why the container ended", zh: "查看容器退出的原因" },
  readEvents: { en: "Read why its container is not started", zh: "查看容器未能启动的原因" },
  readProbe: { en: "Read what its readiness probe is answered", zh: "查看就绪探针得到的响应" },
  moreMemory: {
    en: "Raise the memory limit of container {container}, and find out what it needs so much for: for CoreDNS and controllers it grows with the number of objects that they watch, and with the queries",
    zh: "提高容器 {container} 的内存上限，并查明其内存占用过高的原因：CoreDNS 和控制器的内存占用随其监听的对象数量以及查询量增长",
  },
  preventMemory: {
    en: "Alert on container_memory_working_set_bytes above 90% of the limit, and on kube_pod_container_status_last_terminated_reason OOMKilled",
    zh: "对 container_memory_working_set_bytes 超过上限的 90%，以及 kube_pod_container_status_last_terminated_reason 为 OOMKilled 设置告警",
  },
  backToImage: {
    en: "Go back to the revision before, if its image was changed last",
    zh: "若最近一次变更改动了镜像，回退到上一版本",
  },
  hadOther: {
    en: "the revision before has an image that can be pulled (`kubectl rollout history`)",
    zh: "上一版本的镜像可以拉取（`kubectl rollout history`）",
  },
  correctConfig: { en: "Correct what it complains of in {config}", zh: "在 {config} 中修正其报错的内容" },
  correctWorkload: { en: "Correct what it complains of", zh: "修正其报错的内容" },
  correctAnswer: {
    en: "Correct what keeps the probe from succeeding: the program, what it depends on, or the way from the node to the Pod",
    zh: "修正使探针失败的原因：程序本身、其依赖，或节点到该 Pod 的路径",
  },
  allowFiles: {
    en: "Let the container write to the node's folder: with SELinux enforcing, give the folder its label back (a denial is in the audit log); else see who owns it and whether it is mounted read-only",
    zh: "让容器能够写入节点上的目录：SELinux 为 enforcing 时恢复该目录的标签（审计日志中有拒绝记录）；否则检查其属主及是否为只读挂载",
  },
  moreWatches: {
    en: "Raise the limits of inotify, which everything on the machine shares; with nodes that are containers (kind) that is the machine beneath them. The kubelet then starts the container anew by itself",
    zh: "调高整台机器共享的 inotify 上限；若节点本身是容器（kind），即其宿主机。之后 kubelet 会自动重新启动容器",
  },
  preventWatches: {
    en: "Write the limits to /etc/sysctl.d of the machine, so that they are there after it restarts",
    zh: "将上限写入机器的 /etc/sysctl.d，使其重启后仍然有效",
  },
  correctManifest: {
    en: "Correct its manifest on the node; kubelet starts it anew by itself",
    zh: "修正该节点上的清单，kubelet 会自动重新启动它",
  },
  restart: { en: "Let its Pods start with it", zh: "让 Pod 以新配置重新启动" },
  nothing: { en: "Nothing", zh: "无" },
  preventTry: {
    en: "Roll changes of network components out to one node first, and alert on Pods of kube-system that are not ready for five minutes",
    zh: "网络组件的变更先在一个节点上验证；对 kube-system 中持续五分钟未就绪的 Pod 设置告警",
  },
  preventImage: {
    en: "Pull images onto the nodes before a rollout, and keep a mirror of the registry in reach of all nodes",
    zh: "发布前先在节点上预拉镜像，并提供所有节点都能访问的镜像仓库",
  },
});

/** Reasons for which a container never begins (kubelet, pkg/kubelet/{images,kuberuntime}). */
const NO_IMAGE = /^(ImagePullBackOff|ErrImagePull|ErrImageNeverPull|InvalidImageName)$/;
const CANNOT_START =
  /^(ImagePullBackOff|ErrImagePull|ErrImageNeverPull|InvalidImageName|CreateContainerConfigError|CreateContainerError|RunContainerError)$/;

/** An init container cannot put its files on the node: SELinux, a read-only file system (flannel's and Calico's install-cni). */
const FILES_DENIED = /(\/(?:host\/)?(?:etc\/cni|opt\/cni)\S*?)['":]*:? (?:Permission denied|Read-only file system)/i;

/**
 * It can have no more inotify instances or watches: all of one user on a machine share them, nodes that are containers (kind)
 * as well (inotify(7): EMFILE, ENOSPC).
 */
const WATCHES_EXHAUSTED = /too many open files|inotify\S*[^"]*no space left on device/i;

/** Every namespace has it; nobody configures a component by it. */
const CERTIFICATES = new Set(["kube-root-ca.crt"]);

type Trouble = {
  readonly kind: "crashes" | "outOfMemory" | "noImage" | "doesNotStart" | "notReady";
  readonly reason: Text;
  readonly since?: string;
};

const RECENT = 10 * 60_000;
const SETTLING = 60_000;

function troubleOf(status: ContainerStatus, init: boolean, time: CaptureTime): Trouble | undefined {
  const { waiting, terminated, running } = status.state ?? {};
  const ended = terminated ?? status.lastState?.terminated;
  const since = ended?.finishedAt ? { since: ended.finishedAt } : {};
  if (waiting?.reason && NO_IMAGE.test(waiting.reason)) return { kind: "noImage", reason: verbatim(waiting.reason) };
  if (waiting?.reason && CANNOT_START.test(waiting.reason))
    return { kind: "doesNotStart", reason: verbatim(waiting.reason) };
  // the kernel ends it in the middle of a sentence: its last words say nothing of it
  if (ended?.reason === "OOMKilled" && (terminated || waiting?.reason === "CrashLoopBackOff"))
    return { kind: "outOfMemory", reason: verbatim(ended.reason), ...since };
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
    if (ended?.reason === "OOMKilled") return { kind: "outOfMemory", reason: verbatim(ended.reason), ...since };
    return { kind: "crashes", reason: say.restarted({ count: status.restartCount }), ...since };
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

/** What the readiness probe of a container was answered last, as the kubelet tells it: calico-node names its lost BGP peers so. */
function probeAnswer(pod: PodView, container: string, { objects, time }: Pick<ClusterModel, "objects" | "time">) {
  const answers = objects.all("events").flatMap((event) => {
    const { reason, involvedObject: of, message, lastTimestamp, eventTime } = event;
    const isOf = of?.kind === "Pod" && of.namespace === pod.namespace && of.name === pod.name;
    const isOfContainer = of?.fieldPath == null || of.fieldPath.includes(`{${container}}`);
    const line = /^Readiness probe failed: (.*\S)/s.exec(message ?? "")?.[1];
    const age = time.age(event.series?.lastObservedTime ?? lastTimestamp ?? eventTime);
    if (reason !== "Unhealthy" || !isOf || !isOfContainer || line === undefined || age === undefined) return [];
    return [{ age, line: line.replace(/\s+/g, " "), event }];
  });
  const last = answers.toSorted((a, b) => a.age - b.age)[0];
  if (!last || last.age > RECENT) return undefined;
  return { line: briefly(last.line), evidence: objects.quote("events", last.event, `${pod.key}: ${last.line}`) };
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
  const wanted = spec ? wantedConfigMaps(spec) : [];
  return wanted.filter(({ name }) => !CERTIFICATES.has(name)).map(({ name }) => ref("ConfigMap", name, namespace));
}

const specOf = ({ object: { spec } }: PodView, container: string) =>
  [...(spec.initContainers ?? []), ...spec.containers].find(({ name }) => name === container);

const MOST_OF_A_LINE = 100;

/** What a log line says, without its marks, and no more of it than a title holds. */
function briefly(line: string): string {
  const words = (/ err="((?:[^"\\]|\\.)*)"/.exec(line)?.[1] ?? line).replace(/\\"/g, '"').replace(/^\[[A-Z]+\]\s*/, "");
  return words.length > MOST_OF_A_LINE ? `${words.slice(0, MOST_OF_A_LINE).replace(/\s+\S*$/, "")} …` : words;
}

function quoteSetting(
  { map, key, line }: Setting,
  namespace: string | undefined,
  objects: ClusterModel["objects"],
): Evidence[] {
  const found = objects.find("configmaps", map, namespace);
  return found.state === "present"
    ? [objects.quote("configmaps", found.value, `ConfigMap ${map}, ${key}: ${line}`)]
    : [];
}

function* judgePod(
  component: Component,
  pod: PodView,
  { logs, time, objects, sockets }: Pick<ClusterModel, "logs" | "time" | "objects" | "sockets">,
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
    const spec = specOf(pod, container);
    const memory = spec?.resources?.limits?.memory;
    const limit = memory == null ? "" : say.limitOf({ limit: String(memory) });
    const args = { component: name, node, container, reason, limit, image: spec?.image ?? "?" };
    const probed = kind === "notReady" ? sockets.closedProbe(pod) : undefined;
    const answer = kind === "notReady" && !probed ? probeAnswer(pod, container, { objects, time }) : undefined;
    const title = why
      ? say.crashesBecause({ ...args, line: briefly(why.quote) })
      : probed
        ? say.probesClosedPort({ ...args, port: probed.port })
        : answer
          ? say.notReadySaying({ ...args, line: answer.line })
          : say[kind](args);
    const { waiting, terminated } = status.state ?? {};
    const state = waiting?.reason ?? terminated?.reason ?? "running, not ready";
    const more =
      kind === "crashes" || kind === "outOfMemory"
        ? `, ${status.restartCount} restarts${kind === "crashes" ? "" : ", OOMKilled"}`
        : waiting?.message
          ? `: ${waiting.message}`
          : "";
    const configs = configMapsOf(component);
    const names = configs.map((one) => one.name);
    const setting = why && settingNamed(why.quote, names, component.ref.namespace ?? "", objects);
    const faulty = setting && configs.find((one) => one.name === setting.map);
    const isExhausted = why !== undefined && WATCHES_EXHAUSTED.test(why.quote);
    const seen = `${pod.key}: container ${container}: ${state}${more}`;
    yield fault({
      repair: faulty ?? (isExhausted ? ref("Node", node) : component.ref),
      related: [pod.ref, ...(faulty || isExhausted ? [component.ref] : []), ...configs.filter((one) => one !== faulty)],
      nodes: [node],
      breaks: [capability],
      title,
      evidence: [
        ...(why ? [why] : []),
        ...(setting ? quoteSetting(setting, faulty?.namespace, objects) : []),
        objects.quote("pods", pod.object, seen),
        ...(probed ? [probed.evidence] : []),
        ...(answer ? [answer.evidence] : []),
      ],
      strength: "direct",
      since,
      facts: {
        component: refId(component.ref),
        pod: pod.key,
        container,
        kind,
        node,
        ...(probed && { port: probed.port }),
        ...(why && FILES_DENIED.test(why.quote) && { denied: "true" }),
        ...(isExhausted && { exhausted: "true" }),
      },
    });
  }
  if (healthy && containerStatuses(pod).some(({ status }) => mayCrashAgain(status, time)))
    yield cannotTell(capability, [], say.justStarted());
  else if (healthy) yield works(capability, [quoteOf(objects.origin("pods", pod.object), `${pod.key}: Ready`)]);
}

/** A component of the network does not stay up on a node, or runs without becoming ready. */
export const componentCrashLoop = defineCheck({
  id: "component-crash-loop",
  reads: ["components", "logs", "time", "objects", "sockets"],

  *find(model) {
    for (const component of model.components.all) {
      if (component.workload && !model.objects.isWhole("pods"))
        yield cannotTell({ name: "component.run", component: refId(component.ref) }, [{ kind: "pods" }]);
      for (const pod of component.pods) {
        if (pod.node !== undefined && !pod.terminating && !pod.finished) yield* judgePod(component, pod, model);
      }
    }
  },

  remedies({ repair: named, related, facts }, { components }) {
    const [namespace = "", pod = ""] = String(facts.pod).split("/");
    const { container, kind, node, component } = facts as Record<string, string>;
    const repair = components.all.find((one) => refId(one.ref) === component)?.ref ?? named;
    const verify = rolledOut(repair);
    const describe = { run: sh`kubectl describe -n ${namespace} pod/${pod}` };
    const log = (words: string) => ({ run: `${sh`kubectl logs -n ${namespace} ${pod} -c ${container!}`}${words}` });
    const base = { id: "correct-and-restart", risk: "low", interrupts: say.nothing() } as const;
    if (kind === "noImage") {
      const history = `kubectl rollout history ${kubectlName(repair)}`;
      const back = {
        why: say.backToImage(),
        precondition: say.hadOther(),
        change: { run: `kubectl rollout undo ${kubectlName(repair)}` },
        undo: { run: `kubectl rollout undo ${kubectlName(repair)}` },
        verify,
      };
      const look = { why: say.readEvents(), change: { run: `${describe.run}; ${history}` }, verify };
      return [{ ...base, steps: [look, back], prevent: [say.preventImage()] }];
    }
    if (facts.denied !== undefined) {
      const folders = "/etc/cni/net.d /opt/cni/bin";
      const run = `ls -ldZ ${folders}; getenforce; ausearch -m avc -ts recent | tail -n 3; restorecon -Rv ${folders}`;
      const allow = { why: say.allowFiles(), change: { run, node: node! }, verify };
      return [{ ...base, steps: [allow], prevent: [say.preventTry()] }];
    }
    if (facts.exhausted !== undefined) {
      const run = "sysctl -w fs.inotify.max_user_instances=512 fs.inotify.max_user_watches=524288";
      const undo = { run: "sysctl -w fs.inotify.max_user_instances=128", node: node! };
      const raise = { why: say.moreWatches(), change: { run, node: node! }, undo, verify };
      return [{ ...base, steps: [raise], prevent: [say.preventWatches()] }];
    }
    if (kind === "outOfMemory") {
      const edit = { run: `kubectl edit ${kubectlName(repair)}` };
      const raise = { why: say.moreMemory({ container: container! }), change: edit, undo: edit, verify };
      return [{ ...base, steps: [raise], prevent: [say.preventMemory()] }];
    }
    const look =
      kind === "crashes"
        ? { why: say.readLog(), change: log(" --previous"), verify }
        : kind === "notReady"
          ? { why: say.readProbe(), change: { run: `${describe.run}; ${log(" --tail=20").run}` }, verify }
          : { why: say.readEvents(), change: describe, verify };
    const prevent = [say.preventTry()];
    if (repair.kind === "Pod") {
      const name = pod.endsWith(`-${node}`) ? pod.slice(0, -node!.length - 1) : pod;
      const manifest = `/etc/kubernetes/manifests/${name}.yaml`;
      const edit = { why: say.correctManifest(), change: { run: sh`vi ${manifest}`, node: node! }, verify };
      return [{ ...base, steps: [look, edit], prevent }];
    }
    const config = [named, ...related].find(({ kind: of }) => of === "ConfigMap");
    // a program that runs and listens complains of something else than its configuration
    if (kind === "notReady" && facts.port === undefined) {
      return [{ ...base, steps: [look, { why: say.correctAnswer(), verify }], prevent }];
    }
    const correct = {
      why: config ? say.correctConfig({ config: refId(config) }) : say.correctWorkload(),
      change: { run: `kubectl edit ${kubectlName(config ?? repair)}` },
      undo: { run: `kubectl edit ${kubectlName(config ?? repair)}` },
      verify,
    };
    const restart = { why: say.restart(), change: { do: "restart", component: repair } as const, verify };
    // a workload that is edited makes its Pods anew by itself
    return [{ ...base, steps: [look, correct, ...(config ? [restart] : [])], prevent }];
  },

  manual: {
    title: { en: "A network component crash-loops", zh: "网络组件反复崩溃" },
    page: {
      en: `A Pod of a network component (CNI agent, kube-proxy, CoreDNS, control plane) ends again and again, its init container fails, its image cannot be had, or it runs without becoming ready.

**How it looks.** \`CrashLoopBackOff\`, \`Init:CrashLoopBackOff\`, \`OOMKilled\`, \`ImagePullBackOff\`, or \`0/1 Running\`. What the agent had written into the kernel stays and works on, until something changes or the node restarts. Its last lines usually name the reason, and netwhy quotes the one that does.

**When this is not the cause.** Often it is a link of the chain: an agent without permission, without the API server, or with a broken configuration crash-loops as well. If netwhy finds such a cause, it stands above this one.`,
      zh: `网络组件（CNI 代理、kube-proxy、CoreDNS、控制面）的 Pod 反复退出、init 容器失败、镜像无法拉取，或虽在运行却始终未就绪。

**现象。** \`CrashLoopBackOff\`、\`Init:CrashLoopBackOff\`、\`OOMKilled\`、\`ImagePullBackOff\` 或 \`0/1 Running\`。组件此前写入内核的配置仍然有效，直到发生变更或节点重启。日志最后几行通常说明了原因，netwhy 会引用那一行。

**何时不是它。** 它常常只是链条中的一环：没有权限、连不上 API Server 或配置错误都会让组件崩溃。若 netwhy 找到了这样的原因，它会列在本项之上。`,
    },
  },
});
