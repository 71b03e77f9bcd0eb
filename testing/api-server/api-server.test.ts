import { describe, expect, it } from "vitest";
import { type ApiServer, apiServer } from "./api-server.ts";

const PODS = JSON.stringify({
  kind: "PodList",
  apiVersion: "v1",
  metadata: { resourceVersion: "7" },
  items: [{ metadata: { name: "web", namespace: "shop" } }, { metadata: { name: "db", namespace: "data" } }],
});
const LIST = "/api/v1/pods";

const server = () => apiServer({ files: new Map([["api/v1/pods.json", PODS]]) });
const get = (api: ApiServer, path = LIST) => fetch(`${api.url}${path}`);

describe("the API server of our tests", () => {
  it("lists, and remembers what it was asked", async () => {
    await using api = await server();
    const answered = await get(api, `${LIST}?limit=1`);
    expect(await answered.json()).toMatchObject({ kind: "PodList", metadata: { remainingItemCount: 1 } });
    expect(api.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([`GET ${LIST}`]);
  });

  it("is slow", async () => {
    await using api = await server();
    api.inject({ on: /pods/, does: "slow", ms: 200 });
    const started = performance.now();
    expect((await get(api)).status).toBe(200);
    expect(performance.now() - started).toBeGreaterThan(190);
  });

  it.each([undefined, 50])("stalls after %s bytes until the client has had enough", async (afterBytes) => {
    await using api = await server();
    api.inject({ on: /pods/, does: "stall", ...(afterBytes !== undefined && { afterBytes }) });
    const patient = fetch(`${api.url}${LIST}`, { signal: AbortSignal.timeout(300) }).then((answered) =>
      answered.text(),
    );
    await expect(patient).rejects.toThrow(/timeout|abort/i);
  });

  it.each([undefined, 50])("resets the connection after %s bytes", async (afterBytes) => {
    await using api = await server();
    api.inject({ on: /pods/, does: "reset", ...(afterBytes !== undefined && { afterBytes }) });
    const text = get(api).then((answered) => answered.text());
    await expect(text).rejects.toThrow(
      expect.objectContaining({ cause: expect.objectContaining({ code: "ECONNRESET" }) }),
    );
  });

  it.each([
    { does: "cut", afterBytes: 50 },
    { does: "lie", bytes: 10 },
  ] as const)("promises more than it sends: $does", async (effect) => {
    await using api = await server();
    api.inject({ on: /pods/, ...effect });
    const answered = await get(api);
    expect(answered.status).toBe(200);
    await expect(answered.text()).rejects.toThrow();
  });

  it("promises less than it sends, and a client that believes it has half a body", async () => {
    await using api = await server();
    api.inject({ on: /pods/, does: "lie", bytes: -10 });
    const text = await (await get(api)).text();
    expect(() => JSON.parse(text)).toThrow();
  });

  it("refuses as often as it is told, and says when to come again", async () => {
    await using api = await server();
    api.inject({
      on: /^GET \/api\/v1\/pods/,
      does: "refuse",
      reason: "TooManyRequests",
      retryAfter: 3,
      after: 1,
      times: 2,
    });
    const answers = [await get(api), await get(api), await get(api), await get(api)];
    expect(answers.map(({ status }) => status)).toEqual([200, 429, 429, 200]);
    expect(answers[1]!.headers.get("retry-after")).toBe("3");
    expect(await answers[1]!.json()).toMatchObject({ kind: "Status", reason: "TooManyRequests" });
  });

  it("answers what is no JSON, until the fault is ended", async () => {
    await using api = await server();
    const end = api.inject({ on: /pods/, does: "answer", status: 502, body: "<html>Bad Gateway</html>" });
    expect(await (await get(api)).text()).toBe("<html>Bad Gateway</html>");
    end();
    expect((await get(api)).status).toBe(200);
  });
});
