import type { Capability } from "../../model/capability.ts";
import type { Component } from "../../model/components/components.ts";
import { flag } from "../../model/components/flags.ts";
import type { Saying } from "../../model/logs.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { NodeView } from "../../model/nodes.ts";
import { type Ref, ref, refId } from "../../model/ref.ts";
import { timeOf } from "../../model/time.ts";
import { texts } from "../../text.ts";
import { defineCheck, type Finding, fault } from "../check.ts";
import { rolledOut } from "../remedy.ts";

type Model = Pick<ClusterModel, "components" | "nodes" | "logs" | "time" | "objects">;

const say = texts("component-login-refused", {
  token: {
    en: "The API server does not accept the credentials of {who}: Unauthorized (401)",
    zh: "API Server 拒绝 {who} 的凭据：Unauthorized（401）",
  },
  tokenOfAnother: {
    en: "The API server does not accept the credentials of {who}: Unauthorized (401); ServiceAccount {account} was made anew at {at}, and its Pods are older: they hold tokens of the account that was deleted",
    zh: "API Server 拒绝 {who} 的凭据：Unauthorized（401）；ServiceAccount {account} 在 {at} 被重建，晚于其 Pod：这些 Pod 持有的是已删除账号的令牌",
  },
  tokenSoon: {
    en: "The API server accepts the tokens of {who} no more: ServiceAccount {account} was made anew at {at}, and its Pods are older: what they watch goes on until its connection ends, then they are refused (401) until the kubelet has fetched new tokens, within an hour",
    zh: "API Server 不再接受 {who} 的令牌：ServiceAccount {account} 在 {at} 被重建，晚于其 Pod：现有的 watch 在连接断开前仍可继续，之后会被拒绝（401），直到 kubelet 在一小时内取得新令牌",
  },
  tokens: {
    en: "The API server accepts the credentials of nobody who tells of it ({who}): Unauthorized (401)",
    zh: "API Server 拒绝多个组件（{who}）的凭据：Unauthorized（401）",
  },
  expired: {
    en: "The API server's certificate is not accepted by {who}: it has expired, or is not valid yet",
    zh: "{who} 不接受 API Server 的证书：证书已过期或尚未生效",
  },
  clock: {
    en: "On node {node} alone the API server's certificate counts as expired or not valid yet ({who}): its clock is wrong",
    zh: "仅在节点 {node} 上，API Server 的证书被视为已过期或尚未生效（{who}）：该节点时钟有误",
  },
  authority: {
    en: "The API server's certificate is not accepted by {who}: it is signed by an unknown authority",
    zh: "{who} 不接受 API Server 的证书：签发者不在其信任的 CA 之中",
  },
  published: {
    en: "Pods do not trust the API server ({who}), and nodes do: ConfigMap kube-root-ca.crt, which kube-controller-manager publishes, does not hold the authority that signs its certificate",
    zh: "Pod（{who}）不信任 API Server 的证书，而节点信任：kube-controller-manager 发布的 ConfigMap kube-root-ca.crt 中不是签发该证书的 CA",
  },
  name: {
    en: "The API server's certificate is not accepted by {who}: it is not for the address that is asked",
    zh: "{who} 不接受 API Server 的证书：证书不包含所访问的地址",
  },
  renewToken: {
    en: "Restart {who}: its Pods get tokens anew",
    zh: "重启 {who}：其 Pod 会获得新令牌",
  },
  sameKey: {
    en: "See that all API servers verify tokens with the key that signs them (--service-account-key-file, --service-account-signing-key-file), then restart all Pods that use tokens",
    zh: "确认所有 API Server 用来校验令牌的密钥与签发密钥一致（--service-account-key-file、--service-account-signing-key-file），然后重启所有使用令牌的 Pod",
  },
  renewCertificate: {
    en: "Renew the certificates on each control-plane node, then restart its static Pods",
    zh: "在每个控制面节点上续签证书，然后重启其静态 Pod",
  },
  setClock: { en: "Set the node's clock, and let it be kept", zh: "校准该节点的时钟，并保持同步" },
  sameAuthority: {
    en: "Give them the authority that signs the API server's certificate: ConfigMap kube-root-ca.crt for Pods, kubeconfig for others; Pods read it anew when they restart",
    zh: "让它们使用签发 API Server 证书的 CA：Pod 使用 ConfigMap kube-root-ca.crt，其他程序使用 kubeconfig；Pod 重启后会重新读取",
  },
  publish: {
    en: "Let --root-ca-file of kube-controller-manager name the authority of the API server (kubeadm: /etc/kubernetes/pki/ca.crt); it writes the ConfigMap of each namespace anew",
    zh: "让 kube-controller-manager 的 --root-ca-file 指向签发 API Server 证书的 CA（kubeadm：/etc/kubernetes/pki/ca.crt），它会重写每个命名空间中的该 ConfigMap",
  },
  readAgain: { en: "Restart {who}: a Pod reads it when it starts", zh: "重启 {who}：Pod 在启动时读取它" },
  addName: {
    en: "Make the API server's certificate anew with all addresses at which it is asked (kubeadm: apiServer.certSANs)",
    zh: "重新签发 API Server 证书，包含所有访问地址（kubeadm：apiServer.certSANs）",
  },
  interrupts: { en: "Nothing that is programmed", zh: "已下发的规则不受影响" },
  prevent: {
    en: "Alert on apiserver_client_certificate_expiration_seconds and on the age of certificates, keep clocks by NTP, and never replace sa.key or the CA without a transition",
    zh: "对证书剩余有效期告警，用 NTP 保持时钟同步；更换 sa.key 或 CA 时须有过渡期",
  },
});

