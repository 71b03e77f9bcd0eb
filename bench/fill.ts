/**
 * Fills an empty cluster for list.bench.ts: `node bench/fill.ts KUBECONFIG [COUNT]`, 50,000 Pods of about 8 kB.
 *
 * They are bound to no node and owned by nobody, so that neither scheduler nor garbage collector touches them; the API
 * server alone is needed. Never for a cluster that somebody uses.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Api, apiOf } from "../src/sources/live/api.ts";
import { connect } from "../src/sources/live/connection.ts";

const NAMESPACES = 50;
/** Connections, of four requests at a time each. */
const CONNECTIONS = 6;
const AT_A_TIME = 4;

const [kubeconfig, count = "50000"] = process.argv.slice(2);
const print = (line: string): void => void process.stdout.write(`${line}\n`);

/** The server adds its defaults, a volume for the token and who wrote which field, which is more than a half. */
const pod = (index: number) => ({
  metadata: {
    name: `app-${index % 500}-6c46c7644b-${index.toString(36).padStart(5, "0")}`,
    labels: { app: `app-${index % 500}`, "pod-template-hash": "6c46c7644b" },
    annotations: { "example.com/checksum": "f1c46f35562ac8b290a48cff6cb21498" },
  },
  spec: {
    containers: [0, 1].map((n) => ({
      name: `c${n}`,
      image: `registry.example.com/team/app-${n}:v1.2.${index % 9}`,
      args: ["--listen=:8080", "--log-level=info", `--shard=${index % 16}`],
      ports: [{ name: `http-${n}`, containerPort: 8080 + n }],
      env: Array.from({ length: 19 }, (_, at) => ({ name: `SETTING_${at}`, value: `value of setting ${at} "quoted"` })),
      resources: { limits: { cpu: "1", memory: "512Mi" }, requests: { cpu: "100m", memory: "128Mi" } },
      readinessProbe: { httpGet: { path: "/ready", port: `http-${n}` }, periodSeconds: 10 },
    })),
  },
});

async function send(api: Api, path: string, body: object): Promise<void> {
  for (let tried = 1; ; tried++) {
    const { answer } = await api.send("POST", path, body);
    if (answer.ok || answer.failure.status === 409) return;
    if (tried === 30) throw new Error(answer.failure.message);
    // no ServiceAccount yet, or too many requests
    await sleep(300 * tried);
  }
}

let next = 0;
async function fill(api: Api): Promise<void> {
  for (let index = next++; index < Number(count); index = next++) {
    if (index % 5000 === 0) print(`${index} …`);
    await send(api, `/api/v1/namespaces/team-${index % NAMESPACES}/pods`, pod(index));
  }
}

const connections = await Promise.all(Array.from({ length: CONNECTIONS }, () => connect({ kubeconfig })));
const apis = connections.map((connection) =>
  apiOf(connection, { signal: new AbortController().signal, deadline: Date.now() + 3_600_000, idleMs: 60_000 }),
);
const started = performance.now();
for (let index = 0; index < NAMESPACES; index++) {
  await send(apis[0]!, "/api/v1/namespaces", { metadata: { name: `team-${index}` } });
}
await Promise.all(apis.flatMap((api) => Array.from({ length: AT_A_TIME }, () => fill(api))));
print(`${count} Pods in ${Math.round((performance.now() - started) / 1000)} s`);
for (const connection of connections) connection.close();
