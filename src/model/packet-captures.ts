/** What tcpdump saw on nodes, by device: captures that a person made because a report asked for them, or of their own. */
import type { Capture } from "../evidence/capture.ts";
import { known } from "../evidence/observed.ts";
import type { Origin } from "../evidence/origin.ts";
import type { PacketCapture } from "../parse/packet-capture.ts";
import type { Nodes } from "./nodes.ts";

export type CaptureOn = PacketCapture & { readonly origin: Origin };

export interface PacketCaptures {
  /** The captures of one device of a node; none if nobody looked there. */
  on(node: string, device: string): readonly CaptureOn[];
}

export function packetCapturesOf(capture: Capture, nodes: Nodes): PacketCaptures {
  const all = capture.all("packetCapture").flatMap(({ place: { file = "" }, observed }) =>
    (known(observed) ?? []).flatMap((one) => {
      const node = one.node ?? nodeNamedBy(file, nodes);
      return node === undefined || one.device === undefined ? [] : [{ ...one, node, origin: observed.origin }];
    }),
  );
  return { on: (node, device) => all.filter((one) => one.node === node && one.device === device) };
}

/** A capture without head is of the node that its file is called after: `w1.txt`; `2-w1.txt` if it was the second of several. */
function nodeNamedBy(file: string, nodes: Nodes): string | undefined {
  const stem = file.replace(/\.(?:txt|log|gz|zst)$/, "");
  return [stem, stem.replace(/^\d+-/, "")].find((name) => nodes.get(name) !== undefined);
}
