import { newestRenewal } from "../../model/leases.ts";
import type { Saying } from "../../model/logs.ts";
import type { ClusterModel } from "../../model/model.ts";
import { ref } from "../../model/ref.ts";
import { timeOf } from "../../model/time.ts";
import { type Command, sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, fault, past, works } from "../check.ts";

type Model = Pick<ClusterModel, "components" | "nodes" | "logs" | "objects" | "time">;

const say = texts("etcd-space-exceeded", {
  full: {
    en: "etcd's database has reached its quota (alarm NOSPACE): the API server can read and delete, and writes nothing",
    zh: "etcd 数据库已达到配额（NOSPACE 告警）：API Server 只能读取和删除，无法写入",
  },
  wasFull: {
    en: "etcd's database had reached its quota; it takes writes again",
    zh: "etcd 数据库曾达到配额，现已恢复写入",
  },
  look: {
    en: "See how large the database is and which kind of object fills it; deleting such objects still works",
    zh: "查看数据库大小以及哪类对象占用最多；此时仍可删除对象",
  },
  compact: {
    en: "Let etcd forget old revisions",
    zh: "压缩 etcd 的历史版本",
  },
  defragment: {
    en: "Give the space back: one member after the other, as each stands still meanwhile",
    zh: "回收空间：逐个成员进行，因为整理期间该成员会停顿",
  },
  disarm: {
    en: "Take the alarm away: it stays until somebody does",
    zh: "解除告警：告警不会自动消失",
  },
  interrupts: {
    en: "The API for some seconds while a member is defragmented",
    zh: "整理碎片期间 API 中断数秒",
  },
  cannotUndo: { en: "not possible, and not needed", zh: "无法撤销，也无需撤销" },
  preventAlert: {
    en: "Alert on etcd_mvcc_db_total_size_in_bytes above 80 % of etcd_server_quota_backend_bytes, and on apiserver_storage_objects of one kind that keeps growing",
    zh: "对 etcd_mvcc_db_total_size_in_bytes 超过 etcd_server_quota_backend_bytes 的 80% 设置告警，并监控 apiserver_storage_objects 中持续增长的对象类型",
  },
  preventQuota: {
    en: "Set --quota-backend-bytes to 8 GiB (the default is 2), and defragment regularly",
    zh: "将 --quota-backend-bytes 设为 8 GiB（默认 2 GiB），并定期整理碎片",
  },
});

/** etcd api/v3rpc/rpctypes/error.go, ErrNoSpace; the API server hands it on as it is. */
const REFUSED = /mvcc: database space exceeded/;
/** etcd server/etcdserver/apply.go, once each. */
const ALARM = /"alarm (raised|disarmed)","alarm":"NOSPACE"/;

/** Kubelets renew every ten seconds, controllers every two. */
const SILENT = 60_000;

const newestOf = (sayings: readonly Saying[]): Saying | undefined =>
  sayings.reduce<Saying | undefined>(
    (newest, one) => ((timeOf(one.entry.last.at) ?? 0) >= (timeOf(newest?.entry.last.at) ?? 0) ? one : newest),
    undefined,
  );

