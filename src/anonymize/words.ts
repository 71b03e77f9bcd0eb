/**
 * The words that stay. A name of a user that is one of them is replaced where it stands as a name, and never in prose:
 * "data" in `namespace="data"`, not in "no data".
 */

const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/));

/** Of Kubernetes, of what a network is made of, of logs and of the output of tools. */
const VOCABULARY = words(`
  a able about absent accept access account action active add addon addons address addresses admin admins admission affinity
  after agent agents aggregate aggregation aggregator alertmanager alias all allocate allow alpha amd an and antrea any api
  apiextensions apiregistration apiserver apiservers apiservice app application approver apps apt arm arp as at attach
  attachdetach auth authentication authenticator authorization auto autoapprove autoscaler autoscaling available aws azure
  backup balancer base basic batch bgp bin bind binder binding bindings block boot bootstrap bootstrapper bpf bridge
  broadcast build busybox by ca cache cached caches calico canal cert certificate certificates certmanager cfg cgroup chain change check
  checker checksum cilium class cleaner clean cli client clients cloud cluster clusterip clusterrole clusters cmd cni code collector com
  command comment common component compute conf config configmap configs configuration connect connection conntrack
  container containerd containers content context control controller controllers coredns core count cpu crash crd create created creation
  cri cron cronjob crt csi csr current custom daemon daemonset dashboard data database date dead debug default deferred delay
  delegator delete deleted denied deny deployment deployments descheduler desired detector dev device devices dhcp dial dir disabled discovery
  disk disruption dns docker domain done down driver drop dry ds dst dynamic e edit egress egressgateway elasticsearch empty
  enabled encap end endpoint endpoints endpointslice endpointslicemirroring endpointslices ens env envoy ephemeral eq error errors etc etcd
  eth event events example exec executor exit expand export exporter extension external failed failure false family feature felix field
  file files filter finished firewall fix flag flags flannel flow flush fluentd for force forward found from fs full
  garbage gateway gc generic get global go golang google gossip gpu grafana group groups grpc guard handle handler hash head health healthy
  heapster helm helper high home hook horizontal host hostname hostpath hosts http https hubble id identity if image images
  in index info ingress init initial inject injector inner input install installer instance int interface internal invalid io ip
  ipam ipip iptables ipset ipv ipvs is issuer istio istiod job jobs journal json k kernel key keys kind kindnet kiali known kube
  kubeadm kubectl kubelet kubernetes kubevirt label labels lan last latest layer lead leader lease leases left legacy len level lib limit
  limits line link linux list listen live lo load loadbalancer local localhost location lock locking log logger logging login logs
  loki long lookup loop low mac machine mail main make manager manifest mark mask masq masquerade master match max memory
  mesh message metadata metallb metric metrics min mirror missing mode model module monitor monitoring more mount mtu
  mutating name named names namespace namespaces nat native neighbor net netfilter netpol network networking
  networkpolicy networks new next nfs nft nftables nginx no node nodeclient nodelocal nodelocaldns nodeport nodes
  none normal not npd nvidia object objects of off offset ok old on only open openebs openshift operation operator option options or
  org os other out outer output owner packet packets page parent partial path pause peer pending persistent phase ping plugin plugins pod podman
  pods policies policy pool port ports post priority private prober probe problem process prod profile prom prometheus
  prometheuses promtail protection protocol provider provisioner proxier proxy public publisher pull push pv pvc query queue quota raft rancher random range
  rate rbac read reader ready reason recent recycler redirect ref refresh refused registry reject relay release reload remote remove replica
  replicas replicaset replication request requests rescheduler reset resolv resolve resolver resource resourcequota resources response
  restart result retry return revision role roles rollout root rotation route router routes rp rule rules run runner running runtime s sa save scheduler
  scope search seccomp secret secrets security selector selfnodeclient selinux send serve server servers service serviceaccount services
  serving session set sets shell short sidecar signal signer size slice slow sock socket source speaker spec src ssh ssl stack
  stage staging start started stat state stateful statefulset static statistic stats status step stop stopped storage storageclass
  store string strongswan subnet success sum sync sysctl system systemd t table tables tag tail target task tcp telemetry temp template
  test tests text thanos then thread tigera time timeout tls tmp to token tokens tool tools top total trace tracking traefik traffic true
  trust try ttl tunnel tun type typha udp unable under unhealthy unix unknown unreachable up update upgrade upstream uri url usage use user
  users util utils v validate validating validatingadmissionpolicy validation value values var velero verify version view viewer virtual vm volume volumes vxlan wait warn
  warning watch weave web webhook webhooks when whereabouts wireguard with work worker workers workload workloads world write x yaml zone zones zookeeper
  certificatesigningrequests clusterinfo election signing subject csistoragecapacity volumeattributesclass devicetaint cidr cidrs servicecidr servicecidrs preemption claim
  claims replicationcontroller mirroring devicetaintrule eviction evictions podgroup podsecurity pss introspection reviewer tokenreview subjectaccessreview kubeconfig
  kubeconfigs podtemplates ephemeralcontainers confd birdcl bird multus sriov ovn ovs antctl cloudnativelabs flanneld lockfile
  leaderelection etcdctl healthz readyz livez dockershim crictl crio kine servicelb klipper konnectivity stale expiry
  expired renew renewal
`);

