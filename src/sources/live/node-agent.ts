/**
 * netwhy's own agents (agent/agent.ts), where they are installed: each runs the script on its node for who proves to
 * know their key. They are reached through the API server (pods/proxy), which goes to the node's address: neither the
 * Pod network nor the kubelet is needed.
 */
import { createHmac, randomUUID } from "node:crypto";
import type { ObjectOf } from "../../evidence/catalogue.ts";
import { AGENT_NAMESPACE } from "../../evidence/rights.ts";
import type { Api, Failure } from "./api.ts";
import type { NodeIntake } from "./read-nodes.ts";

/** Only here: whoever may make Pods elsewhere could pass for an agent. */
const NAMESPACE = AGENT_NAMESPACE;
const NAME = "netwhy-agent";
const LABEL = "app.kubernetes.io/name";

export type NodeAgents = {
  /** Reads a node by its agent, if there is one. */
  read(node: string, files: NodeIntake, limitMs: number): Promise<void>;
};

export function nodeAgents(api: Api, pods: readonly ObjectOf<"pods">[]): NodeAgents {
  const agents = new Map(
    pods
      .filter(({ metadata, spec, status }) => {
        const isOurs = metadata.namespace === NAMESPACE && metadata.labels?.[LABEL] === NAME;
        return isOurs && spec.hostNetwork === true && status?.phase === "Running";
      })
      .map((pod) => [pod.spec.nodeName, pod] as const),
  );
  let key: Promise<string | Failure> | undefined;

  /** The same for all agents, so it is asked for once. */
  async function readKey(): Promise<string | Failure> {
    const { answer, text } = await api.text(`/api/v1/namespaces/${NAMESPACE}/secrets/${NAME}`);
    if (!answer.ok) return answer.failure;
    const encoded = /"key"\s*:\s*"([A-Za-z0-9+/=]+)"/.exec(text)?.[1];
    if (encoded === undefined) return { kind: "refused", message: `Secret ${NAMESPACE}/${NAME} has no key` };
    return Buffer.from(encoded, "base64").toString().trim();
  }

  return {
    async read(node, files, limitMs) {
      const pod = agents.get(node);
      if (!pod) return;
      const port = pod.spec.containers.flatMap(({ ports }) => ports ?? [])[0]?.containerPort;
      const proxy = `/api/v1/namespaces/${NAMESPACE}/pods/${pod.metadata.name}:${port}/proxy`;
      const failed = ({ message }: Failure) => files.fail(`the agent ${NAMESPACE}/${pod.metadata.name}: ${message}`);
      key ??= readKey();
      const known = await key;
      if (typeof known !== "string") return failed(known);
      const asked = await api.text(`${proxy}/challenge`, { tries: 1, idleMs: 8000, isRelayed: true });
      if (!asked.answer.ok) return failed(asked.answer.failure);
      const challenge = asked.text.trim();
      const mark = `@@${randomUUID()}`;
      const path = `/node?mark=${mark}`;
      const proof = createHmac("sha256", known).update(`${challenge} ${path}`).digest("hex");
      const reader = files.reader(mark);
      const answer = await api.get(proxy + path, {
        onText: (piece) => reader.write(piece),
        headers: { "x-netwhy-proof": `${challenge} ${proof}` },
        // what came is kept: it is not asked for twice
        tries: 1,
        limitMs,
        // time is left for the next way
        idleMs: Math.min(limitMs / 3, 20_000),
        isRelayed: true,
      });
      reader.end(answer.ok ? undefined : answer.failure.message);
      if (!answer.ok) failed(answer.failure);
    },
  };
}
