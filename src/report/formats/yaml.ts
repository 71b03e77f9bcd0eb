/** Plain data as YAML, for programs that people read along with. */
import { dump } from "js-yaml";

export function dumpYaml(value: object): string {
  return dump(value, { lineWidth: 120, noRefs: true });
}
