import { expect, it } from "vitest";
import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { type Edit, editObjects, editPods } from "../../../testing/cluster-edits.ts";
import { diagnose } from "../../diagnose.ts";
import { controllerSwitchedOff } from "./controller-switched-off.ts";

const controllers = (value: string): Edit =>
  editPods("kube-controller-manager", (pod) => ({
    ...pod,
    spec: {
      ...pod.spec,
      containers: pod.spec.containers.map((one) => ({
        ...one,
        command: ["kube-controller-manager", `--controllers=${value}`],
      })),
    },
  }));
const given = (value: string) => cluster().edit(controllers(value));
const repair = "Pod/kube-system/kube-controller-manager-cp1";
const healedBy = () => cluster();

testCheck(controllerSwitchedOff, {
  finds: {
    "somebody switched off the controller of EndpointSlices": {
      given: given("*,bootstrapsigner,tokencleaner,-endpointslice-controller"),
      repair,
      says: ["kube-controller-manager runs without its endpointslice-controller", "keep the back ends that they had"],
      breaks: ["service.follow"],
      strength: "direct",
      healedBy,
    },
    "by the name that it had in old releases": {
      given: given("*,-endpointslice"),
      repair,
      says: ["runs without its endpointslice (--controllers=*,-endpointslice)"],
      healedBy,
    },
    "a list without the star leaves out DaemonSets": {
      given: given("endpointslice-controller,replicaset-controller,deployment-controller"),
      repair,
      says: ["runs without its daemonset-controller", "Pods that end are not made again"],
      breaks: ["pod.create"],
      healedBy,
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "kubeadm's own": given("*,bootstrapsigner,tokencleaner"),
    "another one is off": given("*,-ttl-after-finished-controller"),
    "it is named, and comes first": given("endpointslice-controller,*"),
  },
  cannotTell: {},
});

it("stands above the Pods that EndpointSlices do not name", () => {
  const { rootCauses } = diagnose(
    given("*,-endpointslice-controller").edit(
      editObjects("endpointslices", "frontend-00000", (slice) => ({ ...slice, endpoints: [] })),
    ).capture,
  );
  const roots = rootCauses.map(({ check }) => check).filter((check) => !check.startsWith("service-rules"));
  expect(roots).toEqual(["controller-switched-off"]);
});
