/** Options that say which cluster is read, and how: they make no sense for a bundle. */
import { DiagnosisError } from "../errors.ts";
import { texts } from "../text.ts";
import type { Given } from "./commands/command.ts";

const say = texts("evidence-options", {
  bundleAndCluster: {
    en: "A bundle was given, and {option} of a running cluster.",
    zh: "既指定了证据包，又指定了运行中集群的 {option}。",
  },
  justOne: { en: "Leave one of them out.", zh: "请只保留一个。" },
});

/** @throws DiagnosisError if an option is given that means a running cluster */
export function requireNoCluster(given: Given): void {
  const name = ["context", "kubeconfig", "nodes", "debugPods", "debugImage", "timeout"].find(
    (option) => given[option] !== undefined,
  );
  if (name === undefined) return;
  const option = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  throw new DiagnosisError("usage", say.bundleAndCluster({ option }), say.justOne());
}
