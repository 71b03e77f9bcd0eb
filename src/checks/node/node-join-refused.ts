import { flag } from "../../model/components/flags.ts";
import type { ClusterModel } from "../../model/model.ts";
import { ref, refId } from "../../model/ref.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, type Finding, fault, warning } from "../check.ts";
import type { Step } from "../remedy.ts";

type Model = Pick<ClusterModel, "nodes" | "logs" | "objects" | "rbac" | "components">;

const say = texts("node-join-refused", {
  token: {
    en: "Node {node} cannot join: the API server does not accept the bootstrap token of its kubelet (401): it has expired (kubeadm's count for 24 hours), was deleted, or is of another cluster",
    zh: "节点 {node} 无法加入集群：API Server 不接受其 kubelet 的 bootstrap token（401）：已过期（kubeadm 默认 24 小时）、已删除，或属于其他集群",
  },
  tokenUnlisted: {
    en: "Node {node} cannot join: the API server does not accept the bootstrap token of its kubelet (401), and ConfigMap kube-public/cluster-info is signed by none: all tokens have expired (kubeadm's count for 24 hours) or were deleted",
    zh: "节点 {node} 无法加入集群：API Server 不接受其 kubelet 的 bootstrap token（401）；ConfigMap kube-public/cluster-info 中没有任何 token 的签名：所有 token 均已过期（kubeadm 默认 24 小时）或被删除",
  },
  unbound: {
    en: "Nodes cannot join: {binding} lets nobody with a bootstrap token ask for a certificate, and node {node} is refused as {user} (403)",
    zh: "新节点无法加入集群：{binding} 缺失或不再授权，持有 bootstrap token 者不能申请证书，节点 {node} 以 {user} 身份被拒绝（403）",
  },
  forbidden: {
    en: "Node {node} cannot join: {user} may not ask for a certificate (403); its token is not of a group that is allowed to",
    zh: "节点 {node} 无法加入集群：{user} 无权申请证书（403），其 token 不属于获得授权的组",
  },
  noInformation: {
    en: "Nodes cannot join by a bootstrap token: ConfigMap kube-public/cluster-info does not exist, which tells them of the API server and its authority",
    zh: "新节点无法凭 bootstrap token 加入：ConfigMap kube-public/cluster-info 不存在，新节点据此获知 API Server 地址和 CA",
  },
  unsigned: {
    en: "Nodes cannot join by new bootstrap tokens: kube-controller-manager runs without its {controllers} (--controllers={value}), which {count:is|are} off unless named",
    zh: "新节点无法凭新的 bootstrap token 加入：kube-controller-manager 未启用 {controllers}（--controllers={value}），这类控制器须显式列出才会启用",
  },
  makeToken: {
    en: "On a control-plane node, make a new token; it prints the command to join with",
    zh: "在控制面节点上创建新的 token，命令会输出加入集群的完整命令",
  },
  joinAgain: {
    en: "On the node, take back the attempt, then run what was printed",
    zh: "在该节点上清除上次的尝试，然后执行输出的加入命令",
  },
  bind: {
    en: "Let those who show a bootstrap token ask for certificates again, as kubeadm does",
    zh: "按 kubeadm 的方式重新授权持有 bootstrap token 者申请证书",
  },
  groups: {
    en: "See of which groups the token is (auth-extra-groups): kubeadm's are of system:bootstrappers:kubeadm:default-node-token",
    zh: "查看该 token 所属的组（auth-extra-groups）：kubeadm 的 token 属于 system:bootstrappers:kubeadm:default-node-token",
  },
  nothing: { en: "Nothing", zh: "无" },
  prevent: {
    en: "Make a token right before each node joins (`kubeadm token create --print-join-command`), and keep kubeadm's bindings out of clean-ups",
    zh: "每次加入节点前现场创建 token（`kubeadm token create --print-join-command`），清理时不要删除 kubeadm 的绑定",
  },
});

/** What a kubelet without a certificate of its own says when it may not ask for one (client-go certificate/csr, cmd/kubelet). */
const REFUSED = /cannot create certificate signing request: (.*)/;
const UNAUTHORIZED = /^\\*"?Unauthorized/;
const FORBIDDEN = /is forbidden: User \\*"([^"\\]+)\\*" cannot create/;

