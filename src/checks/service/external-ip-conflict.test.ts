import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { editObjects } from "../../../testing/cluster-edits.ts";
import { ref } from "../../model/ref.ts";
import { externalIpConflict } from "./external-ip-conflict.ts";

const frontend = ref("Service", "frontend", "shop");
/** The Service gets these addresses and ports, and kube-proxy writes it. */
const given = (externalIPs: readonly string[], port: number, protocol = "TCP") =>
  cluster().with({
    do: "patch",
    target: frontend,
    patch: { spec: { externalIPs, ports: [{ name: "http", port, protocol, targetPort: 8080 }] } },
  });
const repair = "Service/shop/frontend";
const healedBy = () => cluster();

testCheck(externalIpConflict, {
  finds: {
    "the API server's address and port": {
      given: given(["172.16.0.1"], 6443),
      repair,
      says: ["Service shop/frontend takes what is sent to the API server: its external address is 172.16.0.1:6443"],
      breaks: ["api.reach"],
      strength: "direct",
      healedBy,
    },
    "the API server is cut off by it, and rules of nodes are all that is seen": {
      given: given(["172.16.0.1"], 6443)
        .edit((draft) => {
          const processes = [{ name: "kube-apiserver", pid: 1200 }];
          draft.set("sockets", { node: "cp1" }, [{ protocol: "tcp", address: "*", port: 6443, processes, line: 1 }]);
        })
        .without("services")
        .without("endpointslices"),
      repair,
      says: ["takes what is sent to the API server"],
      healedBy,
    },
    "a server that resolves names outside": {
      given: given(["172.16.0.254"], 53, "UDP").edit((draft) => {
        for (const node of ["cp1", "w1", "w2"])
          draft.set("nodeResolvConf", { node }, { nameservers: ["172.16.0.254"], search: [], options: new Map() });
      }),
      repair,
      says: ["takes what is sent to an upstream DNS server"],
      breaks: ["dns.upstream"],
    },
    "cluster DNS": {
      given: given(["10.96.0.10"], 53, "UDP"),
      repair,
      says: ["10.96.0.10:53 is kube-system/kube-dns"],
      breaks: ["service.address"],
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "a node's address, and a port of its own": given(["172.16.0.1"], 8443),
    "TCP at a port of UDP": given(["10.96.0.10"], 5353, "UDP"),
    "another proxy has the Service": given(["172.16.0.1"], 6443).edit(
      editObjects("services", "frontend", (service) => ({
        ...service,
        metadata: { ...service.metadata, labels: { "service.kubernetes.io/service-proxy-name": "other" } },
      })),
    ),
  },
  cannotTell: {
    "service.address": { "the list of Services was not collected": cluster().without("services") },
  },
});
