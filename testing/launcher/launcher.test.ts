/**
 * ./netwhy on fresh copies of the clone: what it brings at the first use, and that it needs nothing afterwards. Uses
 * npm, and so its registry or its cache.
 */
import { execFile, execFileSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it, vi } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const NOBODY = 65534;
const isRoot = process.getuid?.() === 0;

// others must be able to look inside: some tests run as nobody
const base = mkdtempSync(join(tmpdir(), "netwhy launcher-"));
chmodSync(base, 0o755);
const npmCache = process.env.npm_config_cache ?? join(homedir(), ".npm");
afterAll(() => rmSync(base, { recursive: true, force: true }));
// how long npm takes is for its registry to say
vi.setConfig({ testTimeout: 400_000 });

/** The PATH of a machine that has Node and npm, but not those that this clone has brought for itself. */
const MACHINE_PATH = (process.env.PATH ?? "")
  .split(delimiter)
  .filter((folder) => !folder.includes("/.tools/"))
  .join(delimiter);
/** What else the machine says, such as how to reach its registry; but nothing of the locale or of the user's own files. */
const AROUND = Object.fromEntries(
  Object.entries(process.env).filter(
    ([name]) => !/^(LANG|LC_.*|XDG_.*|NODE_OPTIONS|NODE_COMPILE_CACHE|npm_config_(user|global)config)$/i.test(name),
  ),
);
/** One on which nothing can be fetched. */
const OFFLINE = { npm_config_registry: "http://127.0.0.1:9/", npm_config_offline: "true" };

/** What a fresh clone holds. */
function clone(name: string): string {
  const target = join(base, name);
  const isLeftOut = /\/(node_modules|\.tools|\.git|testing|bench|docs)$/;
  cpSync(ROOT, target, { recursive: true, filter: (source) => !isLeftOut.test(source.replace(/\/$/, "")) });
  return target;
}

function folder(name: string): string {
  const path = join(base, name);
  mkdirSync(path, { recursive: true });
  return path;
}

type Result = { readonly code: number; readonly out: string; readonly err: string };
type Options = { readonly env?: NodeJS.ProcessEnv; readonly uid?: number };

function run(file: string, args: readonly string[], { env = {}, uid }: Options = {}): Promise<Result> {
  const options = {
    env: {
      ...AROUND,
      PATH: MACHINE_PATH,
      HOME: folder("home"),
      TMPDIR: folder("tmp"),
      npm_config_cache: npmCache,
      ...env,
    },
    cwd: base,
    ...(uid !== undefined && { uid, gid: uid }),
  };
  return new Promise((resolve) => {
    execFile(file, args, options, (error, out, err) => resolve({ code: error ? Number(error.code) : 0, out, err }));
  });
}

const FIRST_USE = /^netwhy: first use: fetching what netwhy needs into (.*); this happens once and takes a minute\n$/;
const VERSION = `${(JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string }).version}\n`;

describe("a clone that can be written", () => {
  it("brings what it needs, once, even if it is started twice at a time, and needs nothing later", async () => {
    const home = clone("a clone");
    const both = await Promise.all([
      run(join(home, "netwhy"), ["--version"]),
      run(join(home, "netwhy"), ["--version"]),
    ]);
    for (const { code, out, err } of both) {
      expect({ code, out }).toEqual({ code: 0, out: VERSION });
      expect(FIRST_USE.exec(err)?.[1]).toBe(join(home, ".tools"));
    }
    expect(readdirSync(join(home, ".tools")).filter((name) => /new|lock/.test(name))).toEqual([]);
    expect(existsSync(join(home, "node_modules/vitest"))).toBe(false);

    const plugins = folder("plugins");
    symlinkSync("../a clone/netwhy", join(plugins, "kubectl-netwhy"));
    symlinkSync("kubectl-netwhy", join(plugins, "again"));
    for (const name of ["kubectl-netwhy", "again"]) {
      const result = await run(name, ["demo", "corefile-broken"], {
        env: { ...OFFLINE, PATH: `${plugins}${delimiter}${MACHINE_PATH}` },
      });
      expect(result.code).toBe(1);
      expect(result.out).toMatch(/^✗ ROOT CAUSE/);
    }
    const help = await run(join(plugins, "kubectl-netwhy"), ["--help"], { env: OFFLINE });
    expect(help.out).toContain("Usage: kubectl netwhy COMMAND");
    expect(help.err).toBe("");
  });

  it("brings other dependencies when the clone is updated to want others, and only then", async () => {
    const home = join(base, "a clone");
    const lock = join(home, "package-lock.json");
    writeFileSync(lock, readFileSync(lock, "utf8"));
    expect((await run(join(home, "netwhy"), ["--version"], { env: OFFLINE })).err).toBe("");
    writeFileSync(lock, `${readFileSync(lock, "utf8")}\n`);
    expect((await run(join(home, "netwhy"), ["--version"])).err).toMatch(FIRST_USE);
    expect((await run(join(home, "netwhy"), ["--version"], { env: OFFLINE })).err).toBe("");
  });

  it("leaves nothing behind if npm fails, says so, and works the next time", async () => {
    const home = clone("unlucky");
    const { code, err } = await run(join(home, "netwhy"), ["--version"], {
      env: { ...OFFLINE, npm_config_cache: folder("empty cache") },
    });
    expect(code).toBe(5);
    expect(err).toMatch(/could not be fetched \(see above\)\n$/);
    expect(readdirSync(join(home, ".tools"))).toEqual([]);
    expect((await run(join(home, "netwhy"), ["--version"])).out).toBe(VERSION);
  });
});

