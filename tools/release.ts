/**
 * Makes what is released: an archive that runs offline (the sources, Node and the packages that they need), its checksum,
 * and the manifest by which krew installs it as `kubectl netwhy`.
 *
 *   node tools/release.ts [--base-url https://HOST/PATH]      into dist/
 *
 * Node and packages come from npm, as ./netwhy brings them for a clone; those that the clone has already are taken. Equal
 * sources make equal archives. Without --base-url the manifest is for `kubectl krew install --manifest=… --archive=…`.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
/** Packages hold no code of one architecture, and Node is that of this machine. */
const ARCHITECTURE = process.arch === "x64" ? "amd64" : process.arch;
const PLATFORM = `${process.platform}-${ARCHITECTURE}`;
/** What of the clone is needed to run. */
const PARTS = [
  "netwhy",
  "src",
  "scenarios",
  "manifests",
  "docs/bundle.md",
  "tools/set-up.sh",
  "package.json",
  "package-lock.json",
  ".npmrc",
  "LICENSE",
  "README.md",
  "README.zh-CN.md",
];

/** Equal files make equal archives. */
const PACK = `tar -C "$1" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=go-w -cf - "$2" | gzip -n >"$3"`;

export type Release = { readonly archive: string; readonly manifest: string };

const { version, description } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
  version: string;
  description: string;
};

/** @param folder where it goes; what is there of the same version is replaced */
export function makeRelease(folder: string, baseUrl?: string): Release {
  const name = `netwhy-${version}`;
  const file = `${name}-${PLATFORM}.tar.gz`;
  const stage = mkdtempSync(join(tmpdir(), "netwhy-release-"));
  const home = join(stage, name);
  try {
    for (const part of PARTS) {
      cpSync(join(ROOT, part), join(home, part), { recursive: true, filter: (path) => !/\.test\.ts$/.test(path) });
    }
    bring(home);
    // from now on nothing is fetched: see tools/set-up.sh
    writeFileSync(join(home, ".release"), `${version} ${PLATFORM}\n`);
    mkdirSync(folder, { recursive: true });
    execFileSync("sh", ["-ec", PACK, "sh", stage, name, join(folder, file)]);
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
  const archive = join(folder, file);
  const sha256 = createHash("sha256").update(readFileSync(archive)).digest("hex");
  writeFileSync(`${archive}.sha256`, `${sha256}  ${file}\n`);
  const manifest = join(folder, "netwhy.yaml");
  writeFileSync(manifest, krewManifest({ uri: baseUrl === undefined ? file : `${baseUrl}/${file}`, sha256, name }));
  return { archive, manifest };
}

const BRING = `home=$1; . "$home/tools/set-up.sh"; need_npm; mkdir -p "$home/.tools"
[ -x "$home/.tools/node/node_modules/node-$platform/bin/node" ] || bring_node "$home/.tools/node"
bring_dependencies "$home" --omit=dev
# links to commands of packages: nobody calls them, and krew refuses archives with links
rm -rf "$home/node_modules/.bin" "$home/.tools/node/node_modules/.bin"`;

/** Node and the packages, by what brings them for ./netwhy. */
function bring(home: string): void {
  const node = join(ROOT, ".tools/node");
  if (existsSync(node)) cpSync(node, join(home, ".tools/node"), { recursive: true, dereference: true });
  execFileSync("sh", ["-ec", BRING, "sh", home], { stdio: ["ignore", "ignore", "inherit"] });
}

/** https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest */
function krewManifest({ uri, sha256, name }: { uri: string; sha256: string; name: string }): string {
  return `apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: netwhy
spec:
  version: v${version}
  shortDescription: Names the root cause of a broken cluster network
  description: |
    ${description}
    It reads a running cluster or a bundle of one, changes nothing and sends
    nothing. Begin with: kubectl netwhy demo
  platforms:
    - selector:
        matchLabels:
          os: ${process.platform}
          arch: ${ARCHITECTURE}
      uri: ${uri}
      sha256: ${sha256}
      bin: ${name}/netwhy
`;
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { "base-url": { type: "string" } } });
  const { archive, manifest } = makeRelease(join(ROOT, "dist"), values["base-url"]);
  process.stdout.write(`${archive}\n${manifest}\n`);
}