/** Letters alone, numbers, versions, devices with a number: what tools write everywhere. */
const FORM =
  /^(?:[a-z]|\d+|v\d+(?:alpha\d+|beta\d+)?|(?:eth|ens|eno|enp|bond|lo|tun|tap|veth|cni|br|ip|ipv|tcp|udp|kube|dns|http|tls|amd|arm|sha|md|utf|crc|base|int|uint|float|rfc)\d+|k8s|k3s|rke2|x509|x86|s3|h2c?|l[2347]|e2e|i386|i686|p\d\d|h264|oauth2|o11y|i18n|b64)$/;

/** Whether a word means something wherever it stands. */
export const isVocabulary = (word: string): boolean => VOCABULARY.has(word) || FORM.test(word);

/** Whether a name says nothing that a user chose: all of its words are known, whatever numbers follow. */
export const isOfVocabulary = (name: string): boolean =>
  name
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .every((word) => word === "" || isVocabulary(word));

/** Names that every cluster, or every cluster with some well-known part, has. */
const KEPT = words(`
  default kubernetes kube-root-ca.crt istio-ca-root-cert openshift-service-ca.crt cluster-admin admin edit view
  system:masters system:nodes system:authenticated system:unauthenticated cluster.local
`);

/** Namespaces in which components live: what is in them is named by those who made the components. */
const SYSTEM_NAMESPACES =
  /^(?:kube-.+|calico-(?:system|apiserver)|tigera-.+|cilium(?:-.+)?|istio-system|ingress-nginx|metallb-system|cert-manager|local-path-storage|openshift(?:-.+)?|cattle-.+|gmp-system|gke-.+|amazon-.+|antrea.*|monitoring|longhorn-system|flux-system|argocd)$/;

export const isSystemNamespace = (name: string): boolean => SYSTEM_NAMESPACES.test(name);
export const isKept = (name: string): boolean =>
  KEPT.has(name) || /^(?:system|kubeadm|eks|gke|aks|k3s|rke2):/.test(name);

/** What kube-apiserver and kubeadm name; a node's or an account's name in one is not theirs. */
export const isBuiltIn = (name: string): boolean =>
  /^(?:system|kubeadm):/.test(name) && !/^system:(?:node|serviceaccounts?):/.test(name);

/** Domains of those who make Kubernetes and what runs on it, and of names inside of every cluster. */
const KNOWN_DOMAIN =
  /(?:^|\.)(?:k8s\.io|kubernetes\.io|x-k8s\.io|k8s\.gcr\.io|gcr\.io|ghcr\.io|quay\.io|docker\.io|docker\.com|pkg\.dev|cilium\.io|projectcalico\.org|tigera\.io|coreos\.com|etcd\.io|cncf\.io|istio\.io|helm\.sh|github\.com|githubusercontent\.com|golang\.org|google\.golang\.org|go\.uber\.org|mcr\.microsoft\.com|aliyuncs\.com|amazonaws\.com|ecr\.aws|azure\.com|azurecr\.io|gke\.io|openshift\.io|redhat\.com|redhat\.io|rancher\.io|rancher\.com|cattle\.io|k3s\.io|metallb\.(?:io|universe\.tf)|cert-manager\.io|traefik\.io|prometheus\.io|grafana\.com|opentelemetry\.io|weave\.works|antrea\.io|ovn\.org|kubevirt\.io|spdx\.org|ietf\.org|opencontainers\.org|freedesktop\.org|netfilter\.org|kernel\.org|cluster\.local|svc|in-addr\.arpa|ip6\.arpa|localdomain|compute\.internal)$/;

export const knownDomain = (name: string): string | undefined => KNOWN_DOMAIN.exec(name)?.[0].replace(/^\./, "");

/** The last labels by which a name with dots is known for one of a domain, and not for a file or a field. */
const TOP_LEVEL = words(`
  com net org io dev cloud app corp internal local lan intra intranet home private cn de fr uk eu us ru jp kr br ca au nl ch se pl
  hk tw sg info biz xyz edu gov mil test example invalid localdomain
`);

export const isTopLevel = (label: string): boolean => TOP_LEVEL.has(label);
