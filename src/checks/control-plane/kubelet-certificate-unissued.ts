import type { Evidence } from "../../evidence/origin.ts";
import type { Capability } from "../../model/capability.ts";
import { flag } from "../../model/components/flags.ts";
import type { Asked } from "../../model/logs.ts";
import { kubectlName, ref, refId } from "../../model/ref.ts";
import { sh } from "../../shell.ts";
import { fewOf, type Text } from "../../text.ts";
import { defineCheck, type Finding, fault, presumed, warning } from "../check.ts";
import type { Step } from "../remedy.ts";
import { approvalOf, type Model, openRequests, type Request } from "./kubelet-certificate-unissued/requests.ts";
import { say } from "./kubelet-certificate-unissued/words.ts";

/** What kubeadm binds so that kube-controller-manager approves requests of nodes that join. */
const JOIN_BINDING = ref("ClusterRoleBinding", "kubeadm:node-autoapprove-bootstrap");
const JOIN_GROUP = "system:bootstrappers:kubeadm:default-node-token";
const JOIN_ROLE = ref("ClusterRole", "system:certificates.k8s.io:certificatesigningrequests:nodeclient");

/** Go's crypto/tls, when the kubelet has no certificate to show (client-go certificate manager: `no serving certificate available`). */
const NO_CERTIFICATE = /remote error: tls: internal error/;

const MOST_NAMED = 3;
const MOST_QUOTED = 4;

function whoOf(requests: readonly Request[]): Text {
  const nodes = [...new Set(requests.flatMap(({ node }) => node ?? []))].sort();
  const [first] = requests;
  return nodes.length > 0
    ? say.nodes({ nodes: fewOf(nodes, MOST_NAMED) })
    : say.someNode({ request: first?.ref.name ?? "", user: first?.user ?? "" });
}

const quotesOf = (requests: readonly Request[]): Evidence[] =>
  requests.slice(0, MOST_QUOTED).map(({ evidence }) => evidence);

const breaksOf = (requests: readonly Request[], name: "node.join" | "node.renew"): Capability[] =>
  requests.map(({ node }) => ({ name, ...(node !== undefined && { node }) }));

/** Those of one kind and state, as one fault: who repairs one repairs all. */
function faultOf(requests: readonly [Request, ...Request[]], kind: string, more: Parameters<typeof fault>[0]): Finding {
  return fault({
    related: requests.slice(1).map((one) => one.ref),
    nodes: requests.flatMap(({ node }) => node ?? []).sort(),
    ...more,
    since: requests[0].object.metadata.creationTimestamp ?? undefined,
    facts: { kind, requests: requests.map((one) => one.ref.name) },
  });
}

const TITLES = {
  join: { waits: "joinWaits", denied: "joinDenied", failed: "joinFailed", unsigned: "joinUnsigned" },
  renew: { waits: "renewWaits", denied: "renewDenied", failed: "renewFailed", unsigned: "renewUnsigned" },
} as const;

function titleOf(requests: readonly [Request, ...Request[]]): Text {
  const [{ purpose, state, words }] = requests;
  const args = { who: whoOf(requests), count: requests.length, words };
  return say[TITLES[purpose === "renew" ? "renew" : "join"][state === "issued" ? "waits" : state]](args);
}

/** Those who join may not have certificates: what kubeadm binds for them, or the role, is gone or names somebody else. */
function unboundIn(requests: readonly Request[], model: Model): readonly Request[] {
  const isKubeadm = model.objects.find("configmaps", "kubeadm-config", "kube-system").state === "present";
  return requests.filter(
    (one) =>
      isKubeadm &&
      one.purpose === "join" &&
      one.state === "waits" &&
      one.object.spec.groups?.includes(JOIN_GROUP) &&
      approvalOf(one, model).state === "denied",
  );
}

