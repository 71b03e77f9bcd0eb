/**
 * What kubelets have asked for and not got: CertificateSigningRequests that wait, were denied, or could not be signed.
 *
 * Kubelets ask the signer kube-apiserver-client-kubelet for the certificate by which they log in: with a bootstrap token when
 * their node joins, later as system:node:NAME. kube-controller-manager approves what an access review allows whoever asks
 * (pkg/controller/certificates/approver/sarapprove.go) and signs it. Nobody in Kubernetes approves requests of the signer
 * kubelet-serving. Requests are deleted after a day if they wait, after an hour if they do not (certificates/cleaner).
 */
import type { Evidence } from "../../../evidence/origin.ts";
import type { ClusterModel } from "../../../model/model.ts";
import type { Access, Want } from "../../../model/rbac.ts";
import { type Ref, ref } from "../../../model/ref.ts";
import { timeOf } from "../../../model/time.ts";
import { subjectOfRequest } from "../../../parse/certificate.ts";
import type { CertificateSigningRequest } from "../../../parse/objects.ts";

export type Model = Pick<ClusterModel, "objects" | "rbac" | "time" | "nodes" | "components" | "pods" | "logs">;

/** What it is for: to join, to stay, or to be asked by the API server. */
export type Purpose = "join" | "renew" | "serve";

export type Request = {
  readonly ref: Ref;
  readonly object: CertificateSigningRequest;
  readonly purpose: Purpose;
  readonly state: "waits" | "denied" | "failed" | "unsigned" | "issued";
  /** The node, where the request or the one who asks tells it. */
  readonly node?: string;
  /** Who asks. */
  readonly user: string;
  /** What was said with the denial or the failure. */
  readonly words: string;
  readonly evidence: Evidence;
};

const CLIENT = "kubernetes.io/kube-apiserver-client-kubelet";
const SERVING = "kubernetes.io/kubelet-serving";
const NODE_USER = /^system:node:(.+)$/;

/** Milliseconds: kube-controller-manager answers at once; approvers of clouds look around every minute or so. */
const SETTLING = 120_000;

function stateOf({ status }: CertificateSigningRequest): Pick<Request, "state" | "words"> {
  const said = (type: string) => status?.conditions?.find((one) => one.type === type && one.status === "True");
  const denied = said("Denied");
  const failed = said("Failed");
  const told = denied ?? failed;
  const words = [told?.reason, told?.message].filter(Boolean).join(": ");
  if (told) return { state: denied ? "denied" : "failed", words };
  if (status?.certificate) return { state: "issued", words };
  return { state: said("Approved") ? "unsigned" : "waits", words };
}

function requestOf(object: CertificateSigningRequest, { objects }: Model): Request | undefined {
  const { metadata, spec } = object;
  if (spec.signerName !== CLIENT && spec.signerName !== SERVING) return undefined;
  const user = spec.username ?? "";
  const subject = spec.request ? subjectOfRequest(spec.request) : undefined;
  const [, own] = NODE_USER.exec(user) ?? [];
  const [, node = own] = NODE_USER.exec(subject?.name ?? "") ?? [];
  const { state, words } = stateOf(object);
  const conditions = (object.status?.conditions ?? []).map(({ type }) => type).join(", ") || "no conditions";
  const quoted = `CertificateSigningRequest ${metadata.name} of ${user} for ${spec.signerName}, ${metadata.creationTimestamp}: ${conditions}`;
  return {
    ref: ref("CertificateSigningRequest", metadata.name),
    ...{ object, state, user, words },
    purpose: spec.signerName === SERVING ? "serve" : own === undefined ? "join" : "renew",
    ...(node !== undefined && { node }),
    evidence: objects.quote("certificatesigningrequests", object, words ? `${quoted}: ${words}` : quoted),
  };
}

const madeAt = ({ object }: Request): number => timeOf(object.metadata.creationTimestamp) ?? 0;

/** A node that has joined after it asked was let in some other way. */
const hasJoined = ({ purpose, node }: Request, { nodes }: Model): boolean =>
  purpose === "join" && node !== undefined && nodes.get(node)?.ready === "True";

/** Of each kubelet the last of its requests, if it has no certificate for it: it asks anew when one led to nothing. */
export function openRequests(model: Model): readonly Request[] {
  const requests = model.objects
    .all("certificatesigningrequests")
    .flatMap((object) => requestOf(object, model) ?? [])
    .sort((a, b) => madeAt(a) - madeAt(b) || (a.ref.name < b.ref.name ? -1 : 1));
  const latest = new Map(requests.map((one) => [`${one.purpose} ${one.node ?? one.ref.name}`, one] as const));
  return [...latest.values()].filter((one) => {
    const age = model.time.age(one.object.metadata.creationTimestamp) ?? SETTLING;
    const isDone = one.state === "issued" || hasJoined(one, model);
    return !isDone && (age >= SETTLING || one.state === "denied" || one.state === "failed");
  });
}

/** Whether kube-controller-manager approves it: by an access review for whoever asks. */
export function approvalOf({ purpose, object: { spec } }: Request, { rbac }: Model): Access {
  const want = (subresource: string): Want => ({
    verb: "create",
    apiGroup: "certificates.k8s.io",
    resource: `certificatesigningrequests/${subresource}`,
  });
  const user = { name: spec.username ?? "", groups: spec.groups ?? [] };
  const first = rbac.userAccess(user, want(purpose === "renew" ? "selfnodeclient" : "nodeclient"));
  // a node may be let renew by the wider right as well
  if (purpose !== "renew" || first.state === "allowed") return first;
  const wider = rbac.userAccess(user, want("nodeclient"));
  return wider.state === "denied" ? first : wider;
}