const BINDING = ref("ClusterRoleBinding", "kubeadm:kubelet-bootstrap");
const INFORMATION = ref("ConfigMap", "cluster-info", "kube-public");
const JOINING = "system:bootstrappers:kubeadm:default-node-token";

/** A key of cluster-info for each token that counts and may sign it (cmd/kubeadm, pkg/controller/bootstrap). */
const SIGNATURE = "jws-kubeconfig-";

/** By their names since 1.28, and before: these two are off unless they are named (cmd/kube-controller-manager/app, ControllersDisabledByDefault). */
const CONTROLLERS = [
  ["bootstrap-signer-controller", "bootstrapsigner"],
  ["token-cleaner-controller", "tokencleaner"],
] as const;

function* refused(node: string, { logs, objects, rbac, nodes }: Model): Iterable<Finding> {
  const last = logs.kubeletSaid(node, REFUSED).findLast(({ current }) => current);
  const [, answer = ""] = REFUSED.exec(last?.entry.last.message ?? "") ?? [];
  const [, user] = FORBIDDEN.exec(answer) ?? [];
  if (!last || (user === undefined && !UNAUTHORIZED.test(answer))) {
    if (!nodes.whole) yield cannotTell({ name: "node.join", node }, [{ kind: "nodes" }]);
    return;
  }
  const common = { nodes: [node], breaks: [{ name: "node.join", node } as const], since: last.entry.first.at };
  const self = ref("Node", node);
  if (user === undefined) {
    const found = objects.find("configmaps", INFORMATION.name, INFORMATION.namespace);
    const keys = found.state === "present" ? Object.keys(found.value.data ?? {}) : [];
    const isUnlisted = found.state === "present" && !keys.some((key) => key.startsWith(SIGNATURE));
    const listed = isUnlisted
      ? [objects.quote("configmaps", found.value, `ConfigMap cluster-info: ${keys.join(", ")}`)]
      : [];
    yield fault({
      ...common,
      repair: self,
      related: [INFORMATION],
      title: isUnlisted ? say.tokenUnlisted({ node }) : say.token({ node }),
      evidence: [last.evidence, ...listed],
      strength: "heard",
      facts: { case: "token" },
    });
    return;
  }
  const groups = ["system:bootstrappers", JOINING, "system:authenticated"];
  const want = { verb: "create", apiGroup: "certificates.k8s.io", resource: "certificatesigningrequests" };
  const isUnbound = rbac.userAccess({ name: user, groups }, want).state === "denied";
  const bound = objects.find("clusterrolebindings", BINDING.name);
  const evidence =
    isUnbound && bound.state === "absent" ? [objects.quoteAbsence("clusterrolebindings", `no ${refId(BINDING)}`)] : [];
  yield fault({
    ...common,
    repair: isUnbound ? BINDING : self,
    related: isUnbound ? [self] : [BINDING],
    title: isUnbound ? say.unbound({ binding: refId(BINDING), node, user }) : say.forbidden({ node, user }),
    evidence: [...evidence, last.evidence],
    strength: evidence.length > 0 ? "direct" : "heard",
    facts: { case: isUnbound ? "unbound" : "groups" },
  });
}

