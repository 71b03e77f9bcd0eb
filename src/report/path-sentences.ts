/** What a path comes to, in words: how each way ends, and the verdict over all of them. */
import { formatIp } from "../net/ip.ts";
import { type Text, texts, verbatim } from "../text.ts";
import type { Answer, Walked } from "../trace/answer.ts";
import type { Ends } from "../trace/ends/ends.ts";
import type { EndName, Namespace, Way } from "../trace/trace.ts";
import type { PathInput } from "./build-path.ts";

const say = texts("path", {
  node: { en: "node {node}", zh: "节点 {node}" },
  pod: { en: "Pod {pod} on {node}", zh: "节点 {node} 上的 Pod {pod}" },
  somewhere: { en: "the outside", zh: "集群外部" },

  answered: { en: "it is answered", zh: "得到应答" },
  refused: { en: "nothing listens there, in {where}: {detail}", zh: "{where}中没有进程监听：{detail}" },
  rejected: { en: "a rule of {where} rejects it", zh: "被{where}的规则拒绝" },
  dropped: { en: "a rule of {where} drops it", zh: "被{where}的规则丢弃" },
  denied: { en: "on {where} a policy does not allow it: {detail}", zh: "{where}上的网络策略不允许：{detail}" },
  noRoute: { en: "{where} has {detail}", zh: "{where}上没有路由：{detail}" },
  unreachable: { en: "the next hop does not answer {where}: {detail}", zh: "{where}的下一跳无应答：{detail}" },
  notForwarded: { en: "{where} does not forward packets: {detail}", zh: "{where}不转发报文：{detail}" },
  notAccepted: {
    en: "{where} does not take it from where it comes: {detail}",
    zh: "{where}的源地址校验未通过：{detail}",
  },
  notBridged: { en: "the bridge of {where} does not pass it on: {detail}", zh: "{where}的网桥不转发：{detail}" },
  tooBig: { en: "it is too large for {where}: {detail}", zh: "报文超过{where}的 MTU：{detail}" },
  tableFull: {
    en: "the connection tracking table of {where} is full: {detail}",
    zh: "{where}的连接跟踪表已满：{detail}",
  },
  lost: { en: "{where} sends it to where nobody takes it: {detail}", zh: "{where}把它发往无人接收之处：{detail}" },
  lostIn: { en: "it comes to {where}, which does not have that address", zh: "报文到达{where}，但其并不拥有该地址" },
  deviceDown: { en: "a device of {where} is down or missing: {detail}", zh: "{where}的网卡未启用或不存在：{detail}" },
  leftCluster: {
    en: "it leaves the cluster from {where}, with source {detail}; what happens outside is not recorded",
    zh: "以源地址 {detail} 从{where}离开集群；集群外部的情况没有记录",
  },
  wrongAnswer: {
    en: "the answer is not taken, because it comes from elsewhere than was asked: {detail}",
    zh: "应答来自另一地址，因而不被接受：{detail}",
  },
  loops: { en: "it goes in circles at {where}", zh: "在{where}形成环路" },
  insufficient: { en: "the evidence does not tell what {where} does with it", zh: "证据不足以判断{where}如何处理它" },
  insufficientWhy: {
    en: "the evidence does not tell what {where} does with it: {detail}",
    zh: "证据不足以判断{where}如何处理它：{detail}",
  },
  onTheWayBack: { en: "on the way back, {what}", zh: "应答返回途中，{what}" },

  programs: { en: "eBPF programs of Cilium decide", zh: "由 Cilium 的 eBPF 程序决定" },
  ciliumFirewall: { en: "Cilium's host firewall decides", zh: "由 Cilium 的主机防火墙决定" },
  ciliumNodePorts: {
    en: "Cilium serves the node port in place of kube-proxy, before any rule of the node",
    zh: "该 NodePort 由 Cilium 代替 kube-proxy 处理，先于节点的任何规则",
  },
  ciliumMasquerading: {
    en: "Cilium may give the node's address to what Pods send to nodes",
    zh: "Cilium 可能对 Pod 发往节点的报文做源地址转换",
  },
  ciliumEncryption: {
    en: "Cilium encrypts what it sends between nodes, and how that goes is not recorded",
    zh: "Cilium 对节点间流量加密，其过程没有记录",
  },
  ciliumPodUnknown: { en: "Cilium's agent does not know the Pod", zh: "Cilium agent 不认识该 Pod" },
  senderKey: { en: "the sender's public key is not recorded", zh: "未记录发送端的公钥" },
  unknownTarget: { en: "a rule has a target that is not understood", zh: "某条规则的目标无法识别" },
  missingChain: { en: "a rule jumps to a chain that is not there", zh: "某条规则跳转到不存在的链" },
  ruleLoop: {
    en: "its rules lead round in a circle or too deep, which no kernel loads: the listing is not what the kernel has",
    zh: "规则之间形成环路或嵌套过深，而内核不会加载这样的规则：该列表与内核中的规则不符",
  },
  cutOff: { en: "the rules are cut off", zh: "规则内容被截断" },
  tooMany: { en: "there are more possibilities than are followed", zh: "可能性过多，未全部检查" },

  reaches: { en: "{from} reaches {to}", zh: "{from} 可以访问 {to}" },
  reachesAll: {
    en: "{from} reaches {to}: all {count} back ends answer",
    zh: "{from} 可以访问 {to}：{count} 个后端均应答",
  },
  fails: { en: "{from} does not reach {to}: {why}", zh: "{from} 无法访问 {to}：{why}" },
  failsAll: {
    en: "{from} does not reach {to}: {why}; so with all {count} back ends",
    zh: "{from} 无法访问 {to}：{why}；{count} 个后端均如此",
  },
  sometimes: {
    en: "{from} does not always reach {to}: {failed} of {count} back ends {failed:fails|fail}: {why}",
    zh: "{from} 访问 {to} 时通时断：{count} 个后端中有 {failed} 个失败：{why}",
  },
  sometimesVia: {
    en: "{from} does not always reach {to}: {failed} of {count} ways through the nodes {failed:fails|fail}: {why}",
    zh: "{from} 访问 {to} 时通时断：经由各节点的 {count} 条路径中有 {failed} 条失败：{why}",
  },
  sometimesOne: { en: "{from} does not always reach {to}: {why}", zh: "{from} 访问 {to} 时通时断：{why}" },
  leaves: { en: "what {from} sends to {to} goes outside: {why}", zh: "{from} 发往 {to} 的报文去往集群外部：{why}" },
  unclear: { en: "it cannot be told whether {from} reaches {to}: {why}", zh: "无法判断 {from} 能否访问 {to}：{why}" },
  undecided: {
    en: "what becomes of the packet at `{rule}` ({place}) is not known; if nothing does, {why}",
    zh: "报文在 `{rule}`（{place}）处的结果未知；若该处不作处理，则{why}",
  },

  queriesFail: { en: "its DNS queries for {name} fail: {why}", zh: "其对 {name} 的 DNS 查询失败：{why}" },
  unresolved: { en: "it cannot resolve {name}: {why}", zh: "无法解析 {name}：{why}" },
  sometimesUnresolved: { en: "resolving {name} fails sometimes: {why}", zh: "解析 {name} 时而失败：{why}" },
  cannotTellDns: { en: "whether it can resolve {name} cannot be told: {why}", zh: "无法判断能否解析 {name}：{why}" },
  nxdomain: { en: "there is no such name (NXDOMAIN)", zh: "名称不存在（NXDOMAIN）" },
  noData: { en: "the name has no address of this family", zh: "该名称没有此协议族的地址" },
  dnsRefused: { en: "no server answers for it (REFUSED)", zh: "没有服务器负责该名称（REFUSED）" },
  dnsOutside: {
    en: "only servers outside ({servers}) know the address of {name}; give an address instead of the name",
    zh: "{name} 的地址只有外部服务器（{servers}）知道；可改用 IP 地址",
  },
  dnsUnknown: { en: "how it resolves names is not recorded", zh: "没有记录其域名解析配置" },
  dnsUnknownWhy: { en: "{detail} is not understood", zh: "无法理解 {detail}" },
  nowhere: { en: "there is no address to send to", zh: "没有可发往的地址" },
  shouldReach: {
    en: "{from} should reach {to} by all that is recorded, yet {count} {count:test of it fails|tests of it fail}: something else takes the packets, as the network between the nodes could",
    zh: "按现有证据 {from} 应能访问 {to}，但有 {count} 项探测失败：报文另有去向，例如丢失在节点之间的网络中",
  },
  shouldFail: {
    en: "{from} should not reach {to}, yet {count} {count:test of it succeeds|tests of it succeed}; by what is recorded, {why}",
    zh: "按现有证据 {from} 应无法访问 {to}，但有 {count} 项探测成功；据记录，{why}",
  },
});

