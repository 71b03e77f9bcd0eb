import { newestRenewal } from "../../model/leases.ts";
import type { ClusterModel } from "../../model/model.ts";
import { ref } from "../../model/ref.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { defineCheck, fault, warning } from "../check.ts";

type Model = Pick<ClusterModel, "components" | "logs" | "objects" | "time">;

const say = texts("etcd-unresponsive", {
  silent: {
    en: "etcd does not answer the API server (“{words}”): nothing has been written for {seconds} s",
    zh: "etcd 不响应 API Server（“{words}”）：已有 {seconds} 秒没有任何写入",
  },
  slow: {
    en: "etcd answers the API server late (“{words}”, {count} times)",
    zh: "etcd 响应 API Server 过慢（“{words}”，共 {count} 次）",
  },
  members: {
    en: "See which members there are, which of them answer, and whether they have a leader",
    zh: "查看 etcd 有哪些成员、哪些有应答、是否有 leader",
  },
  disk: {
    en: "Bring back members until more than half are there; if all are, look at the disk on which they write (slow fdatasync) and at the network between them",
    zh: "恢复成员直到超过半数在线；若全部在线，检查其写入的磁盘（slow fdatasync）以及成员之间的网络",
  },
  nothing: { en: "Nothing", zh: "无" },
  prevent: {
    en: "Give etcd a disk of its own (99 % of fsyncs below 10 ms), an odd number of members, and alert on etcd_server_has_leader and etcd_server_leader_changes_seen_total",
    zh: "为 etcd 使用独立磁盘（99% 的 fsync 低于 10 ms）和奇数个成员，并对 etcd_server_has_leader 和 etcd_server_leader_changes_seen_total 设置告警",
  },
});

/** What the API server hands on of etcd (etcd api/v3rpc/rpctypes/error.go). */
const REFUSED = /etcdserver: (?:no leader|leader changed|request timed out[^"\\]*)/;
/** What etcd says of itself (etcd server/etcdserver, raft and wal). */
const OWN =
  /lost leader|elected leader .* lost|leader failed to send out heartbeat on time|slow fdatasync|prober detected unhealthy status|failed to reach the peer URL/;
/** Milliseconds: kubelets renew every ten seconds, controllers every two. */
const SILENT = 60_000;
const OFTEN = 5;

/** etcd does not answer the API server: it has no leader, or is too slow. */
export const etcdUnresponsive = defineCheck({
  id: "etcd-unresponsive",
  reads: ["components", "logs", "objects", "time"],

  *find({ components, logs, objects, time }: Model) {
    const refused = logs.saidAnywhere(REFUSED).filter(({ ongoing }) => ongoing);
    const last = refused.at(-1);
    if (!last) return;
    const [first = ref("Pod", "etcd", "kube-system"), ...others] = components.byId("etcd").map((one) => one.ref);
    const write = newestRenewal(objects);
    const age = time.age(write?.at);
    const count = refused.reduce((sum, { entry }) => sum + entry.count, 0);
    const words = REFUSED.exec(last.entry.last.message)?.[0] ?? "";
    const own = logs.saidAnywhere(OWN).filter(({ current }) => current);
    const evidence = [last.evidence, ...own.slice(-2).map((one) => one.evidence), ...(write ? [write.evidence] : [])];
    if (age !== undefined && age >= SILENT) {
      yield fault({
        repair: first,
        related: others,
        breaks: [{ name: "api.write" }],
        title: say.silent({ words, seconds: Math.round(age / 1000) }),
        evidence,
        strength: "direct",
        since: refused.map(({ entry }) => entry.first.at).find((at) => at !== undefined),
      });
    } else if (count >= OFTEN) yield warning(first, say.slow({ words, count }), evidence, others);
  },

  remedies({ repair }) {
    const pki = "/etc/kubernetes/pki/etcd";
    const exec = sh`kubectl exec -n ${repair.namespace ?? "kube-system"} ${repair.name} -- etcdctl`;
    const etcdctl = `${exec} --cacert=${pki}/ca.crt --cert=${pki}/server.crt --key=${pki}/server.key`;
    const verify = { run: `${etcdctl} endpoint health --cluster` };
    const steps = [
      { why: say.members(), change: { run: `${etcdctl} endpoint status --cluster -w table` }, verify },
      { why: say.disk(), verify },
    ];
    return [{ id: "bring-back-members", risk: "none", interrupts: say.nothing(), steps, prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "etcd does not answer the API server", zh: "etcd 不响应 API Server" },
    page: {
      en: `etcd has no leader, or is so slow that the API server gives up waiting. Nothing is written, and what is not in the API server's cache is not read.

**How it looks.** \`kubectl\` hangs and ends with \`etcdserver: request timed out\` or \`etcdserver: no leader\`; lists may still come from the cache. No lease is renewed, so controllers give up theirs and restart, one after the other. Traffic goes on by the rules that are there.

**How it comes about.** More than half of the members are gone or do not reach each other; the disk is slow (etcd logs \`slow fdatasync\`, \`leader failed to send out heartbeat on time\`) or shared with something that writes much.

**When this is not the cause.** Such words appear now and then on every busy cluster: as long as leases are renewed it is a warning at most. \`mvcc: database space exceeded\` is another fault: etcd-space-exceeded.`,
      zh: `etcd 没有 leader，或响应过慢以致 API Server 放弃等待。任何数据都无法写入，API Server 缓存之外的数据也无法读取。

**现象。** \`kubectl\` 卡住并以 \`etcdserver: request timed out\` 或 \`etcdserver: no leader\` 结束；列表可能仍由缓存应答。没有租约能续租，控制器因此放弃租约并相继重启。流量按已有的规则继续转发。

**成因。** 超过半数的成员离线或彼此不通；磁盘过慢（etcd 日志为 \`slow fdatasync\`、\`leader failed to send out heartbeat on time\`），或与大量写入的程序共用磁盘。

**何时不是它。** 繁忙的集群偶尔也会出现这些报错：只要租约仍在续租，最多只是警告。\`mvcc: database space exceeded\` 是另一种故障，见 etcd-space-exceeded。`,
    },
  },
});