function* unbound(denied: readonly Request[], { objects }: Model): Iterable<Finding> {
  const [first] = denied;
  if (!first) return;
  const isRoleGone = objects.find("clusterroles", JOIN_ROLE.name).state === "absent";
  const found = objects.find("clusterrolebindings", JOIN_BINDING.name);
  const bound = found.state === "present" ? found.value : undefined;
  const repair = isRoleGone ? JOIN_ROLE : JOIN_BINDING;
  const subjects = (bound?.subjects ?? []).map(({ name }) => name).join(", ") || "none";
  const words = `${refId(JOIN_BINDING)}: roleRef ${bound?.roleRef.name}, subjects ${subjects}`;
  const isReferring = bound === undefined || bound.roleRef.name === JOIN_ROLE.name;
  yield faultOf([first, ...denied.slice(1)], isReferring ? "unbound" : "re-pointed", {
    repair,
    related: [isRoleGone ? JOIN_BINDING : JOIN_ROLE, ...denied.map((one) => one.ref)],
    nodes: [],
    breaks: breaksOf(denied, "node.join"),
    title: say.unbound({ object: refId(repair), user: first.user, who: whoOf(denied), count: denied.length }),
    evidence: [
      isRoleGone
        ? objects.quoteAbsence("clusterroles", `no ${refId(JOIN_ROLE)}`)
        : bound
          ? objects.quote("clusterrolebindings", bound, words)
          : objects.quoteAbsence("clusterrolebindings", `no ${refId(JOIN_BINDING)}`),
      ...quotesOf(denied),
    ],
    strength: "direct",
  });
}

/** Approved requests stay unsigned where kube-controller-manager was given nothing to sign with (cmd/kube-controller-manager/app/certificates.go). */
function* keyless(requests: readonly Request[], { components }: Model): Iterable<Finding> {
  const unsigned = requests.filter(({ state }) => state === "unsigned");
  const managers = components.byId("kube-controller-manager");
  const [manager] = managers;
  const leads = flag(components, "kube-controller-manager", "kubeconfig");
  const isGiven = ["cluster-signing-cert-file", "cluster-signing-kubelet-client-cert-file"].some(
    (name) => flag(components, "kube-controller-manager", name).length > 0,
  );
  const [first] = leads;
  if (!first || !manager || unsigned.length === 0 || isGiven) return;
  yield fault({
    repair: first.source,
    related: unsigned.map((one) => one.ref),
    breaks: [{ name: "certificate.issue" }],
    title: say.keyless({ who: whoOf(unsigned), count: unsigned.length }),
    evidence: [first.evidence, ...quotesOf(unsigned)],
    strength: "direct",
    facts: { kind: "keyless", requests: unsigned.map((one) => one.ref.name) },
  });
}

type Refused = Extract<Asked, { readonly isHad: false }>;

/** Kubelets that nobody can ask, because they have no certificate to show. */
function* judgeServing(requests: readonly Request[], { nodes, pods, logs }: Model): Iterable<Finding> {
  const open = requests.filter(({ purpose, node }) => purpose === "serve" && node !== undefined);
  const asked = nodes.all.map(({ name }) => {
    const all = pods.onNode(name).flatMap((pod) => logs.asked(pod));
    const refused = all.filter((one): one is Refused => !one.isHad && NO_CERTIFICATE.test(one.answer));
    return { name, isHad: all.some(({ isHad }) => isHad), refused };
  });
  const silent = asked.filter(({ isHad, refused }) => !isHad && refused.length > 0);
  const names = silent.map(({ name }) => name);
  const theirs = open.filter(({ node = "" }) => names.includes(node));
  if (silent.length > 0) {
    const who = say.nodes({ nodes: fewOf(names, MOST_NAMED) });
    const waits = theirs.some(({ state }) => state === "waits");
    yield fault({
      repair: theirs[0]?.ref ?? ref("Node", names[0]!),
      related: [...theirs.slice(1).map((one) => one.ref), ...names.map((name) => ref("Node", name))],
      nodes: names,
      breaks: names.map((node) => ({ name: "kubelet.answer", node })),
      title: waits ? say.serveWaits({ who }) : say.serveFails({ who }),
      evidence: [
        ...quotesOf(theirs),
        ...silent.flatMap(({ refused }) => refused.slice(0, 1)).map((one) => one.evidence),
      ].slice(0, 6),
      strength: theirs.length > 0 ? "direct" : "heard",
      facts: { kind: "serve", requests: theirs.map((one) => one.ref.name) },
    });
  }
  const others = open.filter(({ node = "", state }) => state === "waits" && !names.includes(node));
  const [first] = others;
  if (!first) return;
  const title = say.serveSoon({ who: whoOf(others), count: others.length });
  yield warning(
    first.ref,
    title,
    quotesOf(others),
    others.slice(1).map((one) => one.ref),
  );
}