/** What the walk says in its own words, in the reader's. */
const REASONS: Readonly<Record<string, Text>> = {
  "eBPF programs of Cilium": say.programs(),
  "Cilium's host firewall": say.ciliumFirewall(),
  "Cilium's node ports": say.ciliumNodePorts(),
  "Cilium's masquerading of what Pods send to nodes": say.ciliumMasquerading(),
  "Cilium's encryption": say.ciliumEncryption(),
  "a Pod that Cilium's agent does not know": say.ciliumPodUnknown(),
  "the sender's public key": say.senderKey(),
  "unknown-target": say.unknownTarget(),
  "missing-chain": say.missingChain(),
  "cut-off": say.cutOff(),
  loop: say.ruleLoop(),
  "too-many": say.tooMany(),
  "more ways than are followed": say.tooMany(),
};

type Where = { readonly where: Text; readonly detail: Text };

const SENTENCES: Readonly<Record<EndName, (args: Where) => Text>> = {
  answered: () => say.answered(),
  refused: say.refused,
  rejected: ({ where }) => say.rejected({ where }),
  dropped: ({ where }) => say.dropped({ where }),
  denied: say.denied,
  "no-route": say.noRoute,
  unreachable: say.unreachable,
  "not-forwarded": say.notForwarded,
  "not-accepted": say.notAccepted,
  "not-bridged": say.notBridged,
  "too-big": say.tooBig,
  "table-full": say.tableFull,
  lost: (args) => (args.detail.en === "" ? say.lostIn({ where: args.where }) : say.lost(args)),
  "device-down": say.deviceDown,
  "left-cluster": say.leftCluster,
  "wrong-answer": ({ detail }) => say.wrongAnswer({ detail }),
  loops: ({ where }) => say.loops({ where }),
  insufficient: (args) => (args.detail.en === "" ? say.insufficient({ where: args.where }) : say.insufficientWhy(args)),
};

