/** The fourth pipeline: from a capture to what its components have been granted. Pure. */
import { VERSION } from "./diagnose.ts";
import type { Capture } from "./evidence/capture.ts";
import { modelOf } from "./model/model.ts";
import { buildRbacCheck } from "./report/build-rbac-check.ts";
import type { RbacCheck } from "./report/rbac-check.ts";

export function checkRbac(capture: Capture): RbacCheck {
  return buildRbacCheck(capture, modelOf(capture), VERSION);
}