/** A node asks to be let into the cluster, and is refused before it has a certificate. */
export const nodeJoinRefused = defineCheck({
  id: "node-join-refused",
  reads: ["nodes", "logs", "objects", "rbac", "components"],

  *find(model: Model) {
    const { nodes, objects, components } = model;
    // a node that has an object has joined
    for (const { name, object } of nodes.all) if (!object) yield* refused(name, model);
    const config = objects.find("configmaps", "kubeadm-config", "kube-system");
    if (config.state !== "present") return;
    if (objects.find("configmaps", INFORMATION.name, INFORMATION.namespace).state === "absent")
      yield warning(INFORMATION, say.noInformation(), [
        objects.quoteAbsence("configmaps", "no ConfigMap kube-public/cluster-info"),
      ]);
    for (const { value, source, evidence } of flag(components, "kube-controller-manager", "controllers")) {
      const words = value.split(",").map((word) => word.trim());
      const off = CONTROLLERS.filter((names) => !names.some((name) => words.includes(name))).map(([name]) => name);
      if (off.length > 0)
        yield warning(source, say.unsigned({ controllers: off, value, count: off.length }), [evidence]);
    }
  },

  remedies({ nodes: [node = ""], facts }) {
    const verify = { run: sh`kubectl get node ${node}` };
    const join: Step[] = [
      {
        why: say.makeToken(),
        change: { run: "kubeadm token create --print-join-command" },
        verify: { run: "kubeadm token list" },
      },
      { why: say.joinAgain(), change: { run: "kubeadm reset -f", node }, verify },
    ];
    const bind: Step = {
      why: say.bind(),
      change: { run: `netwhy rbac recover ${sh`clusterrolebinding/${BINDING.name}`} | kubectl apply -f -` },
      undo: { do: "delete", target: BINDING },
      verify,
    };
    const look: Step = { why: say.groups(), change: { run: "kubeadm token list" }, verify };
    const steps = facts.case === "unbound" ? [bind] : facts.case === "groups" ? [look, ...join] : join;
    return [{ id: "let-join", risk: "low", interrupts: say.nothing(), steps, prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "A node is refused when it joins", zh: "节点加入集群时被拒绝" },
    page: {
      en: `A node that joins reads ConfigMap \`kube-public/cluster-info\` without logging in (Role \`kubeadm:bootstrap-signer-clusterinfo\`), checks its signature with the bootstrap token, and then asks for a certificate as \`system:bootstrap:ID\` of the group \`system:bootstrappers:kubeadm:default-node-token\`, which ClusterRoleBinding \`kubeadm:kubelet-bootstrap\` allows.

**How it looks.** \`kubeadm join\` says \`could not find a JWS signature in the cluster-info ConfigMap for token ID\`, \`cluster-info is forbidden\` or waits for the TLS bootstrap; the kubelet of the node ends again and again with \`cannot create certificate signing request: Unauthorized\` or \`… is forbidden\`. No Node appears. Everything that has joined before works.

**How it comes about.** The token has expired: kubeadm's count for a day, and kube-controller-manager deletes them (\`tokencleaner\`) and takes their signatures out of cluster-info (\`bootstrapsigner\`; both are off unless \`--controllers\` names them). Or the binding, the Role or the ConfigMap was deleted. netwhy sees the kubelet's log of a node that has not joined only if it is given it: \`netwhy collect --print-node-script\`.

**When this is not the cause.** A cluster-info without signatures is how it should be when nobody joins. A node that was let ask and waits: \`kubelet-certificate-unissued\`. Without the Role, nodes can still join with a discovery file.`,
      zh: `新节点先在未登录状态下读取 ConfigMap \`kube-public/cluster-info\`（Role \`kubeadm:bootstrap-signer-clusterinfo\`），用 bootstrap token 校验签名，再以 \`system:bootstrap:ID\` 身份（\`system:bootstrappers:kubeadm:default-node-token\` 组）申请证书，由 ClusterRoleBinding \`kubeadm:kubelet-bootstrap\` 授权。

**现象。** \`kubeadm join\` 报 \`could not find a JWS signature in the cluster-info ConfigMap for token ID\`、\`cluster-info is forbidden\`，或停在等待 TLS bootstrap；该节点的 kubelet 反复退出，日志为 \`cannot create certificate signing request: Unauthorized\` 或 \`… is forbidden\`。节点不出现，已加入的节点一切正常。

**成因。** token 过期：kubeadm 默认有效期一天，kube-controller-manager 会将其删除（\`tokencleaner\`），并从 cluster-info 中移除其签名（\`bootstrapsigner\`；这两个控制器须在 \`--controllers\` 中显式列出才会启用）。或者上述绑定、Role、ConfigMap 被删除。尚未加入的节点，其 kubelet 日志需要手动提供给 netwhy：\`netwhy collect --print-node-script\`。

**何时不是它。** 没有节点要加入时，cluster-info 中没有签名是正常的。已提交申请而在等待的节点见 \`kubelet-certificate-unissued\`。没有该 Role 时，节点仍可用 discovery 文件加入。`,
    },
  },
});