const whereOf = (at: Namespace | undefined): Text => {
  if (!at) return say.somewhere();
  return at.pod ? say.pod({ pod: at.pod.key, node: at.node }) : say.node({ node: at.node });
};

/** The source that a packet has in the end. */
function sourceOf({ steps }: Way): string {
  const last = steps.findLast((step) => "packet" in step);
  return last && "packet" in last && last.packet.source !== "unknown" ? formatIp(last.packet.source) : "?";
}

export function sentenceOf(way: Way): Text {
  const { end, answer } = way;
  const { because, evidence } = end;
  const detail = because === undefined ? verbatim(evidence[0]?.quote ?? "") : (REASONS[because] ?? verbatim(because));
  const isVague = end.is === "insufficient" && because === undefined;
  const told = end.is === "left-cluster" ? verbatim(sourceOf(way)) : isVague ? verbatim("") : detail;
  const what = SENTENCES[end.is]({ where: whereOf(end.at), detail: told });
  return answer !== undefined && !isToldOfQuestion(end) ? say.onTheWayBack({ what }) : what;
}

/** The answer came, whatever it says: a refusal is one as well, and tells what became of the question. */
const isToldOfQuestion = ({ is, with: how }: Way["end"]): boolean =>
  is === "answered" || is === "wrong-answer" || is === "refused" || (is === "rejected" && how !== undefined);