type Kind = "token" | "expired" | "authority" | "name";

/** What client-go says of a request that was not let in, or of a server that it does not trust. */
const REFUSALS: Readonly<Record<Kind, RegExp>> = {
  token:
    /(?:failed to (?:list|watch|get)|unable to (?:list|get)|error (?:retrieving|getting|listing)|connection is unauthorized).*(?:\bUnauthorized\b|\bunauthorized\b|provide credentials)/i,
  expired: /x509: certificate has expired or is not yet valid/,
  authority: /x509: certificate signed by unknown authority/,
  name: /x509: certificate is valid for .+, not /,
};

/** These hear of other people's credentials. */
const SERVERS = new Set(["kube-apiserver", "etcd"]);

type Heard = { readonly who: string; readonly component?: Component; readonly node?: string; readonly saying: Saying };

function heardOf(kind: Kind, { components, nodes, logs }: Model): Heard[] {
  const pattern = REFUSALS[kind];
  const ofPods = components.all
    .filter(({ definition }) => !SERVERS.has(definition.id))
    .flatMap((component) =>
      component.pods.flatMap((pod) =>
        logs
          .said(pod, pattern)
          .filter(({ current }) => current)
          .slice(-1)
          .map((saying): Heard => {
            const at = pod.node === undefined ? {} : { node: pod.node };
            return { who: component.definition.name, component, ...at, saying };
          }),
      ),
    );
  // a kubelet shows no token but a certificate of its node: without one the node stops to report
  const ofKubelets = (kind === "token" ? [] : nodes.all).flatMap(({ name: node }) =>
    logs
      .kubeletSaid(node, pattern)
      .filter(({ current }) => current)
      .slice(-1)
      .map((saying): Heard => ({ who: "kubelet", node, saying })),
  );
  return [...ofPods, ...ofKubelets];
}

/** Of one component alone that is refused for no reason that is seen, it is not the login that keeps it from working. */
const breaksOf = (heard: readonly Heard[], isUnfounded: boolean): Capability[] =>
  heard.flatMap(({ component, node }): Capability[] => {
    const name = isUnfounded ? "component.learn" : "component.login";
    if (component) return [{ name, component: refId(component.ref), ...(node && { node }) }];
    return node === undefined ? [] : [{ name: "api.reach", node }];
  });

/** `current time 2027-02-01T00:00:00Z is after 2027-01-01T00:00:00Z` (Go crypto/x509, CertificateInvalidError). */
const VALIDITY = /current time \S+ is (after|before) ([\dT:.+-]+Z?)/;

/** Whether it is so by the time at which the evidence was taken; undefined if that cannot be told. */
function isReallyInvalid({ saying }: Heard, { time }: Model): boolean | undefined {
  const [, is, limit] = VALIDITY.exec(saying.entry.last.message) ?? [];
  const age = time.age(limit);
  return age === undefined ? undefined : is === "after" ? age > 0 : age < 0;
}

/** Something that a node says now was read. */
const isHeard = (node: string, { components, logs }: Model): boolean =>
  [
    ...logs.kubeletSaid(node, /(?:)/),
    ...components.all
      .flatMap(({ pods }) => pods.filter((pod) => pod.node === node))
      .flatMap((pod) => logs.said(pod, /(?:)/)),
  ].some(({ current }) => current);

/** The one node on which a certificate counts as invalid, while it is not, or others that were heard do not find it so. */
function nodeOfWrongClock(heard: readonly Heard[], model: Model): string | undefined {
  const [node, ...more] = [...new Set(heard.map((one) => one.node))];
  const verdicts = heard.map((one) => isReallyInvalid(one, model));
  if (node === undefined || more.length > 0 || verdicts.includes(true)) return undefined;
  const isFineElsewhere = model.nodes.all.some(({ name }) => name !== node && isHeard(name, model));
  return verdicts.includes(false) || isFineElsewhere ? node : undefined;
}

