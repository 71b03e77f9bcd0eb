/**
 * netwhy's agent on a node: to who knows its key it shows what node-script.sh reads there. It decides nothing, keeps
 * nothing, writes nothing, and runs nothing but that script.
 *
 *   GET /healthz      to everybody: that it is there
 *   GET /challenge    to everybody: a word that is good for a minute
 *   GET /node?mark=M  the script's output with the marks that it has; the header x-netwhy-proof holds the challenge, a
 *                     space, and the HMAC-SHA256 in hex of `CHALLENGE PATH` by the key
 *
 * It is reached through the API server (pods/proxy), which passes headers on but cannot prove to the agent who asks:
 * every Pod may connect to a node's port. So who asks proves to know the key, which stands in a Secret; the key itself
 * never travels. One reading at a time; each has an end.
 *
 * It is one file without dependencies: tools/build-agent.ts takes its types out, for Node needs less memory then.
 */
import { spawn } from "node:child_process";
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { parseArgs } from "node:util";

const { values: given } = parseArgs({
  options: {
    address: { type: "string", default: "127.0.0.1" },
    port: { type: "string", default: "10471" },
    /** A file, read at every request: the Secret may change. */
    key: { type: "string", default: "/etc/netwhy-agent/key" },
    script: { type: "string", default: new URL("node-script.sh", import.meta.url).pathname },
    /** How far from the node the agent is, as the script names it. */
    mode: { type: "string", default: "debug" },
  },
});

const LIMIT_MS = 60_000;
const LARGEST = 256 * 1024 * 1024;
const SHORTEST_KEY = 32;
/** Seconds. A challenge is old by the agent's own clock: those of nodes may be wrong. */
const CHALLENGE_AGE = 60;

const script = readFileSync(given.script);
const own = randomBytes(32);

function keyOf(): Buffer {
  const key = Buffer.from(readFileSync(given.key, "utf8").trim());
  if (key.length < SHORTEST_KEY) throw new Error(`the key in ${given.key} is shorter than ${SHORTEST_KEY} characters`);
  return key;
}

const hmac = (key: Buffer, words: string): Buffer => createHmac("sha256", key).update(words).digest();

const now = (): number => Math.floor(process.uptime());

const challengeAt = (second: number): string => `${second}.${hmac(own, String(second)).toString("hex")}`;

function isRecent(challenge: string): boolean {
  const second = Number(challenge.split(".")[0]);
  return now() - second <= CHALLENGE_AGE && now() >= second && isEqual(challenge, challengeAt(second));
}

function isEqual(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}

function isProven({ headers, url = "" }: IncomingMessage): boolean {
  const [challenge = "", proof = ""] = String(headers["x-netwhy-proof"] ?? "").split(" ");
  return isRecent(challenge) && isEqual(proof, hmac(keyOf(), `${challenge} ${url}`).toString("hex"));
}

function say(response: ServerResponse, status: number, words: string): void {
  response.writeHead(status, { "content-type": "text/plain", ...(status === 429 && { "retry-after": "5" }) });
  response.end(`${words}\n`);
}

let isReading = false;

function readNode(mark: string, response: ServerResponse): void {
  isReading = true;
  // where memory is short, the kernel is to end a tool, which is told as missing, and not the agent
  const child = spawn("sh", ["-c", 'echo 1000 >/proc/self/oom_score_adj; exec sh -s "$@"', "sh", given.mode, mark], {
    stdio: ["pipe", "pipe", "ignore"],
    // a process group of its own, so that nothing of it outlives its time
    detached: true,
  });
  const stop = () => {
    try {
      process.kill(-child.pid!, "SIGKILL");
    } catch {
      // it has ended already
    }
  };
  const timer = setTimeout(stop, LIMIT_MS);
  let bytes = 0;
  response.writeHead(200, { "content-type": "text/plain; charset=utf-8" });
  child.stdin.on("error", () => {});
  child.stdin.end(script);
  child.stdout.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > LARGEST) stop();
    else if (!response.write(chunk)) child.stdout.pause();
  });
  response.on("drain", () => child.stdout.resume());
  response.on("close", stop);
  const end = () => {
    clearTimeout(timer);
    isReading = false;
    response.end();
  };
  child.on("error", end);
  child.on("close", end);
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  const { method, url = "" } = request;
  const [path, query] = url.split("?");
  const mark = new URLSearchParams(query).get("mark") ?? "";
  if (method !== "GET") say(response, 405, "only GET");
  else if (path === "/healthz") say(response, 200, "ok");
  else if (path === "/challenge") say(response, 200, challengeAt(now()));
  else if (path !== "/node") say(response, 404, "no such path");
  else if (!isProven(request)) say(response, 401, "who asks did not prove to know the agent's key");
  else if (!/^@@[0-9a-f-]{36}$/.test(mark)) say(response, 400, "mark: @@ and a UUID");
  else if (isReading) say(response, 429, "the node is being read for somebody else");
  else readNode(mark, response);
}

keyOf();
const server = createServer((request, response) => {
  try {
    answer(request, response);
  } catch (error) {
    say(response, 500, (error as Error).message);
  }
});
server.headersTimeout = 10_000;
server.requestTimeout = 10_000;
server.maxConnections = 64;
server.listen(Number(given.port), given.address);
process.on("SIGTERM", () => process.exit(0));
