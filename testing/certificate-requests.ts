/** CertificateSigningRequests of kubelets, as they stand in a cluster that kubeadm made. */
import type { CertificateSigningRequest } from "../src/parse/objects.ts";
import { ago } from "./object-states.ts";

/** What kubelet of Kubernetes 1.33 asked for node w3: O=system:nodes, CN=system:node:w3. */
export const REQUEST_OF_W3 =
  "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIcU1JR1NBZ0VBTURBeEZUQVRCZ05WQkFvTURITjVjM1JsYlRwdWIyUmxjekVYTUJVR0ExVUVBd3dPYzNsegpkR1Z0T201dlpHVTZkek13V1RBVEJnY3Foa2pPUFFJQkJnZ3Foa2pPUFFNQkJ3TkNBQVJNeE5ub2JxWVZWU1BDClBwT2JTcGFaTmx2eXB3NC9GWFpsRHRTajFjdEhLSC9jZ1RtYWhwWGpyMnVRLzJFd1gvYmE3eG5MZWFFQ2VJQ0kKTE5zZHNqOFlvQUF3Q2dZSUtvWkl6ajBFQXdJRFJ3QXdSQUlnSU11VW13VWw4NUEvK1NhNXl5THU3dFppRkpWdQpkMFQvSTc4eHYxR3VER01DSUY3NGNIejIvVjJUdmEralh0Uk90empYVXpIUE5wblpsVW9MY2N6ZG9XTUkKLS0tLS1FTkQgQ0VSVElGSUNBVEUgUkVRVUVTVC0tLS0tCg==";

type Condition = { readonly type: string; readonly reason?: string; readonly message?: string };
type Asking = {
  readonly name?: string;
  /** Of the node itself; else with a bootstrap token, for w3. */
  readonly node?: string;
  readonly serving?: true;
  /** Seconds. */
  readonly age?: number;
  readonly said?: readonly Condition[];
  readonly issued?: true;
};

export function signingRequest({ name, node, serving, age = 600, said, issued }: Asking): CertificateSigningRequest {
  const own = { username: `system:node:${node}`, groups: ["system:nodes", "system:authenticated"] };
  const byToken = {
    username: "system:bootstrap:abcdef",
    groups: ["system:bootstrappers", "system:bootstrappers:kubeadm:default-node-token", "system:authenticated"],
    request: REQUEST_OF_W3,
  };
  return {
    metadata: { name: name ?? `csr-${node ?? "w3"}`, creationTimestamp: ago(age) },
    spec: {
      signerName: `kubernetes.io/${serving ? "kubelet-serving" : "kube-apiserver-client-kubelet"}`,
      ...(node === undefined ? byToken : own),
    },
    status: {
      ...(said && { conditions: said.map((one) => ({ status: "True", ...one })) }),
      ...(issued && { certificate: "LS0tLS1CRUdJTg==" }),
    },
  };
}
