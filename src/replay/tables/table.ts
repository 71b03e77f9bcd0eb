/** What `kubectl get` prints of an object, as the API server tells it. */

import { builtIn, type ResourceType } from "../../model/resource-types.ts";
import type { CustomResource } from "../custom-resources.ts";
import { accountPrinters } from "./accounts.ts";
import { clusterPrinters } from "./cluster.ts";
import { customPrinter, definitionPrinters } from "./custom.ts";
import { networkPrinters } from "./network.ts";
import { podPrinters } from "./pods.ts";
import { type Metadata, type Printer, printer } from "./printer.ts";
import { quotaPrinters } from "./quotas.ts";
import { storagePrinters } from "./storage.ts";
import { workloadPrinters } from "./workloads.ts";

const PRINTERS: Readonly<Record<string, Printer>> = {
  ...podPrinters,
  ...workloadPrinters,
  ...networkPrinters,
  ...clusterPrinters,
  ...accountPrinters,
  ...storagePrinters,
  ...quotaPrinters,
  ...definitionPrinters,
};

/** Kinds of Kubernetes' own that have no printer. */
const PLAIN = printer<{ metadata: Metadata }>("Name, Created At@", ({ metadata }) => [
  metadata.name,
  metadata.creationTimestamp ?? null,
]);

/** The columns of a resource, and the cells of its objects. */
export function tableOf(type: ResourceType, custom: readonly CustomResource[]): Printer {
  const { group, plural, version } = type;
  const own = PRINTERS[`${group}/${plural}`];
  const defined = custom.find(
    (each) => each.type.group === group && each.type.plural === plural && each.type.version === version,
  );
  return guarded(own ?? (builtIn(group, version, plural) ? PLAIN : customPrinter(defined?.columns)));
}

/** An object that looks otherwise than its kind may still be listed. */
function guarded({ columns, cells }: Printer): Printer {
  return {
    columns,
    cells(object, now) {
      try {
        return cells(object, now);
      } catch {
        const { name } = object.metadata as Metadata;
        return columns.map((column) => (column.name === "Name" ? name : "<invalid>"));
      }
    },
  };
}
