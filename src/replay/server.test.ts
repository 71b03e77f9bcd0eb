import { request } from "node:http";
import { expect, it } from "vitest";
import { textAnswer } from "./answer.ts";
import { listen } from "./server.ts";

/** The status of an answer to a request that says for whom it is. */
function statusFor(port: number, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const req = request({ port, host: "127.0.0.1", headers: { host } }, (res) => {
      res.resume();
      resolve(res.statusCode);
    });
    req.on("error", reject);
    req.end();
  });
}

it("answers who asks for this machine, and no page whose name was made to point here", async () => {
  const { port, close } = await listen(() => textAnswer("ok"));
  for (const host of ["127.0.0.1", `127.0.0.1:${port}`, `localhost:${port}`, "[::1]:80"]) {
    expect(await statusFor(port, host)).toBe(200);
  }
  for (const host of ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80"]) {
    expect(await statusFor(port, host)).toBe(403);
  }
  await close();
});

it("a mistake of ours is an answer, and the next request has its own", async () => {
  const { port, close } = await listen(({ path }) => {
    if (path === "/broken") throw new Error("broken");
    return textAnswer("ok");
  });
  const broken = await fetch(`http://127.0.0.1:${port}/broken`);
  expect(broken.status).toBe(500);
  expect(await broken.json()).toMatchObject({ kind: "Status", reason: "InternalError", message: "broken" });
  expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200);
  await close();
});

it("writes no faster than it is read, and stops for who leaves", async () => {
  let made = 0;
  const piece = new Uint8Array(1024 * 1024);
  function* endless() {
    for (; made < 500; made++) yield piece;
  }
  const { port, close } = await listen(() => ({ status: 200, headers: {}, body: endless() }));
  const abort = new AbortController();
  const answered = await fetch(`http://127.0.0.1:${port}/`, { signal: abort.signal });
  await answered.body!.getReader().read();
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(made).toBeLessThan(100);
  abort.abort();
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(made).toBeLessThan(100);
  await close();
});
