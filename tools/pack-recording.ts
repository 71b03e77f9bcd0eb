/**
 * Packs recorded bundles for the tests: what the catalogue knows of each, as one .tar.zst with its truth beside it.
 *
 *   node tools/pack-recording.ts OUT RECORDING…     RECORDING/bundle and RECORDING/truth.yaml → OUT/<name>/
 */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { constants, zstdCompressSync } from "node:zlib";
import { pack } from "tar-stream";
import { matchPath } from "../src/evidence/path.ts";

function filesUnder(root: string, folder = ""): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const name = folder === "" ? entry.name : `${folder}/${entry.name}`;
    return entry.isDirectory() ? filesUnder(root, name) : [name];
  });
}

async function packed(root: string): Promise<Buffer> {
  const tar = pack();
  const known = filesUnder(root).filter((name) => matchPath(name) !== undefined);
  for (const name of known.sort()) tar.entry({ name, mtime: new Date(0) }, readFileSync(join(root, name)));
  tar.finalize();
  const pieces: Uint8Array[] = [];
  for await (const piece of tar) pieces.push(piece as unknown as Uint8Array);
  const params = { [constants.ZSTD_c_compressionLevel]: 19, [constants.ZSTD_c_windowLog]: 23 };
  return zstdCompressSync(Buffer.concat(pieces), { params });
}

const [out, ...recordings] = process.argv.slice(2);
if (!out || recordings.length === 0) throw new Error("usage: pack-recording.ts OUT RECORDING…");
for (const recording of recordings) {
  const folder = join(out, basename(recording));
  mkdirSync(folder, { recursive: true });
  const bundle = await packed(join(recording, "bundle"));
  writeFileSync(join(folder, "bundle.tar.zst"), bundle);
  copyFileSync(join(recording, "truth.yaml"), join(folder, "truth.yaml"));
  process.stdout.write(`${basename(recording)} ${Math.round(bundle.length / 1024)} KiB\n`);
}