/** Kubelets ask for certificates and do not get them: nodes cannot join, or will drop out. */
export const kubeletCertificateUnissued = defineCheck({
  id: "kubelet-certificate-unissued",
  reads: ["objects", "rbac", "time", "nodes", "components", "pods", "logs"],

  *find(model) {
    const { objects } = model;
    if (!objects.isWhole("certificatesigningrequests")) {
      for (const name of ["node.join", "node.renew"] as const)
        yield presumed({ name }, [{ kind: "certificatesigningrequests" }]);
    }
    const open = openRequests(model);
    const denied = unboundIn(open, model);
    yield* unbound(denied, model);
    yield* keyless(open, model);
    const clients = open.filter((one) => one.purpose !== "serve" && !denied.includes(one));
    const groups = Map.groupBy(clients, ({ purpose, state, words }) => `${purpose} ${state} ${words}`);
    for (const requests of groups.values()) {
      const [first, ...rest] = requests as [Request, ...Request[]];
      const { purpose, state } = first;
      yield faultOf([first, ...rest], state, {
        repair: first.ref,
        breaks: breaksOf(requests, purpose === "renew" ? "node.renew" : "node.join"),
        title: titleOf([first, ...rest]),
        evidence: quotesOf(requests),
        strength: "direct",
      });
    }
    yield* judgeServing(open, model);
  },

  remedies({ repair, facts }) {
    const names = (facts.requests ?? []) as readonly string[];
    const words = names.map((name) => sh`${name}`).join(" ");
    const verify = { run: names.length > 0 ? `kubectl get csr ${words}` : "kubectl get csr" };
    const look: Step = {
      why: say.look(),
      change: { run: names.length > 0 ? `kubectl describe csr ${words}` : "kubectl get csr" },
      verify,
    };
    const approve: Step = { why: say.approve(), change: { run: `kubectl certificate approve ${words}` }, verify };
    const common = { interrupts: say.nothing(), prevent: [say.prevent()] };
    switch (facts.kind) {
      case "unbound":
      case "re-pointed": {
        const recover = `netwhy rbac recover ${sh`${`${repair.kind.toLowerCase()}/${repair.name}`}`} | kubectl apply -f -`;
        // a binding cannot be pointed at another role
        const remove = facts.kind === "re-pointed" ? `kubectl delete ${kubectlName(repair)}; ` : "";
        const undo = { do: "delete", target: repair } as const;
        const bind: Step = { why: say.bind(), change: { run: remove + recover }, undo, verify };
        return [
          { id: "bind-again", risk: "low", ...common, steps: [bind] },
          { id: "approve", risk: "low", ...common, steps: [look, approve] },
        ];
      }
      case "keyless":
        return [{ id: "give-key", risk: "medium", ...common, steps: [{ why: say.giveKey(), verify }] }];
      case "serve": {
        const lasting: Step = { why: say.approver(), verify: { run: "kubectl get csr" } };
        const now = names.length > 0 ? [look, approve] : [look];
        return [{ id: "approve", risk: "low", ...common, steps: [...now, lasting] }];
      }
      case "denied":
      case "failed": {
        const discard: Step = {
          why: say.discard(),
          change: { run: `kubectl delete csr ${words}` },
          verify: { run: "kubectl get csr" },
        };
        return [{ id: "ask-anew", risk: "low", ...common, steps: [look, discard] }];
      }
      default: {
        const run = "kubectl logs -n kube-system -l component=kube-controller-manager --tail=-1 | grep -i certificate";
        const manager: Step = { why: say.manager(), change: { run }, verify };
        const steps = facts.kind === "unsigned" ? [look, manager] : [look, approve, manager];
        return [{ id: "approve", risk: "low", ...common, steps }];
      }
    }
  },

  manual: {
    title: { en: "Kubelets do not get their certificates", zh: "kubelet 申请的证书未签发" },
    page: {
      en: `A kubelet logs in to the API server with a certificate that it asks for by a CertificateSigningRequest: with a bootstrap token when its node joins, as the node itself when the certificate has run for most of its time. kube-controller-manager approves and signs these requests by itself, if an access review allows whoever asks \`certificatesigningrequests/nodeclient\` (to join) or \`selfnodeclient\` (to renew).

**How it looks.** \`kubeadm join\` hangs at “Waiting for the kubelet to perform the TLS Bootstrap” and no Node appears; \`kubectl get csr\` shows Pending, Denied, Failed, or Approved without Issued. Renewals fail in silence: after weeks or months one node after the other becomes NotReady, with \`part of the existing bootstrap client certificate … is expired\` in the kubelet's log.

Serving certificates are another matter: with \`serverTLSBootstrap: true\` kubelets ask the signer \`kubernetes.io/kubelet-serving\` for the certificate by which they are asked, and **nothing in Kubernetes approves those**. Until somebody does, \`kubectl logs\` and \`exec\` and metrics-server fail with \`remote error: tls: internal error\`.

**How it comes about.** The ClusterRoleBindings \`kubeadm:node-autoapprove-bootstrap\` or \`kubeadm:node-autoapprove-certificate-rotation\` are gone; kube-controller-manager runs without its approving or signing controller, without the key of the CA, or not at all; somebody denied a request. Removing \`kubeadm:node-autoapprove-bootstrap\` is also a documented way to approve nodes by hand: then this says which wait.

**When this is not the cause.** If no request appears at all, the kubelet was refused before it could ask: see \`node-join-refused\`. Requests are deleted after a day, so none that waits does not mean that none was made.`,
      zh: `kubelet 登录 API Server 所用的证书通过 CertificateSigningRequest 申请：节点加入时使用 bootstrap token，证书临近到期时以节点自身的身份。若访问鉴权允许申请者对 \`certificatesigningrequests/nodeclient\`（加入）或 \`selfnodeclient\`（续期）执行 create，kube-controller-manager 会自动批准并签发。

**现象。** \`kubeadm join\` 停在 “Waiting for the kubelet to perform the TLS Bootstrap”，节点不出现；\`kubectl get csr\` 显示 Pending、Denied、Failed，或只有 Approved 而没有 Issued。续期失败则毫无提示：数周或数月后节点陆续变为 NotReady，kubelet 日志出现 \`part of the existing bootstrap client certificate … is expired\`。

服务端证书另当别论：设置 \`serverTLSBootstrap: true\` 后，kubelet 向签发者 \`kubernetes.io/kubelet-serving\` 申请服务端证书，而 **Kubernetes 自身不会批准这类申请**。在有人批准之前，\`kubectl logs\`、\`exec\` 和 metrics-server 都报 \`remote error: tls: internal error\`。

**成因。** ClusterRoleBinding \`kubeadm:node-autoapprove-bootstrap\` 或 \`kubeadm:node-autoapprove-certificate-rotation\` 丢失；kube-controller-manager 未启用批准或签发控制器、没有 CA 私钥，或没有运行；有人拒绝了申请。删除 \`kubeadm:node-autoapprove-bootstrap\` 也是官方文档中改为人工批准节点的做法：此时这里列出正在等待的申请。

**何时不是它。** 若根本没有出现申请，说明 kubelet 在提交之前就被拒绝：见 \`node-join-refused\`。申请会在一天后删除，因此没有等待中的申请不代表从未提交过。`,
    },
  },
});
