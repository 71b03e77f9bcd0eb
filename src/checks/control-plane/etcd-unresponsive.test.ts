import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { leasesRenewed, said } from "../../../testing/cluster-edits.ts";
import { ago } from "../../../testing/object-states.ts";
import { etcdUnresponsive } from "./etcd-unresponsive.ts";

const refused = (n: number) =>
  `E1121 02:59:${40 + n}.774052       1 status.go:71] "Unhandled Error" err="apiserver received an error that is not an metav1.Status: rpctypes.EtcdError{code:0xe, desc:\\"etcdserver: request timed out\\"}: etcdserver: request timed out" logger="UnhandledError"`;
const often = said(
  "kube-apiserver",
  Array.from({ length: 6 }, (_, n) => refused(n)),
);
const LOST =
  '{"level":"info","ts":"2026-11-21T02:55:00Z","logger":"raft","msg":"raft.node: 8d6922fa78f0ee22 lost leader 2 at term 3"}';
const ETCD = { repair: "Pod/kube-system/etcd-cp1" };

testCheck(etcdUnresponsive, {
  finds: {
    "two of three members are gone": {
      ...ETCD,
      given: cluster().edit(often, leasesRenewed(ago(300)), said("etcd", [LOST])),
      says: [
        "etcd does not answer the API server (“etcdserver: request timed out”): nothing has been written for 300 s",
      ],
      breaks: ["api.write"],
      strength: "direct",
      healedBy: () => cluster(),
    },
  },
  warns: {
    "its disk is slow, and leases are renewed": {
      ...ETCD,
      given: cluster().edit(often),
      says: ["etcd answers the API server late"],
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "once, while it was busy": cluster().edit(said("kube-apiserver", [refused(1)])),
    "an hour ago": cluster().edit(
      said(
        "kube-apiserver",
        Array.from({ length: 6 }, (_, n) => refused(n)),
        ago(3600),
      ),
    ),
  },
});