/** etcd has run out of space: nothing can be written. */
export const etcdSpaceExceeded = defineCheck({
  id: "etcd-space-exceeded",
  reads: ["components", "nodes", "logs", "objects", "time"],

  *find({ components, nodes, logs, objects, time }: Model) {
    const capability = { name: "api.write" } as const;
    const etcd = components.byId("etcd").map((component) => component.ref);
    const [first = ref("Pod", "etcd", "kube-system"), ...others] = etcd;
    const refused = [
      ...logs.saidAnywhere(REFUSED),
      ...nodes.all.flatMap(({ name }) => logs.kubeletSaid(name, REFUSED)),
    ];
    const alarm = newestOf(logs.saidAnywhere(ALARM));
    const isRaised = alarm !== undefined && /raised/.test(alarm.entry.last.message);
    const last = newestOf(refused);
    const write = newestRenewal(objects);
    const age = time.age(write?.at);
    const refusedAt = timeOf(last?.entry.last.at) ?? 0;
    const disarmedAt = alarm && !isRaised ? (timeOf(alarm.entry.last.at) ?? 0) : 0;
    const isOver = Math.max(write?.when ?? 0, disarmedAt) > refusedAt;
    const evidence = [
      ...(last ? [last.evidence] : []),
      ...(alarm ? [alarm.evidence] : []),
      ...(write ? [write.evidence] : []),
    ];
    if (last && isOver) yield past(first, say.wasFull(), evidence);
    if (last && !isOver && (last.current || isRaised)) {
      yield fault({
        repair: first,
        related: others,
        breaks: [capability],
        title: say.full(),
        evidence,
        strength: "direct",
        since: alarm && isRaised ? alarm.entry.first.at : last.entry.first.at,
      });
    } else if (write && age !== undefined && age < SILENT) yield works(capability, [write.evidence], write.at);
    else yield cannotTell(capability, [{ kind: write ? "containerLog" : "leases" }]);
  },

  remedies({ repair, related }) {
    const members = [repair, ...related];
    const pki = "/etc/kubernetes/pki/etcd";
    const etcdctl = ({ name, namespace = "kube-system" }: typeof repair) =>
      `${sh`kubectl exec -n ${namespace} ${name} -- etcdctl`} --cacert=${pki}/ca.crt --cert=${pki}/server.crt --key=${pki}/server.key`;
    const on = (member: typeof repair, words: string): Command => ({ run: `${etcdctl(member)} ${words}` });
    const verify = on(repair, "alarm list");
    const revision = `$(${etcdctl(repair)} endpoint status -w json | sed 's/.*"revision":\\([0-9]*\\).*/\\1/')`;
    const status = `${etcdctl(repair)} endpoint status -w table`;
    const objects = "kubectl get --raw /metrics | grep '^apiserver_storage_objects' | sort -t' ' -k2 -g | tail";
    return [
      {
        id: "compact-and-defragment",
        risk: "medium",
        interrupts: say.interrupts(),
        steps: [
          { why: say.look(), change: { run: `${status}; ${objects}` }, verify },
          { why: say.compact(), change: on(repair, `compact ${revision}`), undo: say.cannotUndo(), verify },
          ...members.map((member) => ({
            why: say.defragment(),
            change: on(member, "defrag --command-timeout=60s"),
            undo: say.cannotUndo(),
            verify: on(member, "endpoint status -w table"),
          })),
          { why: say.disarm(), change: on(repair, "alarm disarm"), undo: say.cannotUndo(), verify },
        ],
        prevent: [say.preventAlert(), say.preventQuota()],
      },
    ];
  },

  manual: {
    title: { en: "etcd has run out of space", zh: "etcd 空间已满" },
    page: {
      en: `etcd's database has grown to its quota (\`--quota-backend-bytes\`, 2 GiB if not said). It raises the alarm NOSPACE and refuses every write until somebody makes room and takes the alarm away. Reads, watches and deletes go on.

**How it looks.** \`kubectl get\` answers and shows a cluster in which all is well, as it was; \`/readyz\` and componentstatuses say ok. Each write ends with \`etcdserver: mvcc: database space exceeded\`. No lease is renewed: kube-controller-manager and kube-scheduler give up after ten seconds (\`leaderelection lost\`) and crash-loop, so nodes still count as ready and nobody replaces Pods or EndpointSlices; not even Events are kept. Traffic goes on by the rules that are there. Agents that write when they start (flannel, Calico, Cilium) fail at their next restart. (Seen so with etcd v3.5.35 under Kubernetes v1.33: etcd says \`"alarm raised","alarm":"NOSPACE"\` once, and \`alarm disarmed\` when it is over.)

**How it comes about.** A controller or a job that writes large or many objects (Events, Secrets of Helm, reports of scanners), compaction that does not run, or a database that was never defragmented.

**When this is not the cause.** The words in a log are of the past where a lease was renewed after them, or etcd has said that the alarm is gone.`,
      zh: `etcd 数据库增长到配额（\`--quota-backend-bytes\`，默认 2 GiB）。etcd 触发 NOSPACE 告警并拒绝一切写入，直到有人腾出空间并解除告警；读取、监听和删除不受影响。

**现象。** \`kubectl get\` 有应答，显示的是此前一切正常的集群；\`/readyz\` 和 componentstatuses 均为正常。每次写入都以 \`etcdserver: mvcc: database space exceeded\` 失败。没有任何租约能续租：kube-controller-manager 和 kube-scheduler 十秒后放弃（\`leaderelection lost\`）并反复崩溃，因此节点仍显示就绪，却没有人替换 Pod 或更新 EndpointSlice，连 Event 也无法保存。流量按已有的规则继续转发。启动时需要写入的组件（flannel、Calico、Cilium）下次重启会失败。（在 Kubernetes v1.33 与 etcd v3.5.35 上实测：etcd 只输出一次 \`"alarm raised","alarm":"NOSPACE"\`，解除时输出 \`alarm disarmed\`。）

**成因。** 某个控制器或任务写入大量或很大的对象（Event、Helm 的 Secret、扫描报告），未执行压缩，或从未整理过碎片。

**何时不是它。** 若此后有租约续租成功，或 etcd 已输出告警解除，日志中的报错就是过去的事。`,
    },
  },
});