function whyUnresolved({ queries, result }: NonNullable<Answer["resolution"]>["lookup"]): Text {
  switch (result.is) {
    case "outside":
      return say.dnsOutside({ servers: result.servers, name: queries.at(-1)?.name ?? "" });
    case "unknown":
      return result.because === undefined ? say.dnsUnknown() : say.dnsUnknownWhy({ detail: result.because });
    case "no-data":
      return say.noData();
    case "refused":
      return say.dnsRefused();
    default:
      return say.nxdomain();
  }
}

/** What a person calls the two ends. */
function namesOf(
  { from, to, protocol, port }: Ends,
  { service }: Answer,
  typed: PathInput["typed"],
): { from: string; to: string } {
  const sender = "outside" in from ? typed.from : (from.pod?.key ?? from.node);
  const name =
    to.is === "pod"
      ? to.pod.key
      : to.is === "node"
        ? to.node
        : service
          ? `${service.namespace}/${service.name}`
          : goalName(to);
  return { from: sender, to: port === undefined ? `${name} (${protocol})` : `${name}:${port}/${protocol}` };
}

const goalName = (to: Ends["to"]): string =>
  to.is === "address" ? formatIp(to.address) : to.is === "name" ? to.name : "";

/** The way that tells why, of all back ends. */
const worstOf = ({ backEnds }: Walked): Way | undefined => backEnds[0]?.ways[0];

/** Of a way that is guessed it is said first what leaves it open. */
function whyGuessed(way: Way): Text {
  const [doubted] = way.doubts ?? [];
  const why = sentenceOf(way);
  if (way.certainty !== "guessed" || way.end.is === "insufficient" || !doubted) return why;
  const { origin, quote } = doubted;
  return say.undecided({
    rule: quote,
    place: origin.line === undefined ? origin.path : `${origin.path}:${origin.line}`,
    why,
  });
}

function whyOf(answer: Answer): Text {
  const { resolution, walked, addresses } = answer;
  const asked = resolution?.walked;
  const name = resolution?.lookup.name ?? "";
  const worst = asked && worstOf(asked);
  if (worst && asked.result === "failed") return say.queriesFail({ name, why: sentenceOf(worst) });
  const isResolved = addresses.length > 0;
  if (resolution && !isResolved) {
    const { result } = resolution.lookup;
    const reason = whyUnresolved(resolution.lookup);
    return result.is === "outside" ? reason : say.unresolved({ name, why: reason });
  }
  const own = worstOf(walked);
  if (walked.result !== "answered" && own) return walked.result === "unclear" ? whyGuessed(own) : sentenceOf(own);
  if (worst && asked.result === "sometimes") return say.sometimesUnresolved({ name, why: sentenceOf(worst) });
  if (worst && asked.result !== "answered") return say.cannotTellDns({ name, why: sentenceOf(worst) });
  return answer.notes[0] ?? say.nowhere();
}

export function summaryOf(answer: Answer, typed: PathInput["typed"]): Text {
  const { walked, result, ends } = answer;
  const names = namesOf(ends, answer, typed);
  const count = walked.backEnds.length;
  const why = whyOf(answer);
  const contrary = answer.contradicting.length;
  if (contrary > 0) {
    return walked.result === "failed"
      ? say.shouldFail({ ...names, count: contrary, why })
      : say.shouldReach({ ...names, count: contrary });
  }
  switch (result) {
    case "answered":
      return count > 1 ? say.reachesAll({ ...names, count }) : say.reaches(names);
    case "failed": {
      const isShared = count > 1 && new Set(walked.backEnds.map(({ ways }) => ways[0]?.end.is)).size === 1;
      return isShared && walked.result === "failed" && answer.resolution?.walked?.result !== "failed"
        ? say.failsAll({ ...names, why, count })
        : say.fails({ ...names, why });
    }
    case "sometimes": {
      const failed = walked.backEnds.filter((one) => one.result === "failed").length;
      if (failed === 0 || failed === count) return say.sometimesOne({ ...names, why });
      const isVia = walked.backEnds.some(({ via }) => via !== undefined);
      return isVia
        ? say.sometimesVia({ ...names, failed, count, why })
        : say.sometimes({ ...names, failed, count, why });
    }
    case "left":
      return say.leaves({ ...names, why });
    case "unclear":
      return say.unclear({ ...names, why });
  }
}
