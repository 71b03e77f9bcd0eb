/** `netwhy agent`: prints what installs netwhy's agent on all nodes, with a key of its own. It sends nothing anywhere. */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { texts } from "../../text.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import type { Surroundings } from "../surroundings.ts";
import { badValue } from "../usage-error.ts";
import type { Given } from "./command.ts";

const say = texts("agent-command", {
  next: {
    en: "next: review it, then `{program} agent --image IMAGE | kubectl apply -f -`; agent/Dockerfile makes the image",
    zh: "接下来：检查内容，然后执行 `{program} agent --image 镜像 | kubectl apply -f -`；镜像由 agent/Dockerfile 构建",
  },
});

const MANIFEST = new URL("../../../manifests/agent.yaml", import.meta.url);
/** https://github.com/distribution/reference: what a name of an image is made of. */
const IMAGE = /^[a-z0-9][\w.\-/:@]*$/i;

/** @param key of the agents, in a Secret beside them */
function manifestsWith(image: string | undefined, key: string): string {
  const text = readFileSync(MANIFEST, "utf8");
  const secret = [
    "apiVersion: v1",
    "kind: Secret",
    "metadata:",
    "  name: netwhy-agent",
    "  namespace: netwhy",
    "stringData:",
    `  key: ${key}`,
  ];
  const chosen = image === undefined ? text : text.replace(/^(\s+image: ).*$/m, (_, before: string) => before + image);
  return `${chosen.trimEnd()}\n---\n${secret.join("\n")}\n`;
}

export async function agentCommand(given: Given, { out, err, lang, program }: Surroundings): Promise<ExitCode> {
  const image = given.image as string | undefined;
  if (image !== undefined && !IMAGE.test(image)) throw badValue("--image", image, ["REGISTRY/netwhy-agent:0.1.0"]);
  out(manifestsWith(image, randomBytes(32).toString("hex")));
  if (image === undefined) err(`${say.next({ program })[lang]}\n`);
  return EXIT.healthy;
}
