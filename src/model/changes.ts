import type { Capture } from "../evidence/capture.ts";
import type { Change } from "./change.ts";
export function captureWith(capture: Capture, _changes: readonly Change[]): Capture { return capture; }