/** An account that is younger than Pods that run as it: its predecessor was deleted under them, and their tokens are its. */
function accountMadeAnew({ account: own, pods }: Component, { objects }: Model) {
  if (!own) return undefined;
  const found = objects.find("serviceaccounts", own.name, own.namespace);
  const made = found.state === "present" ? timeOf(found.value.metadata.creationTimestamp) : undefined;
  if (found.state !== "present" || made === undefined) return undefined;
  const older = pods.filter(
    ({ object, finished, terminating }) =>
      !finished && !terminating && (timeOf(object.metadata.creationTimestamp) ?? made) < made,
  );
  if (older.length === 0) return undefined;
  const at = found.value.metadata.creationTimestamp ?? "";
  const account = `${own.namespace}/${own.name}`;
  return {
    ...{ account, at, older },
    evidence: objects.quote("serviceaccounts", found.value, `ServiceAccount ${account}: creationTimestamp ${at}`),
  };
}

/**
 * Milliseconds for which a Pod keeps a token: the kubelet fetches another when four fifths of an hour have passed
 * (pkg/kubelet/token/token_manager.go, requiresRefresh; the token's uid is compared by pkg/serviceaccount/claims.go).
 */
const TOKEN_KEPT = 0.8 * 3_600_000;

/** Those that will be refused, and have not said so yet. */
function* foreseen(model: Model): Iterable<Finding> {
  const { components, objects, time } = model;
  const refused = new Set(heardOf("token", model).map(({ component }) => component));
  for (const component of components.all) {
    const anew = refused.has(component) ? undefined : accountMadeAnew(component, model);
    const { account: own } = component;
    if (!own || !anew || (time.age(anew.at) ?? TOKEN_KEPT) >= TOKEN_KEPT) continue;
    const { older, account, at, evidence } = anew;
    const who = component.definition.name;
    const pods = older.slice(0, 2).map(({ key, object }) => {
      const words = `Pod ${key}: creationTimestamp ${object.metadata.creationTimestamp}`;
      return objects.quote("pods", object, words);
    });
    yield fault({
      repair: component.ref,
      related: [ref("ServiceAccount", own.name, own.namespace)],
      breaks: older.flatMap(({ node }): Capability[] =>
        node === undefined ? [] : [{ name: "component.login", component: refId(component.ref), node }],
      ),
      title: say.tokenSoon({ who, account, at }),
      evidence: [evidence, ...pods],
      strength: "direct",
      since: at,
      facts: { kind: "token", who },
    });
  }
}

/**
 * What Pods are given to trust is not what nodes trust: several that have it of kube-root-ca.crt do not accept the API
 * server's certificate, and kubelets, which have theirs of a file, do.
 */
function isPublished(heard: readonly Heard[], { nodes }: Model): boolean {
  const all = new Set(heard.map(({ component }) => component?.account && refId(component.ref)));
  const report = ({ object }: NodeView) =>
    object?.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
  return all.size > 1 && !all.has(undefined) && nodes.all.some(report);
}

function* judge(kind: Kind, model: Model): Iterable<Finding> {
  const heard = heardOf(kind, model);
  const [first] = heard;
  if (!first) return;
  const who = [...new Set(heard.map((one) => one.who))].sort();
  const node = kind === "expired" ? nodeOfWrongClock(heard, model) : undefined;
  const isOne = who.length === 1 && first.component !== undefined;
  const [server] = model.components.byId("kube-apiserver");
  const servers = server?.ref ?? ref("Pod", "kube-apiserver", "kube-system");
  const published = kind === "authority" && isPublished(heard, model);
  const [publisher] = model.components.byId("kube-controller-manager");
  const files = published ? flag(model.components, "kube-controller-manager", "root-ca-file") : [];
  const repair: Ref =
    node !== undefined
      ? ref("Node", node)
      : published
        ? (publisher?.ref ?? ref("ConfigMap", "kube-root-ca.crt", "kube-system"))
        : (kind === "token" || kind === "authority") && isOne && first.component
          ? first.component.ref
          : servers;
  const anew = kind === "token" && isOne && first.component ? accountMadeAnew(first.component, model) : undefined;
  const title =
    node !== undefined
      ? say.clock({ node, who })
      : anew
        ? say.tokenOfAnother({ who, account: anew.account, at: anew.at })
        : kind === "token" && !isOne
          ? say.tokens({ who })
          : published
            ? say.published({ who })
            : say[kind]({ who });
  yield fault({
    repair,
    related: [
      ...(published && publisher ? [ref("ConfigMap", "kube-root-ca.crt", "kube-system")] : []),
      ...new Map(heard.flatMap(({ component }) => component ?? []).map((one) => [refId(one.ref), one.ref])).values(),
    ],
    nodes: node === undefined ? [] : [node],
    breaks: breaksOf(heard, kind === "token" && isOne && !anew),
    title,
    evidence: [
      ...(anew ? [anew.evidence] : []),
      ...files.map(({ evidence }) => evidence),
      ...heard.slice(0, 4).map(({ saying }) => saying.evidence),
    ],
    strength: anew ? "direct" : "heard",
    facts: { kind: node !== undefined ? "clock" : published ? "published" : kind, who },
  });
}

