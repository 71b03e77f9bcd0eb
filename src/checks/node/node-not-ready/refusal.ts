/**
 * Why the API server does not let a kubelet in, as the kubelet's own log tells. It shows a client certificate: its subject is
 * `system:node:NAME` of the group system:nodes, for which the Node authorizer allows what a kubelet needs.
 *
 * Messages: kubelet pkg/kubelet/certificate/bootstrap (expired), client-go (Unauthorized), apiserver
 * pkg/endpoints/handlers/responsewriters/errors.go (forbidden).
 */
import type { Evidence } from "../../../evidence/origin.ts";
import type { ClusterModel } from "../../../model/model.ts";
import { sh } from "../../../shell.ts";
import { type Text, texts } from "../../../text.ts";
import type { Step } from "../../remedy.ts";

const say = texts("node-not-ready/refusal", {
  expired: {
    en: "Node {node} has stopped reporting: the client certificate of its kubelet has expired, and the API server does not let it in",
    zh: "节点 {node} 已停止上报状态：kubelet 的客户端证书已过期，无法登录 API Server",
  },
  unauthorized: {
    en: "Node {node} has stopped reporting: the API server does not accept the client certificate of its kubelet (401): it has expired, or another CA has signed it",
    zh: "节点 {node} 已停止上报状态：API Server 不接受其 kubelet 的客户端证书（401）：证书已过期，或由其他 CA 签发",
  },
  nobody: {
    en: "Node {node} has stopped reporting: its kubelet shows the API server no client certificate, and is refused as {user} (403)",
    zh: "节点 {node} 已停止上报状态：其 kubelet 没有出示客户端证书，以 {user} 身份被拒绝（403）",
  },
  other: {
    en: "Node {node} has stopped reporting: its kubelet logs in as {user} and not as system:node:{node}, and is refused (403)",
    zh: "节点 {node} 已停止上报状态：其 kubelet 以 {user} 而非 system:node:{node} 的身份登录，被拒绝（403）",
  },
  group: {
    en: "Node {node} has stopped reporting: the API server refuses {user} (403): its certificate is not of the group system:nodes, or kube-apiserver runs without the Node authorizer",
    zh: "节点 {node} 已停止上报状态：API Server 拒绝 {user}（403）：其证书不属于 system:nodes 组，或 kube-apiserver 没有启用 Node 授权器",
  },
  look: {
    en: "See whose certificate it is, and until when: subject O = system:nodes, CN = system:node:{node}, issuer the cluster's CA",
    zh: "查看证书的主体、签发者和有效期：应为 O = system:nodes、CN = system:node:{node}，由集群 CA 签发",
  },
  issue: {
    en: "On a control-plane node, make a kubeconfig with a certificate of a year; elsewhere, as the node was joined",
    zh: "在控制面节点上签发一份有效期一年的 kubeconfig；非 kubeadm 集群按节点加入时的方式重新签发",
  },
  place: {
    en: "Copy it to the node as /etc/kubernetes/kubelet.conf, and start the kubelet without its old certificates: it asks for new ones",
    zh: "将其复制到该节点的 /etc/kubernetes/kubelet.conf，移走旧证书后启动 kubelet，由它重新申请证书",
  },
});

const EXPIRED = /[Pp]art of the existing bootstrap client certificate (?:in \S+ )?is expired/;
/** Not what CNI plugins and registries are told, which stands in the same log. */
const UNAUTHORIZED =
  /(?:failed to list \*v1\.\w+|error getting node \\*"[^"\\]+\\*"|[Ff]ailed to ensure lease exists.*|Unable to register node.*): \\*"?Unauthorized|err="Unauthorized"|the server has asked for the client to provide credentials/;
const FORBIDDEN =
  /(?:nodes|leases\.coordination\.k8s\.io) \\*"[^"\\]+\\*" is forbidden: User \\*"((?!system:serviceaccount:)[^"\\]+)\\*" cannot/;

type Refusal = {
  readonly says: Text;
  readonly evidence: Evidence;
  /** It may be that its certificate has run out, and was not renewed. */
  readonly isOld: boolean;
};

/** What the kubelet of a node was told last, if it is told so still. */
export function refusalOf(node: string, { logs }: Pick<ClusterModel, "logs">): Refusal | undefined {
  const last = (pattern: RegExp) => logs.kubeletSaid(node, pattern).findLast(({ current }) => current);
  const expired = last(EXPIRED);
  if (expired) return { says: say.expired({ node }), evidence: expired.evidence, isOld: true };
  const unauthorized = last(UNAUTHORIZED);
  if (unauthorized) return { says: say.unauthorized({ node }), evidence: unauthorized.evidence, isOld: true };
  const forbidden = last(FORBIDDEN);
  const user = FORBIDDEN.exec(forbidden?.entry.last.message ?? "")?.[1];
  if (!forbidden || user === undefined) return undefined;
  const isNobody = user === "system:anonymous";
  const says = isNobody ? say.nobody : user === `system:node:${node}` ? say.group : say.other;
  return { says: says({ node, user }), evidence: forbidden.evidence, isOld: false };
}

/** Gives a kubelet a certificate again (kubeadm's page on kubelet client certificates that fail to rotate). */
export function certificateSteps(node: string, verify: Step["verify"]): Step[] {
  const subject = "openssl x509 -noout -subject -issuer -enddate -in /var/lib/kubelet/pki/kubelet-client-current.pem";
  const issue = sh`kubeadm kubeconfig user --org system:nodes --client-name ${`system:node:${node}`}`;
  const start =
    "mkdir -p /root/kubelet-old && mv /var/lib/kubelet/pki/kubelet-client* /root/kubelet-old/; systemctl restart kubelet";
  return [
    { why: say.look({ node }), change: { run: subject, node }, verify },
    { why: say.issue(), change: { run: `${issue} > kubelet.conf` }, verify: { run: "grep server: kubelet.conf" } },
    { why: say.place(), change: { run: start, node }, verify },
  ];
}
