/** What is judged: ports of Services on nodes, by these parts of the model. */
import type { ClusterModel } from "../../../model/model.ts";
import type { ServicePort } from "../../../model/services/services.ts";
import type { Family } from "../../../net/ip.ts";

export type Model = Pick<
  ClusterModel,
  "nodes" | "pods" | "services" | "proxy" | "components" | "logs" | "time" | "forwarding" | "sandboxes"
>;

/** A port of a Service in one address family, on a node. */
export type Served = { readonly port: ServicePort; readonly node: string; readonly family: Family };
