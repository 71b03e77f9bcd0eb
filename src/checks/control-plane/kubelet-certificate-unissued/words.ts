import { texts } from "../../../text.ts";

export const say = texts("kubelet-certificate-unissued", {
  joinWaits: {
    en: "{who} cannot join: {count:its request|their requests} for a certificate {count:waits|wait} for approval",
    zh: "{who}无法加入集群：证书申请一直等待批准",
  },
  renewWaits: {
    en: "{who} cannot renew the certificate of {count:its kubelet|their kubelets}: {count:the request waits|the requests wait} for approval, and {count:the node drops|the nodes drop} out when the certificate runs out",
    zh: "{who}的 kubelet 证书无法续期：续期申请一直等待批准，证书到期后节点会掉线",
  },
  joinDenied: {
    en: "{who} cannot join: {count:its request|their requests} for a certificate {count:was|were} denied ({words})",
    zh: "{who}无法加入集群：证书申请被拒绝（{words}）",
  },
  renewDenied: {
    en: "{who} cannot renew the certificate of {count:its kubelet|their kubelets}: {count:the request was|the requests were} denied ({words})",
    zh: "{who}的 kubelet 证书无法续期：续期申请被拒绝（{words}）",
  },
  joinFailed: {
    en: "{who} cannot join: the signer refuses {count:its request|their requests} for a certificate ({words})",
    zh: "{who}无法加入集群：签发者拒绝了证书申请（{words}）",
  },
  renewFailed: {
    en: "{who} cannot renew the certificate of {count:its kubelet|their kubelets}: the signer refuses {count:the request|the requests} ({words})",
    zh: "{who}的 kubelet 证书无法续期：签发者拒绝了申请（{words}）",
  },
  joinUnsigned: {
    en: "{who} cannot join: {count:its request|their requests} for a certificate {count:is|are} approved, and nobody signs {count:it|them}",
    zh: "{who}无法加入集群：证书申请已批准，但无人签发",
  },
  renewUnsigned: {
    en: "{who} cannot renew the certificate of {count:its kubelet|their kubelets}: {count:the request is|the requests are} approved, and nobody signs {count:it|them}",
    zh: "{who}的 kubelet 证书无法续期：申请已批准，但无人签发",
  },
  serveWaits: {
    en: "Kubelets have no certificate to be asked by ({who}): they ask for one (serverTLSBootstrap), and nobody approves it; `kubectl logs`, `exec` and metrics fail with “tls: internal error”",
    zh: "kubelet 没有服务端证书（{who}）：kubelet 按 serverTLSBootstrap 提交了申请，但无人批准；`kubectl logs`、`exec` 和指标采集报 “tls: internal error”",
  },
  serveFails: {
    en: "Kubelets have no certificate to be asked by ({who}): `kubectl logs`, `exec` and metrics fail with “tls: internal error”",
    zh: "kubelet 没有服务端证书（{who}）：`kubectl logs`、`exec` 和指标采集报 “tls: internal error”",
  },
  serveSoon: {
    en: "{who} {count:asks|ask} for a serving certificate, and nobody approves it: Kubernetes itself approves none of the signer kubernetes.io/kubelet-serving. Without one `kubectl logs`, `exec` and metrics-server fail with “tls: internal error”",
    zh: "{who}申请了 kubelet 服务端证书，但无人批准：签发者 kubernetes.io/kubelet-serving 的申请 Kubernetes 自身不会自动批准。没有该证书时，`kubectl logs`、`exec` 和 metrics-server 报 “tls: internal error”",
  },
  unbound: {
    en: "Requests of nodes that join are not approved: {object} lets {user} have no certificate, and {who} {count:waits|wait}",
    zh: "新节点的证书申请不会被自动批准：{object} 缺失或不再授权 {user}，{who}正在等待",
  },
  keyless: {
    en: "kube-controller-manager signs no certificates: it runs without --cluster-signing-cert-file and --cluster-signing-key-file, and {who} {count:waits|wait} for {count:its|theirs}",
    zh: "kube-controller-manager 不签发证书：没有 --cluster-signing-cert-file 和 --cluster-signing-key-file 参数，{who}正在等待",
  },
  nodes: { en: "Node {nodes}", zh: "节点 {nodes}" },
  someNode: { en: "a node ({request}, asked for by {user})", zh: "某个节点（{request}，申请者 {user}）" },
  look: {
    en: "See who asks, and for which node: approve only what a machine of yours has asked for",
    zh: "核对申请者和节点：只批准确属自己机器的申请",
  },
  approve: { en: "Approve what waits", zh: "批准等待中的申请" },
  discard: {
    en: "Delete what was denied or refused: the kubelet asks anew (restart it if it does not)",
    zh: "删除被拒绝的申请：kubelet 会重新提交（否则重启 kubelet）",
  },
  bind: {
    en: "Let requests of nodes that join be approved again, as kubeadm does",
    zh: "按 kubeadm 的方式恢复对新节点证书申请的自动批准",
  },
  manager: {
    en: "See what kube-controller-manager says of certificates, and whether it has the files that it signs with",
    zh: "查看 kube-controller-manager 关于证书的日志，以及签发所用的文件是否齐全",
  },
  giveKey: {
    en: "Give kube-controller-manager what it signs with in its manifest (kubeadm: --cluster-signing-cert-file=/etc/kubernetes/pki/ca.crt, --cluster-signing-key-file=/etc/kubernetes/pki/ca.key); with a CA outside of the cluster, issue kubelets' certificates there",
    zh: "在 kube-controller-manager 清单中加上签发证书的参数（kubeadm：--cluster-signing-cert-file=/etc/kubernetes/pki/ca.crt、--cluster-signing-key-file=/etc/kubernetes/pki/ca.key）；若使用外部 CA，由外部 CA 签发 kubelet 证书",
  },
  approver: {
    en: "Install an approver of serving certificates (kubelet-csr-approver, or your cloud's), or take serverTLSBootstrap out of the kubelets' configuration",
    zh: "安装服务端证书的批准组件（kubelet-csr-approver 或云厂商提供的组件），或从 kubelet 配置中去掉 serverTLSBootstrap",
  },
  nothing: { en: "Nothing", zh: "无" },
  prevent: {
    en: "Alert on requests that wait for minutes, and on kubelet_certificate_manager_client_expiration_renew_errors and kubelet_certificate_manager_client_ttl_seconds",
    zh: "对长时间等待的证书申请，以及 kubelet_certificate_manager_client_expiration_renew_errors、kubelet_certificate_manager_client_ttl_seconds 设置告警",
  },
});
