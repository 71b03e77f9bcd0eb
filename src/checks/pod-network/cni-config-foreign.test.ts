import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { type Edit, editPods } from "../../../testing/cluster-edits.ts";
import { atAddress } from "../../../testing/object-states.ts";
import { parseCniConflist } from "../../parse/cni-conflist.ts";
import { cniConfigForeign } from "./cni-config-foreign.ts";

const RIGHT = { node: "w1", file: "10-flannel.conflist" };

const file =
  (name: string, text: object): Edit =>
  (draft) =>
    draft.set("cniConfig", { node: "w1", file: name }, parseCniConflist(JSON.stringify(text)).value);

/** As Podman 4 installs it (cni/87-podman-bridge.conflist), and as containerd's install guide has it. */
const bridge = (subnet: string) => ({
  cniVersion: "1.0.0",
  name: "containerd-net",
  plugins: [
    {
      type: "bridge",
      bridge: "cni-podman0",
      isGateway: true,
      ipMasq: true,
      ipam: { type: "host-local", ranges: [[{ subnet }]], routes: [{ dst: "0.0.0.0/0" }] },
    },
    { type: "portmap", capabilities: { portMappings: true } },
  ],
});
const old = (type: string) => ({ cniVersion: "0.3.1", name: "old", plugins: [{ type }] });

const elsewhere = editPods(
  "frontend",
  atAddress(() => "10.88.0.5"),
  "w1",
);
const healedBy = () => cluster();

testCheck(cniConfigForeign, {
  finds: {
    "containerd's example comes before flannel's file": {
      given: cluster().edit(file("10-containerd-net.conflist", bridge("10.88.0.0/16")), elsewhere),
      repair: "Node/w1",
      says: [
        "takes 10-containerd-net.conflist (bridge, portmap)",
        "flannel's 10-flannel.conflist",
        "such as 10.88.0.5",
      ],
      breaks: ["cni.choice", "pod.attach"],
      strength: "direct",
      healedBy,
    },
    "what Calico left was not removed, and no Pod was made since": {
      given: cluster().edit(file("00-calico.conflist", old("calico"))),
      repair: "Node/w1",
      says: ["its new Pods will not be in the Pod network"],
      breaks: ["cni.choice"],
      healedBy,
    },
    "flannel's file is gone, and Podman's is left": {
      given: cluster()
        .edit(file("87-podman-bridge.conflist", bridge("10.88.0.0/16")), elsewhere)
        .without("cniConfig", RIGHT),
      repair: "Node/w1",
      says: ["87-podman-bridge.conflist (bridge, portmap) for its only CNI configuration"],
      healedBy,
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "Podman's file sorts behind": cluster().edit(file("87-podman-bridge.conflist", bridge("10.88.0.0/16"))),
    "a kubeconfig and a backup are no configurations": cluster().edit(
      file("00-calico-kubeconfig", old("calico")),
      file("05-cilium.conflist.cilium_bak", old("cilium-cni")),
    ),
    "Multus hands on to flannel": cluster().edit(file("00-multus.conf", old("multus"))),
    "a bridge in the node's own range": cluster().edit(file("00-bridge.conflist", bridge("10.128.1.0/24"))),
    "no agent is known that would write another": cluster({ flavour: "managed" }).edit(file("00-x.conflist", old("x"))),
  },
  cannotTell: {
    "cni.choice": { "no file was collected": cluster().without("cniConfig") },
  },
});
