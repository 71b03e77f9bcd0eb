/**
 * The pure part diagnoses a recording in a browser, and says there what it says in Node: so it needs nothing of Node.
 *
 * Its sources are served as they are, with their types stripped, and its packages from node_modules.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { stripTypeScriptTypes } from "node:module";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type Browser, chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { diagnose } from "../../src/diagnose.ts";
import { captureOf, readRecording } from "../recordings.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
const PACKAGES = ["zod", "js-yaml", "@noble/hashes/sha2.js"];

/** What a bare import of the pure part means, as paths of the server. */
function importMap(): string {
  const imports = PACKAGES.map((name) => {
    const file = import.meta.resolve(name);
    return [name, `/${file.slice(pathToFileURL(ROOT).href.length)}`];
  });
  return JSON.stringify({ imports: Object.fromEntries(imports) });
}

async function serve(): Promise<Server> {
  const page = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script type="importmap">${importMap()}</script><script type="module" src="/testing/browser/page.ts"></script>`;
  const server = createServer(async (request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url ?? "/", "http://localhost").pathname));
    if (path === "/") return void response.setHeader("content-type", "text/html").end(page);
    if (!/^\/(src|node_modules|testing\/browser)\//.test(path)) return void response.writeHead(404).end();
    try {
      const text = await readFile(join(ROOT, path), "utf8");
      const code = extname(path) === ".ts" ? stripTypeScriptTypes(text) : text;
      response.setHeader("content-type", "text/javascript; charset=utf-8").end(code);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

describe.skipIf(!CHROMIUM)("in Chromium (Debian package chromium)", () => {
  let server: Server;
  let browser: Browser;
  beforeAll(async () => {
    server = await serve();
    browser = await chromium.launch({ executablePath: CHROMIUM!, args: ["--no-sandbox"] });
  });
  afterAll(async () => {
    await browser?.close();
    server?.close();
  });

  it.each(["flannel-role-deleted", "forward-drop"])("%s is diagnosed as in Node", async (id) => {
    const { files } = await readRecording(id);
    const page = await browser.newPage();
    const complaints: string[] = [];
    page.on("console", (message) => complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(String(error)));
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    await page.waitForFunction("globalThis.reportOf").catch(() => expect(complaints).toEqual([]));
    const there = await page.evaluate(
      (texts) => (globalThis as unknown as typeof import("./page.ts")).reportOf(texts),
      [...files] as const,
    );
    expect(complaints).toEqual([]);
    const report = JSON.parse(there);
    expect(report.verdict).toBe("faulty");
    expect(report).toEqual(JSON.parse(JSON.stringify(diagnose(captureOf(files)))));
    await page.close();
  });
});
