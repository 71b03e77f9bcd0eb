/** `netwhy explain`: the manual pages of the checks, each from the check's own file. */
import type { Layer } from "../../checks/check.ts";
import { CHECKS } from "../../checks/registry.ts";
import { type Block, line } from "../../report/formats/document.ts";
import { drawBlocks } from "../../report/formats/terminal.ts";
import { type Text, texts } from "../../text.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { manualBlocks } from "../manual-page.ts";
import type { Surroundings } from "../surroundings.ts";
import { unknownName } from "../usage-error.ts";
import type { Given } from "./command.ts";

const say = texts("explain-command", {
  controlPlane: { en: "Control plane", zh: "控制平面" },
  node: { en: "Nodes", zh: "节点" },
  podNetwork: { en: "Pod network", zh: "Pod 网络" },
  service: { en: "Services", zh: "Service" },
  dns: { en: "DNS", zh: "DNS" },
  policy: { en: "NetworkPolicies", zh: "网络策略" },
  check: { en: "check", zh: "检查项" },
  list: { en: "`{program} explain --list` names them all.", zh: "`{program} explain --list` 可列出全部。" },
});

const LAYERS: Record<Layer, Text> = {
  "control-plane": say.controlPlane(),
  node: say.node(),
  "pod-network": say.podNetwork(),
  service: say.service(),
  dns: say.dns(),
  policy: say.policy(),
};

export function explainCommand(check: string | undefined, { list }: Given, surroundings: Surroundings): ExitCode {
  const { width, color, out } = surroundings;
  const blocks = check === undefined || list ? listBlocks(surroundings) : pageBlocks(check, surroundings);
  out(drawBlocks(blocks, { width, color: color.out }));
  return EXIT.healthy;
}

function listBlocks({ lang }: Surroundings): Block[] {
  return (Object.keys(LAYERS) as Layer[]).flatMap((layer): Block[] => {
    const checks = CHECKS.filter((each) => each.layer === layer).map(({ check }) => check);
    const items = checks.map(({ id, manual: { title } }) => ({ label: id, line: line(title[lang]) }));
    if (items.length === 0) return [];
    return [{ shape: "section", title: LAYERS[layer][lang], blocks: [{ shape: "facts", items }] }];
  });
}

function pageBlocks(id: string, { lang, program }: Surroundings): Block[] {
  const found = CHECKS.find(({ check }) => check.id === id);
  if (!found) {
    const names = CHECKS.map(({ check }) => check.id);
    throw unknownName(say.check(), id, names, say.list({ program }));
  }
  const { title, page } = found.check.manual;
  return [
    { shape: "line", line: line(title[lang], "strong") },
    { shape: "line", line: line(`${id} · ${LAYERS[found.layer][lang]}`, "faint") },
    ...manualBlocks(page[lang]),
  ];
}
