/**
 * Makes an image of netwhy's agent without Docker: an archive that containerd takes in.
 *
 *   node tools/build-agent.ts
 *   node tools/agent-image.ts BASE.tar netwhy-agent.tar [NAME]     on each node: ctr -n k8s.io images import netwhy-agent.tar
 *
 * BASE.tar is a root file system with the tools that agent/Dockerfile names, as these print it:
 *   docker export CONTAINER > BASE.tar
 *   mmdebstrap --variant=minbase --include=conntrack,ethtool,iproute2,ipset,iptables,ipvsadm,kmod,nftables,procps,util-linux \
 *     bookworm BASE.tar
 *
 * The archive is what `docker save` prints (image-spec of moby, v1.2): layers, their configuration, and manifest.json.
 */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { type Pack, pack } from "tar-stream";

const AGENT = fileURLToPath(new URL("../dist/agent/", import.meta.url));
const FILES = ["agent.mjs", "node-script.sh", "node"] as const;
const HOME = "/opt/netwhy";

/** One layer: the agent, in its folder. */
async function packAgent(agent: string, target: string): Promise<void> {
  const layer = pack();
  const written = pipeline(layer, createWriteStream(target));
  for (const folder of ["opt/", "opt/netwhy/"])
    layer.entry({ name: folder, type: "directory", mode: 0o755, mtime: EPOCH });
  for (const name of FILES) {
    const mode = name === "node" ? 0o755 : 0o644;
    layer.entry({ name: `opt/netwhy/${name}`, mode, mtime: EPOCH }, readFileSync(join(agent, name)));
  }
  layer.finalize();
  await written;
}

/** The same files make the same image. */
const EPOCH = new Date(0);

async function digestOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(path)) hash.update(piece as Buffer);
  return hash.digest("hex");
}

async function addFile(archive: Pack, name: string, path: string): Promise<void> {
  const entry = archive.entry({ name, size: statSync(path).size, mtime: EPOCH });
  await pipeline(createReadStream(path), entry);
}

/** @param agent the folder that tools/build-agent.ts makes */
export async function agentImage(
  base: string,
  target: string,
  { name = "netwhy-agent:0.1.0", agent = AGENT }: { readonly name?: string | undefined; readonly agent?: string } = {},
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "netwhy-image-"));
  try {
    const own = join(folder, "agent.tar");
    await packAgent(agent, own);
    const layers = await Promise.all([base, own].map(async (path) => ({ path, digest: await digestOf(path) })));
    const config = JSON.stringify({
      architecture: process.arch === "arm64" ? "arm64" : "amd64",
      os: "linux",
      created: EPOCH.toISOString(),
      config: {
        Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        User: "0",
        // as in agent/Dockerfile
        Entrypoint: [`${HOME}/node`, "--max-old-space-size=24", "--max-semi-space-size=1", `${HOME}/agent.mjs`],
      },
      rootfs: { type: "layers", diff_ids: layers.map(({ digest }) => `sha256:${digest}`) },
    });
    const configName = `${createHash("sha256").update(config).digest("hex")}.json`;
    const manifest = [{ Config: configName, RepoTags: [name], Layers: layers.map(({ digest }) => `${digest}.tar`) }];
    const archive = pack();
    const written = pipeline(archive, createWriteStream(target));
    for (const { path, digest } of layers) await addFile(archive, `${digest}.tar`, path);
    archive.entry({ name: configName, mtime: EPOCH }, config);
    archive.entry({ name: "manifest.json", mtime: EPOCH }, JSON.stringify(manifest));
    archive.finalize();
    await written;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

if (import.meta.main) {
  const [base, target, name] = process.argv.slice(2);
  if (base === undefined || target === undefined)
    throw new Error("which base, and where to: BASE.tar TARGET.tar [NAME]");
  await agentImage(base, target, { name });
}