/** The API server and those who talk to it do not accept each other's credentials. */
export const componentLoginRefused = defineCheck({
  id: "component-login-refused",
  reads: ["components", "nodes", "logs", "time", "objects"],

  *find(model) {
    for (const kind of Object.keys(REFUSALS) as Kind[]) yield* judge(kind, model);
    yield* foreseen(model);
  },

  remedies({ repair, facts }) {
    const verify = { run: "kubectl get --raw /readyz; kubectl get nodes" };
    const { who = [] } = facts;
    const restarts = repair.kind === "DaemonSet" || repair.kind === "Deployment";
    const stepOf = () => {
      switch (facts.kind) {
        case "token":
          return restarts
            ? {
                why: say.renewToken({ who }),
                change: { do: "restart", component: repair } as const,
                verify: rolledOut(repair),
              }
            : { why: say.sameKey(), verify };
        case "expired":
          return {
            why: say.renewCertificate(),
            change: { run: "kubeadm certs check-expiration; kubeadm certs renew all" },
            verify: { run: "kubeadm certs check-expiration" },
          };
        case "clock":
          return {
            why: say.setClock(),
            change: { run: "chronyc makestep || systemctl restart systemd-timesyncd", node: repair.name },
            verify: { run: "timedatectl", node: repair.name },
          };
        case "published":
          return { why: say.publish(), verify: { run: "kubectl get cm kube-root-ca.crt -n kube-system -o yaml" } };
        case "authority":
          return { why: say.sameAuthority(), verify };
        default:
          return { why: say.addName(), verify };
      }
    };
    const again = { why: say.readAgain({ who }), verify };
    const steps = facts.kind === "published" ? [stepOf(), again] : [stepOf()];
    return [{ id: "let-in", risk: "medium", interrupts: say.interrupts(), steps, prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "The API server and a component do not accept each other", zh: "API Server 与组件互不信任" },
    page: {
      en: `Whoever talks to the API server shows a token or a certificate, and checks the server's own certificate. One of the two is refused, so that the component learns nothing more.

**How it looks.** Programs stay Running on what they have learnt; their logs repeat \`Unauthorized\` or \`x509: …\`. What is newer is missing: rules for new Services, routes to new nodes. A kubelet that is not let in makes its node NotReady.

**How it comes about.** Certificates of kubeadm end after a year; \`sa.key\` differs between API servers or was replaced; etcd was restored into another cluster; a clock is wrong (then only on one node); the CA was made anew, or kube-controller-manager publishes another one to Pods (\`--root-ca-file\`); a ServiceAccount was deleted and made again, which Pods that run notice when their next connection is opened, and until the kubelet has fetched new tokens (within an hour); the API server is asked at an address that is not in its certificate.

**When this is not the cause.** \`forbidden\` (403) is about permissions: \`component-access-denied\`. A refusal that is over (its last line is old) is not told.`,
      zh: `访问 API Server 的程序要出示令牌或证书，并校验服务端证书。其中之一被拒绝，组件就再也得不到更新。

**现象。** 程序仍以已有的信息运行（Running），日志里不断重复 \`Unauthorized\` 或 \`x509: …\`。较新的内容缺失：新 Service 的规则、通往新节点的路由。kubelet 被拒绝则其节点变为 NotReady。

**成因。** kubeadm 证书一年到期；各 API Server 的 \`sa.key\` 不一致或被替换；etcd 被恢复到另一个集群；时钟有误（此时只有一个节点受影响）；CA 被重新生成，或 kube-controller-manager 向 Pod 发布了另一个 CA（\`--root-ca-file\`）；ServiceAccount 被删除后重建，运行中的 Pod 在下一次建立连接时才会察觉，直到 kubelet 取得新令牌（一小时内）为止；访问地址不在服务端证书之中。

**何时不是它。** \`forbidden\`（403）是权限问题，见 \`component-access-denied\`。已经过去的拒绝（最后一行日志较旧）不报告。`,
    },
  },
});