/** Makes a folder that its user cannot write to: root can always, so nobody is asked to try. */
function readOnly(path: string): string {
  execFileSync("chmod", ["-R", "a+rX,a-w", path]);
  return path;
}

function ownedBy(path: string, uid: number | undefined): string {
  if (uid !== undefined) execFileSync("chown", ["-R", `${uid}:${uid}`, path]);
  return path;
}

describe("a clone that cannot be written", () => {
  const uid = isRoot ? NOBODY : undefined;
  const user = { ...(uid !== undefined && { uid }) };
  // what the first of them fetches need not be fetched again
  const npmCacheOfUser = { npm_config_cache: ownedBy(folder("npm"), uid) };

  it("keeps everything in the user's cache, and a changed clone apart from the one before", async () => {
    const home = readOnly(clone("read only"));
    const cache = ownedBy(folder("cache"), uid);
    const env = { XDG_CACHE_HOME: cache, ...npmCacheOfUser };
    const first = await run(join(home, "netwhy"), ["--version"], { ...user, env });
    expect(first.out).toBe(VERSION);
    expect(FIRST_USE.exec(first.err)?.[1]).toBe(join(cache, "netwhy"));
    const second = await run(join(home, "netwhy"), ["demo", "corefile-broken"], {
      ...user,
      env: { ...env, ...OFFLINE },
    });
    expect(second.out).toMatch(/^✗ ROOT CAUSE/);
    expect(second.code).toBe(1);
    expect(readdirSync(home)).not.toContain(".tools");

    execFileSync("chmod", ["-R", "u+w", home]);
    const page = join(home, "scenarios/corefile-broken/story.md");
    writeFileSync(page, "# Another story\n");
    readOnly(home);
    const changed = await run(join(home, "netwhy"), ["demo", "--list"], { ...user, env });
    expect(changed.err).toMatch(FIRST_USE);
    expect(changed.out).toContain("Another story");
    const copies = readdirSync(join(cache, "netwhy")).filter((name) => /^\d+-\d+-?$/.test(name));
    expect(copies).toHaveLength(2);
    execFileSync("chmod", ["-R", "u+w", home]);
  });

  it("makes do with the folder for temporary files, but not with one that somebody else put there", async () => {
    const home = readOnly(clone("read only too"));
    const env = {
      HOME: "/nonexistent",
      XDG_CACHE_HOME: "",
      TMPDIR: ownedBy(folder("user tmp"), uid),
      ...npmCacheOfUser,
    };
    const { out, err } = await run(join(home, "netwhy"), ["--version"], { ...user, env });
    expect(out).toBe(VERSION);
    expect(err).toContain(join(base, "user tmp/netwhy-"));

    const trap = folder("trap");
    symlinkSync(folder("elsewhere"), join(trap, `netwhy-${uid ?? process.getuid?.()}`));
    const refused = await run(join(home, "netwhy"), ["--version"], {
      ...user,
      env: { ...env, TMPDIR: trap, PATH: "/usr/bin:/bin" },
    });
    expect(refused.code).toBe(5);
    expect(refused.err).toContain("set XDG_CACHE_HOME");
    execFileSync("chmod", ["-R", "u+w", home]);
  });
});
